//! Connections to a journal: its schema is known, and what is written is synced.

use std::path::Path;

use rusqlite::Connection;

use crate::journal::error::JournalError;
use crate::journal::{database_file, schema};

/// The write-ahead log is cut back to this after it was folded in, bytes.
const WAL_BYTES: i64 = 16 << 20;
/// It is folded in when it has so many pages: with their headers they fit into [`WAL_BYTES`]. A page that is written
/// by every run goes into the database once a fold, so that rarer folds write less.
const WAL_PAGES: i64 = 4_000;
/// Statements that a connection keeps ready: more than the journal has.
const STATEMENTS: usize = 64;

/// A connection that only reads.
pub(super) fn reader(path: &Path) -> Result<Connection, JournalError> {
    let connection = database_file::read_only(path)?;
    schema::check_known(schema::version(&connection)?, path)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}

/// A connection that writes to a journal which was checked before.
pub(super) fn writer(path: &Path) -> Result<Connection, JournalError> {
    let connection = database_file::existing(path)?;
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    connection.pragma_update_and_check(None, "journal_size_limit", WAL_BYTES, |_| Ok(()))?;
    connection.pragma_update_and_check(None, "wal_autocheckpoint", WAL_PAGES, |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "secure_delete", true)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}
