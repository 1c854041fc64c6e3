//! Facts about the journal itself, as rows of key and value.

use rusqlite::{Connection, OptionalExtension as _};

/// A random word that names this journal; another journal has another.
pub(super) const EPOCH: &str = "epoch";
/// The highest sequence whose row was removed.
pub(super) const BASE_SEQUENCE: &str = "base_sequence";
/// The chained hash at that sequence, hexadecimal.
pub(super) const BASE_CHAIN: &str = "base_chain";
/// What an operator has to read: the journal was recovered or restored.
pub(super) const NOTICE: &str = "notice";

/// Up to which time the wall clock is believed: JSON of the engine's retention.
pub(super) const CLOCK_TRUST: &str = "clock_trust";

pub(super) fn get(c: &Connection, key: &str) -> rusqlite::Result<Option<String>> {
    c.prepare_cached("SELECT value FROM meta WHERE key = ?1")?
        .query_row([key], |r| r.get(0))
        .optional()
}

pub(super) fn set(tx: &Connection, key: &str, value: &str) -> rusqlite::Result<()> {
    tx.prepare_cached("INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)")?
        .execute([key, value])
        .map(drop)
}

pub(super) fn remove(tx: &Connection, key: &str) -> rusqlite::Result<()> {
    tx.prepare_cached("DELETE FROM meta WHERE key = ?1")?
        .execute([key])
        .map(drop)
}
