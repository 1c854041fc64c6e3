//! Runs the packs over a diff's pieces: findings, coverage, and the redacted text that is kept.
//!
//! Why once: the rules see the raw change here and nowhere else. What leaves this room is findings
//! without secrets and a redacted copy; everything later (journal, prompts, reports, a resumed run)
//! works from those.

use std::collections::HashSet;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use super::checks::{self, FileSummary, Losses, Noted};
use super::commits::{self, Commit};
use super::dependencies::Dependencies;
use super::diff::{Change, FileHead, Hunk, Side, Sink};
use super::finding::{
    ChangeSize, Coverage, Finding, Severity, Source, Suppressed, SuppressedBy, Weight,
};
use super::ignores::{self, Ignore};
use super::linters::{self, FilterMode};
use super::masking::{Joined, key_body, redact_lines};
use super::policy::Policy;
use super::redact::Redactor;
use super::rules::Hit;
use super::touched::Touched;
use crate::text::{Untrusted, cut};

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
    /// What was found and is not minded.
    pub suppressed: Vec<Suppressed>,
    /// Remarks for people.
    pub notes: Vec<String>,
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
    touched: Touched,
    seen: HashSet<(String, u32, Option<String>)>,
    current: Option<Current>,
    overflowed: bool,
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
}

/// Most commits whose messages are looked at.
const MOST_COMMITS: usize = 1_000;
/// Most suppressed findings that are listed.
const MOST_SUPPRESSED: usize = 1_000;

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
            touched: Touched::default(),
            seen: HashSet::new(),
            current: None,
            overflowed: false,
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
        self.out.findings.sort_by(|a, b| {
            b.severity
                .cmp(&a.severity)
                .then_with(|| a.file.cmp(&b.file))
                .then(a.line.cmp(&b.line))
                .then_with(|| a.rule.cmp(&b.rule))
        });
        self.out
    }

    /// Takes in what another linter found: `name` is its file's, for people.
    ///
    /// # Errors
    /// When its text is in no form that is known.
    pub fn linter(&mut self, name: &str, text: &[u8]) -> Result<(), linters::LinterError> {
        let read = linters::read(text, self.filter, &self.touched, self.redactor)?;
        let taken = read.findings.len();
        for mut finding in read.findings {
            let matched = finding.message.raw().as_bytes().to_vec();
            match self.policy.weighed(&finding.rule) {
                Some(Weight::Off) => continue,
                Some(Weight::As(severity)) => finding.severity = severity,
                None => {}
            }
            self.found(finding, &matched, None);
        }
        let mut note = format!(
            "{}: {taken} findings taken",
            crate::text::clean_line(name, 80)
        );
        for (count, what) in [
            (read.elsewhere, "elsewhere than --filter-mode looks"),
            (read.silenced, "suppressed by the tool or no news"),
            (read.more, "more than are taken from one file"),
        ] {
            if count > 0 {
                note.push_str(&format!(", {count} {what}"));
            }
        }
        self.out.notes.push(note);
        Ok(())
    }

    /// The change touches this file.
    pub fn touches(&self, path: &str) -> bool {
        self.touched.has_file(path)
    }

    /// Takes in what was found in files as they are, beside the change.
    pub fn beside(&mut self, other: Scanned) {
        let (seen, total) = (other.coverage.files_seen, other.coverage.files_total);
        for finding in other.findings {
            self.add(finding);
        }
        let room = MOST_SUPPRESSED.saturating_sub(self.out.suppressed.len());
        for suppressed in other.suppressed.into_iter().take(room) {
            if !self.out.suppressed.contains(&suppressed) {
                self.out.suppressed.push(suppressed);
            }
        }
        self.out.notes.push(format!(
            "beside the change, {seen} of {total} whole files looked at"
        ));
    }

    /// Adds a check's yes, with the words and the weight that the rules give it.
    pub(super) fn note(&mut self, noted: Noted) {
        let rules = self.redactor.rules();
        let detail = noted.detail.as_deref().map(|d| self.redactor.text(d));
        let (severity, message) = match rules.rule(noted.id) {
            Some(rule) if !rule.reports => return,
            Some(rule) => (rule.severity, rule.docs.message(detail.as_deref())),
            None => (Severity::Medium, noted.id.to_owned()),
        };
        let finding = Finding {
            file: noted.file,
            line: noted.line,
            ..Finding::whole(noted.id, severity, message)
        };
        let matched = noted.detail.unwrap_or_default();
        self.found(finding, matched.as_bytes(), None);
    }

    /// A finding, unless somebody said that it is not minded.
    fn found(&mut self, finding: Finding, matched: &[u8], inline: Option<Untrusted>) {
        if let Some(known) = &mut self.known {
            known(&finding, matched);
        }
        let baseline = self.policy.baseline.as_ref();
        let suppressed = if let Some(reason) = inline {
            Some((SuppressedBy::Inline, Some(reason)))
        } else if finding.rule == checks::POLICY_FILE {
            None
        } else {
            baseline
                .and_then(|b| b.knows(&finding, matched))
                .map(|known| {
                    let reason = known.reason.clone().map(Untrusted::new);
                    (SuppressedBy::Baseline, reason)
                })
        };
        match suppressed {
            None => self.add(finding),
            Some((by, reason)) if self.out.suppressed.len() < MOST_SUPPRESSED => {
                let reason = reason.map(|r| Untrusted::new(self.redactor.text(r.raw())));
                self.out.suppressed.push(Suppressed {
                    finding,
                    by,
                    reason,
                });
            }
            // What cannot be listed as suppressed is found.
            Some(_) => self.add(finding),
        }
    }

    /// Notes a file that the caller could not read at all.
    pub fn skip(&mut self, path: &Untrusted, reason: &str) {
        self.out.coverage.files_total += 1;
        self.out.size.files += 1;
        self.out.coverage.skip(path, reason);
    }

    /// A name as it may be shown and kept: it may itself hold a secret.
    pub fn shown(&self, path: &Untrusted) -> Untrusted {
        Untrusted::new(self.redactor.text(path.raw()))
    }

    /// Adds a finding once per rule, line and what matched. When the list is full, worse ones push milder
    /// ones out, so that a flood of trifles hides nothing.
    pub fn add(&mut self, finding: Finding) {
        const REMEMBERED: usize = 50_000;
        let file = finding.file.as_ref().map_or("", |f| f.raw());
        let key = (
            format!("{}\0{file}", finding.rule),
            finding.line.unwrap_or(0),
            finding.fingerprint.clone(),
        );
        if self.seen.contains(&key) {
            return;
        }
        if self.seen.len() < REMEMBERED {
            self.seen.insert(key);
        }
        if self.out.findings.len() < self.limits.findings {
            self.out.findings.push(finding);
            return;
        }
        if !self.overflowed {
            self.overflowed = true;
            let what = format!(
                "more than {} findings; the mildest are not listed",
                self.limits.findings
            );
            self.out.coverage.skip(&Untrusted::new("(findings)"), what);
        }
        let mildest = (0..self.out.findings.len()).min_by_key(|i| self.out.findings[*i].severity);
        if let Some(place) = mildest
            .map(|i| &mut self.out.findings[i])
            .filter(|f| f.severity < finding.severity)
        {
            *place = finding;
        }
    }

    fn keep(&mut self, text: &str) {
        let room = self
            .limits
            .kept_bytes
            .saturating_sub(self.out.redacted.len());
        if text.len() <= room {
            self.out.redacted.push_str(text);
        } else if let Some(current) = &mut self.current {
            current.kept_all = false;
        }
    }

    fn match_rules(
        &mut self,
        file: &Looked,
        hunk: &Hunk,
        redacted: &[String],
        added: &Joined,
        wanted: &[bool],
    ) {
        if self.filter != FilterMode::Added {
            // Every line that the diff shows of the new file.
            let new = Joined::of(hunk, |s| s != Side::Removed);
            let hits = self.redactor.rules().find(&file.raw, &new.text, false);
            for hit in hits {
                self.add_hit(file, hunk, redacted, &new, hit, false);
            }
            return;
        }
        if added.text.is_empty() {
            return;
        }
        let rules = self.redactor.rules();
        for hit in rules.find_wanted(wanted, &file.raw, &added.text, false) {
            self.add_hit(file, hunk, redacted, added, hit, true);
        }
        // A secret may be whole only together with the lines around it: a key whose body is exchanged
        // between a BEGIN and an END that stay.
        if hunk.lines.iter().any(|l| l.side == Side::Context) {
            let new = Joined::of(hunk, |s| s != Side::Removed);
            for hit in self.redactor.rules().find(&file.raw, &new.text, false) {
                let rule = &self.redactor.rules().rules()[hit.rule];
                let (first, last) = (
                    new.position(hit.start),
                    new.position(hit.end.saturating_sub(1)),
                );
                let touched = new.starts[first..=last]
                    .iter()
                    .any(|(_, i)| hunk.lines[*i].side == Side::Added);
                let alone = first == last;
                if rule.secret && touched && !alone {
                    self.add_hit(file, hunk, redacted, &new, hit, true);
                }
            }
        }
        if let Some(index) = key_body(hunk, added).first() {
            let line = Some(hunk.lines[*index].number);
            self.note(Noted {
                line,
                ..Noted::file(KEY_BODY, &file.shown)
            });
        }
    }

    fn add_hit(
        &mut self,
        file: &Looked,
        hunk: &Hunk,
        redacted: &[String],
        joined: &Joined,
        hit: Hit,
        only_added: bool,
    ) {
        let rule = &self.redactor.rules().rules()[hit.rule];
        if file.generated && rule.id.starts_with("quality/") {
            return;
        }
        let matched = &joined.text[hit.start..hit.end];
        let first = joined.position(hit.start);
        let last = joined.position(hit.end.saturating_sub(1));
        let place = joined.starts[first..]
            .iter()
            .map(|(_, i)| *i)
            .find(|i| !only_added || hunk.lines[*i].side == Side::Added);
        let Some(index) = place else { return };
        let excerpt = if rule.secret {
            format!("‹redacted, {} bytes›", matched.len())
        } else {
            cut(redacted[index].trim(), 160).to_owned()
        };
        let finding = Finding {
            rule: rule.id.clone(),
            source: Source::Rule,
            severity: rule.severity,
            file: Some(file.shown.clone()),
            line: Some(hunk.lines[index].number),
            message: Untrusted::new(rule.message.clone()),
            excerpt: Some(Untrusted::new(excerpt)),
            fingerprint: Some(self.redactor.fingerprint(matched)),
        };
        let lines = joined.starts[first].1..=joined.starts[last].1;
        let inline = file
            .ignores
            .iter()
            .find_map(|ignore| ignore.covers(&rule.id, lines.clone()));
        self.found(finding, matched, inline);
    }
}

/// What is known of the file whose hunk is looked at.
struct Looked {
    /// Its path, for the rules that ask for one.
    raw: String,
    /// Its path, redacted.
    shown: Untrusted,
    generated: bool,
    ignores: Vec<Ignore>,
}

const KEY_BODY: &str = "secrets/key-body";

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
        if self.of_change {
            for noted in checks::file(head, &shown) {
                // What decides how changes are reviewed is said wherever it lies.
                if !ignored || noted.id == checks::POLICY_FILE {
                    self.note(noted);
                }
            }
        }
        let submodule = Some(checks::SUBMODULE);
        let reason = if head.binary {
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
        };
        let dependencies = (self.of_change && there)
            .then(|| Dependencies::of(path.raw()))
            .flatten();
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
        });
        if ignored {
            return;
        }
        let old = head
            .old_path
            .as_ref()
            .map_or_else(|| shown.raw().to_owned(), |o| self.redactor.text(o.raw()));
        let word = match head.change {
            Change::Added => "new file\n",
            Change::Deleted => "deleted file\n",
            Change::Renamed => "renamed\n",
            Change::Copied => "copied\n",
            Change::Modified => "",
        };
        let binary = if head.binary { "binary\n" } else { "" };
        self.keep(&format!(
            "diff --git a/{old} b/{}\n{word}{binary}",
            shown.raw()
        ));
    }

    fn hunk(&mut self, hunk: &Hunk) {
        let Some(current) = &mut self.current else {
            return;
        };
        if current.began.elapsed() > self.limits.file_time {
            current.reason = Some("it took longer than its time".into());
        }
        self.touched.hunk(current.head.path.raw(), hunk);
        if current.ignored {
            return;
        }
        let timed_out = current.reason.is_some();
        for line in &hunk.lines[hunk.repeated..] {
            match line.side {
                Side::Added => current.summary.added += 1,
                Side::Removed => current.summary.removed += 1,
                Side::Context => {}
            }
        }
        if timed_out {
            return; // not looked at, so not kept either: it might hold a secret
        }
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
            ignores: ignores::of(hunk),
        };
        let is_link = current.head.modes.1 == Some(checks::SYMLINK);
        let head = is_link.then(|| current.head.clone());
        let added = Joined::of(hunk, |s| s == Side::Added);
        let wanted = self.redactor.rules().wanted(&added.text);
        let redacted = redact_lines(self.redactor, &file.shown, hunk, &added, &wanted);
        self.match_rules(&file, hunk, &redacted, &added, &wanted);
        for index in file.ignores.iter().filter_map(Ignore::lacks_reason) {
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
        }
        let until = hunk.lines.len() - hunk.held_back;
        let mut text = String::new();
        if let Some(first) = hunk.lines.get(hunk.repeated).filter(|_| hunk.repeated == 0) {
            text.push_str(&format!("@@ line {} @@\n", first.number));
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
        let Some(current) = self.current.take() else {
            return;
        };
        if current.ignored {
            return;
        }
        for noted in current.losses.remarks(current.head.change, &current.path) {
            self.note(noted);
        }
        if let Some(dependencies) = &current.dependencies {
            for noted in dependencies.remarks(&current.path) {
                self.note(noted);
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
        if self.commits.len() < MOST_COMMITS {
            self.commits.push(commit.clone());
        }
    }

    fn cancelled(&self) -> bool {
        (self.cancelled)()
    }
}

#[cfg(test)]
#[path = "scan_tests.rs"]
mod tests;
