//! The journal, with writes that are repeated until they succeed: finished work is not lost to a full disk.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;

use crate::engine::lifecycle::Lifecycle;
use crate::engine::notifier::Notifier;
use crate::engine::watched_files::WatchedFiles;
use crate::journal::{Journal, JournalError};
use crate::resilience::clock::lock;

/// Pause between two tries of one write.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// The alert about work that cannot be kept.
const NOT_WRITABLE: &str = "journal-not-writable";

/// One per engine.
pub struct Durable {
    /// For reads, and for writes whose failure the caller reports.
    pub journal: Journal,
    /// Its files, and the others that must stay what they were.
    pub files: Arc<WatchedFiles>,
    lifecycle: Arc<Lifecycle>,
    notifier: Arc<Notifier>,
    retries: AtomicU64,
    /// Writers whose last try failed.
    failing: AtomicU32,
    /// The journal was recovered, and no operator has acknowledged it.
    notice: Mutex<Option<String>>,
    /// Damage that was found while the engine works.
    damage: Mutex<Option<String>>,
    /// The newest run or webhook that could not be kept: wall time in milliseconds, why.
    refused: Mutex<Option<(i64, String)>>,
    refusal: Notify,
}

impl Durable {
    /// Over an open journal.
    pub fn new(
        journal: Journal,
        files: Arc<WatchedFiles>,
        lifecycle: Arc<Lifecycle>,
        notifier: Arc<Notifier>,
    ) -> Arc<Self> {
        Arc::new(Self {
            notice: Mutex::new(journal.notes().notice.clone()),
            journal,
            files,
            lifecycle,
            notifier,
            retries: AtomicU64::new(0),
            failing: AtomicU32::new(0),
            damage: Mutex::default(),
            refused: Mutex::default(),
            refusal: Notify::new(),
        })
    }

    /// Nothing may be acknowledged that is written into a file which was deleted or replaced. Looks once a commit,
    /// after it; between commits the look of health, every 2 seconds, counts.
    ///
    /// # Errors
    /// [`JournalError::ReadOnly`] names the file and what to do.
    pub fn check_files(&self) -> Result<(), JournalError> {
        match self.files.lost_after(self.journal.commits()).first() {
            None => Ok(()),
            Some(file) => Err(JournalError::ReadOnly(format!(
                "{}; stop the engine, put the file back, start it again",
                file.sentence()
            ))),
        }
    }

    /// Nothing new is accepted into a journal that is damaged, or whose file is gone. Work in flight goes on.
    ///
    /// # Errors
    /// [`JournalError::ReadOnly`] says what is wrong and what to do.
    pub fn check_intake(&self) -> Result<(), JournalError> {
        match self.damage() {
            None => self.check_files(),
            Some(what) => Err(JournalError::ReadOnly(format!(
                "it is damaged ({what}); stop the engine, run `bsm state repair`, start it again"
            ))),
        }
    }

    /// Damage was found in the journal: intake is refused until the engine is started again, which repairs it.
    pub fn note_damage(&self, what: &str) {
        *lock(&self.damage) = Some(what.to_owned());
        self.notifier.mark_changed();
    }

    /// Damage that was found while the engine works, as a sentence.
    pub fn damage(&self) -> Option<String> {
        lock(&self.damage).clone()
    }

    /// A run or a webhook was refused because it could not be kept.
    pub fn note_refused(&self, why: &str) {
        *lock(&self.refused) = Some((self.lifecycle.wall_ms(), why.to_owned()));
        self.refusal.notify_one();
        self.notifier.mark_changed();
    }

    /// The newest refusal: wall time in milliseconds, why.
    pub fn last_refused(&self) -> Option<(i64, String)> {
        lock(&self.refused).clone()
    }

    /// Returns when something was refused, or finished work could not be written.
    pub async fn write_was_refused(&self) {
        self.refusal.notified().await;
    }

    /// Writes until it succeeds. Stops trying only when the engine stops.
    ///
    /// # Errors
    /// [`JournalError::Closed`] alone.
    pub async fn persist<T, F, Fut>(&self, mut write: F) -> Result<T, JournalError>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T, JournalError>>,
    {
        let mut failed = false;
        // Written, but perhaps into a file that is gone; never written twice.
        let mut written = None;
        let result = loop {
            let tried = match (self.check_files(), written.take()) {
                (Err(error), earlier) => {
                    written = earlier;
                    Err(error)
                }
                (Ok(()), Some(done)) => break Ok(done),
                (Ok(()), None) => write().await,
            };
            match tried {
                Ok(done) => {
                    written = Some(done);
                    continue;
                }
                Err(JournalError::Closed) => break Err(JournalError::Closed),
                Err(error) => {
                    self.retries.fetch_add(1, Relaxed);
                    if !failed {
                        failed = true;
                        self.failing.fetch_add(1, Relaxed);
                        self.refusal.notify_one();
                        let text = format!("{error}; work waits until it can be kept");
                        self.notifier.raise(NOT_WRITABLE, "work", text);
                    }
                }
            }
            tokio::select! {
                () = tokio::time::sleep(RETRY_PAUSE) => {}
                () = self.lifecycle.stopping.cancelled() => break Err(JournalError::Closed),
            }
        };
        if failed && self.failing.fetch_sub(1, Relaxed) == 1 {
            let text = "the journal can be written again".to_owned();
            self.notifier.resolve(NOT_WRITABLE, "work", text);
        }
        result
    }

    /// What an operator has to read about a recovered journal. Until it is acknowledged no schedule runs, nothing
    /// is published and no money is spent.
    pub fn notice(&self) -> Option<String> {
        lock(&self.notice).clone()
    }

    /// An operator has read the notice; false: there was none.
    ///
    /// # Errors
    /// The journal cannot be written; then the notice stays.
    pub async fn acknowledge(&self, by: &str) -> Result<bool, JournalError> {
        if self.notice().is_none() {
            return Ok(false);
        }
        self.journal
            .acknowledge(by, self.lifecycle.wall_ms())
            .await?;
        *lock(&self.notice) = None;
        Ok(true)
    }

    /// Writes that failed and were repeated, since the start.
    pub fn retries(&self) -> u64 {
        self.retries.load(Relaxed)
    }

    /// Some write is failing right now.
    pub fn is_failing(&self) -> bool {
        self.failing.load(Relaxed) > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::protocol::snapshot::Mode;
    use crate::resilience::clock::{Clock, SystemClock};
    use crate::state::StateDir;
    use tokio::runtime::Handle;

    /// Work in flight whose journal was deleted is written once and not acknowledged.
    #[tokio::test(start_paused = true)]
    async fn persist_into_a_deleted_journal_does_not_return_until_the_same_file_is_back() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::at(dir.path());
        let away = dir.path().join("away");
        let journal = Journal::open(&state.journal()).unwrap();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let durable = Durable::new(
            journal,
            WatchedFiles::of(&state),
            Lifecycle::new(Arc::clone(&clock), Mode::default()),
            Notifier::new(clock),
        );
        let writes = AtomicU32::new(0);
        let mut work = Box::pin(durable.persist(async || {
            writes.fetch_add(1, Relaxed);
            // On a blocking thread: the paused clock stands still while it works.
            let (journal, runtime) = (durable.journal.clone(), Handle::current());
            let probe = move || runtime.block_on(journal.probe(1));
            tokio::task::spawn_blocking(probe).await.unwrap()?;
            // Deleted while the write was under way.
            std::fs::rename(state.journal(), &away).unwrap();
            Ok(())
        }));
        let waited = tokio::time::timeout(Duration::from_secs(60), &mut work).await;
        assert!(waited.is_err(), "acknowledged into a deleted file");
        assert!(durable.is_failing() && durable.retries() > 10);
        std::fs::rename(&away, state.journal()).unwrap();
        work.await.unwrap();
        assert!(!durable.is_failing());
        assert_eq!(writes.load(Relaxed), 1, "written once");
    }
}
