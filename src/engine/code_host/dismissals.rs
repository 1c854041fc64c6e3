//! Findings that somebody with write access dismissed: they stand in no decision of their repository, and every
//! decision says who dismissed them.
//!
//! Why judged again each time: a finding that is critical by now, or whose rule an operator has set aside since, is
//! no longer taken out on an old word.

use std::collections::HashMap;
use std::fmt::Write as _;

use crate::engine::code_host::standing::fingerprint;
use crate::engine::protocol::run::Input;
use crate::journal::DismissalRow;
use crate::review::finding::{Finding, Severity, Suppressed, SuppressedBy};
use crate::review::structural_checks::POLICY_FILE;
use crate::settings::matches_pattern;
use crate::text::{Untrusted, clean_line};

/// Why no comment dismisses a finding; `None`: one may. `kept`: rules that the operator's settings name.
pub fn why_it_stays(finding: &Finding, kept: &[String]) -> Option<String> {
    let rule = clean_line(&finding.rule, 80);
    if finding.pack() == "secrets" {
        return Some("a secret is not dismissed: replace it where it is valid, then remove it from the change; a false alarm goes into the baseline of the base branch".into());
    }
    if finding.rule == POLICY_FILE {
        return Some(
            "a change of the review's own policy is not dismissed: a person approves it".into(),
        );
    }
    if finding.severity == Severity::Critical {
        return Some("what is critical is not dismissed by a comment: an operator accepts it in the baseline of the base branch".into());
    }
    let is_kept = |pattern: &&String| matches_pattern(pattern, &finding.rule);
    kept.iter()
        .find(is_kept)
        .map(|_| format!("findings of {rule} are not dismissed here (github.notDismissable)"))
}

/// What is dismissed in one repository, at one moment.
#[derive(Debug, Clone, Default)]
pub struct Dismissed {
    by_fingerprint: HashMap<String, DismissalRow>,
    kept: Vec<String>,
}

impl Dismissed {
    /// Those of these that hold now.
    pub fn new(rows: Vec<DismissalRow>, kept: &[String], now_ms: i64) -> Self {
        let holding = rows.into_iter().filter(|row| row.holds(now_ms));
        Self {
            by_fingerprint: holding.map(|row| (row.fingerprint.clone(), row)).collect(),
            kept: kept.to_vec(),
        }
    }

    /// The finding as an accepted one, where it is dismissed.
    pub fn accepted(&self, finding: &Finding) -> Option<Suppressed> {
        let row = self.by_fingerprint.get(&fingerprint(finding))?;
        if why_it_stays(finding, &self.kept).is_some() {
            return None;
        }
        let mut reason = format!("{} dismissed it: {}", row.by, row.reason);
        if let Some(end) = row.expires_ms {
            // Writing into a String cannot fail.
            let _ = write!(reason, " (until {})", day(end));
        }
        Some(Suppressed {
            finding: finding.clone(),
            by: SuppressedBy::Dismissed,
            reason: Some(Untrusted::new(reason)),
        })
    }

    /// Takes what is dismissed out of the findings of the rules.
    pub fn apply(&self, input: &mut Input) {
        let accepted = self.take(&mut input.findings);
        input.suppressed.extend(accepted);
    }

    /// Takes what is dismissed out of a list; returns it as accepted.
    pub fn take(&self, findings: &mut Vec<Finding>) -> Vec<Suppressed> {
        let mut taken = Vec::new();
        if !self.by_fingerprint.is_empty() {
            findings.retain(|finding| match self.accepted(finding) {
                Some(accepted) => {
                    taken.push(accepted);
                    false
                }
                None => true,
            });
        }
        taken
    }
}

/// A day, `2026-12-24`.
pub fn day(at_ms: i64) -> String {
    let at = jiff::Timestamp::from_millisecond(at_ms).unwrap_or_default();
    at.strftime("%Y-%m-%d").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(rule: &str, severity: Severity) -> Finding {
        Finding {
            identity: Some("a".repeat(32)),
            ..Finding::whole(rule, severity, "m")
        }
    }

    fn row(expires_ms: Option<i64>, revoked_ms: Option<i64>) -> DismissalRow {
        DismissalRow {
            id: "dis_1".into(),
            repository: "acme/shop".into(),
            fingerprint: "a".repeat(32),
            rule: "security/x".into(),
            file: String::new(),
            place: String::new(),
            by: "ana".into(),
            reason: "a test".into(),
            pull: "acme/shop#7".into(),
            created_ms: 1,
            expires_ms,
            revoked_by: None,
            revoked_ms,
        }
    }

    fn after(row: DismissalRow, found: Finding) -> (usize, Vec<Suppressed>) {
        let mut input = Input {
            findings: vec![found],
            ..Input::default()
        };
        Dismissed::new(vec![row], &["style/*".into()], 100).apply(&mut input);
        (input.findings.len(), input.suppressed)
    }

    #[test]
    fn dismissed_finding_is_accepted_with_who_and_why() {
        let (left, accepted) = after(row(None, None), finding("security/x", Severity::High));
        assert_eq!((left, accepted.len()), (0, 1));
        assert_eq!(accepted[0].by, SuppressedBy::Dismissed);
        let reason = accepted[0].reason.as_ref().unwrap().raw();
        assert_eq!(reason, "ana dismissed it: a test");
    }

    #[test]
    fn dismissal_that_ended_or_was_taken_back_counts_for_nothing() {
        for row in [row(Some(100), None), row(None, Some(50))] {
            let (left, accepted) = after(row, finding("security/x", Severity::High));
            assert_eq!((left, accepted.len()), (1, 0));
        }
        assert_eq!(
            after(row(Some(101), None), finding("x/y", Severity::High)).0,
            0
        );
    }

    #[test]
    fn secrets_policy_and_what_is_critical_stay_whatever_was_dismissed() {
        for (rule, severity) in [
            ("secrets/aws-access-token", Severity::High),
            (POLICY_FILE, Severity::Medium),
            ("security/x", Severity::Critical),
            ("style/long-line", Severity::Low),
        ] {
            let (left, accepted) = after(row(None, None), finding(rule, severity));
            assert_eq!((left, accepted.len()), (1, 0), "{rule}");
        }
    }
}
