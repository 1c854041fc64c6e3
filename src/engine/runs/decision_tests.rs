//! Each rule, each clause of an approval, one case a line; and the whole input space against the sentences of
//! the specification, written a second time.

use super::*;
use crate::review::documentation::Documentation;
use crate::review::finding::{ChangeSize, Finding, Suppressed, SuppressedBy};
use crate::workspace::events::Strategy;

#[derive(Clone)]
pub(super) struct Case {
    pub(crate) plan: Plan,
    pub(crate) input: Input,
    pub(crate) coverage: Coverage,
    pub(crate) steps: Vec<Step>,
    pub(crate) approved: bool,
}

impl Case {
    pub(crate) fn facts(&self) -> Facts<'_> {
        Facts {
            plan: &self.plan,
            input: &self.input,
            coverage: &self.coverage,
            steps: &self.steps,
            approved: self.approved,
        }
    }
}

pub(super) fn step(agent: &str, verdict: Verdict) -> Step {
    Step {
        status: StepStatus::Succeeded,
        verdict: Some(verdict),
        model: Some("m".into()),
        ..Step::queued(agent)
    }
}

/// A change that four agents and their models approve.
pub(super) fn good() -> Case {
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
            offline: false,
            models_wanted: true,
            simulated: false,
            policy_hash: String::new(),
            rules_hash: String::new(),
            rules_complete: true,
            coverage_floor: 100,
            policy_trusted: true,
            offline_approval: OfflineApproval::Documentation,
        },
        input: Input {
            coverage: coverage.clone(),
            size: ChangeSize {
                files: 2,
                added: 1,
                removed: 0,
            },
            has_diff: true,
            ..Input::default()
        },
        coverage,
        steps: GATES.map(|a| step(a, Verdict::Approve)).into(),
        approved: false,
    }
}

/// The same, when no model is asked.
pub(super) fn offline() -> Case {
    let mut case = good();
    case.plan.offline = true;
    case.plan.models_wanted = false;
    for step in &mut case.steps {
        step.model = None;
    }
    case
}

pub(super) fn decided(change: impl FnOnce(&mut Case)) -> (Action, u8, String) {
    let mut case = good();
    change(&mut case);
    let d = decide(&case.facts());
    (d.action, d.rule, d.reason.raw().to_owned())
}

pub(super) fn cause(case: &Case) -> (Action, Cause) {
    let d = decide(&case.facts());
    (d.action, d.cause.unwrap())
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
            "could not be fetched",
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
            "the change itself suppresses security/weak-hash",
        ),
        (|c| c.input.has_diff = false, "no diff"),
        (|c| c.coverage.files_seen = 1, "files reviewed: 1 of 2"),
        (
            |c| c.coverage = Coverage::default(),
            "files reviewed: 0 of 0",
        ),
    ];
    for (change, wanted) in table {
        let (action, rule, reason) = decided(change);
        assert_eq!((action, rule), (Action::ManualReview, 6), "{wanted}");
        assert!(reason.contains(wanted), "'{wanted}' is not in '{reason}'");
    }
}

#[test]
fn baseline_stands_in_no_approvals_way_and_a_lowered_floor_does() {
    let (action, ..) = decided(|c| {
        c.input.suppressed.push(Suppressed {
            finding: Finding::whole("security/weak-hash", Severity::Low, ""),
            by: SuppressedBy::Baseline,
            reason: None,
        });
    });
    assert_eq!(action, Action::ApproveAndMerge);
    let seen = |outcome, floor, seen| {
        decided(|c| {
            c.plan.outcome = outcome;
            c.plan.coverage_floor = floor;
            c.coverage.files_total = 10;
            c.coverage.files_seen = seen;
        })
        .0
    };
    for (floor, files) in [(90, 9), (90, 10), (0, 0), (100, 9)] {
        assert_eq!(
            seen(OutcomeKind::Review, floor, files),
            Action::ManualReview,
            "{floor} {files}"
        );
    }
    assert_eq!(seen(OutcomeKind::Review, 100, 10), Action::ApproveAndMerge);
    // A health check merges nothing.
    assert_eq!(seen(OutcomeKind::Health, 90, 9), Action::Pass);
    assert_eq!(seen(OutcomeKind::Health, 90, 8), Action::ManualReview);
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
fn evidence_is_full_only_with_fresh_answers_of_real_wanted_models() {
    let evidence = |change: fn(&mut Case)| {
        let mut case = good();
        change(&mut case);
        case.facts().evidence()
    };
    assert_eq!(evidence(|_| {}), Evidence::Full);
    for change in [
        (|c| c.steps[1].status = StepStatus::Degraded) as fn(&mut Case),
        |c| c.steps[1].model = None,
        |c| c.steps[1].stale = true,
        |c| c.steps[1].substitute_for = Some("other".into()),
        |c| c.input.missing = Some("gone".into()),
        |c| c.steps.clear(),
    ] {
        assert_eq!(evidence(change), Evidence::Partial);
    }
    assert_eq!(evidence(|c| c.plan.simulated = true), Evidence::Simulated);
    assert_eq!(
        evidence(|c| c.plan.models_wanted = false),
        Evidence::Offline
    );
    assert_eq!(evidence(|c| c.plan.offline = true), Evidence::Offline);
}

#[test]
fn without_a_model_only_proven_documentation_is_approved_and_each_end_has_its_cause() {
    use Action::{ApproveAndMerge, ManualReview, Pass};
    let with = |change: fn(&mut Case)| {
        let mut case = offline();
        change(&mut case);
        cause(&case)
    };
    let proven = |c: &mut Case| {
        c.input.documentation = Documentation {
            proven: true,
            obstacle: None,
        };
    };
    assert_eq!(cause(&good()), (ApproveAndMerge, Cause::AllApprove));
    assert_eq!(with(|_| {}), (ManualReview, Cause::RulesOnly));
    let mut documents = offline();
    proven(&mut documents);
    assert_eq!(
        cause(&documents),
        (ApproveAndMerge, Cause::DocumentationOnly)
    );
    documents.plan.offline_approval = OfflineApproval::Never;
    assert_eq!(cause(&documents), (ManualReview, Cause::RulesOnly));
    assert_eq!(
        with(|c| c.plan.offline_approval = OfflineApproval::Any),
        (ApproveAndMerge, Cause::RulesOnly)
    );
    assert_eq!(
        with(|c| c.plan.outcome = OutcomeKind::Health),
        (Pass, Cause::RulesOnly)
    );
    // An outage is not a choice: what is only documentation waits for its models, too.
    let mut outage = good();
    proven(&mut outage);
    outage.steps[0].status = StepStatus::Degraded;
    assert_eq!(cause(&outage), (ManualReview, Cause::EvidencePartial));
    let mut simulated = good();
    simulated.plan.simulated = true;
    assert_eq!(cause(&simulated), (ManualReview, Cause::Simulated));
    let mut untrusted = good();
    untrusted.plan.policy_trusted = false;
    assert_eq!(cause(&untrusted), (ManualReview, Cause::PolicyUntrusted));
}

#[test]
fn objection_of_a_model_alone_is_told_from_one_of_the_rules() {
    let objects = |source: Source| {
        let mut case = good();
        case.steps[1].verdict = Some(Verdict::RequestChanges);
        case.steps[1].findings.push(Finding {
            source,
            ..Finding::whole("r", Severity::High, "")
        });
        cause(&case).1
    };
    assert_eq!(objects(Source::Rule), Cause::Finding);
    assert_eq!(objects(Source::Model), Cause::ModelObjects);
}

// The whole input space. -------------------------------------------------------------------------------
