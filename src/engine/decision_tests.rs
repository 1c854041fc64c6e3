//! Each rule, each clause of an approval, one case a line.

use super::*;
use crate::review::finding::{ChangeSize, Finding, Suppressed, SuppressedBy};
use crate::workspace::events::Strategy;

struct Case {
    plan: Plan,
    input: Input,
    coverage: Coverage,
    steps: Vec<Step>,
    approved: bool,
}

fn step(agent: &str, verdict: Verdict) -> Step {
    Step {
        status: StepStatus::Succeeded,
        verdict: Some(verdict),
        ..Step::queued(agent)
    }
}

fn good() -> Case {
    let coverage = Coverage {
        files_seen: 2,
        files_total: 2,
        ..Coverage::default()
    };
    Case {
        plan: Plan {
            strategy: Strategy::Parallel,
            outcome: OutcomeKind::Review,
            agents: vec![],
            step_timeout_ms: 1,
            own_rule: true,
            offline: true,
            models_wanted: false,
            simulated: false,
            policy_hash: String::new(),
            rules_hash: String::new(),
            rules_complete: true,
            coverage_floor: 100,
        },
        input: Input {
            payload: serde_json::Value::Null,
            findings: vec![],
            coverage: coverage.clone(),
            size: ChangeSize {
                files: 2,
                added: 1,
                removed: 0,
            },
            head_sha: None,
            has_diff: true,
            nothing_to_review: false,
            missing: None,
            not_kept: vec![],
            ..Input::default()
        },
        coverage,
        steps: [
            "governance-review-agent",
            "code-review-agent",
            "security-agent",
            "integrity-agent",
        ]
        .map(|a| step(a, Verdict::Approve))
        .into(),
        approved: false,
    }
}

fn decided(change: impl FnOnce(&mut Case)) -> (Action, u8, String) {
    let mut case = good();
    change(&mut case);
    let evidence = evidence(&case.steps, case.plan.offline);
    let approved = case.approved;
    let d = decide(
        &case.plan,
        &case.input,
        &case.coverage,
        &case.steps,
        evidence,
        approved,
    );
    (d.action, d.rule, d.reason.raw().to_owned())
}

#[test]
fn the_first_matching_rule_wins() {
    let rule = |change: fn(&mut Case)| {
        let (action, rule, _) = decided(change);
        (action, rule)
    };
    assert_eq!(rule(|_| {}), (Action::ApproveAndMerge, 5));
    assert_eq!(
        rule(|c| c.plan.outcome = OutcomeKind::Health),
        (Action::Pass, 5)
    );
    assert_eq!(
        rule(|c| c.steps[0].verdict = Some(Verdict::Block)),
        (Action::BlockPr, 1)
    );
    assert_eq!(
        rule(|c| c.steps[2].verdict = Some(Verdict::Block)),
        (Action::BlockPr, 2)
    );
    assert_eq!(
        rule(|c| c.steps[2]
            .findings
            .push(Finding::whole("secrets/x", Severity::Critical, ""))),
        (Action::BlockPr, 2)
    );
    assert_eq!(
        rule(|c| c.steps[1].verdict = Some(Verdict::Block)),
        (Action::BlockPr, 3)
    );
    assert_eq!(
        rule(|c| c.steps[3].verdict = Some(Verdict::RequestChanges)),
        (Action::RequestChanges, 4)
    );
    assert_eq!(
        rule(|c| c.steps[1].verdict = Some(Verdict::Comment)),
        (Action::ManualReview, 6)
    );
    // A block wins over a request, governance over security, whatever the order of agents.
    assert_eq!(
        rule(|c| {
            c.steps.reverse();
            for s in &mut c.steps {
                s.verdict = Some(Verdict::Block);
            }
        }),
        (Action::BlockPr, 1)
    );
}

#[test]
fn every_clause_of_an_approval_is_needed_and_named() {
    let table: [(fn(&mut Case), &str); 13] = [
        (|c| c.steps.clear(), "no agent"),
        (|c| c.input.nothing_to_review = true, "nothing to review"),
        (
            |c| c.input.missing = Some("gone".into()),
            "could not be had",
        ),
        (
            |c| {
                c.steps[1].status = StepStatus::Degraded;
                c.steps[1].error = Some("outage".into());
            },
            "code-review-agent: outage",
        ),
        (
            |c| {
                c.steps[1].status = StepStatus::Failed;
                c.steps[1].error = Some("unknown_agent".into());
            },
            "unknown_agent",
        ),
        (|c| c.steps[1].status = StepStatus::Cancelled, "cancelled"),
        (|c| c.plan.own_rule = false, "default never approves"),
        (|c| c.plan.rules_complete = false, "compiled"),
        (
            |c| {
                c.input
                    .findings
                    .push(Finding::whole(POLICY_FILE, Severity::Medium, ""));
            },
            "policy file",
        ),
        (
            |c| {
                c.input.suppressed.push(Suppressed {
                    finding: Finding::whole("security/weak-hash", Severity::Low, ""),
                    by: SuppressedBy::Inline,
                    reason: Some("a cache".into()),
                });
            },
            "the change itself says not to mind security/weak-hash",
        ),
        (|c| c.input.has_diff = false, "no diff"),
        (|c| c.coverage.files_seen = 1, "1 of 2 files"),
        (|c| c.coverage = Coverage::default(), "0 of 0 files"),
    ];
    for (change, wanted) in table {
        let (action, rule, reason) = decided(change);
        assert_eq!((action, rule), (Action::ManualReview, 6), "{wanted}");
        assert!(reason.contains(wanted), "'{wanted}' is not in '{reason}'");
    }
}

#[test]
fn what_the_operator_silenced_and_a_floor_he_set_stand_in_no_approvals_way() {
    let (action, ..) = decided(|c| {
        c.input.suppressed.push(Suppressed {
            finding: Finding::whole("security/weak-hash", Severity::Low, ""),
            by: SuppressedBy::Baseline,
            reason: None,
        });
    });
    assert_eq!(action, Action::ApproveAndMerge);
    let seen = |floor, seen| {
        decided(|c| {
            c.plan.coverage_floor = floor;
            c.coverage.files_total = 10;
            c.coverage.files_seen = seen;
        })
        .0
    };
    assert_eq!(seen(90, 9), Action::ApproveAndMerge);
    assert_eq!(seen(90, 8), Action::ManualReview);
    assert_eq!(seen(100, 9), Action::ManualReview);
    assert_eq!(seen(0, 0), Action::ApproveAndMerge);
    let nothing = decided(|c| {
        c.plan.coverage_floor = 0;
        c.coverage = Coverage::default();
    });
    assert_eq!(nothing.0, Action::ManualReview, "no file is no coverage");
}

#[test]
fn a_finding_that_no_agent_decides_by_is_never_passed_over() {
    let key = Finding::whole("secrets/private-key", Severity::Critical, "");
    let (action, rule, reason) = decided(|c| c.input.findings.push(key.clone()));
    assert_eq!((action, rule), (Action::ManualReview, 6));
    assert!(
        reason.contains("decides by secrets/private-key"),
        "{reason}"
    );
}

#[test]
fn a_merge_without_the_reviewers_needs_their_kept_approval_of_this_commit() {
    let merge = |c: &mut Case| c.steps = vec![step("pr-merge-agent", Verdict::Approve)];
    let (action, _, reason) = decided(merge);
    assert_eq!(action, Action::ManualReview);
    assert!(
        reason.contains("a merge needs approving decisions"),
        "{reason}"
    );
    let (action, rule, _) = decided(|c| {
        merge(c);
        c.approved = true;
    });
    assert_eq!((action, rule), (Action::ApproveAndMerge, 5));
}

#[test]
fn evidence_is_full_only_with_a_model_and_partial_when_one_is_missing() {
    let mut steps = good().steps;
    assert_eq!(evidence(&steps, true), Evidence::Offline);
    assert_eq!(
        evidence(&steps, false),
        Evidence::Partial,
        "a model was wanted"
    );
    for s in &mut steps {
        s.model = Some("m".into());
    }
    assert_eq!(evidence(&steps, false), Evidence::Full);
    steps[0].status = StepStatus::Degraded;
    assert_eq!(evidence(&steps, false), Evidence::Partial);
}
