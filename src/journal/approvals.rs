//! Actions that wait for a person, and when schedules last ran.

use rusqlite::OptionalExtension as _;

use crate::journal::approval_rows::{ApprovalRow, ApprovalState, COLUMNS, newest, row};
use crate::journal::connection::{Journal, ReadOnly};
use crate::journal::error::JournalError;
use crate::journal::record::Record;
use crate::journal::stops;

impl Journal {
    /// Writes an approval down that waits.
    ///
    /// # Errors
    /// As all writing.
    pub async fn hold(&self, approval: ApprovalRow) -> Result<(), JournalError> {
        self.append(Record::ApprovalRequested { approval })
            .await
            .map(drop)
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

    /// The newest approval of an action on a subject.
    ///
    /// # Errors
    /// As all reading.
    pub async fn approval_of(
        &self,
        action: &str,
        subject: &str,
    ) -> Result<Option<ApprovalRow>, JournalError> {
        let (action, subject) = (action.to_owned(), subject.to_owned());
        self.read(move |c| {
            let sql = format!(
                "SELECT {COLUMNS} FROM approvals WHERE action = ?1 AND subject = ?2 ORDER BY created_ms DESC, id LIMIT 1"
            );
            c.prepare_cached(&sql)?
                .query_row([action, subject], row)
                .optional()
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
        let record = Record::ApprovalDecided {
            id: id.to_owned(),
            state,
            by: by.to_owned(),
            reason: reason.to_owned(),
            at_ms,
        };
        Ok(self.append(record).await?.changed())
    }

    /// An operator stopped an agent, or lets it work again. A stop is written beside the journal first, and
    /// taken out of there last: no damage lets an agent work again.
    ///
    /// # Errors
    /// As all writing.
    pub async fn set_stopped(&self, agent: &str, stopped: bool) -> Result<(), JournalError> {
        let mut agents = self.stopped().await?;
        agents.retain(|a| a != agent);
        let record = Record::AgentStopped {
            agent: agent.to_owned(),
            stopped,
        };
        if stopped {
            agents.push(agent.to_owned());
            self.write_stops(&agents)?;
            self.append(record).await?;
        } else {
            self.append(record).await?;
            self.write_stops(&agents)?;
        }
        Ok(())
    }

    fn write_stops(&self, agents: &[String]) -> Result<(), JournalError> {
        self.path
            .as_ref()
            .map_or(Ok(()), |p| stops::write(p, agents))
    }

    /// An operator has read the notice about a recovered journal: what was held goes on.
    ///
    /// # Errors
    /// As all writing.
    pub async fn acknowledge(&self, by: &str, at_ms: i64) -> Result<(), JournalError> {
        let by = by.to_owned();
        self.append(Record::Acknowledged { at_ms, by })
            .await
            .map(drop)
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
        let (name, text) = (event.to_owned(), cron.to_owned());
        let known: Option<i64> = self
            .read(move |c| {
                c.prepare_cached("SELECT last_ms FROM schedules WHERE event = ?1 AND cron = ?2")?
                    .query_row([name, text], |r| r.get(0))
                    .optional()
            })
            .await?;
        if let Some(last) = known {
            return Ok(last);
        }
        let record = Record::ScheduleSeen {
            event: event.to_owned(),
            cron: cron.to_owned(),
            at_ms: now_ms,
        };
        self.append(record).await?;
        Ok(now_ms)
    }

    /// A schedule ran.
    ///
    /// # Errors
    /// As all writing.
    pub async fn scheduled(&self, event: &str, at_ms: i64) -> Result<(), JournalError> {
        let event = event.to_owned();
        self.append(Record::ScheduleFired { event, at_ms })
            .await
            .map(drop)
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
