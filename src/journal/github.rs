//! Webhooks that came, and publications: both survive a crash.
//!
//! Why here: a webhook is answered only when it and its run are on disk in one transaction, and what a
//! decision publishes is written down together with the decision.

use super::rows::NewRun;
use crate::journal::comment_rows::CommentTask;
use crate::journal::connection::{Journal, ReadOnly};
use crate::journal::error::JournalError;
use crate::journal::github_rows::{
    DeliveryResult, DeliveryRow, KEYS_DAYS, OLDEST, OutboxCounts, OutboxRow, OutboxState,
    deliveries, outbox,
};
use crate::journal::pull_rows::PullRef;
use crate::journal::record::{Applied, Record};

impl Journal {
    /// Takes a webhook in, with the run it begins, unless one of its keys is known. `pull` is looked at again in
    /// either case. On disk when this returns.
    ///
    /// # Errors
    /// As all writing.
    pub async fn deliver(
        &self,
        delivery: DeliveryRow,
        keys: Vec<String>,
        run: Option<NewRun>,
        pull: Option<PullRef>,
        comment: Option<CommentTask>,
    ) -> Result<DeliveryResult, JournalError> {
        let record = Record::WebhookReceived {
            delivery,
            keys,
            run,
            pull: pull.map(Box::new),
            comment: comment.map(Box::new),
        };
        match self.append(record).await? {
            Applied::Delivery(result) => Ok(result),
            other => Err(JournalError::Row(format!("a webhook gave {other:?}"))),
        }
    }

    /// A webhook's run was begun again: its keys lead to the new one from now on.
    ///
    /// # Errors
    /// As all writing.
    pub async fn redeliver(&self, old: &str, new: &str) -> Result<(), JournalError> {
        let (old, new) = (old.to_owned(), new.to_owned());
        self.append(Record::WebhookRedirected { old, new })
            .await
            .map(drop)
    }

    /// The change of a run was fetched, or could not be: what it looks at from now on.
    ///
    /// # Errors
    /// As all writing.
    pub async fn fetched(&self, id: &str, input: String, diff: String) -> Result<(), JournalError> {
        let id = id.to_owned();
        self.append(Record::RunChangeFetched { id, input, diff })
            .await
            .map(drop)
    }

    /// The newest webhooks, newest first.
    ///
    /// # Errors
    /// As all reading.
    pub async fn deliveries(&self, limit: u32) -> Result<Vec<DeliveryRow>, JournalError> {
        self.read(move |c| deliveries(c, limit)).await
    }

    /// The newest entries of the outbox, newest first.
    ///
    /// # Errors
    /// As all reading.
    pub async fn outbox(&self, limit: u32) -> Result<Vec<OutboxRow>, JournalError> {
        self.read(move |c| outbox(c, "ORDER BY id DESC LIMIT ?1", i64::from(limit)))
            .await
    }

    /// The oldest waiting entry of each pull request, where its time has come: what is left on one stays in
    /// order, and one that waits holds back no other. One that was never tried is due whatever the clock says; so
    /// is one that would wait for longer than `longest_ms`, which nothing does: the clock was ahead when it was tried.
    ///
    /// # Errors
    /// As all reading.
    pub async fn outbox_due(
        &self,
        now_ms: i64,
        longest_ms: i64,
    ) -> Result<Vec<OutboxRow>, JournalError> {
        self.read(move |c| {
            let which = format!(
                "WHERE (next_ms <= ?1 OR next_ms = created_ms OR next_ms > ?1 + {longest_ms}) \
                 AND id IN ({OLDEST}) ORDER BY id LIMIT 200"
            );
            outbox(c, &which, now_ms)
        })
        .await
    }

    /// When the next one's time comes, wall time in milliseconds.
    ///
    /// # Errors
    /// As all reading.
    pub async fn outbox_next(&self) -> Result<Option<i64>, JournalError> {
        self.read(|c| {
            let sql = format!("SELECT min(next_ms) FROM outbox WHERE id IN ({OLDEST})");
            c.prepare_cached(&sql)?.query_row([], |r| r.get(0))
        })
        .await
    }

    /// An entry was tried: where it stands now.
    ///
    /// # Errors
    /// As all writing.
    pub async fn outbox_tried(
        &self,
        id: i64,
        state: OutboxState,
        note: String,
        attempts: u32,
        at_ms: i64,
        next_ms: i64,
    ) -> Result<(), JournalError> {
        let record = Record::PublicationTried {
            id,
            state,
            note,
            attempts,
            at_ms,
            next_ms,
            pull: None,
        };
        self.append(record).await.map(drop)
    }

    /// How many there are of each.
    ///
    /// # Errors
    /// As all reading.
    pub async fn outbox_counts(&self) -> Result<OutboxCounts, JournalError> {
        self.read(|c| {
            let mut counts = OutboxCounts::default();
            let mut statement =
                c.prepare_cached("SELECT state, count(*) FROM outbox GROUP BY state")?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let count: u32 = row.get(1)?;
                match OutboxState::read(row.get_ref(0)?.as_str().unwrap_or_default()) {
                    OutboxState::Waiting => counts.waiting = count,
                    OutboxState::Held => counts.held = count,
                    OutboxState::Done => counts.done = count,
                    OutboxState::Dropped => counts.dropped = count,
                    OutboxState::Dry => {}
                }
            }
            Ok(counts)
        })
        .await
    }

    /// Lets go of what is too old to matter; keys are kept longest.
    ///
    /// # Errors
    /// As all writing.
    pub async fn forget_deliveries(&self, now_ms: i64) -> Result<(), JournalError> {
        let keys_before_ms = now_ms - KEYS_DAYS * 86_400_000;
        self.append(Record::DeliveriesPruned { keys_before_ms })
            .await
            .map(drop)
    }
}

impl ReadOnly {
    /// The newest webhooks, newest first. A journal that no newer program has opened has none.
    ///
    /// # Errors
    /// As all reading.
    pub fn deliveries(&self, limit: u32) -> Result<Vec<DeliveryRow>, JournalError> {
        if !self.connection.table_exists(None, "deliveries")? {
            return Ok(Vec::new());
        }
        Ok(deliveries(&self.connection, limit)?)
    }

    /// The newest entries of the outbox, newest first.
    ///
    /// # Errors
    /// As all reading.
    pub fn outbox(&self, limit: u32) -> Result<Vec<OutboxRow>, JournalError> {
        if !self.connection.table_exists(None, "outbox")? {
            return Ok(Vec::new());
        }
        Ok(outbox(
            &self.connection,
            "ORDER BY id DESC LIMIT ?1",
            i64::from(limit),
        )?)
    }
}
