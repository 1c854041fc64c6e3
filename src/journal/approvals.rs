//! Actions that wait for a person, and when schedules last ran.

use rusqlite::params;

use crate::journal::approval_rows::{ApprovalRow, ApprovalState, COLUMNS, insert, newest, row};
use crate::journal::connection::{Journal, ReadOnly};
use crate::journal::error::JournalError;

impl Journal {
    /// Writes an approval down that waits.
    ///
    /// # Errors
    /// As all writing.
    pub async fn hold(&self, approval: ApprovalRow) -> Result<(), JournalError> {
        self.write(move |tx| insert(tx, &approval)).await
    }

    /// The newest approvals, newest first.
    ///
    /// # Errors
    /// As all reading.
    pub async fn approvals(&self, limit: u32) -> Result<Vec<ApprovalRow>, JournalError> {
        self.read(move |c| newest(c, limit)).await
    }

    /// Those that wait, the oldest first.
    ///
    /// # Errors
    /// As all reading.
    pub async fn approvals_waiting(&self) -> Result<Vec<ApprovalRow>, JournalError> {
        self.read(|c| {
            let sql = format!(
                "SELECT {COLUMNS} FROM approvals WHERE state = 'waiting' ORDER BY expires_ms, id"
            );
            c.prepare_cached(&sql)?.query_map([], row)?.collect()
        })
        .await
    }

    /// One of them.
    ///
    /// # Errors
    /// As all reading.
    pub async fn approval(&self, id: &str) -> Result<Option<ApprovalRow>, JournalError> {
        let id = id.to_owned();
        self.read(move |c| {
            let sql = format!("SELECT {COLUMNS} FROM approvals WHERE id = ?1");
            let found: Vec<ApprovalRow> = c
                .prepare_cached(&sql)?
                .query_map([id], row)?
                .collect::<rusqlite::Result<_>>()?;
            Ok(found.into_iter().next())
        })
        .await
    }

    /// Decides what still waits, and lets its publications go or drops them, in one transaction. False
    /// when somebody was first.
    ///
    /// # Errors
    /// As all writing.
    pub async fn decide(
        &self,
        id: &str,
        state: ApprovalState,
        by: &str,
        reason: &str,
        at_ms: i64,
    ) -> Result<bool, JournalError> {
        let (id, by, reason) = (id.to_owned(), by.to_owned(), reason.to_owned());
        self.write_with(move |tx| {
            let sql = "UPDATE approvals SET state = ?2, decided_by = ?3, reason = ?4, decided_ms = ?5 WHERE id = ?1 AND state = 'waiting'";
            let first = tx
                .prepare_cached(sql)?
                .execute(params![id, state.as_str(), by, reason, at_ms])?
                > 0;
            if first {
                let (next, note) = match state {
                    ApprovalState::Approved => ("waiting", format!("approved by {by}")),
                    _ => ("dropped", format!("{} by {by}: {reason}", state.as_str())),
                };
                tx.prepare_cached("UPDATE outbox SET state = ?2, note = ?3 WHERE approval = ?1 AND state = 'held'")?
                    .execute(params![id, next, note])?;
            }
            Ok(first)
        })
        .await
    }

    /// An operator stopped an agent, or lets it work again.
    ///
    /// # Errors
    /// As all writing.
    pub async fn set_stopped(&self, agent: &str, stopped: bool) -> Result<(), JournalError> {
        let agent = agent.to_owned();
        self.write(move |tx| {
            let sql = if stopped {
                "INSERT OR IGNORE INTO stopped (agent) VALUES (?1)"
            } else {
                "DELETE FROM stopped WHERE agent = ?1"
            };
            tx.prepare_cached(sql)?.execute([agent]).map(drop)
        })
        .await
    }

    /// Agents that an operator stopped.
    ///
    /// # Errors
    /// As all reading.
    pub async fn stopped(&self) -> Result<Vec<String>, JournalError> {
        self.read(|c| {
            let mut statement = c.prepare_cached("SELECT agent FROM stopped")?;
            let agents = statement.query_map([], |r| r.get(0))?;
            agents.collect()
        })
        .await
    }

    /// When a schedule last ran; the first time, `now_ms` is written down. A changed expression begins anew.
    ///
    /// # Errors
    /// As all writing.
    pub async fn schedule(
        &self,
        event: &str,
        cron: &str,
        now_ms: i64,
    ) -> Result<i64, JournalError> {
        let (event, cron) = (event.to_owned(), cron.to_owned());
        self.write_with(move |tx| {
            let sql = "INSERT INTO schedules (event, cron, last_ms) VALUES (?1, ?2, ?3)
                       ON CONFLICT (event) DO UPDATE SET cron = ?2, last_ms = ?3 WHERE cron <> ?2";
            tx.prepare_cached(sql)?
                .execute(params![event, cron, now_ms])?;
            let last = tx
                .prepare_cached("SELECT last_ms FROM schedules WHERE event = ?1")?
                .query_row([event], |r| r.get(0))?;
            Ok(last)
        })
        .await
    }

    /// A schedule ran.
    ///
    /// # Errors
    /// As all writing.
    pub async fn scheduled(&self, event: &str, at_ms: i64) -> Result<(), JournalError> {
        let event = event.to_owned();
        self.write(move |tx| {
            tx.prepare_cached("UPDATE schedules SET last_ms = ?2 WHERE event = ?1")?
                .execute(params![event, at_ms])
                .map(drop)
        })
        .await
    }
}

impl ReadOnly {
    /// The newest approvals, newest first. A journal that no newer program has opened has none.
    ///
    /// # Errors
    /// As all reading.
    pub fn approvals(&self, limit: u32) -> Result<Vec<ApprovalRow>, JournalError> {
        if !self.connection.table_exists(None, "approvals")? {
            return Ok(Vec::new());
        }
        Ok(newest(&self.connection, limit)?)
    }
}
