//! The decision: parsed verdicts in, one action out. First match of six rules wins.
//!
//! Why a pure function: it is what the whole program is for, so it must be readable on one page and
//! tested case by case. An approval needs proof; whatever is missing is named.

use super::types::run::{Action, Decision, Evidence, Input, Plan, Step, StepStatus};
use crate::review::checks::POLICY_FILE;
use crate::review::finding::{Coverage, Finding, Severity, SuppressedBy};
use crate::review::verdict::Verdict;
use crate::text::Untrusted;
use crate::workspace::events::OutcomeKind;

/// Whose approvals a merge needs.
pub const GATES: [&str; 4] = [
    "governance-review-agent",
    "code-review-agent",
    "security-agent",
    "integrity-agent",
];

/// What the verdicts rest on. `offline`: no model was wanted.
pub fn evidence(steps: &[Step], offline: bool) -> Evidence {
    if steps.iter().any(|s| s.status != StepStatus::Succeeded) {
        return Evidence::Partial;
    }
    if offline {
        Evidence::Offline
    } else if steps.iter().all(|s| s.model.is_some()) {
        Evidence::Full
    } else {
        Evidence::Partial
    }
}

/// Decides. `coverage` is what rules and models together looked at; `approved` says that the four gates
/// have approved this very commit before.
pub fn decide(
    plan: &Plan,
    input: &Input,
    coverage: &Coverage,
    steps: &[Step],
    evidence: Evidence,
    approved: bool,
) -> Decision {
    let blocks = |s: &&Step| s.verdict == Some(Verdict::Block);
    let by = |id: &str| steps.iter().find(|s| s.agent_id == id);
    if let Some(governance) = by("governance-review-agent").filter(|s| blocks(s)) {
        let worst = governance.findings.iter().max_by_key(|f| f.severity);
        let place = worst.map_or_else(String::new, |f| format!(": {}{}", f.rule, at(f)));
        return fired(
            1,
            Action::BlockPr,
            format!("Governance violations detected{place}"),
        );
    }
    let critical = |s: &Step| s.findings.iter().any(|f| f.severity == Severity::Critical);
    if let Some(security) = by("security-agent").filter(|s| blocks(s) || critical(s)) {
        let worst = security.findings.iter().max_by_key(|f| f.severity);
        let place = worst.map_or_else(String::new, |f| format!(": {}{}", f.rule, at(f)));
        return fired(
            2,
            Action::BlockPr,
            format!("Security vulnerabilities detected{place}"),
        );
    }
    if let Some(other) = steps.iter().find(blocks) {
        let worst = other.findings.iter().max_by_key(|f| f.severity);
        let place = worst.map_or_else(String::new, |f| format!(": {}{}", f.rule, at(f)));
        return fired(
            3,
            Action::BlockPr,
            format!("{} blocks{place}", other.agent_id),
        );
    }
    if let Some(wants) = steps
        .iter()
        .find(|s| s.verdict == Some(Verdict::RequestChanges))
    {
        return fired(
            4,
            Action::RequestChanges,
            format!("Code quality issues found by {}", wants.agent_id),
        );
    }
    match missing(plan, input, coverage, steps, evidence)
        .or_else(|| unproved_merge(plan, steps, approved))
    {
        None if plan.outcome == OutcomeKind::Health => {
            fired(5, Action::Pass, "All quality gates passed".into())
        }
        None => fired(
            5,
            Action::ApproveAndMerge,
            "All quality gates passed".into(),
        ),
        Some(what) => fired(6, Action::ManualReview, what),
    }
}

fn fired(rule: u8, action: Action, reason: String) -> Decision {
    Decision {
        action,
        reason: Untrusted::new(reason),
        rule,
        automated: action != Action::ManualReview,
    }
}

/// ` at file:line`, for a reason.
pub(super) fn at(finding: &Finding) -> String {
    match (&finding.file, finding.line) {
        (Some(file), Some(line)) => format!(" at {}:{line}", file.raw()),
        (Some(file), None) => format!(" in {}", file.raw()),
        _ => String::new(),
    }
}

/// What an approval lacks; `None` when nothing does.
fn missing(
    plan: &Plan,
    input: &Input,
    coverage: &Coverage,
    steps: &[Step],
    evidence: Evidence,
) -> Option<String> {
    if steps.is_empty() {
        return Some("no agent was selected".into());
    }
    if input.nothing_to_review {
        return Some(
            "nothing to review: the event needs a diff, and there is none or an empty one".into(),
        );
    }
    if let Some(why) = &input.missing {
        return Some(format!("the change could not be had: {why}"));
    }
    if let Some(step) = steps.iter().find(|s| s.status != StepStatus::Succeeded) {
        let why = step
            .error
            .as_ref()
            .map_or_else(|| step.status.word().to_owned(), |e| e.line(200));
        return Some(format!("{}: {why}", step.agent_id));
    }
    if evidence == Evidence::Partial {
        return Some("the evidence is partial".into());
    }
    if let Some(step) = steps.iter().find(|s| s.verdict != Some(Verdict::Approve)) {
        let worst = step
            .findings
            .iter()
            .max_by_key(|f| f.severity)
            .map_or_else(String::new, |f| format!(": {}{}", f.rule, at(f)));
        return Some(format!("{} wants a person to look{worst}", step.agent_id));
    }
    if !plan.own_rule {
        return Some("the event has no rule of its own; the default never approves".into());
    }
    if !plan.rules_complete {
        return Some("not every rule could be compiled".into());
    }
    if let Some(finding) = input
        .findings
        .iter()
        .find(|f| f.rule == POLICY_FILE && input.has_diff)
    {
        return Some(format!("a policy file is touched{}", at(finding)));
    }
    let claimed = |f: &Finding| steps.iter().any(|s| s.findings.contains(f));
    if let Some(finding) = input
        .findings
        .iter()
        .find(|f| f.severity >= Severity::Medium && !claimed(f))
    {
        return Some(format!(
            "no agent of this event decides by {}{}",
            finding.rule,
            at(finding)
        ));
    }
    if plan.outcome == OutcomeKind::Review && !input.has_diff {
        return Some("there is no diff, and without one nothing can be merged".into());
    }
    if let Some(ignored) = input
        .suppressed
        .iter()
        .find(|s| s.by == SuppressedBy::Inline && input.has_diff)
    {
        return Some(format!(
            "the change itself says not to mind {}{}",
            ignored.finding.rule,
            at(&ignored.finding)
        ));
    }
    if !coverage.reaches(plan.coverage_floor) {
        let first = coverage.skipped.first().map_or_else(String::new, |s| {
            format!("; {} ({})", s.path.line(120), s.reason)
        });
        return Some(format!("{}{first}", coverage.words()));
    }
    None
}

/// A merge is approved by the reviewers of this run, or by an earlier run of all four gates.
fn unproved_merge(plan: &Plan, steps: &[Step], approved: bool) -> Option<String> {
    let reviewed = GATES[..3]
        .iter()
        .all(|gate| steps.iter().any(|s| s.agent_id == *gate));
    let merges = plan.outcome == OutcomeKind::Review;
    (merges && !reviewed && !approved).then(|| {
        "a merge needs approving decisions of governance, code review, security and integrity for this commit; none is kept".into()
    })
}

#[cfg(test)]
#[path = "decision_tests.rs"]
mod tests;
