//! Runs and their steps in the journal.

use rusqlite::{OptionalExtension as _, params};

use crate::journal::connection::{Journal, ReadOnly};
use crate::journal::error::JournalError;
use crate::journal::memory_rows::{NewMemory, Remembered};
use crate::journal::record::{Applied, Record};
use crate::journal::record_log;
use crate::journal::rows::{self, Finish, NewRun, RunRow, RunStatus, StepRow};

/// Runs that one record prunes.
const PRUNED_AT_ONCE: usize = 500;
/// Free pages that one pass returns to the system.
const FREED_AT_ONCE: i64 = 4_096;

/// A report whose file is not on disk yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnwrittenReport {
    /// Its run.
    pub id: String,
    /// Its file's name.
    pub name: String,
    /// What is in it.
    pub text: String,
}

impl Journal {
    /// Takes a run in. On disk when this returns.
    ///
    /// # Errors
    /// [`JournalError::Duplicate`] with the first run's id when its idempotency key is known.
    pub async fn intake(&self, run: NewRun) -> Result<(), JournalError> {
        match self.append(Record::RunAccepted { run }).await? {
            Applied::Duplicate(first) => Err(JournalError::Duplicate(first)),
            _ => Ok(()),
        }
    }

    /// Somebody asked to stop a run: it stays stopped even if the engine dies before it has.
    ///
    /// # Errors
    /// As all writing.
    pub async fn cancel(&self, id: &str) -> Result<(), JournalError> {
        let id = id.to_owned();
        self.append(Record::RunCancelRequested { id })
            .await
            .map(drop)
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
    ///
    /// # Errors
    /// As all writing.
    pub async fn start(&self, id: &str, at_ms: i64) -> Result<(), JournalError> {
        let id = id.to_owned();
        self.append(Record::RunStarted { id, at_ms })
            .await
            .map(drop)
    }

    /// The engine stops in good order: the run waits for the next start, and this start does not count
    /// against it.
    ///
    /// # Errors
    /// As all writing.
    pub async fn park(&self, id: &str) -> Result<(), JournalError> {
        let id = id.to_owned();
        self.append(Record::RunParked { id }).await.map(drop)
    }

    /// A step has ended, and what is remembered of it. The first result stays: a step never counts twice.
    ///
    /// # Errors
    /// As all writing.
    pub async fn step(
        &self,
        step: StepRow,
        memory: Option<NewMemory>,
    ) -> Result<Option<Remembered>, JournalError> {
        let applied = self.append(Record::StepFinished { step, memory }).await?;
        Ok(applied.remembered().pop())
    }

    /// A run has ended: decision, report and what it publishes in one transaction; the first decision stays.
    ///
    /// # Errors
    /// As all writing.
    pub async fn finish(&self, finish: Finish) -> Result<Option<Remembered>, JournalError> {
        let finish = Box::new(finish);
        let applied = self.append(Record::RunDecided { finish }).await?;
        Ok(applied.remembered().pop())
    }

    /// Whether anything says that a run ended: a publication, an approval, a decision that is remembered. After
    /// damage such a run is not run again.
    ///
    /// # Errors
    /// As all reading.
    pub async fn has_trace_of_end(&self, id: &str) -> Result<bool, JournalError> {
        let id = id.to_owned();
        self.read(move |c| {
            let sql = "SELECT EXISTS (SELECT 1 FROM outbox WHERE run_id = ?1)
                       OR EXISTS (SELECT 1 FROM approvals WHERE action = 'publish' AND subject = ?1)
                       OR EXISTS (SELECT 1 FROM memory WHERE run_id = ?1 AND kind = 'orchestration_decision')";
            c.prepare_cached(sql)?.query_row([id], |r| r.get(0))
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

    /// Reports of decided runs whose file is not on disk, by the run's id, from after `after`.
    ///
    /// # Errors
    /// As all reading.
    pub async fn unwritten_reports(
        &self,
        after: String,
        limit: u32,
    ) -> Result<Vec<UnwrittenReport>, JournalError> {
        self.read(move |c| {
            let sql = "SELECT id, report_name, coalesce(report_text, '') FROM runs \
                       WHERE finished_ms IS NOT NULL AND report_written = 0 AND id > ?1 ORDER BY id LIMIT ?2";
            let report = |r: &rusqlite::Row<'_>| {
                Ok(UnwrittenReport {
                    id: r.get(0)?,
                    name: r.get(1)?,
                    text: r.get(2)?,
                })
            };
            c.prepare_cached(sql)?
                .query_map(params![after, limit], report)?
                .collect()
        })
        .await
    }

    /// Deletes all but the newest `keep` finished runs; returns how many went. A run from after `now_ms` was made
    /// by a clock that was ahead: it is older than all others.
    ///
    /// # Errors
    /// As all writing.
    pub async fn prune(&self, keep: u32, now_ms: i64) -> Result<usize, JournalError> {
        let ids: Vec<String> = self
            .read(move |c| {
                let sql = "SELECT id FROM runs WHERE finished_ms IS NOT NULL AND report_written = 1 AND id NOT IN (SELECT id FROM runs ORDER BY created_ms > ?2, created_ms DESC, id DESC LIMIT ?1)";
                c.prepare_cached(sql)?
                    .query_map(params![keep, now_ms], |r| r.get(0))?
                    .collect()
            })
            .await?;
        // In pieces: one record holds their ids, and one transaction all of its deletions.
        for piece in ids.chunks(PRUNED_AT_ONCE) {
            let ids = piece.to_vec();
            self.append(Record::RunsPruned { ids }).await?;
        }
        Ok(ids.len())
    }

    /// Removes the texts of records that nothing needs any more, and returns free space to the system, a piece at
    /// a time.
    ///
    /// # Errors
    /// As all writing.
    pub async fn tidy(&self) -> Result<(), JournalError> {
        self.write(|tx| {
            record_log::empty_old(tx)?;
            tx.pragma(None, "incremental_vacuum", FREED_AT_ONCE, |_| Ok(()))
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
