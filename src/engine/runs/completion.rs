//! The end of every run: decision and report in one transaction, then the report's file, then the lists.

use std::sync::Arc;

use crate::engine::config::store::ConfigStore;
use crate::engine::durable::Durable;
use crate::engine::failpoint;
use crate::engine::github::approvals::Approvals;
use crate::engine::github::publisher::Publishing;
use crate::engine::github::stats::PublicationStatus;
use crate::engine::lifecycle::Lifecycle;
use crate::engine::memory::index::MemoryIndex;
use crate::engine::notifier::Notifier;
use crate::engine::protocol::event::Event;
use crate::engine::protocol::run::{Action, RunResult};
use crate::engine::runs::projection::summary;
use crate::engine::runs::registry::RunRegistry;
use crate::engine::runs::report::{self, ReportFolder};
use crate::files::FileError;
use crate::journal::{Finish, JournalError, NewMemory, NewRun, RunStatus};
use crate::text::{Untrusted, clean_line};

/// A run that has ended.
pub struct Ended<'a> {
    /// As it was kept at intake.
    pub new: &'a NewRun,
    /// All of it, with its decision.
    pub view: RunResult,
    /// How it ended.
    pub status: RunStatus,
    /// Its title in lists.
    pub title: Option<Untrusted>,
    /// First started, wall time in milliseconds.
    pub started_ms: Option<i64>,
    /// What is published.
    pub publishing: Publishing,
    /// What is remembered.
    pub memory: Option<NewMemory>,
}

/// One per engine.
pub struct Completion {
    /// Clock.
    pub lifecycle: Arc<Lifecycle>,
    /// Events and alerts.
    pub notifier: Arc<Notifier>,
    /// The flag that says how files are written.
    pub store: Arc<ConfigStore>,
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
    /// Where reports go; `None`: nowhere.
    pub reports: Option<ReportFolder>,
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
        if let Some(folder) = &self.reports {
            view.report = Some(folder.path_of(&new.report_name).display().to_string());
        }
        let text = report::render(&view);
        let at_ms = self.lifecycle.wall_ms();
        let line = summary(&view, ended.title, ended.started_ms, Some(at_ms));
        let finish = Finish {
            id: new.id.clone(),
            status: ended.status,
            at_ms,
            result: serde_json::to_string(&view)?,
            brief: serde_json::to_string(&line)?,
            action: action.as_str().to_owned(),
            report: text.clone(),
            publications: ended.publishing.publications,
            approval: ended.publishing.approval,
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
        if !finish.publications.is_empty() {
            self.status.wake_outbox.notify_one();
        }
        self.write_report(new, &text).await?;
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

    /// Writes the report's file. Never on a thread of the runtime: on one of its blocking threads, or, with the
    /// flag `asyncFileIo` off, on a thread of its own.
    ///
    /// # Errors
    /// The engine stops before the journal knows that the report is written.
    pub async fn write_report(&self, new: &NewRun, text: &str) -> Result<(), JournalError> {
        let journal = &self.durable.journal;
        let Some(folder) = self.reports.clone() else {
            return journal.report_written(&new.id).await;
        };
        let (name, text) = (new.report_name.clone(), text.to_owned());
        let save = move || report::save(&folder, &name, &text);
        let saved = if self.store.settings().flags.async_file_io {
            tokio::task::spawn_blocking(save).await.ok()
        } else {
            on_own_thread(save).await
        };
        let saved =
            saved.unwrap_or_else(|| Err(FileError::NotAFile(new.report_name.clone().into())));
        match saved {
            Ok(_) => {
                failpoint::reached("report-written");
                self.durable
                    .persist(|| journal.report_written(&new.id))
                    .await
            }
            Err(error) => {
                // The text is in the journal; the next start tries again.
                self.notifier.alert(
                    true,
                    format!(
                        "the report of {} cannot be written: {}",
                        new.id,
                        clean_line(&error.to_string(), 300)
                    ),
                );
                Ok(())
            }
        }
    }
}

/// Runs blocking work on a new thread; `None`: the thread could not be started, or panicked.
async fn on_own_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let thread = std::thread::Builder::new().name("bsm-report".into());
    thread
        .spawn(move || {
            // The receiver may be gone: the engine stopped.
            let _ = sender.send(work());
        })
        .ok()?;
    receiver.await.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn report_with_async_file_io_off_is_written_on_a_thread_of_its_own() {
        let name = on_own_thread(|| std::thread::current().name().map(str::to_owned)).await;
        assert_eq!(name.flatten().as_deref(), Some("bsm-report"));
    }
}
