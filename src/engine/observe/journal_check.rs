//! Reads the whole journal in the background, slowly, after a start and every day: damage in what nobody reads is
//! found while the other copies of it are still there.

use std::sync::Arc;
use std::time::Duration;

use crate::engine::durable::Durable;
use crate::engine::lifecycle::Lifecycle;
use crate::engine::notifier::Notifier;
use crate::journal::{Journal, JournalError, Piece};

/// After the start: what waits for the engine goes first.
const BEGIN_AFTER: Duration = Duration::from_secs(1);
/// Between two pieces.
const PAUSE: Duration = Duration::from_millis(100);
/// After a disk did not read.
const RETRY_AFTER: Duration = Duration::from_secs(60);
/// Between two passes.
const EVERY: Duration = Duration::from_secs(86_400);

/// One per engine.
pub struct JournalCheck {
    /// The stop.
    pub lifecycle: Arc<Lifecycle>,
    /// Alerts.
    pub notifier: Arc<Notifier>,
    /// The journal, and who is told.
    pub durable: Arc<Durable>,
}

impl JournalCheck {
    /// Passes over the journal until the engine stops or damage is found.
    pub async fn run(self) {
        let mut wait = BEGIN_AFTER;
        loop {
            tokio::select! {
                () = self.lifecycle.stopping.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
            match pass(&self.durable.journal).await {
                Ok(Some(what)) => return self.report(&what).await,
                Ok(None) => wait = EVERY,
                Err(JournalError::Closed) => return,
                Err(error) => {
                    tracing::warn!("the journal could not be read through: {error}");
                    wait = RETRY_AFTER;
                }
            }
        }
    }

    async fn report(&self, what: &str) {
        self.durable.note_damage(what);
        self.notifier.alert(
            true,
            format!("the journal is damaged: {what}; runs are refused. Stop the engine, run `bsm state repair`, start it again"),
        );
        // The next start reads all of it and repairs it.
        if let Err(error) = self.durable.journal.mark_damaged(what).await {
            tracing::warn!("that the journal is damaged could not be written down: {error}");
        }
    }
}

/// One pass: damage, if there is any.
async fn pass(journal: &Journal) -> Result<Option<String>, JournalError> {
    let Some(mut verification) = journal.verification() else {
        return Ok(None);
    };
    loop {
        let step = tokio::task::spawn_blocking(move || {
            let piece = verification.step();
            (verification, piece)
        });
        let (back, piece) = step.await.map_err(|_| JournalError::Closed)?;
        verification = back;
        match piece? {
            Piece::More => tokio::time::sleep(PAUSE).await,
            Piece::Whole { records } => {
                tracing::info!(records, "the whole journal was read, nothing is wrong");
                return Ok(None);
            }
            Piece::Damage(what) => return Ok(Some(what)),
        }
    }
}
