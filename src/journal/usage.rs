//! What takes how much of the journal, and what of it is beyond its bound. Only reads.

use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};

use crate::journal::connection::{Journal, ReadOnly};
use crate::journal::error::JournalError;
use crate::journal::github_rows::{KEYS_DAYS, LISTED, SENT};
use crate::journal::memory_rows::Retention;
use crate::journal::meta;
use crate::journal::spend_rows::SPEND_DAYS;

const DAY_MS: i64 = 86_400_000;
/// A rate is measured over so many days, or over the age of the table's oldest row where that is less.
const RATE_DAYS: i64 = 7;
/// From rows of a shorter time no rate is computed.
const SHORTEST_MS: i64 = 3_600_000;

/// Tables whose rows have a time, and its column.
const TIMES: &[(&str, &str)] = &[
    ("runs", "created_ms"),
    ("steps", "finished_ms"),
    ("history", "at_ms"),
    ("deliveries", "at_ms"),
    ("delivery_keys", "at_ms"),
    ("approvals", "created_ms"),
    ("outbox", "created_ms"),
    ("memory", "created_ms"),
    ("dismissals", "created_ms"),
    ("comment_tasks", "created_ms"),
];

/// One table with its indexes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TableUsage {
    /// Its name; `free pages` for space that is used again before the file grows.
    pub table: String,
    /// Rows; unknown for what has none.
    pub rows: Option<u64>,
    /// Bytes of its pages, its indexes' included.
    pub bytes: u64,
    /// The time of the oldest row, where rows have one.
    pub oldest_ms: Option<i64>,
    /// Bytes that came a day, newest week; unknown where rows have no time or span less than an hour.
    pub bytes_per_day: Option<f64>,
    /// Rows that came a day, as above.
    pub rows_per_day: Option<f64>,
}

/// What is kept, for [`Excess`].
#[derive(Debug, Clone, Copy, Default)]
pub struct Keep {
    /// The newest so many runs.
    pub runs: u32,
    /// What is remembered.
    pub memory: Retention,
    /// Wall time, milliseconds; 0: nothing goes by age.
    pub now_ms: i64,
}

/// Rows beyond their bound.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Excess {
    /// Ended runs.
    pub runs: u64,
    /// Items of memory.
    pub memory: u64,
    /// Webhooks in the list.
    pub deliveries: u64,
    /// Keys by which a webhook is known again.
    pub delivery_keys: u64,
    /// Decided approvals.
    pub approvals: u64,
    /// Ended publications.
    pub outbox: u64,
    /// Sums of costs.
    pub spend: u64,
}

impl Journal {
    /// What is beyond its bound.
    ///
    /// # Errors
    /// As all reading.
    pub async fn excess(&self, keep: Keep) -> Result<Excess, JournalError> {
        self.read(move |c| excess(c, &keep)).await
    }

    /// The files' names of all runs' reports.
    ///
    /// # Errors
    /// As all reading.
    pub async fn report_names(&self) -> Result<Vec<String>, JournalError> {
        self.read(report_names).await
    }

    /// How many runs are as new as a time, or newer.
    ///
    /// # Errors
    /// As all reading.
    pub async fn runs_since(&self, at_ms: i64) -> Result<u32, JournalError> {
        self.read(move |c| {
            let sql = "SELECT count(*) FROM runs WHERE created_ms >= ?1";
            c.prepare_cached(sql)?.query_row([at_ms], |r| r.get(0))
        })
        .await
    }

    /// What was kept of the wall clock; `None`: nothing yet.
    ///
    /// # Errors
    /// As all reading.
    pub async fn clock_trust(&self) -> Result<Option<String>, JournalError> {
        self.read(|c| meta::get(c, meta::CLOCK_TRUST)).await
    }

    /// Keeps what is known of the wall clock. It is a fact of this machine and no record.
    ///
    /// # Errors
    /// As all writing.
    pub async fn keep_clock_trust(&self, text: String) -> Result<(), JournalError> {
        self.write(move |tx| meta::set(tx, meta::CLOCK_TRUST, &text))
            .await
    }

    /// The newest time that any row has: the wall clock was at least there once.
    ///
    /// # Errors
    /// As all reading.
    pub async fn newest_ms(&self) -> Result<Option<i64>, JournalError> {
        self.read(|c| {
            let sql = "SELECT max(at) FROM (SELECT max(created_ms) AS at FROM runs \
                       UNION ALL SELECT max(finished_ms) FROM runs \
                       UNION ALL SELECT max(at_ms) FROM history)";
            c.prepare_cached(sql)?.query_row([], |r| r.get(0))
        })
        .await
    }
}

impl ReadOnly {
    /// What each table takes, the largest first.
    ///
    /// # Errors
    /// As all reading.
    pub fn usage(&self, now_ms: i64) -> Result<Vec<TableUsage>, JournalError> {
        Ok(usage(&self.connection, now_ms)?)
    }

    /// As [`Journal::report_names`].
    ///
    /// # Errors
    /// As all reading.
    pub fn report_names(&self) -> Result<Vec<String>, JournalError> {
        Ok(report_names(&self.connection)?)
    }
}

fn report_names(c: &Connection) -> rusqlite::Result<Vec<String>> {
    c.prepare_cached("SELECT report_name FROM runs")?
        .query_map([], |r| r.get(0))?
        .collect()
}

fn usage(c: &Connection, now_ms: i64) -> rusqlite::Result<Vec<TableUsage>> {
    let sql = "SELECT coalesce(s.tbl_name, d.name) AS t, sum(d.pgsize) FROM dbstat AS d \
               LEFT JOIN sqlite_schema AS s ON s.name = d.name WHERE d.aggregate = TRUE GROUP BY t ORDER BY 2 DESC";
    let sizes: Vec<(String, i64)> = c
        .prepare(sql)?
        .query_map([], |r| Ok((r.get(0)?, r.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let mut tables = Vec::with_capacity(sizes.len() + 1);
    for (table, bytes) in sizes {
        let bytes = bytes.max(0).cast_unsigned();
        tables.push(table_usage(c, table, bytes, now_ms)?);
    }
    let page: i64 = c.pragma_query_value(None, "page_size", |r| r.get(0))?;
    let free: i64 = c.pragma_query_value(None, "freelist_count", |r| r.get(0))?;
    tables.push(TableUsage {
        table: "free pages".into(),
        rows: None,
        bytes: (page * free).max(0).cast_unsigned(),
        oldest_ms: None,
        bytes_per_day: None,
        rows_per_day: None,
    });
    Ok(tables)
}

/// One table whose pages take `bytes`. The name comes from the schema, and is quoted.
fn table_usage(
    c: &Connection,
    table: String,
    bytes: u64,
    now_ms: i64,
) -> rusqlite::Result<TableUsage> {
    let quoted = format!("\"{}\"", table.replace('"', "\"\""));
    let count = |what: &str| {
        c.query_row(&format!("SELECT count(*) FROM {quoted} {what}"), [], |r| {
            r.get::<_, i64>(0)
        })
    };
    let rows = count("")?.max(0);
    let mut found = TableUsage {
        table,
        rows: Some(rows.cast_unsigned()),
        bytes,
        oldest_ms: None,
        bytes_per_day: None,
        rows_per_day: None,
    };
    let Some((_, column)) = TIMES.iter().find(|(t, _)| *t == found.table) else {
        return Ok(found);
    };
    let sql = format!("SELECT min({column}) FROM {quoted}");
    found.oldest_ms = c.query_row(&sql, [], |r| r.get(0))?;
    let span = now_ms - found.oldest_ms.unwrap_or(now_ms);
    if rows == 0 || span < SHORTEST_MS {
        return Ok(found);
    }
    let span = span.min(RATE_DAYS * DAY_MS);
    let newer = count(&format!("WHERE {column} >= {}", now_ms - span))?;
    let per_day = newer as f64 * DAY_MS as f64 / span as f64;
    found.rows_per_day = Some(per_day);
    found.bytes_per_day = Some(per_day * bytes as f64 / rows as f64);
    Ok(found)
}

fn excess(c: &Connection, keep: &Keep) -> rusqlite::Result<Excess> {
    let count = |sql: &str, number: i64| -> rusqlite::Result<u64> {
        let found: i64 = c.prepare_cached(sql)?.query_row([number], |r| r.get(0))?;
        Ok(found.max(0).cast_unsigned())
    };
    let runs: i64 = c
        .prepare_cached("SELECT count(*) FROM runs WHERE finished_ms IS NOT NULL AND report_written = 1 AND id NOT IN (SELECT id FROM runs ORDER BY created_ms > ?2, created_ms DESC, id DESC LIMIT ?1)")?
        .query_row([i64::from(keep.runs), keep.now_ms], |r| r.get(0))?;
    let mut excess = Excess {
        runs: runs.max(0).cast_unsigned(),
        memory: memory_excess(c, keep.memory)?,
        ..Excess::default()
    };
    if keep.now_ms > 0 {
        excess.deliveries = count("SELECT count(*) - ?1 FROM deliveries", i64::from(LISTED))?;
        excess.approvals = count(
            "SELECT count(*) FROM approvals WHERE state <> 'waiting' AND id NOT IN (SELECT id FROM approvals ORDER BY created_ms DESC LIMIT ?1)",
            i64::from(LISTED),
        )?;
        excess.outbox = count(
            "SELECT count(*) FROM outbox WHERE state IN ('done', 'dropped', 'dry') AND id NOT IN (SELECT id FROM outbox ORDER BY id DESC LIMIT ?1)",
            i64::from(SENT),
        )?;
        excess.delivery_keys = count(
            "SELECT count(*) FROM delivery_keys WHERE at_ms < ?1",
            keep.now_ms - KEYS_DAYS * DAY_MS,
        )?;
        let first = (keep.now_ms - SPEND_DAYS * DAY_MS) / 1_000;
        let sql = "SELECT count(*) FROM spend WHERE day < date(?1, 'unixepoch')";
        excess.spend = count(sql, first)?;
    }
    Ok(excess)
}

/// All three bounds take from the oldest end, so that what goes is what is beyond any of them.
fn memory_excess(c: &Connection, keep: Retention) -> rusqlite::Result<u64> {
    let most = |n: u64| {
        if n == 0 {
            i64::MAX
        } else {
            n.min(i64::MAX as u64).cast_signed()
        }
    };
    let sql = if keep.bytes == 0 {
        "SELECT count(*) FROM (SELECT created_ms, row_number() OVER (ORDER BY created_ms DESC, seq DESC) AS place FROM memory) \
         WHERE created_ms < ?1 OR place > ?2 OR ?3 < 0"
    } else {
        "SELECT count(*) FROM (SELECT created_ms, row_number() OVER (ORDER BY created_ms DESC, seq DESC) AS place, \
         sum(length(CAST(code AS BLOB)) + length(CAST(review AS BLOB)) + length(CAST(metadata AS BLOB))) \
         OVER (ORDER BY created_ms DESC, seq DESC) AS bytes FROM memory) WHERE created_ms < ?1 OR place > ?2 OR bytes > ?3"
    };
    let older = if keep.older_than_ms == 0 {
        i64::MIN
    } else {
        keep.older_than_ms
    };
    let found: i64 = c
        .prepare_cached(sql)?
        .query_row(params![older, most(keep.items), most(keep.bytes)], |r| {
            r.get(0)
        })?;
    Ok(found.max(0).cast_unsigned())
}

#[cfg(test)]
#[path = "usage_tests.rs"]
mod tests;
