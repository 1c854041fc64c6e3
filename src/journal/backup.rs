//! Backups of the journal: made on demand and every day, checked, and put back.

use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::journal::copy::{copy, copy_into};
pub use crate::journal::database_file::set_aside;
use crate::journal::database_file::{install, part_of, remove_with_sides};
use crate::journal::error::JournalError;
use crate::journal::record::Record;
use crate::journal::{connect, meta, record_check, record_log, schema};

/// What a copy holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupInfo {
    /// Where it is.
    pub path: PathBuf,
    /// Bytes.
    pub bytes: u64,
    /// The number of its newest record.
    pub records: i64,
    /// Runs in it.
    pub runs: u64,
}

/// Copies the journal at `path` into `target` while an engine works with it, checks the copy, and only then
/// gives it its name.
///
/// # Errors
/// The journal cannot be read, `target` exists or cannot be written, or the copy is not whole.
pub fn create(path: &Path, target: &Path) -> Result<BackupInfo, JournalError> {
    if target.exists() {
        return Err(JournalError::Row(format!(
            "{} is there already; name another file",
            target.display()
        )));
    }
    let source = connect::reader(path)?;
    copy(&source, target)?;
    inspect(target)
}

/// Reads a copy wholly: its tables, the chain of its records and the bytes of each.
///
/// # Errors
/// It is damaged, is no journal, or a newer program wrote it.
pub fn inspect(path: &Path) -> Result<BackupInfo, JournalError> {
    let damaged = |what: String| JournalError::Damaged {
        path: path.to_path_buf(),
        what,
        why: "a backup is taken whole or not at all".to_owned(),
    };
    let bytes = std::fs::metadata(path)
        .map_err(|e| JournalError::io(path, &e))?
        .len();
    let connection = connect::reader(path)?;
    let verdict: String = connection.query_row("PRAGMA integrity_check(1)", [], |r| r.get(0))?;
    if verdict != "ok" {
        return Err(damaged(verdict));
    }
    let records = if schema::version(&connection)? >= schema::WITH_RECORDS {
        record_check::verify(&connection, 0)?
            .map_err(damaged)?
            .sequence
    } else {
        0
    };
    let runs: i64 = connection.query_row("SELECT count(*) FROM runs", [], |r| r.get(0))?;
    Ok(BackupInfo {
        path: path.to_path_buf(),
        bytes,
        records,
        runs: runs.unsigned_abs(),
    })
}

/// Puts a backup in the journal's place; what was there is kept beside it. The caller holds the engine's lock.
/// Returns what the backup holds and where the old journal is.
///
/// # Errors
/// The backup is damaged, or the disk does not write. Then the journal is as it was.
pub fn restore(
    path: &Path,
    from: &Path,
    now_ms: i64,
) -> Result<(BackupInfo, Option<PathBuf>), JournalError> {
    let info = inspect(from)?;
    let source = connect::reader(from)?;
    let part = part_of(path);
    remove_with_sides(&part);
    let mut connection = copy_into(&source, &part)?;
    schema::migrate(&mut connection, None)?;
    let notice = format!(
        "the journal was restored from {}; what happened after that backup is not in it",
        from.file_name().unwrap_or_default().display()
    );
    mark_recovered(&mut connection, now_ms, &notice)?;
    let kept = install(connection, path, "replaced")?;
    Ok((info, kept))
}

/// Gives a journal a new epoch and writes down that it was recovered.
pub(super) fn mark_recovered(
    connection: &mut Connection,
    at_ms: i64,
    notice: &str,
) -> Result<(), JournalError> {
    let record = Record::Recovered {
        at_ms,
        notice: notice.to_owned(),
    };
    let body = record_log::encode(&record)?;
    let tx = connection.transaction()?;
    meta::set(&tx, meta::EPOCH, &schema::new_epoch())?;
    let head = record_log::head(&tx)?;
    let sequence = head.sequence + 1;
    crate::journal::apply::apply(&tx, sequence, &record)?;
    record_log::append(&tx, &head, sequence, &record, &body)?;
    tx.commit()?;
    Ok(())
}
