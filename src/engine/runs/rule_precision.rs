//! The precision of a rule: the share of its findings that nobody has accepted in a baseline or an inline comment.
//!
//! Why from accepted findings: nobody labels findings, but whoever accepts one has judged that it is no fault.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::engine::protocol::run::RunResult;
use crate::review::finding::{Finding, Suppressed, SuppressedBy};

/// What became of a rule's findings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RulePrecision {
    /// Different findings, in whatever many runs.
    pub found: usize,
    /// Those of them that somebody accepted for good.
    pub dismissed: usize,
}

impl RulePrecision {
    /// Findings of which a share says something.
    const ENOUGH: usize = 5;

    /// Percent that nobody dismissed; `None`: too few findings to say.
    pub fn percent(self) -> Option<usize> {
        let kept = self.found.saturating_sub(self.dismissed);
        (self.found >= Self::ENOUGH).then(|| kept * 100 / self.found)
    }
}

/// A finding, the same in every run of the same file: its file, and what tells it from others there.
type Key = (String, String);

/// Counts findings of rules, and those of them that were accepted for good.
#[derive(Debug, Default)]
pub struct RulePrecisions {
    of_rules: BTreeMap<String, (BTreeSet<Key>, BTreeSet<Key>)>,
}

impl RulePrecisions {
    /// Takes in what a run found and what of it was accepted. A simulated run says nothing.
    pub fn add_run(&mut self, run: &RunResult) {
        if !run.simulated {
            let found = run.agents.iter().flat_map(|step| &step.findings);
            self.add(found, &run.suppressed);
        }
    }

    /// Takes in that somebody dismissed a finding by a comment. One that was taken back is not given here: then the
    /// runs that left the finding out do not count against the rule either.
    pub fn add_dismissal(&mut self, rule: String, file: String, fingerprint: String) {
        let of = self.of_rules.entry(rule).or_default();
        of.0.insert((file.clone(), fingerprint.clone()));
        of.1.insert((file, fingerprint));
    }

    fn add<'a>(&mut self, found: impl Iterator<Item = &'a Finding>, suppressed: &[Suppressed]) {
        for finding in found {
            let of = self.of_rules.entry(finding.rule.clone()).or_default();
            of.0.insert(key(finding));
        }
        for Suppressed { finding, by, .. } in suppressed {
            let of = self.of_rules.entry(finding.rule.clone()).or_default();
            of.0.insert(key(finding));
            // Whether a comment's dismissal still stands is the journal's to say.
            if *by != SuppressedBy::Dismissed {
                of.1.insert(key(finding));
            }
        }
    }

    /// By rule (`pack/id`).
    pub fn counted(self) -> BTreeMap<String, RulePrecision> {
        let of_rules = self.of_rules.into_iter();
        let counted = of_rules.map(|(rule, (found, dismissed))| {
            let precision = RulePrecision {
                found: found.len(),
                dismissed: dismissed.len(),
            };
            (rule, precision)
        });
        counted.collect()
    }
}

fn key(finding: &Finding) -> Key {
    let file = finding.file.as_ref().map_or("", |f| f.raw());
    let identity = finding
        .identity
        .as_deref()
        .or(finding.fingerprint.as_deref());
    let what = identity.unwrap_or_else(|| finding.message.raw());
    (file.to_owned(), what.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::review::finding::Severity;
    use crate::text::Untrusted;

    fn finding(line: &str) -> Finding {
        let file = Untrusted::from("a.rs");
        Finding {
            identity: Some(line.to_owned()),
            ..Finding::about_file("security/x", Severity::Medium, &file, String::new())
        }
    }

    fn accepted(line: &str) -> Suppressed {
        Suppressed {
            finding: finding(line),
            by: SuppressedBy::Baseline,
            reason: None,
        }
    }

    #[test]
    fn precision_counts_a_finding_once_and_what_was_dismissed_against_it() {
        let mut precisions = RulePrecisions::default();
        let first = ["a", "b", "c", "d"].map(finding);
        precisions.add(first.iter(), &[]);
        // The same again, and one of them accepted since; another was accepted from the start.
        precisions.add(first.iter().take(3), &[accepted("d"), accepted("e")]);
        let counted = precisions.counted();
        let of = counted["security/x"];
        assert_eq!((of.found, of.dismissed, of.percent()), (5, 2, Some(60)));
    }

    #[test]
    fn precision_counts_dismissals_by_comment_while_they_stand() {
        let dismissed = Suppressed {
            by: SuppressedBy::Dismissed,
            ..accepted("a")
        };
        for (stands, expected) in [(true, 1), (false, 0)] {
            let mut precisions = RulePrecisions::default();
            precisions.add([finding("b")].iter(), std::slice::from_ref(&dismissed));
            if stands {
                precisions.add_dismissal("security/x".into(), "a.rs".into(), "a".into());
            }
            let of = precisions.counted()["security/x"];
            assert_eq!((of.found, of.dismissed), (2, expected), "stands: {stands}");
        }
    }

    #[test]
    fn precision_of_few_findings_is_not_said() {
        let mut precisions = RulePrecisions::default();
        precisions.add([finding("a")].iter(), &[]);
        assert_eq!(precisions.counted()["security/x"].percent(), None);
    }
}
