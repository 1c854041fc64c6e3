//! Runs the packs over a diff's pieces: findings, coverage, and the redacted text that is kept.
//!
//! Why once: the rules see the raw change here and nowhere else. What leaves this room is findings
//! without secrets and a redacted copy; everything later (journal, prompts, reports, a resumed run)
//! works from those.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use super::checks::{self, FileSummary, Losses, Noted};
use super::commits::{self, Commit};
use super::dependencies::Dependencies;
use super::diff::{Change, FileHead, Hunk, Side, Sink};
use super::finding::{
    ChangeSize, Coverage, Finding, Severity, Source, Suppressed, SuppressedBy, Weight,
};
use super::ignores::Ignores;
use super::linters::{self, FilterMode};
use super::masking::{Joined, key_body, redact_lines};
use super::policy::Policy;
use super::redact::Redactor;
use super::rules::Hit;
use super::touched::Touched;
use crate::text::{Untrusted, clean_line, cut};

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
    more_commits: bool,
    touched: Touched,
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
    /// What the diff shows of it is looked at, but that is not all of it.
    partly: bool,
}

const TOO_LONG: &str = "it took longer than its time";
/// Most findings of one rule in one file that are listed.
const MOST_OF_A_RULE: u32 = 100;
/// Most files of one change that are looked at.
const MOST_FILES: u32 = 50_000;
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
            more_commits: false,
            touched: Touched::default(),
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
        for (mut finding, reason) in read.findings {
            let matched = finding.message.raw().as_bytes().to_vec();
            match self.policy.weighed(&finding.rule) {
                Some(Weight::Off) => continue,
                Some(Weight::As(severity)) => finding.severity = severity,
                None => {}
            }
            let file = finding.file.as_ref().map_or("", |f| f.raw());
            let line = finding.line.unwrap_or(0);
            let standing = reason.is_some() && !self.touched.has_line(file, line, line);
            if standing {
                self.beside_change(finding, reason);
            } else {
                self.found(finding, &matched, reason);
            }
        }
        let mut note = format!("{}: {taken} findings taken", clean_line(name, 80));
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

    /// Takes in what was found in whole files, beside the change; `wanted` of them were to be looked at.
    pub fn beside(&mut self, other: Scanned, wanted: u32) {
        for finding in other.findings {
            self.add(finding);
        }
        for suppressed in other.suppressed {
            let file = suppressed.finding.file.as_ref().map_or("", |f| f.raw());
            let line = suppressed.finding.line.unwrap_or(0);
            // What the change itself says is in its own scan already.
            if !self.touched.has_line(file, line, line) {
                if suppressed.by == SuppressedBy::Inline {
                    self.beside_change(suppressed.finding, suppressed.reason);
                } else if self.out.suppressed.len() < MOST_SUPPRESSED {
                    self.out.suppressed.push(suppressed);
                }
            }
        }
        let seen = other.coverage.files_seen;
        self.out
            .notes
            .push(format!("of whole files, {seen} of {wanted} looked at"));
        if seen < wanted {
            let place = Untrusted::new("(whole files)");
            let reason = format!("{} of {wanted} not looked at", wanted - seen);
            self.skip(&place, &reason);
        }
    }

    /// Not minded by a comment that the change does not touch.
    fn beside_change(&mut self, finding: Finding, reason: Option<Untrusted>) {
        if self.out.suppressed.len() < MOST_SUPPRESSED {
            self.out.suppressed.push(Suppressed {
                finding,
                by: SuppressedBy::Standing,
                reason,
            });
        } else {
            self.add(finding);
        }
    }

    /// Adds a check's yes, with the words and the weight that the rules give it.
    pub(super) fn note(&mut self, noted: Noted) {
        let rules = self.redactor.rules();
        // Redacted first, then cut: half a secret is no rule's.
        let detail = noted.detail.as_deref().map(|d| self.redactor.text(d));
        let detail = detail.map(|d| clean_line(&d, 600));
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
            let known = baseline.and_then(|b| b.knows(&finding, matched));
            known
                .filter(|(index, known)| {
                    let used = self.known_used.entry(*index).or_default();
                    *used += 1;
                    *used <= known.count
                })
                .map(|(_, known)| {
                    let reason = known.reason.clone().map(Untrusted::new);
                    (SuppressedBy::Baseline, reason)
                })
        };
        match suppressed {
            None => self.add(finding),
            Some((by, reason)) if self.out.suppressed.len() < MOST_SUPPRESSED => {
                let reason = reason.map(|r| {
                    let redacted = self.redactor.text(r.raw());
                    Untrusted::new(cut(&redacted, 200))
                });
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
            finding
                .fingerprint
                .clone()
                .or_else(|| Some(finding.message.raw().to_owned())),
        );
        if self.seen.contains(&key) {
            return;
        }
        if self.seen.len() < REMEMBERED {
            self.seen.insert(key);
        }
        // A flood of one rule in one file hides no other rule.
        let of_rule = self
            .per_rule
            .entry((finding.rule.clone(), file.to_owned()))
            .or_default();
        *of_rule += 1;
        if *of_rule > MOST_OF_A_RULE {
            self.not_listed += 1;
            return;
        }
        if self.out.findings.len() < self.limits.findings {
            self.mildest = self.mildest.min(finding.severity);
            self.out.findings.push(finding);
            return;
        }
        self.not_listed += 1;
        if finding.severity <= self.mildest {
            return;
        }
        let mildest = (0..self.out.findings.len()).min_by_key(|i| self.out.findings[*i].severity);
        if let Some(place) = mildest
            .map(|i| &mut self.out.findings[i])
            .filter(|f| f.severity < finding.severity)
        {
            *place = finding;
        }
        let left = self.out.findings.iter().map(|f| f.severity);
        self.mildest = left.min().unwrap_or(Severity::Critical);
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
        let whole_key = |index: usize| {
            let at = added
                .starts
                .iter()
                .find(|(_, i)| *i == index)
                .map_or(0, |(at, _)| *at);
            let hits = self
                .redactor
                .rules()
                .find_wanted(wanted, &file.raw, &added.text, true);
            hits.iter().any(|h| h.start <= at && at < h.end)
        };
        if let Some(index) = key_body(hunk, added).first().filter(|i| !whole_key(**i)) {
            let line = Some(hunk.lines[*index].number);
            self.note(Noted {
                line,
                ..Noted::file(KEY_BODY, &file.shown)
            });
        }
        if self.filter != FilterMode::Added {
            // Every line that the diff shows of the new file.
            let new = Joined::of(hunk, |s| s != Side::Removed);
            let hits = self.redactor.rules().find(&file.raw, &new.text, false);
            for (count, hit) in hits.into_iter().enumerate() {
                if self.is_late(count) {
                    return;
                }
                self.add_hit(file, hunk, redacted, &new, hit, false);
            }
            return;
        }
        if added.text.is_empty() {
            return;
        }
        let rules = self.redactor.rules();
        let hits = rules.find_wanted(wanted, &file.raw, &added.text, false);
        for (count, hit) in hits.into_iter().enumerate() {
            if self.is_late(count) {
                return;
            }
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
    }

    /// Asked between hits: the file has had its time, or nobody waits any more. What is left of it is then not
    /// looked at, and that is said.
    fn is_late(&mut self, count: usize) -> bool {
        if count % 256 != 255 {
            return false;
        }
        let stopped = (self.cancelled)();
        let Some(current) = &mut self.current else {
            return stopped;
        };
        let late = current.began.elapsed() > self.limits.file_time;
        if late {
            current.reason.get_or_insert_with(|| TOO_LONG.to_owned());
        }
        late || stopped
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
        let matched = &joined.text[hit.start..hit.end];
        let first = joined.position(hit.start);
        let line = &hunk.lines[joined.starts[first].1].text;
        let not_text = rule.id.starts_with("hidden-text/") && std::str::from_utf8(line).is_err();
        if (file.generated && rule.id.starts_with("quality/"))
            || (file.new && rule.existing_only)
            || not_text
        {
            return;
        }
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
        let inline = file.ignores.reason(&rule.id, lines);
        // Of what is no secret the whole line is what is known: a call is not excused with other arguments.
        let known = if rule.secret {
            matched.to_vec()
        } else {
            let end = joined
                .starts
                .get(last + 1)
                .map_or(joined.text.len(), |(at, _)| *at);
            joined.text[joined.starts[first].0..end]
                .trim_ascii()
                .to_vec()
        };
        self.found(finding, &known, inline);
    }
}

/// What is known of the file whose hunk is looked at.
struct Looked {
    /// Its path, for the rules that ask for one.
    raw: String,
    /// Its path, redacted.
    shown: Untrusted,
    generated: bool,
    new: bool,
    ignores: Ignores,
}

impl Scanner<'_> {
    /// What a reviewer's eye cannot see in a file's name.
    fn hidden_in_name(&mut self, path: &Untrusted, shown: &Untrusted) {
        if path.raw().bytes().all(|b| (b' '..0x7f).contains(&b)) {
            return;
        }
        let rules = self.redactor.rules();
        let hits = rules.find(path.raw(), path.raw().as_bytes(), false);
        let ids: Vec<String> = hits
            .iter()
            .map(|h| rules.rules()[h.rule].id.clone())
            .filter(|id| id.starts_with("hidden-text/"))
            .collect();
        for id in ids {
            if let Some(rule) = self.redactor.rules().rule(&id) {
                let finding = Finding::about_file(
                    &id,
                    rule.severity,
                    shown,
                    rule.docs.message(Some("In the file's name.")),
                );
                self.found(finding, path.raw().as_bytes(), None);
            }
        }
    }

    /// A file that moves keeps lines that the diff does not show. Where other rules look at them in its new
    /// place, they have not been looked at.
    fn moved_to_other_rules(&mut self, head: &FileHead) {
        let Some(old) = &head.old_path else { return };
        let moved = matches!(head.change, Change::Renamed | Change::Copied);
        if moved
            && self
                .redactor
                .rules()
                .newly_apply(old.raw(), head.path.raw())
            && let Some(current) = &mut self.current
        {
            let why = "it comes from where other rules look, and not all of it is in the diff";
            current.reason.get_or_insert_with(|| why.to_owned());
            current.partly = true;
        }
    }
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
        if self.of_change {
            let policy = self.policy;
            for noted in checks::file(head, &shown, |path| policy.is_made_of(path)) {
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
            last_line: 0,
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
            partly: false,
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
        if current.began.elapsed() > self.limits.file_time {
            current.reason = Some(TOO_LONG.to_owned());
        }
        self.touched.hunk(current.head.path.raw(), hunk);
        if current.ignored {
            return;
        }
        let unreadable = current.reason.is_some() && !current.partly;
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
        if unreadable {
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
            new: current.head.change == Change::Added || !self.of_change,
            ignores: Ignores::of(hunk),
        };
        let is_link = current.head.modes.1 == Some(checks::SYMLINK);
        let head = is_link.then(|| current.head.clone());
        let added = Joined::of(hunk, |s| s == Side::Added);
        let wanted = self.redactor.rules().wanted(&added.text);
        let redacted = redact_lines(self.redactor, &file.shown, hunk, &added, &wanted);
        self.match_rules(&file, hunk, &redacted, &added, &wanted);
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
        let Some(mut current) = self.current.take() else {
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
        } else if self.commits.len() == MOST_COMMITS && !self.more_commits {
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
#[path = "scan_tests.rs"]
mod tests;
