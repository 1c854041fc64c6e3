//! Connections to a journal: its schema is known, and what is written is synced.

use std::path::Path;

use rusqlite::Connection;

use crate::journal::error::JournalError;
use crate::journal::{database_file, schema};

/// The write-ahead log is cut back to this after it was folded in, bytes.
const WAL_BYTES: i64 = 16 << 20;

/// A connection that only reads.
pub(super) fn reader(path: &Path) -> Result<Connection, JournalError> {
    let connection = database_file::read_only(path)?;
    schema::check_known(schema::version(&connection)?, path)?;
    Ok(connection)
}

/// A connection that writes to a journal which was checked before.
pub(super) fn writer(path: &Path) -> Result<Connection, JournalError> {
    let connection = database_file::existing(path)?;
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    connection.pragma_update_and_check(None, "journal_size_limit", WAL_BYTES, |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "secure_delete", true)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    Ok(connection)
}
