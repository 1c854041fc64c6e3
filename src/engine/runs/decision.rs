//! The decision: parsed verdicts in, one action out. First match of six rules wins.
//!
//! Why pure functions and a table: it is what the whole program is for, so it must be readable on one page
//! and tested case by case. Rules 1 to 4 are objections. An approval needs proof: each entry of `CLAUSES`
//! is one thing that must hold, and what does not hold is named with its cause. `docs/decisions.md` says the
//! same for people.

use crate::engine::protocol::run::{
    Action, Cause, Decision, Evidence, Input, Plan, Step, StepStatus,
};
use crate::review::finding::{Coverage, Finding, Severity, Source, SuppressedBy};
use crate::review::policy::OfflineApproval;
use crate::review::structural_checks::POLICY_FILE;
use crate::review::verdict::{Verdict, of_findings};
use crate::text::Untrusted;
use crate::workspace::events::OutcomeKind;

/// Whose approvals a merge needs.
pub const GATES: [&str; 4] = [
    "governance-review-agent",
    "code-review-agent",
    "security-agent",
    "integrity-agent",
];

/// The four gates are among a plan's agents.
pub fn covers_gates(plan: &Plan) -> bool {
    GATES
        .iter()
        .all(|gate| plan.agents.iter().any(|a| a == gate))
}

/// Models were asked, real ones: what rules alone or simulated models say proves nothing.
pub fn by_models(plan: &Plan) -> bool {
    plan.models_wanted && !plan.offline && !plan.simulated
}

/// Everything that a decision depends on.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// What was wanted, and under which policy.
    pub plan: &'a Plan,
    /// What the rules saw.
    pub input: &'a Input,
    /// What rules and models together reviewed.
    pub coverage: &'a Coverage,
    /// What the agents say.
    pub steps: &'a [Step],
    /// The four gates have approved this very commit before, with models.
    pub approved: bool,
}

impl Facts<'_> {
    /// Models are not asked: by choice, or because no provider can be asked.
    fn is_offline(&self) -> bool {
        self.plan.offline || !self.plan.models_wanted
    }

    /// What the verdicts rest on.
    pub fn evidence(&self) -> Evidence {
        let lacks = |step: &Step| {
            step.status != StepStatus::Succeeded
                || (!self.is_offline()
                    && (step.model.is_none() || step.stale || step.substitute_for.is_some()))
        };
        if self.input.missing.is_some() || self.steps.is_empty() || self.steps.iter().any(lacks) {
            Evidence::Partial
        } else if self.is_offline() {
            Evidence::Offline
        } else if self.plan.simulated {
            Evidence::Simulated
        } else {
            Evidence::Full
        }
    }
}

/// Decides.
pub fn decide(facts: &Facts<'_>) -> Decision {
    decide_by(facts, &CLAUSES)
}

fn decide_by(facts: &Facts<'_>, clauses: &[Clause]) -> Decision {
    if let Some(objection) = objection(facts.steps) {
        return objection;
    }
    if let Some((cause, reason)) = clauses.iter().find_map(|clause| (clause.lacks)(facts)) {
        return Decision {
            action: Action::ManualReview,
            cause: Some(cause),
            reason: Untrusted::new(reason),
            rule: 6,
            automated: false,
        };
    }
    let (cause, reason) = match facts.evidence() {
        Evidence::Offline if facts.plan.outcome == OutcomeKind::Health => {
            (Cause::RulesOnly, "no rule objects; no model was asked")
        }
        Evidence::Offline if facts.plan.offline_approval == OfflineApproval::Any => (
            Cause::RulesOnly,
            "no rule objects; no model reviewed this change, and review.offlineApproval is any",
        ),
        Evidence::Offline => (
            Cause::DocumentationOnly,
            "only documentation changes; no rule objects",
        ),
        _ => (Cause::AllApprove, "rules and models approve"),
    };
    let action = match facts.plan.outcome {
        OutcomeKind::Health => Action::Pass,
        OutcomeKind::Review => Action::ApproveAndMerge,
    };
    fired(5, action, cause, reason.to_owned())
}

/// Rules 1 to 4: somebody objects.
fn objection(steps: &[Step]) -> Option<Decision> {
    let blocks = |s: &&Step| s.verdict == Some(Verdict::Block);
    let by = |id: &str| steps.iter().find(|s| s.agent_id == id);
    if let Some(step) = by("governance-review-agent").filter(|s| blocks(s)) {
        let reason = format!("Governance violations detected{}", worst_of(step));
        let cause = objector(step, Verdict::Block);
        return Some(fired(1, Action::BlockPr, cause, reason));
    }
    let critical = |s: &Step| s.findings.iter().any(|f| f.severity == Severity::Critical);
    if let Some(step) = by("security-agent").filter(|s| blocks(s) || critical(s)) {
        let reason = format!("Security vulnerabilities detected{}", worst_of(step));
        let cause = objector(step, Verdict::Block);
        return Some(fired(2, Action::BlockPr, cause, reason));
    }
    if let Some(step) = steps.iter().find(blocks) {
        let reason = format!("{} blocks{}", step.agent_id, worst_of(step));
        let cause = objector(step, Verdict::Block);
        return Some(fired(3, Action::BlockPr, cause, reason));
    }
    let wants = |s: &&Step| s.verdict == Some(Verdict::RequestChanges);
    steps.iter().find(wants).map(|step| {
        let cause = objector(step, Verdict::RequestChanges);
        let reason = format!(
            "Code quality issues found by {}{}",
            step.agent_id,
            worst_of(step)
        );
        fired(4, Action::RequestChanges, cause, reason)
    })
}

/// Whether the rules alone come to this verdict, or a model adds to them.
fn objector(step: &Step, verdict: Verdict) -> Cause {
    let of_rules: Vec<Finding> = step
        .findings
        .iter()
        .filter(|f| f.source == Source::Rule)
        .cloned()
        .collect();
    if of_findings(&of_rules) >= verdict {
        Cause::Finding
    } else {
        Cause::ModelObjects
    }
}

fn fired(rule: u8, action: Action, cause: Cause, reason: String) -> Decision {
    Decision {
        action,
        cause: Some(cause),
        reason: Untrusted::new(reason),
        rule,
        automated: true,
    }
}

/// `: rule at file:line` of the worst finding; empty where there is none.
fn worst_of(step: &Step) -> String {
    let worst = step
        .findings
        .iter()
        .min_by_key(|f| std::cmp::Reverse(f.severity));
    worst.map_or_else(String::new, |f| format!(": {}{}", f.rule, at(f)))
}

/// ` at file:line`, for a reason.
pub(super) fn at(finding: &Finding) -> String {
    match (&finding.file, finding.line) {
        (Some(file), Some(line)) => format!(" at {}:{line}", file.raw()),
        (Some(file), None) => format!(" in {}", file.raw()),
        _ => String::new(),
    }
}

type Lack = Option<(Cause, String)>;

/// One thing that an approval needs.
#[derive(Clone, Copy)]
struct Clause {
    /// For the test that takes it away.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "names a clause in the test that takes it away")
    )]
    name: &'static str,
    /// `None` where it holds; else the cause and a sentence.
    lacks: fn(&Facts<'_>) -> Lack,
}

/// All of it, in the order in which what is lacking is named.
const CLAUSES: [Clause; 20] = [
    clause("an agent was selected", |f| {
        lack(f.steps.is_empty(), Cause::NoAgent, || {
            "no agent was selected".into()
        })
    }),
    clause("there is something to review", |f| {
        lack(f.input.nothing_to_review, Cause::NothingToReview, || {
            "nothing to review: the event needs a diff, and there is none or an empty one".into()
        })
    }),
    clause("the change could be had", |f| {
        let missing = f.input.missing.as_ref()?;
        Some((
            Cause::EvidencePartial,
            format!("the change could not be fetched: {missing}"),
        ))
    }),
    clause("every agent came to its end", |f| {
        let step = f.steps.iter().find(|s| s.status != StepStatus::Succeeded)?;
        let why = step
            .error
            .as_ref()
            .map_or_else(|| step.status.as_str().to_owned(), |e| e.line(200));
        Some((Cause::EvidencePartial, format!("{}: {why}", step.agent_id)))
    }),
    clause("a model answered every agent that wanted one", |f| {
        let step = f
            .steps
            .iter()
            .find(|s| !f.is_offline() && s.model.is_none())?;
        Some((
            Cause::EvidencePartial,
            format!("{}: no model answered", step.agent_id),
        ))
    }),
    clause("every answer is fresh", |f| {
        let step = f.steps.iter().find(|s| !f.is_offline() && s.stale)?;
        let reason = format!("{}: its model's answer is stale", step.agent_id);
        Some((Cause::EvidencePartial, reason))
    }),
    clause("every answer is the wanted model's or its equal's", |f| {
        let answered = |s: &&Step| !f.is_offline() && s.substitute_for.is_some();
        let step = f.steps.iter().find(answered)?;
        let wanted = step.substitute_for.as_deref().unwrap_or_default();
        let reason = format!(
            "{}: {} answered instead of {wanted}, and agents/models.yaml does not list them as equals",
            step.agent_id,
            step.model.as_deref().unwrap_or("another model"),
        );
        Some((Cause::EvidencePartial, reason))
    }),
    clause("every agent approves", |f| {
        let step = f
            .steps
            .iter()
            .find(|s| s.verdict != Some(Verdict::Approve))?;
        let cause = objector(step, Verdict::Comment);
        Some((
            cause,
            format!("{} wants a person to look{}", step.agent_id, worst_of(step)),
        ))
    }),
    clause("no policy file is touched", |f| {
        let touched = |i: &&Finding| i.rule == POLICY_FILE && f.input.has_diff;
        let finding = f.input.findings.iter().find(touched)?;
        Some((
            Cause::Finding,
            format!("a policy file is touched{}", at(finding)),
        ))
    }),
    clause("an agent decides by every finding", |f| {
        let claimed = |i: &Finding| f.steps.iter().any(|s| s.findings.contains(i));
        let open = |i: &&Finding| i.severity >= Severity::Medium && !claimed(i);
        let finding = f.input.findings.iter().find(open)?;
        let reason = format!(
            "no agent of this event decides by {}{}",
            finding.rule,
            at(finding)
        );
        Some((Cause::Finding, reason))
    }),
    clause("the change silences no rule", |f| {
        let inline = f
            .input
            .suppressed
            .iter()
            .find(|s| s.by == SuppressedBy::Inline && f.input.has_diff)?;
        let (rule, place) = (&inline.finding.rule, at(&inline.finding));
        Some((
            Cause::Finding,
            format!("the change itself suppresses {rule}{place}"),
        ))
    }),
    clause("the event has a rule of its own", |f| {
        lack(!f.plan.own_rule, Cause::NoAgent, || {
            "the event has no rule of its own; the default never approves".into()
        })
    }),
    clause("every rule was compiled", |f| {
        lack(!f.plan.rules_complete, Cause::EvidencePartial, || {
            "not every rule could be compiled (bsm config check names it)".into()
        })
    }),
    clause("a merge has a diff", |f| {
        let lacks = f.plan.outcome == OutcomeKind::Review && !f.input.has_diff;
        lack(lacks, Cause::NothingToReview, || {
            "there is no diff, and without one nothing can be merged".into()
        })
    }),
    clause("all of the change was reviewed", |f| {
        let first = f.coverage.skipped.first().map_or_else(String::new, |s| {
            format!("; not reviewed: {} ({})", s.path.line(120), s.reason)
        });
        lack(
            !f.coverage.reaches(f.plan.coverage_floor),
            Cause::Coverage,
            || format!("{}{first}", f.coverage.summary()),
        )
    }),
    clause("no floor lets a part pass unread", |f| {
        let lowered = f.plan.outcome == OutcomeKind::Review && f.plan.coverage_floor < 100;
        lack(lowered, Cause::Coverage, || {
            format!(
                "review.coverageFloor is {}; below 100 nothing is approved",
                f.plan.coverage_floor
            )
        })
    }),
    clause("the policy is trusted", |f| {
        lack(!f.plan.policy_trusted, Cause::PolicyUntrusted, || {
            "no rule objects, but this workspace is not trusted, so nothing is approved (bsm trust)"
                .into()
        })
    }),
    clause("the four reviewers approve", |f| {
        let reviewed = GATES[..3]
            .iter()
            .all(|gate| f.steps.iter().any(|s| s.agent_id == *gate));
        let lacks = f.plan.outcome == OutcomeKind::Review && !reviewed && !f.approved;
        lack(lacks, Cause::EvidencePartial, || {
            "a merge needs approving decisions of governance, code review, security and integrity for this commit; none is kept".into()
        })
    }),
    clause("no answer is simulated", |f| {
        lack(
            f.evidence() == Evidence::Simulated,
            Cause::Simulated,
            || {
                "would approve: rules and simulated models approve, and a simulated answer is not evidence".into()
            },
        )
    }),
    clause("a model reviewed it, or it is proven documentation", |f| {
        let proven = match f.plan.offline_approval {
            OfflineApproval::Any => true,
            OfflineApproval::Documentation => f.input.documentation.proven,
            OfflineApproval::Never => false,
        };
        let alone = f.is_offline() && f.plan.outcome == OutcomeKind::Review;
        lack(alone && !proven, Cause::RulesOnly, || {
            "no rule objects; no model reviewed this change, so it needs a reviewer".into()
        })
    }),
];

const fn clause(name: &'static str, lacks: fn(&Facts<'_>) -> Lack) -> Clause {
    Clause { name, lacks }
}

fn lack(lacks: bool, cause: Cause, reason: impl FnOnce() -> String) -> Lack {
    lacks.then(|| (cause, reason()))
}

#[cfg(test)]
#[path = "decision_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "decision_property_tests.rs"]
mod property_tests;
