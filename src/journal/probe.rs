//! A trial write: whether the journal can be written now, found out by writing.
//!
//! Why a table of its own: the write must be a whole synced transaction and leave nothing behind. Its one row is
//! replaced, so that the table never grows.

use rusqlite::OptionalExtension as _;

use crate::journal::connection::Journal;
use crate::journal::error::JournalError;

const TABLE: &str = "CREATE TABLE IF NOT EXISTS health_probe (\
                     id INTEGER PRIMARY KEY CHECK (id = 1), at_ms INTEGER NOT NULL) STRICT";

impl Journal {
    /// Writes one row and syncs it; the row of the probe before is replaced.
    ///
    /// # Errors
    /// The journal cannot be written, or is closed.
    pub async fn probe(&self, at_ms: i64) -> Result<(), JournalError> {
        self.write(move |tx| {
            tx.execute(TABLE, [])?;
            tx.prepare_cached("INSERT OR REPLACE INTO health_probe (id, at_ms) VALUES (1, ?1)")?
                .execute([at_ms])
                .map(drop)
        })
        .await
    }

    /// When the oldest publication that still waits was made, wall time in milliseconds; `None`: none waits.
    ///
    /// # Errors
    /// As all reading.
    pub async fn oldest_waiting_publication(&self) -> Result<Option<i64>, JournalError> {
        self.read(|c| {
            let sql = "SELECT min(created_ms) FROM outbox WHERE state = 'waiting'";
            let oldest = c.prepare_cached(sql)?.query_row([], |r| r.get(0));
            oldest.optional().map(Option::flatten)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn probe_writes_one_row_and_never_a_second() {
        let journal = Journal::in_memory().unwrap();
        for at_ms in 1..=3 {
            journal.probe(at_ms).await.unwrap();
        }
        let rows: (i64, i64) = journal
            .read(|c| {
                c.query_row("SELECT count(*), max(at_ms) FROM health_probe", [], |r| {
                    Ok((r.get(0)?, r.get(1)?))
                })
            })
            .await
            .unwrap();
        assert_eq!(rows, (1, 3));
    }

    #[tokio::test]
    async fn probe_of_a_full_journal_says_that_it_is_full() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(&dir.path().join("bsm.db")).unwrap();
        // No page more than it has: the probe's table needs one.
        journal.limit_pages(1).await.unwrap();
        assert!(matches!(journal.probe(1).await, Err(JournalError::Full)));
        journal.limit_pages(10_000).await.unwrap();
        journal.probe(2).await.unwrap();
    }
}
