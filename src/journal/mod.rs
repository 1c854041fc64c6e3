//! The journal: what was asked, what each step gave, what was decided; nothing of it lost.
//!
//! Why SQLite and one writer: a run is acknowledged only when it is on disk, and a step counts as done
//! only when its result is. All writes go through one thread that puts what has gathered into one
//! fully synced transaction. Reading has connections of its own and never waits for it.

mod approvals;
mod github;
mod history;
mod memory;
mod open;
mod rows;
mod spend;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use rusqlite::{Connection, OptionalExtension as _, params};

pub use approvals::{ApprovalRow, ApprovalState};
pub use github::{
    DeliveryRow, NewPublication, OutboxCounts, OutboxRow, OutboxState, Outcome, Taken,
};
pub use history::{Recorded, Side};
pub use memory::{MemoryCounts, MemoryKind, MemoryRow, NewMemory, Remembered, Retention};
pub use open::JournalNotes;
pub use rows::{NewRun, RunRow, RunStatus, StepRow};
pub use spend::SpendRow;
use writer::Writer;

use crate::resilience::clock::lock;

/// Why the journal cannot be used.
#[derive(Debug, Clone, thiserror::Error)]
pub enum JournalError {
    /// The disk is full, or the journal has reached its size.
    #[error("the journal cannot grow: the disk (or its limit) is full; nothing was acknowledged")]
    Full,
    /// Folder or file may not be written.
    #[error("the journal cannot be written: {0}")]
    ReadOnly(String),
    /// It was written by a newer program.
    #[error(
        "{path} was written by a newer bsm (schema {found}, this program knows {known}); use that version, or move the file away"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema's number.
        found: u32,
        /// The newest one known here.
        known: u32,
    },
    /// A run with this idempotency key is already there.
    #[error("this was already asked: run {0}")]
    Duplicate(String),
    /// The journal was closed.
    #[error("the journal is closed")]
    Closed,
    /// A row is missing, or its JSON cannot be written or read by this program.
    #[error("journal: {0}")]
    Row(String),
    /// Anything else SQLite said.
    #[error("journal: {0}")]
    Sqlite(String),
}

impl From<serde_json::Error> for JournalError {
    fn from(error: serde_json::Error) -> Self {
        Self::Row(error.to_string())
    }
}

impl From<rusqlite::Error> for JournalError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full,
            Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
                Self::ReadOnly(error.to_string())
            }
            _ => Self::Sqlite(error.to_string()),
        }
    }
}

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

/// The journal. Cheap to clone.
#[derive(Clone)]
pub struct Journal {
    writer: Arc<Writer>,
    reader: Option<Arc<Mutex<Connection>>>,
    path: Option<Arc<Path>>,
    notes: Arc<JournalNotes>,
}

impl Journal {
    /// Opens or creates the journal at `path`, migrating it where needed.
    ///
    /// # Errors
    /// When it cannot be written, or was written by a newer program. A corrupt file is set aside (see
    /// [`Journal::notes`]) and a new one begun.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        let (connection, notes) = open::file(path)?;
        let reader = open::reader(path)?;
        Ok(Self {
            writer: Arc::new(Writer::start(connection)?),
            reader: Some(Arc::new(Mutex::new(reader))),
            path: Some(Arc::from(path)),
            notes: Arc::new(notes),
        })
    }

    /// A journal in memory, for `--no-save`.
    pub fn in_memory() -> Result<Self, JournalError> {
        let connection = open::memory()?;
        Ok(Self {
            writer: Arc::new(Writer::start(connection)?),
            reader: None,
            path: None,
            notes: Arc::default(),
        })
    }

    /// Opens an existing journal for reading only; `None` when there is none.
    pub fn read_only(path: &Path) -> Result<Option<ReadOnly>, JournalError> {
        if !path.exists() {
            return Ok(None);
        }
        match open::reader(path) {
            Ok(connection) => Ok(Some(ReadOnly { connection })),
            Err(JournalError::Sqlite(what)) => Err(JournalError::Sqlite(format!(
                "{} cannot be read ({what}); the next run or console sets a corrupt file aside and begins a new one",
                path.display()
            ))),
            Err(other) => Err(other),
        }
    }

    /// What happened while it was opened: a file set aside, a backup made.
    pub fn notes(&self) -> &JournalNotes {
        &self.notes
    }

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
                .execute(params![finish.id, finish.status.word(), finish.at_ms, finish.result, finish.action, finish.report, finish.brief])?
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

    /// Closes it: everything written so far is on disk when this returns.
    pub fn close(&self) {
        self.writer.close();
    }

    async fn write(
        &self,
        job: impl FnOnce(&Connection) -> rusqlite::Result<()> + Send + 'static,
    ) -> Result<(), JournalError> {
        self.writer.submit(Box::new(job)).await
    }

    /// As [`Self::write`], with what the job found out.
    async fn write_with<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, JournalError> {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        self.write(move |tx| {
            let _ = sender.send(job(tx)?);
            Ok(())
        })
        .await?;
        receiver.await.map_err(|_| JournalError::Closed)
    }

    async fn read<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, JournalError> {
        match &self.reader {
            Some(reader) => {
                let reader = Arc::clone(reader);
                let done = tokio::task::spawn_blocking(move || {
                    job(&lock(&reader)).map_err(JournalError::from)
                })
                .await;
                done.unwrap_or(Err(JournalError::Closed))
            }
            // In memory there is one connection, and it lives on the writer's thread.
            None => self.write_with(job).await,
        }
    }

    /// Limits the file to so many pages, so that a test can fill it.
    #[doc(hidden)]
    pub async fn limit_pages(&self, pages: u32) -> Result<(), JournalError> {
        self.writer.limit_pages(pages).await
    }
}

/// A journal opened by a command that only reads.
pub struct ReadOnly {
    connection: Connection,
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
        let sql = "SELECT id FROM runs WHERE substr(id, -length(?1)) = ?1 LIMIT 2";
        let mut statement = self.connection.prepare(sql)?;
        let ids: Vec<String> = statement
            .query_map([id], |r| r.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        match ids.as_slice() {
            [only] => Ok(rows::one(&self.connection, only)?),
            _ => Ok(None),
        }
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
            .query_row(sql, [status.word()], |r| r.get(0))
            .optional()?;
        Ok(count.unwrap_or(0).unsigned_abs())
    }
}

#[cfg(test)]
#[path = "journal_tests.rs"]
mod tests;
