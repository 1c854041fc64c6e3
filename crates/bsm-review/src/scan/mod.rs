//! Runs the packs over a diff's pieces: findings, coverage, and the redacted text that is kept.
//!
//! Why once: the rules see the raw change here and nowhere else. What leaves this room is findings
//! without secrets and a redacted copy; everything later (journal, prompts, reports, a resumed run)
//! works from those.

mod identity;
mod matching;
mod reporting;
mod types;

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use super::budget::Budget;
use super::checks;
use super::checks::{FileSummary, Losses};
use super::commits;
use super::dependencies::Dependencies;
use super::diff::{Change, FileHead, Hunk, Side, Sink};
use super::documentation::{Documentation, DocumentationCheck};
use super::encoding::{self, Reading, Wide};
use super::finding::{ChangeSize, Coverage, Finding, Severity, Suppressed};
use super::ignores::Ignores;
use super::images;
use super::masking::{Joined, redact_lines};
use super::policy::{Assets, Policy};
use super::redact::Redactor;
use super::touched::Touched;
use crate::commit_message::Commit;
use crate::finding::FilterMode;
use crate::remark::Noted;
use crate::scan::types::Looked;
use bsm_base::text::{Untrusted, clean_line};

/// Bounds of one scan.
#[derive(Debug, Clone, Copy)]
pub struct ScanLimits {
    /// Bytes of redacted diff kept.
    pub kept_bytes: usize,
    /// Findings kept.
    pub findings: usize,
    /// Time spent on one file.
    pub file_time: Duration,
}

impl Default for ScanLimits {
    fn default() -> Self {
        Self {
            kept_bytes: 4 << 20,
            findings: 1_000,
            file_time: Duration::from_secs(5),
        }
    }
}

/// Everything a scan gives.
#[derive(Debug, Default)]
pub struct Scanned {
    /// What the rules found.
    pub findings: Vec<Finding>,
    /// How much was looked at.
    pub coverage: Coverage,
    /// Lines and files.
    pub size: ChangeSize,
    /// The diff with secrets replaced, up to the limit.
    pub redacted: String,
    /// Files whose redacted text did not fit; a model cannot see them.
    pub not_kept: Vec<Untrusted>,
    /// Accepted findings.
    pub suppressed: Vec<Suppressed>,
    /// Remarks for people.
    pub notes: Vec<String>,
    /// Whether the change is documentation and nothing else.
    pub documentation: Documentation,
}

/// A [`Sink`] that scans.
pub struct Scanner<'a> {
    redactor: &'a Redactor,
    limits: ScanLimits,
    cancelled: &'a dyn Fn() -> bool,
    policy: &'a Policy,
    filter: FilterMode,
    out: Scanned,
    summaries: Vec<FileSummary>,
    commits: Vec<Commit>,
    more_commits: bool,
    touched: Touched,
    documentation: DocumentationCheck,
    /// Gives the new content of a file, where images may count as reviewed.
    images: Option<&'a dyn Fn(&str) -> Option<Vec<u8>>>,
    /// How often each entry of the baseline has spoken.
    known_used: HashMap<usize, u32>,
    seen: HashSet<(String, u32, Option<String>)>,
    current: Option<Current>,
    per_rule: HashMap<(String, String), u32>,
    /// The mildest that is listed.
    mildest: Severity,
    /// Findings beyond what is listed: of the same rule and file, or milder than all that are.
    not_listed: u32,
    of_change: bool,
    /// Every finding with what matched, where the caller wants to make a baseline of them.
    known: Option<&'a mut dyn FnMut(&Finding, &[u8])>,
}

/// The file that is being read.
struct Current {
    head: FileHead,
    /// Its path, redacted.
    path: Untrusted,
    began: Instant,
    reason: Option<String>,
    summary: FileSummary,
    kept_all: bool,
    dependencies: Option<Dependencies>,
    losses: Losses,
    /// The operator does not want it reviewed.
    ignored: bool,
    /// Nothing more of it is looked at or kept.
    stopped: bool,
    /// What an earlier hunk of it was written in.
    wide: Option<Wide>,
}

const TOO_LONG: &str = "it took longer than its time";
const UNREAD_MANIFEST: &str = "a manifest or lock file whose format is not read";
const UNDECODABLE: &str = "UTF-16 or UTF-32 that cannot be decoded";
/// Most findings of one rule in one file that are listed.
const MOST_OF_A_RULE: u32 = 100;
/// Most files of one change that are looked at.
const MOST_FILES: u32 = 50_000;
/// Most commits whose messages are looked at.
const MOST_COMMITS: usize = 1_000;
/// Most suppressed findings that are listed.
const MOST_SUPPRESSED: usize = 1_000;

impl Current {
    fn too_long(&mut self) {
        self.reason = Some(TOO_LONG.to_owned());
        self.stopped = true;
    }
}

static NO_POLICY: LazyLock<Policy> = LazyLock::new(Policy::default);

impl<'a> Scanner<'a> {
    /// A scanner; `cancelled` is asked once a hunk.
    pub fn new(
        redactor: &'a Redactor,
        limits: ScanLimits,
        cancelled: &'a dyn Fn() -> bool,
    ) -> Self {
        Self {
            redactor,
            limits,
            cancelled,
            policy: &NO_POLICY,
            filter: FilterMode::Added,
            out: Scanned::default(),
            summaries: Vec::new(),
            commits: Vec::new(),
            more_commits: false,
            touched: Touched::default(),
            documentation: DocumentationCheck::default(),
            images: None,
            known_used: HashMap::new(),
            seen: HashSet::new(),
            current: None,
            per_rule: HashMap::new(),
            mildest: Severity::Critical,
            not_listed: 0,
            of_change: true,
            known: None,
        }
    }

    /// With what the operator's workspace says.
    #[must_use]
    pub fn under(self, policy: &'a Policy) -> Self {
        Self {
            policy,
            filter: policy.filter,
            ..self
        }
    }

    /// With another filter than the policy's.
    #[must_use]
    pub fn filtering(self, filter: FilterMode) -> Self {
        Self { filter, ..self }
    }

    /// With a way to read whole files, for images.
    #[must_use]
    pub fn reading(self, images: &'a dyn Fn(&str) -> Option<Vec<u8>>) -> Self {
        Self {
            images: Some(images),
            ..self
        }
    }

    /// A binary file that is a whole image, where the operator lets images count as reviewed.
    fn is_read_image(&self, head: &FileHead) -> bool {
        let path = head.path.raw();
        if !head.binary || self.policy.assets != Assets::Allow || !images::is_named_image(path) {
            return false;
        }
        let content = self.images.and_then(|read| read(path));
        content.is_some_and(|bytes| images::is_whole_image(&bytes))
    }

    /// Shows every finding with what matched to `known`.
    #[must_use]
    pub fn telling(self, known: &'a mut dyn FnMut(&Finding, &[u8])) -> Self {
        Self {
            known: Some(known),
            ..self
        }
    }

    /// For a folder as it is: what is only about a change is left out.
    #[must_use]
    pub fn of_folder(self) -> Self {
        Self {
            of_change: false,
            ..self
        }
    }

    /// Adds what only the whole change shows, and hands everything over.
    pub fn finish(mut self) -> Scanned {
        if self.of_change {
            for noted in checks::whole_change(&self.summaries) {
                self.note(noted);
            }
        }
        let commits = std::mem::take(&mut self.commits);
        for noted in commits::check(&commits, self.policy.sign_off, self.redactor) {
            self.note(noted);
        }
        if self.not_listed > 0 {
            self.out.notes.push(format!(
                "{} more findings are not listed: milder than those that are, or more than {MOST_OF_A_RULE} of one rule in one file",
                self.not_listed
            ));
        }
        identity::number(&mut self.out.findings, &mut self.out.suppressed);
        self.out.documentation = std::mem::take(&mut self.documentation)
            .finish()
            .redacted(self.redactor);
        self.out.findings.sort_by(|a, b| {
            b.severity
                .cmp(&a.severity)
                .then_with(|| a.file.cmp(&b.file))
                .then(a.line.cmp(&b.line))
                .then_with(|| a.rule.cmp(&b.rule))
        });
        self.out
    }
}

impl Sink for Scanner<'_> {
    fn file(&mut self, head: &FileHead) {
        let path = head.path.clone();
        // Names are outside text too, and may themselves hold a secret.
        let shown = Untrusted::new(self.redactor.text(path.raw()));
        let ignored = self.policy.ignores(path.raw());
        if ignored {
            self.out.coverage.ignored += 1;
        } else {
            self.out.coverage.files_total += 1;
            self.out.size.files += 1;
            if self.out.coverage.first_file.is_none() {
                self.out.coverage.first_file = Some(shown.clone());
            }
        }
        if self.out.coverage.files_total > MOST_FILES {
            // Counted, and never said to be seen.
            self.current = None;
            self.out.coverage.skipped_more += 1;
            return;
        }
        self.touched.file(path.raw());
        let there = head.change != Change::Deleted && !ignored;
        let rules: Vec<Finding> = self
            .redactor
            .rules()
            .path_hits(path.raw())
            .filter(|r| there && (self.of_change || !r.change_only))
            .map(|r| Finding::about_file(&r.id, r.severity, &shown, r.message.clone()))
            .collect();
        for finding in rules {
            self.found(finding, b"", None);
        }
        let image = self.is_read_image(head);
        if self.of_change {
            let policy = self.policy;
            for noted in checks::file(head, &shown, |path| policy.is_made_of(path)) {
                if image && noted.id == "quality/binary" {
                    continue;
                }
                // What decides how changes are reviewed is said wherever it lies.
                if !ignored || noted.id == checks::POLICY_FILE {
                    self.note(noted);
                }
            }
        }
        let submodule = Some(checks::SUBMODULE);
        let reason = if head.binary && !image {
            Some("binary".to_owned())
        } else if head.modes.1 == submodule || head.modes.0 == submodule {
            Some("submodule".to_owned())
        } else {
            None
        };
        let summary = FileSummary {
            path: shown.clone(),
            change: head.change,
            added: 0,
            removed: 0,
            binary: head.binary,
            generated: checks::is_generated(path.raw()),
            last_line: 0,
        };
        let dependencies = (self.of_change && there)
            .then(|| Dependencies::of(path.raw()))
            .flatten();
        let unread_manifest = self.of_change
            && there
            && dependencies.is_none()
            && self
                .redactor
                .rules()
                .rule(checks::UNREAD_MANIFEST)
                .is_some_and(|r| r.applies_to(path.raw()));
        let reason = reason.or_else(|| unread_manifest.then(|| UNREAD_MANIFEST.to_owned()));
        self.documentation.file(head);
        self.current = Some(Current {
            head: head.clone(),
            path: shown.clone(),
            began: Instant::now(),
            reason,
            summary,
            kept_all: true,
            dependencies,
            losses: Losses::default(),
            ignored,
            stopped: head.binary,
            wide: None,
        });
        if ignored {
            return;
        }
        self.hidden_in_name(&head.path, &shown);
        self.moved_to_other_rules(head);
        // On one line each: a name with a line break would be read as another file.
        let name = clean_line(shown.raw(), 4_096);
        let old = head.old_path.as_ref().map_or_else(
            || name.clone(),
            |o| clean_line(&self.redactor.text(o.raw()), 4_096),
        );
        let word = match head.change {
            Change::Added => "new file\n",
            Change::Deleted => "deleted file\n",
            Change::Renamed => "renamed\n",
            Change::Copied => "copied\n",
            Change::Modified => "",
        };
        let binary = if head.binary { "binary\n" } else { "" };
        self.keep(&format!("diff --git a/{old} b/{name}\n{word}{binary}"));
    }

    fn hunk(&mut self, hunk: &Hunk) {
        let Some(current) = &mut self.current else {
            return;
        };
        let budget = Budget::since(current.began, self.limits.file_time);
        if budget.look() {
            current.too_long();
        }
        self.touched.hunk(current.head.path.raw(), hunk);
        if current.ignored {
            return;
        }
        for line in &hunk.lines[hunk.repeated..] {
            match line.side {
                Side::Added => current.summary.added += 1,
                Side::Removed => current.summary.removed += 1,
                Side::Context => {}
            }
            if line.side != Side::Removed {
                current.summary.last_line = current.summary.last_line.max(line.number);
            }
        }
        if current.stopped {
            return; // not looked at, so not kept either: it might hold a secret
        }
        self.documentation.hunk(hunk);
        if let Some(why) = checks::pointer(&current.head, hunk) {
            current.reason.get_or_insert_with(|| why.to_owned());
        }
        let decoded;
        let raw = match encoding::read(hunk, &mut current.wide) {
            Reading::AsIs => hunk,
            Reading::Decoded(hunk) => {
                decoded = hunk;
                &decoded
            }
            Reading::Undecodable => {
                current.reason.get_or_insert_with(|| UNDECODABLE.to_owned());
                hunk
            }
        };
        let cleaned = encoding::without_odd_bytes(raw);
        let hunk = cleaned.as_ref().map_or(raw, |(clean, _)| clean);
        const HEAD_LINES: u32 = 5;
        let first_lines = hunk
            .lines
            .iter()
            .take_while(|l| l.number <= HEAD_LINES)
            .take(10);
        current.summary.generated |= first_lines
            .filter(|l| l.side != Side::Removed)
            .any(|l| checks::says_generated(&l.text));
        if let Some(dependencies) = &mut current.dependencies {
            dependencies.hunk(hunk);
        }
        current.losses.hunk(current.head.path.raw(), hunk);
        let file = Looked {
            raw: current.head.path.raw().to_owned(),
            shown: current.path.clone(),
            generated: current.summary.generated,
            new: current.head.change == Change::Added || !self.of_change,
            ignores: Ignores::of(hunk),
        };
        let is_link = current.head.modes.1 == Some(checks::SYMLINK);
        let head = is_link.then(|| current.head.clone());
        let added = Joined::of(hunk, |s| s == Side::Added);
        let wanted = self.redactor.rules().wanted(&added.text);
        let lines = redact_lines(self.redactor, &file.shown, hunk, &added, &wanted, &budget);
        let Some(redacted) = lines else {
            current.too_long();
            return;
        };
        self.match_rules(&file, hunk, &redacted, &added, &budget);
        if let Some((_, odd)) = &cleaned {
            // As it is, too: a rule may look for the very bytes that were taken out.
            let as_is = Joined::of(raw, |s| s == Side::Added);
            self.match_rules(&file, raw, &redacted, &as_is, &budget);
            for (id, index) in [
                ("hidden-text/nul-bytes", odd.nul),
                ("hidden-text/invalid-utf8", odd.invalid),
            ] {
                if let Some(index) = index {
                    self.note(Noted {
                        line: Some(raw.lines[index].number),
                        ..Noted::file(id, &file.shown)
                    });
                }
            }
        }
        if budget.look()
            && let Some(current) = &mut self.current
        {
            current.too_long();
            return;
        }
        if checks::is_program_text(&file.raw) {
            let disguised = hunk.lines[hunk.repeated..]
                .iter()
                .find(|l| l.side == Side::Added && checks::has_compatibility_letter(&l.text));
            if let Some(line) = disguised {
                self.note(Noted {
                    line: Some(line.number),
                    ..Noted::file("hidden-text/compatibility-character", &file.shown)
                });
            }
        }
        for index in file.ignores.without_reason() {
            self.note(Noted {
                line: Some(hunk.lines[index].number),
                ..Noted::file("governance/ignore-without-reason", &file.shown)
            });
        }
        let target = hunk.lines.iter().position(|l| l.side == Side::Added);
        if let (Some(head), Some(target)) = (head, target)
            && let Some(noted) = checks::link(&head, &file.shown, &redacted[target])
        {
            self.note(noted);
            if let Some(current) = &mut self.current {
                let why = "a symbolic link that leads out of the repository";
                current.reason.get_or_insert_with(|| why.to_owned());
            }
        }
        let until = hunk.lines.len() - hunk.held_back;
        let mut text = String::new();
        if hunk.repeated == 0 {
            // The first line of the new file; where all lines go, that of the old one.
            let new = hunk.lines.iter().find(|l| l.side != Side::Removed);
            if let Some(first) = new.or(hunk.lines.first()) {
                text.push_str(&format!("@@ line {} @@\n", first.number));
            }
        }
        for (line, shown) in hunk.lines[..until].iter().zip(&redacted) {
            text.push(match line.side {
                Side::Added => '+',
                Side::Removed => '-',
                Side::Context => ' ',
            });
            text.push_str(shown);
            text.push('\n');
        }
        self.keep(&text);
    }

    fn file_end(&mut self, unread: Option<&'static str>) {
        let Some(mut current) = self.current.take() else {
            return;
        };
        if current.ignored {
            return;
        }
        if unread.is_some() {
            self.documentation.unread();
        }
        for noted in current.losses.remarks(current.head.change, &current.path) {
            self.note(noted);
        }
        if let Some(dependencies) = &current.dependencies {
            for noted in dependencies.remarks(&current.path) {
                self.note(noted);
            }
            if dependencies.cut {
                let why = "it names more packages than are compared";
                current.reason.get_or_insert_with(|| why.to_owned());
            }
        }
        self.out.size.added = self.out.size.added.saturating_add(current.summary.added);
        self.out.size.removed = self
            .out
            .size
            .removed
            .saturating_add(current.summary.removed);
        match current.reason.or_else(|| unread.map(str::to_owned)) {
            Some(reason) => self.out.coverage.skip(&current.path, reason),
            None => self.out.coverage.files_seen += 1,
        }
        const LISTED: usize = 20_000;
        if !current.kept_all && self.out.not_kept.len() < LISTED {
            self.out.not_kept.push(current.path);
        }
        if self.summaries.len() < LISTED {
            self.summaries.push(current.summary);
        }
    }

    fn commit(&mut self, commit: &Commit) {
        if commit.cut {
            let place = Untrusted::new("(a commit's message)");
            self.skip(&place, "longer than what is looked at");
        }
        if self.commits.len() < MOST_COMMITS {
            self.commits.push(commit.clone());
        } else if !self.more_commits {
            self.more_commits = true;
            let place = Untrusted::new("(messages of commits)");
            self.skip(&place, &format!("more than {MOST_COMMITS}"));
        }
    }

    fn cancelled(&self) -> bool {
        (self.cancelled)()
    }
}

#[cfg(test)]
mod tests;
