//! A run as it is shown: live, in a list, and as the journal kept it.

use crate::engine::protocol::command::payload_title;
use crate::engine::protocol::identity::RunIdentity;
use crate::engine::protocol::run::{
    Evidence, Input, Plan, RunResult, RunState, SCHEMA_VERSION, Step,
};
use crate::engine::protocol::snapshot::{RunSummary, StepSummary};
use crate::engine::runs::decision::at;
use crate::engine::runs::phase_board::PhaseBoard;
use crate::engine::runs::run_times::{micro_usd, run_times};
use crate::engine::runs::step::by_rules;
use crate::engine::runs::why_line::why_line;
use crate::journal::{NewRun, RunRow, RunStatus, StepRow};
use crate::review::finding::{Coverage, Severity};
use crate::text::{Untrusted, clean_line};
use crate::workspace::Workspace;
use std::collections::BTreeSet;

/// A run that has not begun.
pub fn first_view(new: &NewRun, plan: &Plan, input: &Input) -> RunResult {
    let mut seen = BTreeSet::new();
    RunResult {
        schema_version: SCHEMA_VERSION,
        run_id: new.id.clone(),
        correlation_id: new.correlation.clone(),
        event: new.event.clone(),
        requested_event: (new.requested_event != new.event)
            .then(|| Untrusted::new(new.requested_event.clone())),
        state: RunState::Queued,
        strategy: plan.strategy,
        simulated: plan.simulated,
        evidence: if plan.offline {
            Evidence::Offline
        } else {
            Evidence::Partial
        },
        stale: false,
        coverage: input.coverage.clone(),
        size: input.size,
        decision: None,
        agents: plan
            .agents
            .iter()
            .filter(|a| seen.insert(a.as_str()))
            .map(|a| Step::queued(a))
            .collect(),
        suppressed: input.suppressed.clone(),
        report: None,
        created_at: new.created_ms,
        duration_ms: None,
        notes: input.notes.clone(),
        documentation: input.documentation.clone(),
    }
}

/// Puts a finished step of the journal into the run.
pub fn put_step(view: &mut RunResult, row: &StepRow) {
    if let Ok(step) = serde_json::from_str::<Step>(&row.result)
        && let Some(place) = view.agents.iter_mut().find(|s| s.agent_id == step.agent_id)
    {
        *place = step;
    }
}

/// What a run is called in lists.
#[derive(Debug, Clone, Default)]
pub struct RunLabel {
    /// `#482`, or the title.
    pub title: Option<Untrusted>,
    /// What it is about.
    pub identity: RunIdentity,
}

impl RunLabel {
    /// From what was kept at intake.
    pub fn new(new: &NewRun, input: &Input) -> Self {
        let named = RunIdentity::of_payload(&input.payload);
        let identity = named.or(input.identity.clone().unwrap_or_default());
        let started_by = (!new.actor.is_empty()).then(|| clean_line(&new.actor, 40));
        Self {
            title: payload_title(&input.payload),
            identity: RunIdentity {
                started_by,
                ..identity
            },
        }
    }
}

/// A run's entry in lists. `phases`: what its agents do, while it is at work.
pub fn summary(
    view: &RunResult,
    label: &RunLabel,
    started_ms: Option<i64>,
    finished_ms: Option<i64>,
    phases: Option<&PhaseBoard>,
) -> RunSummary {
    let so_far = |agent: &str| phases.map_or_else(Vec::new, |board| board.of(agent));
    let times = run_times(view, started_ms, so_far);
    RunSummary {
        id: view.run_id.clone(),
        event: view
            .requested_event
            .clone()
            .unwrap_or_else(|| Untrusted::new(view.event.clone())),
        title: label.title.clone(),
        identity: Some(label.identity.clone()),
        state: view.state,
        steps: view
            .agents
            .iter()
            .map(|s| StepSummary {
                agent: s.agent_id.clone(),
                status: s.status,
                verdict: s.verdict,
                phase: phases.and_then(|board| board.current(&s.agent_id)),
            })
            .collect(),
        action: view.decision.as_ref().map(|d| d.action),
        rule: view.decision.as_ref().map(|d| d.rule),
        reason: view
            .decision
            .as_ref()
            .map(|d| Untrusted::new(crate::text::cut(d.reason.raw(), 200))),
        why: why_line(view),
        evidence: view.decision.as_ref().map(|_| view.evidence),
        cause: view.decision.as_ref().and_then(|d| d.cause),
        simulated: view.simulated,
        created_ms: view.created_at,
        started_ms,
        finished_ms,
        duration_ms: view.duration_ms,
        waited_ms: times.waited_ms,
        model_ms: times.model_ms,
        micro_usd: Some(micro_usd(view)),
    }
}

/// A run of the journal as a whole result, finished or not.
pub fn from_row(row: &RunRow, steps: &[StepRow]) -> Option<RunResult> {
    if let Some(result) = &row.result {
        let mut result: RunResult = serde_json::from_str(result).ok()?;
        if !row.report_written && result.report.take().is_some() {
            result.notes.push("the report could not be written yet; its text is kept, see `bsm runs show ID --report`".into());
        }
        return Some(result);
    }
    let plan: Plan = serde_json::from_str(&row.new.plan).ok()?;
    let input: Input = serde_json::from_str(&row.new.input).ok()?;
    let mut view = first_view(&row.new, &plan, &input);
    if row.status == RunStatus::Running {
        view.state = RunState::Running;
    }
    for step in steps {
        put_step(&mut view, step);
    }
    Some(view)
}

/// A run of the journal's list. Of one that this program cannot read, what its columns say.
pub fn summary_of_row(row: &RunRow) -> RunSummary {
    let Some(view) = from_row(row, &[]) else {
        return unread(row);
    };
    let input = serde_json::from_str::<Input>(&row.new.input);
    let label = input.map(|i| RunLabel::new(&row.new, &i));
    let known = label.is_ok();
    let line = summary(
        &view,
        &label.unwrap_or_default(),
        row.started_ms,
        row.finished_ms,
        None,
    );
    RunSummary {
        identity: line.identity.filter(|_| known),
        ..line
    }
}

/// A run that another version of the program wrote: its plan or result cannot be read.
fn unread(row: &RunRow) -> RunSummary {
    let simulated = [row.result.as_deref(), Some(&row.new.plan)]
        .into_iter()
        .flatten()
        .filter_map(|text| serde_json::from_str::<serde_json::Value>(text).ok())
        .find_map(|value| value["simulated"].as_bool());
    let known = match simulated {
        Some(_) => UNREAD.to_owned(),
        None => format!("{UNREAD}; whether it was simulated is unknown"),
    };
    RunSummary {
        id: row.new.id.clone(),
        event: Untrusted::new(row.new.requested_event.clone()),
        title: None,
        identity: None,
        state: match row.status {
            RunStatus::Queued => RunState::Queued,
            RunStatus::Running => RunState::Running,
            RunStatus::Finished => RunState::Finished,
            RunStatus::Cancelled => RunState::Cancelled,
            RunStatus::Failed => RunState::Failed,
        },
        steps: Vec::new(),
        action: row
            .action
            .as_ref()
            .and_then(|word| serde_json::from_value(word.as_str().into()).ok()),
        rule: None,
        reason: Some(Untrusted::new(known)),
        why: None,
        evidence: None,
        cause: None,
        simulated: simulated.unwrap_or_default(),
        created_ms: row.new.created_ms,
        started_ms: row.started_ms,
        finished_ms: row.finished_ms,
        duration_ms: None,
        waited_ms: None,
        model_ms: None,
        micro_usd: None,
    }
}

/// Why a run has no details.
const UNREAD: &str = "written by another version of bsm; its details cannot be read";

/// Fills in what the rules say for every step that has not ended: a run that is cancelled, or set aside,
/// must not look as if nothing had been found.
pub fn fill_rule_verdicts(view: &mut RunResult, workspace: &Workspace, input: &Input) {
    for step in view.agents.iter_mut().filter(|s| !s.status.is_over()) {
        if let Some(agent) = workspace.agent(&step.agent_id) {
            let (findings, verdict) = by_rules(agent, input);
            (step.findings, step.verdict) = (findings, Some(verdict));
        }
    }
}

/// A reason with the worst thing that was found, so that it is not lost on the way to a person.
pub fn with_worst(reason: &str, view: &RunResult) -> String {
    let all = view.agents.iter().flat_map(|s| &s.findings);
    let worst = all
        .filter(|f| f.severity >= Severity::High)
        .max_by_key(|f| f.severity);
    worst.map_or_else(
        || reason.to_owned(),
        |f| format!("{reason}; the rules found {}{}", f.rule, at(f)),
    )
}

/// What rules and models together looked at.
pub fn coverage_with(input: &Input, steps: &[Step]) -> Coverage {
    let mut coverage = input.coverage.clone();
    if steps.iter().any(|s| s.model.is_some()) {
        let left_out = steps.iter().flat_map(|s| &s.left_out);
        let unique: BTreeSet<&Untrusted> = left_out.chain(&input.not_kept).collect();
        for path in unique {
            coverage.skip(
                path,
                "not shown to the model: the change is larger than its room",
            );
        }
    }
    coverage
}
