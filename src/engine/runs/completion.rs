//! The end of every run: decision and report in one transaction, then the report's file, then the lists.

use std::sync::Arc;

use crate::engine::code_host::approvals::Approvals;
use crate::engine::code_host::stats::PublicationStatus;
use crate::engine::durable::Durable;
use crate::engine::failpoint;
use crate::engine::lifecycle::Lifecycle;
use crate::engine::memory::index::MemoryIndex;
use crate::engine::notifier::Notifier;
use crate::engine::protocol::event::Event;
use crate::engine::protocol::run::{Action, RunResult};
use crate::engine::runs::projection::{RunLabel, summary};
use crate::engine::runs::registry::RunRegistry;
use crate::engine::runs::report;
use crate::engine::runs::report_writer::ReportWriter;
use crate::journal::{ApprovalRow, Finish, JournalError, NewMemory, NewRun, RunStatus};

/// A run that has ended.
pub struct Ended<'a> {
    /// As it was kept at intake.
    pub new: &'a NewRun,
    /// All of it, with its decision.
    pub view: RunResult,
    /// How it ended.
    pub status: RunStatus,
    /// What it is called in lists.
    pub label: RunLabel,
    /// First started, wall time in milliseconds.
    pub started_ms: Option<i64>,
    /// What publishing it waits for.
    pub approval: Option<ApprovalRow>,
    /// What is remembered.
    pub memory: Option<NewMemory>,
}

/// One per engine.
pub struct Completion {
    /// Clock.
    pub lifecycle: Arc<Lifecycle>,
    /// Events and alerts.
    pub notifier: Arc<Notifier>,
    /// Where the decision is kept.
    pub durable: Arc<Durable>,
    /// Runs in memory.
    pub registry: Arc<RunRegistry>,
    /// Alerts about what waits.
    pub approvals: Arc<Approvals>,
    /// Wakes the outbox.
    pub status: Arc<PublicationStatus>,
    /// Remembers the decision.
    pub memory: Arc<MemoryIndex>,
    /// Writes the report.
    pub reports: Arc<ReportWriter>,
}

impl Completion {
    /// Ends a run: decision, report, journal, file, lists.
    ///
    /// # Errors
    /// The engine stops before the decision is kept.
    pub async fn conclude(&self, ended: Ended<'_>) -> Result<(), JournalError> {
        let Ended { new, mut view, .. } = ended;
        let action = view
            .decision
            .as_ref()
            .map_or(Action::ManualReview, |d| d.action);
        if let Some(folder) = self.reports.folder() {
            view.report = Some(folder.path_of(&new.report_name).display().to_string());
        }
        let text = report::render(&view);
        let at_ms = self.lifecycle.wall_ms();
        let line = summary(&view, &ended.label, ended.started_ms, Some(at_ms), None);
        let finish = Finish {
            id: new.id.clone(),
            status: ended.status,
            at_ms,
            result: serde_json::to_string(&view)?,
            brief: serde_json::to_string(&line)?,
            action: action.as_str().to_owned(),
            report: text.clone(),
            publications: Vec::new(),
            approval: ended.approval,
            memory: ended.memory,
        };
        failpoint::reached("decision-made");
        let journal = &self.durable.journal;
        let kept = self
            .durable
            .persist(|| journal.finish(finish.clone()))
            .await?;
        if let (Some(item), Some(number)) = (&finish.memory, kept) {
            self.memory.insert(item, number);
        }
        failpoint::reached("decision-kept");
        if let Some(held) = &finish.approval {
            self.approvals.alert_waiting(&held.id, &held.what);
        }
        self.status.wake_outbox.notify_one();
        self.reports.write(&new.id, &new.report_name, text).await?;
        tracing::info!(
            run = new.id,
            corr = new.correlation,
            action = action.as_str(),
            ms = view.duration_ms,
            "run ended"
        );
        let now = self.lifecycle.now();
        self.registry.retire(&view, action, line, now);
        self.notifier.publish(Event::RunFinished {
            run: new.id.clone(),
            action,
        });
        Ok(())
    }
}
