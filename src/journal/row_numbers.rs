//! Numbers of rows: a record's sequence, and the row's place in the record.
//!
//! Why not SQLite's own counters: the same records give the same numbers wherever they are applied.

/// Rows that one record can add to a table. The number of a row is its record's sequence times this, plus its
/// place in the record.
pub(super) const ROWS_PER_RECORD: i64 = 1_000;

/// The number of a row that a record adds.
pub(super) fn row_number(sequence: i64, index: usize) -> i64 {
    sequence * ROWS_PER_RECORD + i64::try_from(index).unwrap_or(i64::MAX)
}

/// The record that added a row.
pub(super) fn record_of(row_number: i64) -> i64 {
    row_number / ROWS_PER_RECORD
}
