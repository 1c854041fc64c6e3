//! Sums of what models cost, as rows.

use rusqlite::{Connection, Row};
use serde::{Deserialize, Serialize};

/// Days that sums of costs are kept.
pub(crate) const SPEND_DAYS: i64 = 400;

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

/// The sums since a day, that day included, the dearest of a day first.
pub(super) fn since(connection: &Connection, day: &str) -> rusqlite::Result<Vec<SpendRow>> {
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
