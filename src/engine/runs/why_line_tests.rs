//! The why of each cause, from runs as they are kept.

use super::*;
use crate::engine::protocol::run::{Evidence, RunState};
use crate::review::finding::Severity;

fn view(cause: Cause, action: Action, rule: u8) -> RunResult {
    serde_json::from_value(serde_json::json!({
        "schemaVersion": 2, "runId": "job_1_aaaaaa", "correlationId": "c", "event": "pull_request.opened",
        "state": RunState::Finished, "strategy": "parallel", "simulated": false, "evidence": Evidence::Full,
        "stale": false, "coverage": {"filesSeen": 412, "filesTotal": 412, "skipped": []},
        "size": {"files": 1, "added": 1, "removed": 0}, "agents": [], "report": null, "createdAt": 0,
        "durationMs": 1,
        "decision": {"action": action, "cause": cause, "reason": "a longer sentence", "rule": rule, "automated": true},
    }))
    .unwrap()
}

fn step(agent: &str, verdict: Verdict, findings: Vec<Finding>) -> Step {
    Step {
        status: StepStatus::Succeeded,
        verdict: Some(verdict),
        findings,
        ..Step::queued(agent)
    }
}

fn finding(rule: &str, file: &str, line: u32) -> Finding {
    Finding {
        file: Some(Untrusted::new(file)),
        line: Some(line),
        ..Finding::whole(rule, Severity::Critical, "what it means")
    }
}

fn said(view: &RunResult) -> String {
    why_line(view).unwrap().raw().to_owned()
}

#[test]
fn finding_that_decided_is_named_with_its_place() {
    let mut run = view(Cause::Finding, Action::BlockPr, 2);
    let other = finding("code/todo", "a.rs", 1);
    let secret = finding("secrets/private-key", "deploy/id_rsa", 1);
    let as_bad = finding("secrets/token", "b.py", 2);
    run.agents = vec![
        step("code-review-agent", Verdict::RequestChanges, vec![other]),
        step("security-agent", Verdict::Block, vec![secret, as_bad]),
    ];
    assert_eq!(said(&run), "private key deploy/id_rsa:1");
}

#[test]
fn finding_in_a_long_path_keeps_the_end_of_it_and_fits() {
    let mut run = view(Cause::Finding, Action::RequestChanges, 4);
    let path = format!("{}client.py", "very/".repeat(40));
    let sql = finding("security/sql-built-from-text-and-more", &path, 16);
    run.agents = vec![step(
        "code-review-agent",
        Verdict::RequestChanges,
        vec![sql],
    )];
    let why = said(&run);
    assert!(
        why.ends_with("client.py:16") && why.starts_with("sql built"),
        "{why}"
    );
    assert!(why.chars().count() <= WHY, "{why}");
}

#[test]
fn provider_that_did_not_answer_is_named_by_what_it_said_itself() {
    let mut run = view(Cause::EvidencePartial, Action::ManualReview, 6);
    let attempt = |outcome: &str, sent: bool| {
        serde_json::from_value(serde_json::json!({
            "upstream": "openai", "target": 0, "outcome": outcome, "sent": sent, "startedMs": 0, "upstreamUs": 5,
        }))
        .unwrap()
    };
    run.agents = vec![Step {
        status: StepStatus::Degraded,
        trace: vec![attempt("http_503", true), attempt("breaker_open", false)],
        ..step("security-agent", Verdict::Approve, Vec::new())
    }];
    assert_eq!(said(&run), "openai down (http_503)");
    run.agents[0].trace.remove(0);
    assert_eq!(said(&run), "openai down (breaker_open)");
    run.agents[0].trace[0].outcome = "rate_limited".into();
    assert_eq!(said(&run), "openai gave no answer (rate_limited)");
    run.agents[0].trace.clear();
    run.agents[0].error = Some("an operator stopped it".into());
    assert_eq!(said(&run), "an operator stopped it");
}

#[test]
fn every_cause_has_a_why_that_fits() {
    for cause in Cause::ALL {
        for action in [Action::Pass, Action::ManualReview] {
            let why = said(&view(cause, action, 5));
            assert!(
                !why.is_empty() && why.chars().count() <= WHY,
                "{cause:?}: {why}"
            );
        }
    }
    assert_eq!(
        said(&view(Cause::RulesOnly, Action::Pass, 5)),
        "0 findings in 412 files"
    );
}

#[test]
fn run_at_work_has_no_why_of_a_decision() {
    let mut run = view(Cause::AllApprove, Action::Pass, 5);
    run.decision = None;
    assert_eq!(why_line(&run), None);
}
