//! The one gate through which findings go: baseline and ignores, once each, the worst when there are too many.

use super::super::finding::{Finding, Severity, Suppressed, SuppressedBy, Weight};
use super::super::linters;
use super::{MOST_OF_A_RULE, MOST_SUPPRESSED, Scanned, Scanner};
use crate::remark::Noted;
use crate::structural_checks;
use bsm_base::text::{Untrusted, clean_line, cut};

impl Scanner<'_> {
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
                self.silence(finding, SuppressedBy::Standing, reason);
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

    /// All of its files are prose by their names and modes.
    pub fn is_about_prose(&self) -> bool {
        self.documentation.is_about_prose()
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
                // A comment that the change does not touch stood there before.
                let by = match suppressed.by {
                    SuppressedBy::Inline => SuppressedBy::Standing,
                    by => by,
                };
                self.silence(suppressed.finding, by, suppressed.reason);
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

    /// Lists accepted findings; what cannot be listed any more is found.
    fn silence(&mut self, finding: Finding, by: SuppressedBy, reason: Option<Untrusted>) {
        if self.out.suppressed.len() < MOST_SUPPRESSED {
            self.out.suppressed.push(Suppressed {
                finding,
                by,
                reason,
            });
        } else {
            self.add(finding);
        }
    }

    /// Adds a check's yes, with the words and the weight that the rules give it.
    pub(in super::super) fn note(&mut self, noted: Noted) {
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

    /// How many findings of a rule in a file have come so far.
    pub(super) fn count_of(&self, rule: &str, file: &Untrusted) -> u32 {
        let key = (rule.to_owned(), file.raw().to_owned());
        self.per_rule.get(&key).copied().unwrap_or(0)
    }

    /// What matched is asked for: by a baseline, or by who makes one.
    pub(super) fn compares_matches(&self) -> bool {
        self.known.is_some() || self.policy.baseline.is_some()
    }

    /// A finding, unless it is an accepted one.
    pub(super) fn found(&mut self, finding: Finding, matched: &[u8], inline: Option<Untrusted>) {
        if let Some(known) = &mut self.known {
            known(&finding, matched);
        }
        let baseline = self.policy.baseline.as_ref();
        let suppressed = if let Some(reason) = inline {
            Some((SuppressedBy::Inline, Some(reason)))
        } else if finding.rule == structural_checks::POLICY_FILE {
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
            Some((by, reason)) => {
                let reason = reason.map(|r| {
                    let redacted = self.redactor.text(r.raw());
                    Untrusted::new(cut(&redacted, 200))
                });
                self.silence(finding, by, reason);
            }
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

    pub(super) fn keep(&mut self, text: &str) {
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
}
