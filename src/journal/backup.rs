//! Copies of the journal: before a migration, on demand, every day; and putting one back.

use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::journal::error::JournalError;
use crate::journal::record::Record;
use crate::journal::{meta, open, record_log, schema};

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
    let source = open::reader(path)?;
    copy(&source, target)?;
    inspect(target)
}

/// The copy before a migration: beside the journal, named by the schema that comes.
pub(super) fn before_migration(
    connection: &Connection,
    path: &Path,
    version: u32,
) -> Result<PathBuf, JournalError> {
    let target = path.with_file_name(format!("bsm.db.before-{}-{}", version + 1, stamp()));
    copy(connection, &target)?;
    Ok(target)
}

/// Copies into a file of another name, and renames it when it is whole; removes it when it is not.
fn copy(source: &Connection, target: &Path) -> Result<(), JournalError> {
    enough_space(source, target)?;
    let part = PathBuf::from(format!("{}.part", target.display()));
    open::remove_with_sides(&part);
    let copied = copy_into(source, &part)
        .and_then(|connection| open::finish_database(connection, &part, target));
    if copied.is_err() {
        open::remove_with_sides(&part);
    }
    copied
}

fn copy_into(source: &Connection, part: &Path) -> Result<Connection, JournalError> {
    crate::state::private_file(part, false).map_err(|e| JournalError::ReadOnly(e.to_string()))?;
    let mut connection = Connection::open(part)?;
    {
        let backup = rusqlite::backup::Backup::new(source, &mut connection)?;
        // In one step: it reads one state of the journal, and no writer waits for it.
        backup.step(-1)?;
    }
    // One file, without a write-ahead log of its own.
    connection.pragma_update_and_check(None, "journal_mode", "DELETE", |_| Ok(()))?;
    let verdict: String = connection.query_row("PRAGMA quick_check(1)", [], |r| r.get(0))?;
    if verdict != "ok" {
        return Err(JournalError::Row(format!(
            "the copy is not whole: {verdict}"
        )));
    }
    Ok(connection)
}

/// A copy that would fill the disk is not begun.
fn enough_space(source: &Connection, target: &Path) -> Result<(), JournalError> {
    let pages: i64 = source.pragma_query_value(None, "page_count", |r| r.get(0))?;
    let size: i64 = source.pragma_query_value(None, "page_size", |r| r.get(0))?;
    let folder = target.parent().unwrap_or(Path::new("."));
    let Ok(disk) = rustix::fs::statvfs(folder) else {
        return Ok(());
    };
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let needed = pages.saturating_mul(size).unsigned_abs();
    if free < needed.saturating_add(needed / 10) {
        return Err(JournalError::Row(format!(
            "{} has {free} bytes free, the copy needs {needed}",
            folder.display()
        )));
    }
    Ok(())
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
    let connection = open::reader(path)?;
    let verdict: String = connection.query_row("PRAGMA integrity_check(1)", [], |r| r.get(0))?;
    if verdict != "ok" {
        return Err(damaged(verdict));
    }
    let records = if schema::version(&connection)? >= schema::WITH_RECORDS {
        record_log::verify(&connection, 0)?
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
    let source = open::reader(from)?;
    let part = part_of(path);
    open::remove_with_sides(&part);
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

/// Where a database is made that takes the journal's place.
pub(super) fn part_of(path: &Path) -> PathBuf {
    PathBuf::from(format!("{}.part", path.display()))
}

/// Puts a database that was made at [`part_of`] in the journal's place; returns where the old one is. A crash
/// in the middle leaves a whole database under a name of its own, and [`roll_forward`] goes on from there.
pub(super) fn install(
    connection: Connection,
    path: &Path,
    why: &str,
) -> Result<Option<PathBuf>, JournalError> {
    open::finish_database(connection, &part_of(path), &recovered_of(path))?;
    roll_forward(path, why)
}

fn recovered_of(path: &Path) -> PathBuf {
    PathBuf::from(format!("{}.recovered", path.display()))
}

/// If a whole database waits to take the journal's place, it takes it; what was there is kept under another
/// name, which is returned.
pub(super) fn roll_forward(path: &Path, why: &str) -> Result<Option<PathBuf>, JournalError> {
    let recovered = recovered_of(path);
    if !recovered.exists() {
        return Ok(None);
    }
    let kept = set_aside(path, why)?;
    let io = |e: std::io::Error| JournalError::io(path, &e);
    std::fs::rename(&recovered, path).map_err(io)?;
    open::sync_folder(path).map_err(io)?;
    Ok(kept)
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

/// Moves the journal and what lies beside it to another name; `None`: there was none.
///
/// # Errors
/// The folder cannot be written.
pub fn set_aside(path: &Path, why: &str) -> Result<Option<PathBuf>, JournalError> {
    let io = |e: std::io::Error| JournalError::io(path, &e);
    let target = path.with_file_name(format!("bsm.db.{why}-{}", stamp()));
    let mut kept = None;
    for end in ["", "-wal", "-shm", ".head"] {
        let from = PathBuf::from(format!("{}{end}", path.display()));
        if from.exists() {
            std::fs::rename(&from, format!("{}{end}", target.display())).map_err(io)?;
            kept = Some(target.clone());
        }
    }
    open::sync_folder(path).map_err(io)?;
    Ok(kept)
}

/// The time as it stands in names: with milliseconds, so that two in one second are two.
pub(super) fn stamp() -> String {
    jiff::Timestamp::now()
        .strftime("%Y%m%dT%H%M%S%3fZ")
        .to_string()
}
