//! Writes reports' files. One that could not be written is tried again while the engine runs, with growing pauses.
//!
//! Why from the journal: the text is there, so that a disk that is full for a day costs no memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use tokio::sync::Notify;

use crate::engine::config::store::ConfigStore;
use crate::engine::durable::Durable;
use crate::engine::failpoint;
use crate::engine::lifecycle::Lifecycle;
use crate::engine::notifier::Notifier;
use crate::engine::runs::report::{self, ReportFolder};
use crate::files::FileError;
use crate::journal::JournalError;
use crate::text::clean_line;

/// The first pause before reports are tried again; it doubles.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Reports that are read at once.
const AT_ONCE: u32 = 50;
/// After so many failures a pass ends: the folder is what fails.
const MOST_FAILURES: u32 = 20;

/// One per engine.
pub struct ReportWriter {
    lifecycle: Arc<Lifecycle>,
    notifier: Arc<Notifier>,
    /// The flag that says how files are written.
    store: Arc<ConfigStore>,
    durable: Arc<Durable>,
    /// Where reports go; `None`: nowhere.
    folder: Option<ReportFolder>,
    /// Some report could not be written.
    failing: AtomicBool,
    failed: Notify,
}

impl ReportWriter {
    /// Nothing has failed yet.
    pub fn new(
        lifecycle: Arc<Lifecycle>,
        notifier: Arc<Notifier>,
        store: Arc<ConfigStore>,
        durable: Arc<Durable>,
        folder: Option<ReportFolder>,
    ) -> Arc<Self> {
        Arc::new(Self {
            lifecycle,
            notifier,
            store,
            durable,
            folder,
            failing: AtomicBool::new(false),
            failed: Notify::new(),
        })
    }

    /// Where reports go; `None`: nowhere.
    pub fn folder(&self) -> Option<&ReportFolder> {
        self.folder.as_ref()
    }

    /// Writes a run's report. One that cannot be written now is written later.
    ///
    /// # Errors
    /// The engine stops before the journal knows that the report is written.
    pub async fn write(&self, id: &str, name: &str, text: String) -> Result<(), JournalError> {
        if let Err(error) = self.try_write(id, name, text).await? {
            if !self.failing.swap(true, Relaxed) {
                let why = clean_line(&error.to_string(), 300);
                let text =
                    format!("the report of {id} cannot be written: {why}; it is tried again");
                self.notifier.alert(true, text);
            }
            self.failed.notify_one();
        }
        Ok(())
    }

    /// Tries again what failed, until the engine stops.
    pub async fn run(self: Arc<Self>) {
        let stopping = &self.lifecycle.stopping;
        loop {
            tokio::select! {
                () = stopping.cancelled() => return,
                () = self.failed.notified() => {}
            }
            let mut pause = FIRST_PAUSE;
            loop {
                tokio::select! {
                    () = stopping.cancelled() => return,
                    () = tokio::time::sleep(pause) => {}
                }
                match self.write_all().await {
                    Ok(true) => break,
                    Err(JournalError::Closed) => return,
                    Ok(false) | Err(_) => pause = (pause * 2).min(LONGEST_PAUSE),
                }
            }
            if self.failing.swap(false, Relaxed) {
                let text = "reports can be written again".to_owned();
                self.notifier.alert(false, text);
            }
        }
    }

    /// Every report that is not written; false: some still are not.
    async fn write_all(&self) -> Result<bool, JournalError> {
        let (mut after, mut failures) = (String::new(), 0);
        loop {
            let journal = &self.durable.journal;
            let unwritten = journal.unwritten_reports(after, AT_ONCE).await?;
            let Some(last) = unwritten.last() else {
                return Ok(failures == 0);
            };
            after = last.id.clone();
            for report in unwritten {
                let written = self
                    .try_write(&report.id, &report.name, report.text)
                    .await?;
                if let Err(error) = written {
                    tracing::warn!(run = report.id, "its report cannot be written: {error}");
                    failures += 1;
                    if failures >= MOST_FAILURES {
                        return Ok(false);
                    }
                }
            }
        }
    }

    /// Never on a thread of the runtime: on one of its blocking threads, or, with the flag `asyncFileIo` off, on a
    /// thread of its own.
    async fn try_write(
        &self,
        id: &str,
        name: &str,
        text: String,
    ) -> Result<Result<(), FileError>, JournalError> {
        let journal = &self.durable.journal;
        let Some(folder) = self.folder.clone() else {
            return journal.report_written(id).await.map(Ok);
        };
        let file = name.to_owned();
        let save = move || report::save(&folder, &file, &text);
        let saved = if self.store.settings().flags.async_file_io {
            tokio::task::spawn_blocking(save).await.ok()
        } else {
            on_own_thread(save).await
        };
        let saved = saved.unwrap_or_else(|| Err(FileError::NotAFile(name.into())));
        if let Err(error) = saved {
            return Ok(Err(error));
        }
        failpoint::reached("report-written");
        let written = self.durable.persist(|| journal.report_written(id)).await;
        written.map(Ok)
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
