//! Copies of an open journal: whole and checked, or not at all.

use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::journal::database_file::{finish_database, remove_with_sides};
use crate::journal::error::JournalError;
use crate::state::stamp;

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
pub(super) fn copy(source: &Connection, target: &Path) -> Result<(), JournalError> {
    enough_space(source, target)?;
    let part = PathBuf::from(format!("{}.part", target.display()));
    remove_with_sides(&part);
    let copied =
        copy_into(source, &part).and_then(|connection| finish_database(connection, &part, target));
    if copied.is_err() {
        remove_with_sides(&part);
    }
    copied
}

/// Copies into a new file that has no write-ahead log of its own, and checks it.
pub(super) fn copy_into(source: &Connection, part: &Path) -> Result<Connection, JournalError> {
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
