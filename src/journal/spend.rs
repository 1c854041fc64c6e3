//! What models cost: sums by day, provider, model and agent, added to once a second.

use rusqlite::{Connection, Row};
use serde::{Deserialize, Serialize};

use crate::journal::connection::{Journal, ReadOnly};
use crate::journal::error::JournalError;
use crate::journal::record::Record;
use crate::journal::usage::SPEND_DAYS;

/// One line of the sums.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SpendRow {
    /// The day, UTC, as `2026-11-21`.
    pub day: String,
    /// The provider.
    pub provider: String,
    /// The model.
    pub model: String,
    /// The agent; empty for callers that are none.
    pub agent: String,
    /// Calls that used something.
    pub calls: u64,
    /// Tokens read.
    pub prompt: u64,
    /// Tokens written.
    pub completion: u64,
    /// Millionths of a dollar.
    pub micro_usd: u64,
}

impl Journal {
    /// Adds to the sums.
    ///
    /// # Errors
    /// As all writing; then nothing was added.
    pub async fn add_spend(&self, rows: Vec<SpendRow>) -> Result<(), JournalError> {
        self.append(Record::Spent { rows }).await.map(drop)
    }

    /// The sums since a day, that day included.
    ///
    /// # Errors
    /// As all reading.
    pub async fn spend_since(&self, day: String) -> Result<Vec<SpendRow>, JournalError> {
        self.read(move |c| since(c, &day)).await
    }

    /// Lets go of sums that are too old to matter.
    ///
    /// # Errors
    /// As all writing.
    pub async fn forget_spend(&self) -> Result<(), JournalError> {
        let today = jiff::Timestamp::now()
            .to_zoned(jiff::tz::TimeZone::UTC)
            .date();
        let before = today
            .saturating_sub(jiff::Span::new().days(SPEND_DAYS))
            .to_string();
        self.append(Record::SpendPruned { before }).await.map(drop)
    }
}

impl ReadOnly {
    /// The sums since a day, that day included.
    ///
    /// # Errors
    /// As all reading. A journal that no newer program has opened has none.
    pub fn spend_since(&self, day: &str) -> Result<Vec<SpendRow>, JournalError> {
        let known = self.connection.table_exists(None, "spend")?;
        if !known {
            return Ok(Vec::new());
        }
        since(&self.connection, day).map_err(JournalError::from)
    }
}

fn since(connection: &Connection, day: &str) -> rusqlite::Result<Vec<SpendRow>> {
    connection
        .prepare_cached("SELECT * FROM spend WHERE day >= ?1 ORDER BY day, micro_usd DESC, provider, model, agent")?
        .query_map([day], row)?
        .collect()
}

fn row(row: &Row<'_>) -> rusqlite::Result<SpendRow> {
    let number = |at| row.get::<_, i64>(at).map(|n| n.max(0).cast_unsigned());
    Ok(SpendRow {
        day: row.get(0)?,
        provider: row.get(1)?,
        model: row.get(2)?,
        agent: row.get(3)?,
        calls: number(4)?,
        prompt: number(5)?,
        completion: number(6)?,
        micro_usd: number(7)?,
    })
}
