//! Webhooks that came, and publications: both survive a crash.
//!
//! Why here: a webhook is answered only when it and its run are on disk in one transaction, and what a
//! decision publishes is written down together with the decision.

use rusqlite::{OptionalExtension as _, params};

use super::rows::{self, NewRun};
use crate::journal::connection::{Journal, ReadOnly};
use crate::journal::error::JournalError;
use crate::journal::github_rows::{
    DeliveryResult, DeliveryRow, KEYS_DAYS, LISTED, OLDEST, OutboxCounts, OutboxRow, OutboxState,
    SENT, deliveries, outbox,
};

impl Journal {
    /// Takes a webhook in, with the run it begins, unless one of its keys is known. On disk when this
    /// returns.
    ///
    /// # Errors
    /// As all writing.
    pub async fn deliver(
        &self,
        delivery: DeliveryRow,
        keys: Vec<String>,
        run: Option<NewRun>,
    ) -> Result<DeliveryResult, JournalError> {
        self.write_with(move |tx| {
            for key in &keys {
                let sql = "SELECT delivery, run_id FROM delivery_keys WHERE key = ?1";
                let first: Option<(String, Option<String>)> = tx
                    .prepare_cached(sql)?
                    .query_row([key], |r| Ok((r.get(0)?, r.get(1)?)))
                    .optional()?;
                if let (Some((_, None)), true) = (&first, run.is_some()) {
                    // Nothing came of it then: its repository or its event was not known. Now it is.
                    tx.prepare_cached("DELETE FROM delivery_keys WHERE key = ?1")?
                        .execute([key])?;
                    continue;
                }
                if let Some((id, run)) = first {
                    tx.prepare_cached("UPDATE deliveries SET repeats = repeats + 1 WHERE id = ?1")?
                        .execute([id])?;
                    return Ok(DeliveryResult::Again(run));
                }
            }
            let row = &delivery;
            tx.prepare_cached("INSERT OR REPLACE INTO deliveries (id, at_ms, event, place, outcome, note, run_id) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?
                .execute(params![row.id, row.at_ms, row.event, row.place, row.outcome.as_str(), row.note, row.run])?;
            for key in &keys {
                tx.prepare_cached("INSERT INTO delivery_keys (key, delivery, run_id, at_ms) VALUES (?1, ?2, ?3, ?4)")?
                    .execute(params![key, row.id, row.run, row.at_ms])?;
            }
            if let Some(run) = &run {
                rows::insert(tx, run)?;
            }
            Ok(DeliveryResult::New)
        })
        .await
    }

    /// A webhook's run was begun again: its keys lead to the new one from now on.
    ///
    /// # Errors
    /// As all writing.
    pub async fn redeliver(&self, old: &str, new: &str) -> Result<(), JournalError> {
        let (old, new) = (old.to_owned(), new.to_owned());
        self.write(move |tx| {
            tx.execute(
                "UPDATE delivery_keys SET run_id = ?2 WHERE run_id = ?1",
                [&old, &new],
            )?;
            tx.execute(
                "UPDATE deliveries SET run_id = ?2 WHERE run_id = ?1",
                [&old, &new],
            )
            .map(drop)
        })
        .await
    }

    /// The change of a run was fetched, or could not be: what it looks at from now on.
    ///
    /// # Errors
    /// As all writing.
    pub async fn fetched(&self, id: &str, input: String, diff: String) -> Result<(), JournalError> {
        let id = id.to_owned();
        self.write(move |tx| {
            tx.prepare_cached(
                "UPDATE runs SET input = ?2, diff = ?3 WHERE id = ?1 AND finished_ms IS NULL",
            )?
            .execute(params![id, input, diff])
            .map(drop)
        })
        .await
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
    /// order, and one that waits holds back no other.
    ///
    /// # Errors
    /// As all reading.
    pub async fn outbox_due(&self, now_ms: i64) -> Result<Vec<OutboxRow>, JournalError> {
        self.read(move |c| {
            let which = format!("WHERE next_ms <= ?1 AND id IN ({OLDEST}) ORDER BY id LIMIT 200");
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
        self.write(move |tx| {
            let sql = "UPDATE outbox SET state = ?2, note = ?3, attempts = ?6, next_ms = ?5,
                       done_ms = CASE WHEN ?2 = 'waiting' THEN NULL ELSE ?4 END WHERE id = ?1";
            tx.prepare_cached(sql)?
                .execute(params![id, state.as_str(), note, at_ms, next_ms, attempts])
                .map(drop)
        })
        .await
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
        self.write(move |tx| {
            tx.execute("DELETE FROM deliveries WHERE id NOT IN (SELECT id FROM deliveries ORDER BY at_ms DESC LIMIT ?1)", [LISTED])?;
            tx.execute("DELETE FROM approvals WHERE state <> 'waiting' AND id NOT IN (SELECT id FROM approvals ORDER BY created_ms DESC LIMIT ?1)", [LISTED])?;
            tx.execute("DELETE FROM delivery_keys WHERE at_ms < ?1", [now_ms - KEYS_DAYS * 86_400_000])?;
            tx.execute("DELETE FROM outbox WHERE state IN ('done', 'dropped', 'dry') AND id NOT IN (SELECT id FROM outbox ORDER BY id DESC LIMIT ?1)", [SENT])
                .map(drop)
        })
        .await
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
