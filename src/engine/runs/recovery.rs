//! What an earlier process left: unfinished runs are continued, reports that were decided but not written are
//! written, and a run that may have brought the engine down is set aside.

use std::sync::Arc;

use crate::engine::code_host::publisher::Publisher;
use crate::engine::config::store::ConfigStore;
use crate::engine::durable::Durable;
use crate::engine::lifecycle::Lifecycle;
use crate::engine::notifier::Notifier;
use crate::engine::protocol::run::{Cause, Decision, Evidence, Input, Plan, RunState, StepStatus};
use crate::engine::runs::completion::{Completion, Ended};
use crate::engine::runs::executor::Executor;
use crate::engine::runs::projection::{
    RunLabel, fill_rule_verdicts, first_view, put_step, with_worst,
};
use crate::engine::runs::registry::RunRegistry;
use crate::journal::{JournalError, RunRow, RunStatus};

/// A run found active after this many starts is set aside: the second time it ran alone, so it is what brought
/// the engine down.
const MOST_STARTS: u32 = 2;

/// One per engine.
pub struct Recovery {
    /// Mode and tasks.
    pub lifecycle: Arc<Lifecycle>,
    /// Alerts.
    pub notifier: Arc<Notifier>,
    /// The workspace.
    pub store: Arc<ConfigStore>,
    /// Where the runs are.
    pub durable: Arc<Durable>,
    /// Runs in memory.
    pub registry: Arc<RunRegistry>,
    /// Continues runs.
    pub executor: Arc<Executor>,
    /// What a run that is set aside publishes.
    pub publisher: Arc<Publisher>,
    /// Ends runs and writes reports.
    pub completion: Arc<Completion>,
}

impl Recovery {
    /// Continues what was left. Runs are in the live list when this returns; what must write first goes on in
    /// the background, so that a full disk cannot keep the console from opening.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub async fn resume(self: Arc<Self>) -> Result<(), JournalError> {
        for row in self.durable.journal.unfinished().await? {
            let plan: Result<Plan, _> = serde_json::from_str(&row.new.plan);
            let input: Result<Input, _> = serde_json::from_str(&row.new.input);
            let (Ok(plan), Ok(input)) = (plan, input) else {
                let id = &row.new.id;
                let text = format!("run {id} in the journal cannot be read and is left alone");
                self.notifier.alert(true, text);
                continue;
            };
            if row.finished_ms.is_some() {
                let this = Arc::clone(&self);
                self.lifecycle.spawn(async move {
                    let text = row.report_text.clone().unwrap_or_default();
                    let reports = &this.completion.reports;
                    let written = reports.write(&row.new.id, &row.new.report_name, text).await;
                    log_failure(&row, written);
                });
            } else if plan.simulated != self.lifecycle.mode.simulated {
                self.alert_other_mode(&row, &plan);
            } else if let Some(reason) = self.reason_to_quarantine(&row).await? {
                let this = Arc::clone(&self);
                self.lifecycle.spawn(async move {
                    let ended = this.quarantine(&row, &plan, &input, &reason).await;
                    log_failure(&row, ended);
                });
            } else {
                self.executor
                    .launch(&row.new, &plan, &input, row.starts > 0);
                if row.cancel
                    && let Some(live) = self.registry.get(&row.new.id)
                {
                    live.cancel.cancel();
                }
            }
        }
        Ok(())
    }

    /// Why a run is not continued: it was active at two crashes, the second time alone; or something says that it
    /// ended, and its decision cannot be read.
    async fn reason_to_quarantine(&self, row: &RunRow) -> Result<Option<String>, JournalError> {
        if row.starts >= MOST_STARTS {
            return Ok(Some(format!(
                "the engine stopped {} times while it was active; it is set aside",
                row.starts
            )));
        }
        if self.durable.notice().is_none() {
            return Ok(None);
        }
        let report = self.completion.reports.folder();
        let has_report = report.is_some_and(|r| r.path_of(&row.new.report_name).exists());
        let ended = has_report || self.durable.journal.has_trace_of_end(&row.new.id).await?;
        Ok(ended.then(|| {
            let what = if has_report { "its report" } else { "a publication or a memory" };
            format!(
                "{what} says that it ended, but its decision was lost with the damaged journal; it is not run again"
            )
        }))
    }

    fn alert_other_mode(&self, row: &RunRow, plan: &Plan) {
        let mode = if plan.simulated {
            "under --simulate"
        } else {
            "with real models"
        };
        let id = &row.new.id;
        self.notifier.alert(
            false,
            format!("run {id} was accepted {mode} and waits for such an engine"),
        );
    }

    /// Ends a run that is not continued, with what it has.
    async fn quarantine(
        &self,
        row: &RunRow,
        plan: &Plan,
        input: &Input,
        reason: &str,
    ) -> Result<(), JournalError> {
        let workspace = self.store.workspace();
        let mut view = first_view(&row.new, plan, input);
        for step in self.durable.journal.steps(&row.new.id).await? {
            put_step(&mut view, &step);
        }
        fill_rule_verdicts(&mut view, &workspace, input);
        for step in view.agents.iter_mut().filter(|s| !s.status.is_over()) {
            step.status = StepStatus::Cancelled;
        }
        self.notifier
            .alert(true, format!("run {}: {reason}", row.new.id));
        view.decision = Some(Decision::unfinished(
            Cause::Quarantined,
            with_worst(reason, &view),
        ));
        view.state = RunState::Failed;
        view.evidence = Evidence::Partial;
        let approval = self.publisher.hold(&workspace, plan, input, &view);
        self.completion
            .conclude(Ended {
                new: &row.new,
                view,
                status: RunStatus::Failed,
                label: RunLabel::new(&row.new, input),
                started_ms: row.started_ms,
                approval,
                memory: None,
            })
            .await
    }
}

fn log_failure(row: &RunRow, done: Result<(), JournalError>) {
    if let Err(error) = done {
        tracing::warn!(run = row.new.id, "not continued: {error}");
    }
}
