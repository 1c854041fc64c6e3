//! Decisions for tests.

use super::standing::Decided;
use crate::engine::protocol::run::{Action, Decision, Evidence, Input, Plan, RunResult, RunState};
use crate::engine::runs::projection::first_view;
use crate::journal::NewRun;
use crate::review::finding::{ChangeSize, Coverage, Finding, Severity};
use crate::text::Untrusted;

/// Line 7 of `src/a.rs` is new.
pub(super) const DIFF: &str =
    "diff --git a/src/a.rs b/src/a.rs\n@@ line 6 @@\n six\n+seven\n+eight\n+nine\n";

/// A finished run of one agent.
pub(super) fn run_of(action: Action, evidence: Evidence) -> RunResult {
    let plan: Plan = serde_json::from_value(serde_json::json!({
        "strategy": "parallel", "outcome": "review", "agents": ["security-agent"],
        "stepTimeoutMs": 1, "ownRule": true, "offline": false, "modelsWanted": true,
        "simulated": false, "policyHash": "p", "rulesHash": "r", "rulesComplete": true,
    }))
    .unwrap();
    let input: Input = serde_json::from_value(serde_json::json!({
        "payload": null, "findings": [], "coverage": Coverage::default(),
        "size": ChangeSize::default(),
        "hasDiff": true, "nothingToReview": false, "missing": null, "notKept": [],
    }))
    .unwrap();
    let new = NewRun {
        id: "job_1_abc".into(),
        event: "pull_request.opened".into(),
        requested_event: "pull_request.opened".into(),
        ..NewRun::default()
    };
    let mut run = first_view(&new, &plan, &input);
    run.state = RunState::Finished;
    run.evidence = evidence;
    run.decision = Some(Decision {
        cause: None,
        action,
        reason: Untrusted::new("because @everybody <b>says</b> so"),
        rule: 5,
        automated: true,
    });
    run
}

/// A decision of the run `job_<number>` with some findings, the first of them the same in every run.
pub(super) fn decided_run(
    action: Action,
    evidence: Evidence,
    number: i64,
    findings: usize,
) -> Decided {
    let mut run = run_of(action, evidence);
    run.run_id = format!("job_{number}");
    run.agents[0].findings = (0..findings)
        .map(|n| Finding {
            file: Some(Untrusted::new("src/a.rs")),
            line: Some(7 + n as u32),
            identity: Some(format!("finding-{n}")),
            ..Finding::whole("security/x", Severity::High, format!("finding {n}"))
        })
        .collect();
    Decided {
        run,
        diff: DIFF.into(),
        proved: true,
    }
}
