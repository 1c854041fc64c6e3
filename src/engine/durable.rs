//! The journal, with writes that are repeated until they succeed: finished work is not lost to a full disk.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::engine::lifecycle::Lifecycle;
use crate::engine::notifier::Notifier;
use crate::journal::{Journal, JournalError};
use crate::resilience::clock::lock;
use crate::telemetry::availability::Availability;

/// Pause between two tries of one write.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// One per engine.
pub struct Durable {
    /// For reads, and for writes whose failure the caller reports.
    pub journal: Journal,
    lifecycle: Arc<Lifecycle>,
    notifier: Arc<Notifier>,
    /// Share of the time in which the journal could be written.
    availability: Availability,
    retries: AtomicU64,
    /// Writers whose last try failed.
    failing: AtomicU32,
    /// The journal was recovered, and no operator has acknowledged it.
    notice: Mutex<Option<String>>,
}

impl Durable {
    /// Over an open journal.
    pub fn new(journal: Journal, lifecycle: Arc<Lifecycle>, notifier: Arc<Notifier>) -> Arc<Self> {
        Arc::new(Self {
            notice: Mutex::new(journal.notes().notice.clone()),
            journal,
            availability: Availability::new(lifecycle.now()),
            lifecycle,
            notifier,
            retries: AtomicU64::new(0),
            failing: AtomicU32::new(0),
        })
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
        let result = loop {
            match write().await {
                Ok(done) => break Ok(done),
                Err(JournalError::Closed) => break Err(JournalError::Closed),
                Err(error) => {
                    self.retries.fetch_add(1, Relaxed);
                    if !failed {
                        failed = true;
                        self.failing.fetch_add(1, Relaxed);
                        self.availability.set(false, self.lifecycle.now());
                        self.notifier
                            .alert(true, format!("{error}; work waits until it can be kept"));
                    }
                }
            }
            tokio::select! {
                () = tokio::time::sleep(RETRY_PAUSE) => {}
                () = self.lifecycle.stopping.cancelled() => break Err(JournalError::Closed),
            }
        };
        if failed && self.failing.fetch_sub(1, Relaxed) == 1 {
            self.availability.set(true, self.lifecycle.now());
            self.notifier
                .alert(false, "the journal can be written again".into());
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

    /// Share of the time since the start in which the journal could be written, percent, two decimals.
    pub fn availability_percent(&self) -> f64 {
        let percent = self.availability.percent(self.lifecycle.now());
        (percent * 100.0).floor() / 100.0
    }
}
