//! Why a run was decided as it was, in at most 60 characters: for a list, where the decision's own sentence is too
//! long.

use std::cmp::Reverse;

use crate::engine::protocol::run::{Action, Cause, Decision, RunResult, Step, StepStatus};
use crate::engine::protocol::run_summary::WHY;
use crate::review::finding::Finding;
use crate::review::verdict::Verdict;
use crate::text::{Untrusted, clean_line, cut};

/// The why of an ended run; `None` while it is at work.
pub fn why_line(view: &RunResult) -> Option<Untrusted> {
    let decision = view.decision.as_ref()?;
    Some(Untrusted::new(cut(&why(view, decision), WHY)))
}

fn why(view: &RunResult, decision: &Decision) -> String {
    let reason = || decision.reason.line(WHY);
    match decision.cause {
        Some(Cause::Finding | Cause::ModelObjects) => match deciding(view, decision) {
            Some(finding) => of_finding(finding),
            None => reason(),
        },
        Some(Cause::AllApprove | Cause::RulesOnly) if decision.action == Action::Pass => {
            passed(view)
        }
        Some(Cause::AllApprove) => "rules and models approve".into(),
        Some(Cause::DocumentationOnly) => "prose only (documentation)".into(),
        Some(Cause::RulesOnly) => "no rule objects; no model was asked".into(),
        Some(Cause::Simulated) => "would approve; the models are simulated".into(),
        Some(Cause::EvidencePartial) => missing(view).unwrap_or_else(reason),
        Some(Cause::Coverage) => view.coverage.summary(),
        Some(Cause::PolicyUntrusted) => "the workspace is not trusted (bsm trust)".into(),
        Some(Cause::NothingToReview) => "nothing to review".into(),
        Some(Cause::Cancelled) => "cancelled".into(),
        Some(Cause::Quarantined) => "set aside after crashes".into(),
        Some(Cause::NoAgent) | None => reason(),
    }
}

/// A health check that passes says how much it looked at.
fn passed(view: &RunResult) -> String {
    let findings: usize = view.agents.iter().map(|s| s.findings.len()).sum();
    let files = view.coverage.files_seen;
    format!("{findings} findings in {files} files")
}

/// The worst finding of the agent whose verdict decided.
fn deciding<'a>(view: &'a RunResult, decision: &Decision) -> Option<&'a Finding> {
    let wanted = match decision.rule {
        1..=3 => Verdict::Block,
        4 => Verdict::RequestChanges,
        _ => Verdict::Comment,
    };
    let first = match decision.rule {
        1 => Some("governance-review-agent"),
        2 => Some("security-agent"),
        _ => None,
    };
    let objects = |s: &&Step| match first {
        Some(id) => s.agent_id == id,
        None => s.verdict.is_some_and(|v| v >= wanted),
    };
    // The first of the worst, as the decision's own sentence names it.
    let worst = |s: &'a Step| s.findings.iter().min_by_key(|f| Reverse(f.severity));
    let by_agent = view.agents.iter().filter(objects).find_map(worst);
    by_agent.or_else(|| {
        let each = view.agents.iter().filter_map(worst);
        each.min_by_key(|f| Reverse(f.severity))
    })
}

/// `private key deploy/id_rsa:1`: what and where. Where it is goes before what it is: of a long path the end
/// remains.
fn of_finding(finding: &Finding) -> String {
    let what = finding.rule.rsplit('/').next().unwrap_or_default();
    let what = match what {
        // A model's remark has no rule of its own.
        "comment" => finding.message.line(WHY),
        rule => clean_line(&rule.replace('-', " "), WHY),
    };
    let place = match (&finding.file, finding.line) {
        (Some(file), Some(line)) => format!("{}:{line}", file.line(400)),
        (Some(file), None) => file.line(400),
        _ => return what,
    };
    // Room for a few words of what it is.
    let place = tail(&place, WHY - 20);
    let room = WHY - 1 - place.chars().count();
    format!("{} {place}", cut(&what, room).trim_end())
}

/// The end of a text, with a mark where its beginning is missing.
fn tail(text: &str, most: usize) -> String {
    let chars = text.chars().count();
    if chars <= most {
        return text.to_owned();
    }
    let rest: String = text.chars().skip(chars - most + 1).collect();
    format!("…{rest}")
}

/// `openai down (breaker_open)`: who did not answer the first agent that lacks a model's verdict.
fn missing(view: &RunResult) -> Option<String> {
    let lacks = |s: &&Step| s.status == StepStatus::Degraded || s.status == StepStatus::Failed;
    let step = view.agents.iter().find(lacks)?;
    // What a provider said tells more than a refusal of ours that follows from it.
    let failed = || step.trace.iter().rev().filter(|a| a.outcome != "ok");
    let attempt = failed().find(|a| a.sent).or_else(|| failed().next());
    if let Some(attempt) = attempt {
        let (who, how) = (clean_line(&attempt.upstream, 30), &attempt.outcome);
        let word = if is_down(how) {
            "down"
        } else {
            "gave no answer"
        };
        return Some(format!("{who} {word} ({})", clean_line(how, 24)));
    }
    if let Some(skipped) = step.skipped.first() {
        let (model, why) = (
            clean_line(&skipped.model, 24),
            clean_line(&skipped.reason, 40),
        );
        return Some(format!("{model} not asked: {why}"));
    }
    let error = step.error.as_ref()?;
    Some(error.line(WHY))
}

/// Outcomes that say that a provider cannot be reached or fails for everybody.
fn is_down(outcome: &str) -> bool {
    let words = [
        "breaker_open",
        "breaker_isolated",
        "connect",
        "timeout",
        "first_token_timeout",
    ];
    outcome.starts_with("http_5") || words.contains(&outcome)
}

#[cfg(test)]
#[path = "why_line_tests.rs"]
mod tests;
