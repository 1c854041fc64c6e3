//! What is remembered: reviews and decisions with their texts. Which of them are like a text, the index
//! beside it knows; what is in here is what it is built from.

use crate::journal::connect;
use crate::journal::connection::{Journal, ReadOnly};
use crate::journal::error::JournalError;
use crate::journal::memory_rows::{
    COLUMNS, MemoryCounts, MemoryRow, NewMemory, Remembered, Retention, by_seqs, counts, decisions,
    read, scan,
};
use crate::journal::record::Record;
use crate::journal::row_numbers::ROWS_PER_RECORD;

impl Journal {
    /// Remembers items; in the same order, their numbers.
    ///
    /// # Errors
    /// As all writing. Of more items than a record can hold, the first ones may be kept then.
    pub async fn remember(&self, items: Vec<NewMemory>) -> Result<Vec<Remembered>, JournalError> {
        let mut numbers = Vec::with_capacity(items.len());
        for piece in items.chunks(ROWS_PER_RECORD as usize) {
            let items = piece.to_vec();
            let applied = self.append(Record::MemoryAdded { items }).await?;
            numbers.extend(applied.remembered());
        }
        Ok(numbers)
    }

    /// Forgets an item, really; its number.
    ///
    /// # Errors
    /// As all writing.
    pub async fn forget(&self, id: &str) -> Result<Option<i64>, JournalError> {
        let id = id.to_owned();
        let applied = self.append(Record::MemoryForgotten { id }).await?;
        Ok(applied.removed().pop())
    }

    /// Lets go of what is too old or too much; the numbers that went.
    ///
    /// # Errors
    /// As all writing.
    pub async fn retain_memory(&self, keep: Retention) -> Result<Vec<i64>, JournalError> {
        let applied = self.append(Record::MemoryPruned { keep }).await?;
        Ok(applied.removed())
    }

    /// Items by their numbers, in the order asked for; those that went are left out.
    ///
    /// # Errors
    /// As all reading.
    pub async fn memories(&self, seqs: Vec<i64>) -> Result<Vec<MemoryRow>, JournalError> {
        self.read(move |c| by_seqs(c, &seqs)).await
    }

    /// Whether there is anything.
    ///
    /// # Errors
    /// As all reading.
    pub async fn remembers(&self) -> Result<bool, JournalError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM memory)";
        self.read(|c| c.query_row(sql, [], |r| r.get(0))).await
    }

    /// How much is remembered.
    ///
    /// # Errors
    /// As all reading.
    pub async fn memory_counts(&self) -> Result<MemoryCounts, JournalError> {
        self.read(counts).await
    }

    /// Decisions since a time, in figures: why changes are rejected.
    ///
    /// # Errors
    /// As all reading.
    pub async fn memory_decisions(&self, since_ms: i64) -> Result<Vec<MemoryRow>, JournalError> {
        self.read(move |c| decisions(c, since_ms)).await
    }

    /// Every item's number, time and text, in the order they came, up to those that are there now. On a
    /// connection of its own: nobody waits for it. Blocking.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn scan_memory(
        &self,
        take: impl FnMut(i64, i64, &str) -> bool,
    ) -> Result<(), JournalError> {
        match &self.path {
            Some(path) => Ok(scan(&connect::reader(path)?, take)?),
            None => Ok(()),
        }
    }
}

impl ReadOnly {
    /// As [`Journal::scan_memory`].
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn scan_memory(
        &self,
        take: impl FnMut(i64, i64, &str) -> bool,
    ) -> Result<(), JournalError> {
        if !self.connection.table_exists(None, "memory")? {
            return Ok(());
        }
        Ok(scan(&self.connection, take)?)
    }

    /// As [`Journal::memories`].
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn memories(&self, seqs: &[i64]) -> Result<Vec<MemoryRow>, JournalError> {
        Ok(by_seqs(&self.connection, seqs)?)
    }

    /// As [`Journal::memory_counts`].
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn memory_counts(&self) -> Result<MemoryCounts, JournalError> {
        if !self.connection.table_exists(None, "memory")? {
            return Ok(MemoryCounts::default());
        }
        Ok(counts(&self.connection)?)
    }

    /// As [`Journal::memory_decisions`].
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn memory_decisions(&self, since_ms: i64) -> Result<Vec<MemoryRow>, JournalError> {
        if !self.connection.table_exists(None, "memory")? {
            return Ok(Vec::new());
        }
        Ok(decisions(&self.connection, since_ms)?)
    }

    /// Every item, in the order they came.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn each_memory(&self, mut take: impl FnMut(MemoryRow) -> bool) -> Result<(), JournalError> {
        if !self.connection.table_exists(None, "memory")? {
            return Ok(());
        }
        let sql = format!("SELECT {COLUMNS} FROM memory ORDER BY seq");
        let mut statement = self.connection.prepare(&sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            if !take(read(row)?) {
                break;
            }
        }
        Ok(())
    }
}
