//! Figures of webhooks, outbox and approvals for the snapshot, and the signal that wakes the outbox.
//!
//! Why together: whoever adds a publication or decides an approval changes both, and neither the outbox nor
//! the approvals need to know each other for it.

use std::sync::{Arc, Mutex};

use tokio::sync::Notify;

use crate::engine::durable::Durable;
use crate::engine::notifier::Notifier;
use crate::engine::protocol::github::GithubStats;
use crate::journal::JournalError;
use crate::resilience::clock::lock;

/// One per engine.
pub struct PublicationStatus {
    durable: Arc<Durable>,
    notifier: Arc<Notifier>,
    stats: Mutex<GithubStats>,
    /// The outbox has something to send.
    pub wake_outbox: Notify,
    /// A comment asks for something.
    pub wake_comments: Notify,
}

impl PublicationStatus {
    /// All zero until [`Self::recount`].
    pub fn new(durable: Arc<Durable>, notifier: Arc<Notifier>) -> Arc<Self> {
        Arc::new(Self {
            durable,
            notifier,
            stats: Mutex::default(),
            wake_outbox: Notify::new(),
            wake_comments: Notify::new(),
        })
    }

    /// The figures.
    pub fn get(&self) -> GithubStats {
        *lock(&self.stats)
    }

    /// Changes the counters of webhooks.
    pub fn count(&self, change: impl FnOnce(&mut GithubStats)) {
        change(&mut lock(&self.stats));
    }

    /// Reads the figures of outbox and approvals from the journal.
    ///
    /// # Errors
    /// As all reading of the journal.
    pub async fn recount(&self) -> Result<(), JournalError> {
        let outbox = self.durable.journal.outbox_counts().await?;
        let approvals = self.durable.journal.approvals_waiting().await?;
        let behind = self.durable.journal.pulls_behind().await?;
        let oldest = approvals.iter().map(|a| a.created_ms).min();
        self.count(|stats| {
            stats.outbox = outbox.into();
            stats.approvals = approvals.len() as u32;
            stats.oldest_approval_ms = oldest;
            stats.behind = behind;
        });
        self.notifier.mark_changed();
        Ok(())
    }
}
