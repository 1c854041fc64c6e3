//! The tables: migrations in order, with a copy of the file before each.

use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::journal::copy;
use crate::journal::error::JournalError;
use crate::journal::meta;
use crate::journal::row_numbers::ROWS_PER_RECORD;

/// Migrations in order; the file's number is `user_version` after it ran.
const MIGRATIONS: &[(&str, &str)] = &[
    (
        "202611211200_runs",
        include_str!("migrations/202611211200_runs.sql"),
    ),
    (
        "202611211700_history",
        include_str!("migrations/202611211700_history.sql"),
    ),
    (
        "202611211800_brief",
        include_str!("migrations/202611211800_brief.sql"),
    ),
    (
        "202611211930_spend",
        include_str!("migrations/202611211930_spend.sql"),
    ),
    (
        "202611212300_github",
        include_str!("migrations/202611212300_github.sql"),
    ),
    (
        "202611212345_memory",
        include_str!("migrations/202611212345_memory.sql"),
    ),
    (
        "202611270000_records",
        include_str!("migrations/202611270000_records.sql"),
    ),
    (
        "202611271400_pulls",
        include_str!("migrations/202611271400_pulls.sql"),
    ),
    (
        "202611272100_comments",
        include_str!("migrations/202611272100_comments.sql"),
    ),
];

/// The schema's number that this program writes.
pub(super) const KNOWN: u32 = MIGRATIONS.len() as u32;

/// The number from which on there are records.
pub(super) const WITH_RECORDS: u32 = 7;

/// The number of an open file.
pub(super) fn version(connection: &Connection) -> rusqlite::Result<u32> {
    connection.pragma_query_value(None, "user_version", |r| r.get(0))
}

/// Refuses a file that a newer program wrote.
pub(super) fn check_known(found: u32, path: &Path) -> Result<(), JournalError> {
    if found > KNOWN {
        return Err(JournalError::Newer {
            path: path.to_path_buf(),
            found,
            known: KNOWN,
        });
    }
    Ok(())
}

/// Brings the tables up to date; a file that has tables already is copied first. Returns the copy.
///
/// # Errors
/// There is no room for the copy, or a migration fails; then the file is as it was.
pub(super) fn migrate(
    connection: &mut Connection,
    path: Option<&Path>,
) -> Result<Option<PathBuf>, JournalError> {
    let from = version(connection)?;
    let mut kept = None;
    if from > 0
        && from < KNOWN
        && let Some(path) = path
    {
        kept = Some(copy::before_migration(connection, path, from)?);
    }
    for (index, (_, sql)) in MIGRATIONS.iter().enumerate().skip(from as usize) {
        let tx = connection.transaction()?;
        tx.execute_batch(sql)?;
        if index as u32 + 1 == WITH_RECORDS {
            begin_records(&tx)?;
        }
        tx.pragma_update(None, "user_version", index as u32 + 1)?;
        tx.commit()?;
    }
    Ok(kept)
}

/// The journal gets a name, and its records begin above every row number that was given before.
fn begin_records(tx: &Connection) -> rusqlite::Result<()> {
    meta::set(tx, meta::EPOCH, &new_epoch())?;
    let sql = "SELECT max((SELECT coalesce(max(id), 0) FROM outbox), (SELECT coalesce(max(seq), 0) FROM memory))";
    let highest: i64 = tx.query_row(sql, [], |r| r.get(0))?;
    let base = highest / ROWS_PER_RECORD;
    meta::set(tx, meta::BASE_SEQUENCE, &base.to_string())
}

/// A random name for a journal.
pub(super) fn new_epoch() -> String {
    format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..))
}
