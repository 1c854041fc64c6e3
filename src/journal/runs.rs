//! Runs and their steps in the journal.

use rusqlite::{OptionalExtension as _, params};

use crate::journal::approval_rows::{self as approvals, ApprovalRow};
use crate::journal::connection::{Journal, ReadOnly};
use crate::journal::error::JournalError;
use crate::journal::github_rows::{self as github, NewPublication};
use crate::journal::memory_rows::{self as memory, NewMemory, Remembered};
use crate::journal::rows::{self, NewRun, RunRow, RunStatus, StepRow};

/// What a finished run leaves.
#[derive(Debug, Clone)]
pub struct Finish {
    /// The run.
    pub id: String,
    /// Its last status.
    pub status: RunStatus,
    /// Wall time, milliseconds.
    pub at_ms: i64,
    /// The whole result as JSON.
    pub result: String,
    /// Its line in a list, as JSON.
    pub brief: String,
    /// The decision's action.
    pub action: String,
    /// The report's text: written to its file after this is on disk, again after a crash.
    pub report: String,
    /// What it leaves at GitHub, in this order.
    pub publications: Vec<NewPublication>,
    /// What they wait for.
    pub approval: Option<ApprovalRow>,
    /// What is remembered of it.
    pub memory: Option<NewMemory>,
}

impl Journal {
    /// Takes a run in. On disk when this returns.
    ///
    /// # Errors
    /// [`JournalError::Duplicate`] with the first run's id when its idempotency key is known.
    pub async fn intake(&self, run: NewRun) -> Result<(), JournalError> {
        if let Some(key) = run.idempotency.clone()
            && let Some(first) = self.read(move |c| rows::by_idempotency(c, &key)).await?
        {
            return Err(JournalError::Duplicate(first));
        }
        let key = run.idempotency.clone();
        match (self.write(move |tx| rows::insert(tx, &run)).await, key) {
            // Two at once with the same key: the second gets the first one's id as well.
            (Err(JournalError::Sqlite(message)), Some(key))
                if message.contains("runs.idempotency") =>
            {
                let first = self.read(move |c| rows::by_idempotency(c, &key)).await?;
                Err(first.map_or(JournalError::Sqlite(message), JournalError::Duplicate))
            }
            (result, _) => result,
        }
    }

    /// Somebody asked to stop a run: it stays stopped even if the engine dies before it has.
    pub async fn cancel(&self, id: &str) -> Result<(), JournalError> {
        let id = id.to_owned();
        self.write(move |tx| {
            let sql = "UPDATE runs SET cancel = 1 WHERE id = ?1 AND finished_ms IS NULL";
            tx.prepare_cached(sql)?.execute([id]).map(drop)
        })
        .await
    }

    /// Plans and actions of ended runs of one pull request at one commit, the newest first.
    ///
    /// # Errors
    /// As all reading.
    pub async fn decided(
        &self,
        repository: &str,
        number: u64,
        head_sha: &str,
    ) -> Result<Vec<(String, String)>, JournalError> {
        let key = (
            repository.to_owned(),
            number.cast_signed(),
            head_sha.to_owned(),
        );
        self.read(move |c| {
            let sql =
                "SELECT plan, action FROM runs WHERE finished_ms IS NOT NULL AND action IS NOT NULL
                       AND json_extract(input, '$.headSha') = ?3
                       AND json_extract(input, '$.change.pull.repository') = ?1
                       AND json_extract(input, '$.change.pull.number') = ?2
                       ORDER BY finished_ms DESC, id DESC LIMIT 50";
            c.prepare_cached(sql)?
                .query_map(params![key.0, key.1, key.2], |r| Ok((r.get(0)?, r.get(1)?)))?
                .collect()
        })
        .await
    }

    /// The plans of kept runs that approved a commit.
    pub async fn approving_plans(&self, head_sha: &str) -> Result<Vec<String>, JournalError> {
        let sha = head_sha.to_owned();
        self.read(move |c| {
            let sql = "SELECT plan FROM runs WHERE action = 'approve_and_merge' AND json_extract(input, '$.headSha') = ?1 LIMIT 50";
            c.prepare_cached(sql)?.query_map([sha], |r| r.get(0))?.collect()
        })
        .await
    }

    /// A run begins (again): counts the start.
    pub async fn start(&self, id: &str, at_ms: i64) -> Result<(), JournalError> {
        let id = id.to_owned();
        self.write(move |tx| {
            let sql = "UPDATE runs SET status = 'running', starts = starts + 1, started_ms = coalesce(started_ms, ?2) WHERE id = ?1";
            tx.prepare_cached(sql)?.execute(params![id, at_ms]).map(drop)
        })
        .await
    }

    /// The engine stops in good order: the run waits for the next start, and this start does not count
    /// against it.
    pub async fn park(&self, id: &str) -> Result<(), JournalError> {
        let id = id.to_owned();
        self.write(move |tx| {
            let sql = "UPDATE runs SET status = 'queued', starts = max(starts - 1, 0) WHERE id = ?1 AND finished_ms IS NULL";
            tx.prepare_cached(sql)?.execute([id]).map(drop)
        })
        .await
    }

    /// A step has ended, and what is remembered of it. The first result stays: a step never counts twice.
    ///
    /// # Errors
    /// As all writing.
    pub async fn step(
        &self,
        row: StepRow,
        memory: Option<NewMemory>,
    ) -> Result<Option<Remembered>, JournalError> {
        self.write_with(move |tx| {
            let sql = "INSERT OR IGNORE INTO steps (run_id, agent_id, finished_ms, result) VALUES (?1, ?2, ?3, ?4)";
            let first = tx.prepare_cached(sql)?.execute(params![row.run_id, row.agent_id, row.finished_ms, row.result])? > 0;
            let kept = memory.filter(|_| first).map(|m| memory::insert(tx, &m)).transpose()?;
            Ok(kept)
        })
        .await
    }

    /// A run has ended: decision, report and what it publishes in one transaction; the first decision stays.
    ///
    /// # Errors
    /// As all writing.
    pub async fn finish(&self, finish: Finish) -> Result<Option<Remembered>, JournalError> {
        self.write_with(move |tx| {
            let sql = "UPDATE runs SET status = ?2, finished_ms = ?3, result = ?4, action = ?5, report_text = ?6, brief = ?7 WHERE id = ?1 AND finished_ms IS NULL";
            let first = tx.prepare_cached(sql)?
                .execute(params![finish.id, finish.status.as_str(), finish.at_ms, finish.result, finish.action, finish.report, finish.brief])?
                > 0;
            if !first {
                return Ok(None);
            }
            let kept = finish.memory.as_ref().map(|m| memory::insert(tx, m)).transpose()?;
            let approval = finish.approval.as_ref();
            if let Some(approval) = approval {
                approvals::insert(tx, approval)?;
            }
            github::insert(tx, &finish.id, finish.at_ms, approval.map(|a| a.id.as_str()), &finish.publications)?;
            Ok(kept)
        })
        .await
    }

    /// The report's file is on disk: its text need not be kept twice, its input no longer at all.
    pub async fn report_written(&self, id: &str) -> Result<(), JournalError> {
        let id = id.to_owned();
        self.write(move |tx| {
            tx.prepare_cached("UPDATE runs SET report_written = 1 WHERE id = ?1")?
                .execute([id])
                .map(drop)
        })
        .await
    }

    /// Deletes all but the newest `keep` finished runs; returns how many went.
    pub async fn prune(&self, keep: u32) -> Result<usize, JournalError> {
        self.write_with(move |tx| {
            let sql = "DELETE FROM runs WHERE finished_ms IS NOT NULL AND report_written = 1 AND id NOT IN (SELECT id FROM runs ORDER BY created_ms DESC, id DESC LIMIT ?1)";
            let gone = tx.prepare_cached(sql)?.execute([keep])?;
            Ok(gone)
        })
        .await
    }

    /// Runs without an end, oldest first, and those whose report is not on disk.
    pub async fn unfinished(&self) -> Result<Vec<RunRow>, JournalError> {
        self.read(|c| {
            rows::select_light(
                c,
                "WHERE finished_ms IS NULL OR report_written = 0 ORDER BY created_ms, id",
            )
        })
        .await
    }

    /// The newest runs, newest first.
    pub async fn recent(&self, limit: u32) -> Result<Vec<RunRow>, JournalError> {
        self.read(move |c| rows::recent(c, limit)).await
    }

    /// Lines of ended runs, newest first, as JSON, until `take` has had enough (false). Runs of an older
    /// program have none.
    ///
    /// # Errors
    /// As all reading.
    pub async fn briefs<T: Send + 'static>(
        &self,
        start: T,
        mut take: impl FnMut(&mut T, &str) -> bool + Send + 'static,
    ) -> Result<T, JournalError> {
        self.read(move |c| {
            let mut found = start;
            let sql =
                "SELECT brief FROM runs WHERE brief IS NOT NULL ORDER BY created_ms DESC, id DESC";
            let mut statement = c.prepare_cached(sql)?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                if !take(&mut found, row.get_ref(0)?.as_str().unwrap_or_default()) {
                    break;
                }
            }
            Ok(found)
        })
        .await
    }

    /// One run.
    pub async fn run(&self, id: &str) -> Result<Option<RunRow>, JournalError> {
        let id = id.to_owned();
        self.read(move |c| rows::one(c, &id)).await
    }

    /// Its finished steps, in the order they ended.
    pub async fn steps(&self, id: &str) -> Result<Vec<StepRow>, JournalError> {
        let id = id.to_owned();
        self.read(move |c| rows::steps(c, &id)).await
    }
}

impl ReadOnly {
    /// The newest runs, newest first.
    pub fn recent(&self, limit: u32) -> Result<Vec<RunRow>, JournalError> {
        Ok(rows::recent(&self.connection, limit)?)
    }

    /// One run, by its id or the unique end or start of it.
    pub fn run(&self, id: &str) -> Result<Option<RunRow>, JournalError> {
        if let Some(row) = rows::one(&self.connection, id)? {
            return Ok(Some(row));
        }
        match self.ids_like(id)?.as_slice() {
            [only] => Ok(rows::one(&self.connection, only)?),
            _ => Ok(None),
        }
    }

    /// Ids that begin or end so, newest first, at most ten.
    pub fn ids_like(&self, part: &str) -> Result<Vec<String>, JournalError> {
        let sql = "SELECT id FROM runs WHERE substr(id, -length(?1)) = ?1 OR substr(id, 1, length(?1)) = ?1
                   ORDER BY id DESC LIMIT 10";
        let mut statement = self.connection.prepare(sql)?;
        let ids = statement.query_map([part], |row| row.get(0))?;
        Ok(ids.collect::<rusqlite::Result<_>>()?)
    }

    /// Its finished steps.
    pub fn steps(&self, id: &str) -> Result<Vec<StepRow>, JournalError> {
        Ok(rows::steps(&self.connection, id)?)
    }

    /// Runs by status.
    pub fn count(&self, status: RunStatus) -> Result<u64, JournalError> {
        let sql = "SELECT count(*) FROM runs WHERE status = ?1";
        let count: Option<i64> = self
            .connection
            .query_row(sql, [status.as_str()], |r| r.get(0))
            .optional()?;
        Ok(count.unwrap_or(0).unsigned_abs())
    }
}
