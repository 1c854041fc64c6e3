//! The decision as a property: over random inputs it approves where every clause holds, and nowhere else.

use super::tests::{Case, good};
use super::*;
use crate::engine::runs::decision::tests::offline;
use crate::review::finding::{Finding, Suppressed, SuppressedBy};

/// A case made of a good one by a few random changes, so that approvals and single faults are both common.
fn random_case(random: &mut fastrand::Rng) -> Case {
    let mut case = if random.bool() { good() } else { offline() };
    let rate = [0.0, 0.03, 0.1, 0.5][random.usize(..4)];
    let mut hits = |share: f64| random.f64() < share * rate;
    let c = &mut case;
    if hits(1.0) {
        c.plan.outcome = OutcomeKind::Health;
    }
    if hits(1.0) {
        c.plan.own_rule = false;
    }
    if hits(1.0) {
        c.plan.rules_complete = false;
    }
    if hits(1.0) {
        c.plan.policy_trusted = false;
    }
    if hits(1.0) {
        c.plan.simulated = true;
    }
    if hits(1.0) {
        c.plan.coverage_floor = 50;
    }
    if hits(0.5) {
        c.plan.offline = !c.plan.offline;
    }
    if hits(0.5) {
        c.plan.models_wanted = !c.plan.models_wanted;
    }
    if hits(2.0) {
        c.plan.offline_approval = OfflineApproval::Any;
    }
    if hits(2.0) {
        c.plan.offline_approval = OfflineApproval::Never;
    }
    if hits(6.0) {
        c.input.documentation.proven = true;
    }
    if hits(1.0) {
        c.input.nothing_to_review = true;
    }
    if hits(1.0) {
        c.input.has_diff = false;
    }
    if hits(1.0) {
        c.input.missing = Some("gone".into());
    }
    if hits(1.0) {
        c.input
            .findings
            .push(Finding::whole(POLICY_FILE, Severity::Info, ""));
    }
    for severity in [Severity::Low, Severity::Medium, Severity::High] {
        if hits(0.5) {
            c.input
                .findings
                .push(Finding::whole("p/unclaimed", severity, ""));
        }
    }
    for by in [
        SuppressedBy::Inline,
        SuppressedBy::Standing,
        SuppressedBy::Baseline,
    ] {
        if hits(0.5) {
            c.input.suppressed.push(Suppressed {
                finding: Finding::whole("p/r", Severity::Low, ""),
                by,
                reason: None,
            });
        }
    }
    if hits(1.0) {
        c.coverage.files_seen = 1;
    }
    if hits(0.5) {
        c.coverage = Coverage::default();
    }
    if hits(0.5) {
        let path = crate::text::Untrusted::from("x");
        c.coverage.skip(&path, "binary");
    }
    if hits(1.0) {
        c.approved = true;
    }
    if hits(0.5) {
        c.steps.clear();
    }
    if hits(1.0) && !c.steps.is_empty() {
        c.steps.remove(0);
    }
    for step in &mut c.steps {
        if hits(0.3) {
            step.status = StepStatus::Degraded;
        }
        if hits(0.3) {
            step.status = StepStatus::Failed;
        }
        if hits(0.3) {
            step.status = StepStatus::Cancelled;
        }
        if hits(0.3) {
            step.verdict = None;
        }
        if hits(0.3) {
            step.verdict = Some(Verdict::Comment);
        }
        if hits(0.2) {
            step.verdict = Some(Verdict::RequestChanges);
        }
        if hits(0.2) {
            step.verdict = Some(Verdict::Block);
        }
        if hits(0.3) {
            step.model = None;
        }
        if hits(0.3) {
            step.stale = true;
        }
        if hits(0.3) {
            step.substitute_for = Some("wanted".into());
        }
        if hits(0.2) {
            step.findings
                .push(Finding::whole("p/critical", Severity::Critical, ""));
        }
    }
    case
}

/// decision.md, section 1, as sentences: what every approval and every pass must have.
fn is_sound(c: &Case) -> bool {
    let succeeded =
        |s: &Step| s.status == StepStatus::Succeeded && s.verdict == Some(Verdict::Approve);
    let security = c.steps.iter().find(|s| s.agent_id == "security-agent");
    let critical =
        security.is_some_and(|s| s.findings.iter().any(|f| f.severity == Severity::Critical));
    let claimed = |f: &Finding| c.steps.iter().any(|s| s.findings.contains(f));
    let silences = |s: &Suppressed| s.by == SuppressedBy::Inline;
    let touches = |f: &Finding| f.rule == POLICY_FILE;
    let about_diff = c.input.has_diff
        && (c.input.findings.iter().any(touches) || c.input.suppressed.iter().any(silences));
    !c.steps.is_empty()
        && c.steps.iter().all(succeeded)
        && !critical
        && !c.input.nothing_to_review
        && c.input.missing.is_none()
        && !about_diff
        && c.input
            .findings
            .iter()
            .all(|f| f.severity < Severity::Medium || claimed(f))
        && c.plan.own_rule
        && c.plan.rules_complete
        && c.plan.policy_trusted
}

fn asked(c: &Case) -> bool {
    c.plan.models_wanted && !c.plan.offline
}

/// Every answer is there, fresh, and the wanted model's.
fn answered(c: &Case) -> bool {
    c.steps
        .iter()
        .all(|s| s.model.is_some() && !s.stale && s.substitute_for.is_none())
        && !c.plan.simulated
}

fn may_be_approved(c: &Case) -> bool {
    let gates = GATES[..3]
        .iter()
        .all(|g| c.steps.iter().any(|s| s.agent_id == *g));
    let complete = c.coverage.files_total > 0
        && c.coverage.files_seen == c.coverage.files_total
        && c.coverage.skipped.is_empty();
    let evidence = if asked(c) {
        answered(c)
    } else {
        match c.plan.offline_approval {
            OfflineApproval::Any => true,
            OfflineApproval::Documentation => c.input.documentation.proven,
            OfflineApproval::Never => false,
        }
    };
    c.plan.outcome == OutcomeKind::Review
        && is_sound(c)
        && c.input.has_diff
        && complete
        && c.plan.coverage_floor == 100
        && (gates || c.approved)
        && evidence
}

fn may_pass(c: &Case) -> bool {
    let covered = c.coverage.reaches(c.plan.coverage_floor);
    c.plan.outcome == OutcomeKind::Health && is_sound(c) && covered && (!asked(c) || answered(c))
}

fn agrees(case: &Case, clauses: &[Clause]) -> bool {
    let action = decide_by(&case.facts(), clauses).action;
    (action == Action::ApproveAndMerge) == may_be_approved(case)
        && (action == Action::Pass) == may_pass(case)
}

const CASES: usize = 60_000;

#[test]
fn decision_approves_where_every_clause_holds_and_nowhere_else() {
    let mut random = fastrand::Rng::with_seed(17);
    let (mut approvals, mut passes) = (0, 0);
    for _ in 0..CASES {
        let case = random_case(&mut random);
        assert!(agrees(&case, &CLAUSES), "{:?}", decide(&case.facts()));
        approvals += usize::from(may_be_approved(&case));
        passes += usize::from(may_pass(&case));
        let decision = decide(&case.facts());
        assert!(decision.cause.is_some() && !decision.reason.is_empty());
        let evidence = case.facts().evidence();
        if decision.action == Action::ApproveAndMerge {
            assert!(
                matches!(evidence, Evidence::Full | Evidence::Offline),
                "{evidence:?}"
            );
        }
    }
    assert!(
        approvals > CASES / 20 && passes > 100,
        "{approvals} {passes}"
    );
}

#[test]
fn every_clause_that_is_taken_away_is_missed() {
    for (left_out, clause) in CLAUSES.iter().enumerate() {
        let mutant: Vec<Clause> = CLAUSES
            .iter()
            .enumerate()
            .filter(|(index, _)| *index != left_out)
            .map(|(_, clause)| *clause)
            .collect();
        let mut random = fastrand::Rng::with_seed(17);
        let caught = (0..CASES).any(|_| !agrees(&random_case(&mut random), &mutant));
        assert!(caught, "nothing misses the clause: {}", clause.name);
    }
}
