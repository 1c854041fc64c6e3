//! Runs the packs over a diff's pieces: findings, coverage, and the redacted text that is kept.
//!
//! Why once: the rules see the raw change here and nowhere else. What leaves this room is findings
//! without secrets and a redacted copy; everything later (journal, prompts, reports, a resumed run)
//! works from those.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use super::checks::{self, FileSummary};
use super::diff::{Change, FileHead, Hunk, Side, Sink};
use super::finding::{ChangeSize, Coverage, Finding, Severity, Source};
use super::masking::{Joined, key_body, redact_lines};
use super::redact::Redactor;
use super::rules::Hit;
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
}

/// A [`Sink`] that scans.
pub struct Scanner<'a> {
    redactor: &'a Redactor,
    limits: ScanLimits,
    cancelled: &'a dyn Fn() -> bool,
    out: Scanned,
    summaries: Vec<FileSummary>,
    seen: HashSet<(String, u32, Option<String>)>,
    current: Option<Current>,
    overflowed: bool,
    of_change: bool,
}

struct Current {
    path: Untrusted,
    began: Instant,
    reason: Option<String>,
    summary: FileSummary,
    kept_all: bool,
}

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
            out: Scanned::default(),
            summaries: Vec::new(),
            seen: HashSet::new(),
            current: None,
            overflowed: false,
            of_change: true,
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
            for finding in checks::whole_change(&self.summaries) {
                self.add(finding);
            }
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

    /// Adds a finding once per rule, line and fingerprint. When the list is full, worse ones push milder
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
        path: &Untrusted,
        hunk: &Hunk,
        redacted: &[String],
        added: &Joined,
        wanted: &[bool],
    ) {
        if added.text.is_empty() {
            return;
        }
        let rules = self.redactor.rules();
        for hit in rules.find_wanted(wanted, path.raw(), &added.text, false) {
            self.add_hit(path, hunk, redacted, added, hit);
        }
        // A secret may be whole only together with the lines around it: a key whose body is exchanged
        // between a BEGIN and an END that stay.
        if hunk.lines.iter().any(|l| l.side == Side::Context) {
            let new = Joined::of(hunk, |s| s != Side::Removed);
            for hit in self.redactor.rules().find(path.raw(), &new.text, false) {
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
                    self.add_hit(path, hunk, redacted, &new, hit);
                }
            }
        }
        if let Some(index) = key_body(hunk, added).first() {
            let place = Finding::about_file(KEY_BODY, Severity::Medium, path, KEY_BODY_WORDS);
            self.add(Finding {
                line: Some(hunk.lines[*index].number),
                ..place
            });
        }
    }

    fn add_hit(
        &mut self,
        path: &Untrusted,
        hunk: &Hunk,
        redacted: &[String],
        joined: &Joined,
        hit: Hit,
    ) {
        let rule = &self.redactor.rules().rules()[hit.rule];
        let matched = &joined.text[hit.start..hit.end];
        let first = joined.position(hit.start);
        let added = joined.starts[first..]
            .iter()
            .map(|(_, i)| *i)
            .find(|i| hunk.lines[*i].side == Side::Added);
        let Some(index) = added else { return };
        let excerpt = if rule.secret {
            format!("‹redacted, {} bytes›", matched.len())
        } else {
            cut(redacted[index].trim(), 160).to_owned()
        };
        let finding = Finding {
            rule: rule.id.clone(),
            source: Source::Rule,
            severity: rule.severity,
            file: Some(path.clone()),
            line: Some(hunk.lines[index].number),
            message: Untrusted::new(rule.message.clone()),
            excerpt: Some(Untrusted::new(excerpt)),
            fingerprint: Some(self.redactor.fingerprint(matched)),
        };
        self.add(finding);
    }
}

const KEY_BODY: &str = "secrets/key-body";
const KEY_BODY_WORDS: &str =
    "Lines that look like the body of a key, without its beginning. Make sure that it is none.";

impl Sink for Scanner<'_> {
    fn file(&mut self, head: &FileHead) {
        self.out.coverage.files_total += 1;
        self.out.size.files += 1;
        let path = head.path.clone();
        // Names are outside text too, and may themselves hold a secret.
        let shown = Untrusted::new(self.redactor.text(path.raw()));
        let rules: Vec<Finding> = self
            .redactor
            .rules()
            .path_hits(path.raw())
            .filter(|r| head.change != Change::Deleted && (self.of_change || !r.change_only))
            .map(|r| Finding::about_file(&r.id, r.severity, &shown, r.message.clone()))
            .collect();
        let by_kind = if self.of_change {
            checks::file(head, &shown)
        } else {
            Vec::new()
        };
        for finding in rules.into_iter().chain(by_kind) {
            self.add(finding);
        }
        let reason = if head.binary {
            Some("binary".to_owned())
        } else if head.modes.1 == Some(0o160_000) || head.modes.0 == Some(0o160_000) {
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
        };
        self.current = Some(Current {
            path: shown.clone(),
            began: Instant::now(),
            reason,
            summary,
            kept_all: true,
        });
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
        let path = current.path.clone();
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
        let added = Joined::of(hunk, |s| s == Side::Added);
        let wanted = self.redactor.rules().wanted(&added.text);
        let redacted = redact_lines(self.redactor, &path, hunk, &added, &wanted);
        self.match_rules(&path, hunk, &redacted, &added, &wanted);
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

    fn cancelled(&self) -> bool {
        (self.cancelled)()
    }
}

#[cfg(test)]
#[path = "scan_tests.rs"]
mod tests;
