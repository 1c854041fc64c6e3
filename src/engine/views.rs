//! A run as it is shown: live, in a list, and as the journal kept it.

use super::types::command::payload_title;
use super::types::run::{Evidence, Input, Plan, RunResult, RunState, SCHEMA_VERSION, Step};
use super::types::snapshot::{RunBrief, StepBrief};
use crate::journal::{NewRun, RunRow, RunStatus, StepRow};
use crate::text::Untrusted;
use std::collections::BTreeSet;

pub(super) fn first_view(new: &NewRun, plan: &Plan, input: &Input) -> RunResult {
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

pub(super) fn put(view: &mut RunResult, row: &StepRow) {
    if let Ok(step) = serde_json::from_str::<Step>(&row.result)
        && let Some(place) = view.agents.iter_mut().find(|s| s.agent_id == step.agent_id)
    {
        *place = step;
    }
}

/// A run's entry in lists.
pub fn brief(
    view: &RunResult,
    title: Option<Untrusted>,
    started_ms: Option<i64>,
    finished_ms: Option<i64>,
) -> RunBrief {
    RunBrief {
        id: view.run_id.clone(),
        event: view
            .requested_event
            .clone()
            .unwrap_or_else(|| Untrusted::new(view.event.clone())),
        title,
        state: view.state,
        steps: view
            .agents
            .iter()
            .map(|s| StepBrief {
                agent: s.agent_id.clone(),
                status: s.status,
                verdict: s.verdict,
            })
            .collect(),
        action: view.decision.as_ref().map(|d| d.action),
        rule: view.decision.as_ref().map(|d| d.rule),
        reason: view
            .decision
            .as_ref()
            .map(|d| Untrusted::new(crate::text::cut(d.reason.raw(), 200))),
        evidence: view.decision.as_ref().map(|_| view.evidence),
        cause: view.decision.as_ref().and_then(|d| d.cause),
        simulated: view.simulated,
        created_ms: view.created_at,
        started_ms,
        finished_ms,
        duration_ms: view.duration_ms,
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
        put(&mut view, step);
    }
    Some(view)
}

/// A run of the journal's list.
pub fn brief_of_row(row: &RunRow) -> Option<RunBrief> {
    let view = from_row(row, &[])?;
    let payload = serde_json::from_str::<Input>(&row.new.input)
        .ok()
        .and_then(|i| payload_title(&i.payload));
    Some(brief(&view, payload, row.started_ms, row.finished_ms))
}
