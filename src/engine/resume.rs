//! Taking up what an earlier process left: unfinished runs, reports that were decided but not written,
//! and runs that may have brought the engine down.

use super::core::Core;
use super::ending::{conclude, write_report};
use super::run::{launch, publications, stand_by_rules, with_worst};
use super::types::command::payload_title;
use super::types::run::{Cause, Decision, Evidence, Input, Plan, RunState, StepStatus};
use super::views::{first_view, put};
use crate::journal::{JournalError, RunRow, RunStatus};
use std::sync::Arc;

/// A run found active after this many starts is set aside: it may be what brought the engine down.
const MOST_STARTS: u32 = 2;

/// Takes up what an earlier process left: unfinished runs, and reports that were decided but not written.
/// Runs are in the live list when this returns; what must write first goes on in the background, so that
/// a full disk cannot keep the console from opening.
pub async fn resume(core: &Arc<Core>) -> Result<usize, JournalError> {
    let rows = core.journal.unfinished().await?;
    let count = rows.len();
    for row in rows {
        let plan: Result<Plan, _> = serde_json::from_str(&row.new.plan);
        let input: Result<Input, _> = serde_json::from_str(&row.new.input);
        match (plan, input) {
            (Ok(plan), Ok(_))
                if row.finished_ms.is_none() && plan.simulated != core.mode.simulated =>
            {
                let mode = if plan.simulated {
                    "under --simulate"
                } else {
                    "with real models"
                };
                core.alert(
                    false,
                    format!(
                        "run {} was taken in {mode} and waits for such an engine",
                        row.new.id
                    ),
                );
            }
            (Ok(plan), Ok(input)) if row.finished_ms.is_none() && row.starts < MOST_STARTS => {
                launch(core, &row.new, &plan, &input, row.starts > 0);
                if row.cancel
                    && let Some(live) = core.live(&row.new.id)
                {
                    live.cancel.cancel();
                }
            }
            (Ok(plan), Ok(input)) => {
                let core = Arc::clone(core);
                core.clone().tasks.spawn(async move {
                    let done = if row.finished_ms.is_some() {
                        write_report(
                            &core,
                            &row.new,
                            row.report_text.as_deref().unwrap_or_default(),
                        )
                        .await
                    } else {
                        quarantine(&core, &row, &plan, &input).await
                    };
                    if let Err(error) = done {
                        tracing::warn!(run = row.new.id, "not taken up: {error}");
                    }
                });
            }
            _ => core.alert(
                true,
                format!(
                    "run {} in the journal cannot be read and is left alone",
                    row.new.id
                ),
            ),
        }
    }
    Ok(count)
}

/// Goes on with a kept run that nobody works on (asked for again after a crash).
pub async fn take_up(core: &Arc<Core>, id: &str) -> Result<(), JournalError> {
    let Some(row) = core.journal.run(id).await? else {
        return Ok(());
    };
    if row.finished_ms.is_some() || core.live(id).is_some() {
        return Ok(());
    }
    let json = |e: serde_json::Error| JournalError::Sqlite(e.to_string());
    let plan: Plan = serde_json::from_str(&row.new.plan).map_err(json)?;
    let input: Input = serde_json::from_str(&row.new.input).map_err(json)?;
    if plan.simulated == core.mode.simulated {
        launch(core, &row.new, &plan, &input, row.starts > 0);
    }
    Ok(())
}

pub(super) async fn quarantine(
    core: &Arc<Core>,
    row: &RunRow,
    plan: &Plan,
    input: &Input,
) -> Result<(), JournalError> {
    let mut view = first_view(&row.new, plan, input);
    for step in core.journal.steps(&row.new.id).await? {
        put(&mut view, &step);
    }
    stand_by_rules(&mut view, &core.workspace.load(), input);
    for step in view.agents.iter_mut().filter(|s| !s.status.is_over()) {
        step.status = StepStatus::Cancelled;
    }
    let reason = format!(
        "the engine stopped {} times while it was active; it is set aside",
        row.starts
    );
    core.alert(true, format!("run {}: {reason}", row.new.id));
    view.decision = Some(Decision::unfinished(
        Cause::Quarantined,
        with_worst(&reason, &view),
    ));
    view.state = RunState::Failed;
    view.evidence = Evidence::Partial;
    let leaving = publications(core, &core.workspace.load_full(), plan, input, &view).await?;
    conclude(
        core,
        &row.new,
        view,
        RunStatus::Failed,
        payload_title(&input.payload),
        row.started_ms,
        leaving,
    )
    .await
}
