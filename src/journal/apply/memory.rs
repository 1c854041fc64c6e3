//! Records of memory.

use rusqlite::{Connection, OptionalExtension as _};

use crate::journal::memory_rows::{self as rows, NewMemory, Retention};
use crate::journal::record::Applied;
use crate::journal::record_log;
use crate::journal::row_numbers::{record_of, row_number};

pub(super) fn added(
    tx: &Connection,
    sequence: i64,
    items: &[NewMemory],
) -> rusqlite::Result<Applied> {
    let mut numbers = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        numbers.push(rows::insert(tx, row_number(sequence, index), item)?);
    }
    Ok(Applied::Remembered(numbers))
}

pub(super) fn forgotten(tx: &Connection, id: &str) -> rusqlite::Result<Applied> {
    let sql = "DELETE FROM memory WHERE id = ?1 RETURNING seq";
    let gone: Option<i64> = tx
        .prepare_cached(sql)?
        .query_row([id], |r| r.get(0))
        .optional()?;
    let Some(number) = gone else {
        return Ok(Applied::Unchanged);
    };
    // Forgotten is forgotten: not even the record that brought it keeps it.
    record_log::empty(tx, record_of(number))?;
    Ok(Applied::Removed(vec![number]))
}

pub(super) fn pruned(tx: &Connection, keep: Retention) -> rusqlite::Result<Applied> {
    let gone = rows::retain(tx, keep)?;
    if gone.is_empty() {
        return Ok(Applied::Unchanged);
    }
    Ok(Applied::Removed(gone))
}
