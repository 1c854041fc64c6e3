//! The database as a file: connections to it, new ones made under another name, and the exchange of one for
//! another in a way that a crash in the middle does not lose.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use crate::journal::error::JournalError;
use crate::state::stamp;

/// A connection that only reads.
pub(super) fn read_only(path: &Path) -> rusqlite::Result<Connection> {
    connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
}

/// A connection that writes to a file which is there.
pub(super) fn existing(path: &Path) -> rusqlite::Result<Connection> {
    connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)
}

fn connect(path: &Path, access: OpenFlags) -> rusqlite::Result<Connection> {
    let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.pragma_update(None, "trusted_schema", false)?;
    Ok(connection)
}

/// An empty private database, whose space returns to the system when rows are deleted.
pub(super) fn new_database(path: &Path) -> Result<Connection, JournalError> {
    // SQLite makes its files by the umask; made here first they are 0600, and -wal and -shm follow it.
    crate::state::private_file(path, false).map_err(|e| JournalError::ReadOnly(e.to_string()))?;
    let connection = existing(path)?;
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    Ok(connection)
}

/// Closes a database that was made under another name, syncs it, and gives it its own.
pub(super) fn finish_database(
    connection: Connection,
    from: &Path,
    to: &Path,
) -> Result<(), JournalError> {
    connection
        .close()
        .map_err(|(_, error)| JournalError::from(error))?;
    let io = |source: std::io::Error| JournalError::io(from, &source);
    File::open(from).and_then(|f| f.sync_all()).map_err(io)?;
    std::fs::rename(from, to).map_err(io)?;
    sync_folder(to).map_err(io)
}

/// Syncs the folder that a file is in: its name is on disk when this returns.
pub(super) fn sync_folder(path: &Path) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

/// Removes a database with what lies beside it.
pub(super) fn remove_with_sides(path: &Path) {
    for end in ["", "-wal", "-shm", "-journal"] {
        let _ = std::fs::remove_file(format!("{}{end}", path.display()));
    }
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
    finish_database(connection, &part_of(path), &recovered_of(path))?;
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
    sync_folder(path).map_err(io)?;
    Ok(kept)
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
    sync_folder(path).map_err(io)?;
    Ok(kept)
}
