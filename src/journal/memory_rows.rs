//! What is remembered, as rows.

use rusqlite::Connection;
use rusqlite::OptionalExtension as _;
use rusqlite::Row;
use rusqlite::params;
use serde::Deserialize;
use serde::Serialize;
use std::collections::BTreeMap;

/// What kind of thing is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MemoryKind {
    /// An agent's review of a change.
    CodeReview,
    /// A run's decision.
    OrchestrationDecision,
}

impl MemoryKind {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CodeReview => "code_review",
            Self::OrchestrationDecision => "orchestration_decision",
        }
    }

    fn read(word: &str) -> Self {
        match word {
            "orchestration_decision" => Self::OrchestrationDecision,
            _ => Self::CodeReview,
        }
    }
}

/// Something to remember.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NewMemory {
    /// Its id; the same one replaces.
    pub id: String,
    /// What it is.
    pub kind: MemoryKind,
    /// What it is found by, at most 1,000 characters.
    pub code: String,
    /// What was said of it.
    pub review: String,
    /// Agent, event, repository, rules and the like: a JSON object.
    pub metadata: serde_json::Value,
    /// Wall time, milliseconds.
    pub created_ms: i64,
    /// Its run.
    pub run: Option<String>,
}

/// Something that is remembered.
#[derive(Debug, Clone, PartialEq)]
pub struct MemoryRow {
    /// Its number: what the index knows it by.
    pub seq: i64,
    /// What it is.
    pub item: NewMemory,
}

/// A number that was given, and the one that went for it.
pub type Remembered = (i64, Option<i64>);

/// How much is remembered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MemoryCounts {
    /// Reviews.
    pub reviews: u64,
    /// Decisions.
    pub decisions: u64,
    /// Bytes of their texts.
    pub bytes: u64,
}

/// What is let go of; 0: nothing for that reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Retention {
    /// Older ones, milliseconds of wall time.
    pub older_than_ms: i64,
    /// All but the newest so many.
    pub items: u64,
    /// The oldest, until the texts take no more bytes.
    pub bytes: u64,
}

pub(crate) const COLUMNS: &str = "seq, id, kind, code, review, metadata, created_ms, run_id";

/// Writes one down under a number, in whatever transaction its reason is written in.
pub(crate) fn insert(
    tx: &Connection,
    number: i64,
    new: &NewMemory,
) -> rusqlite::Result<Remembered> {
    let replaced: Option<i64> = tx
        .prepare_cached("DELETE FROM memory WHERE id = ?1 RETURNING seq")?
        .query_row([&new.id], |r| r.get(0))
        .optional()?;
    let sql = "INSERT INTO memory (seq, id, kind, code, review, metadata, created_ms, run_id) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    tx.prepare_cached(sql)?.execute(params![
        number,
        new.id,
        new.kind.as_str(),
        new.code,
        new.review,
        new.metadata.to_string(),
        new.created_ms,
        new.run
    ])?;
    Ok((number, replaced))
}

pub(crate) fn scan(
    c: &Connection,
    mut take: impl FnMut(i64, i64, &str) -> bool,
) -> rusqlite::Result<()> {
    let last: i64 = c.query_row("SELECT coalesce(max(seq), 0) FROM memory", [], |r| r.get(0))?;
    let sql = "SELECT seq, created_ms, code FROM memory WHERE seq > ?1 AND seq <= ?2 ORDER BY seq LIMIT 20000";
    let mut statement = c.prepare(sql)?;
    let mut from = 0_i64;
    // In pieces: a reading that lasts keeps the journal's log from being folded in.
    loop {
        let mut rows = statement.query([from, last])?;
        let mut any = false;
        while let Some(row) = rows.next()? {
            from = row.get(0)?;
            any = true;
            let text = row.get_ref(2)?.as_str().unwrap_or_default();
            if !take(from, row.get(1)?, text) {
                return Ok(());
            }
        }
        if !any {
            return Ok(());
        }
    }
}

pub(crate) fn by_seqs(c: &Connection, seqs: &[i64]) -> rusqlite::Result<Vec<MemoryRow>> {
    let sql = format!("SELECT {COLUMNS} FROM memory WHERE seq = ?1");
    let mut statement = c.prepare_cached(&sql)?;
    let mut found = Vec::with_capacity(seqs.len());
    for seq in seqs {
        found.extend(statement.query_row([seq], read).optional()?);
    }
    Ok(found)
}

pub(crate) fn counts(c: &Connection) -> rusqlite::Result<MemoryCounts> {
    let mut counts = MemoryCounts::default();
    let sql = "SELECT kind, count(*), sum(length(CAST(code AS BLOB)) + length(CAST(review AS BLOB)) + length(CAST(metadata AS BLOB))) FROM memory GROUP BY kind";
    let mut statement = c.prepare_cached(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let number = |at| row.get::<_, i64>(at).map(|n| n.max(0).cast_unsigned());
        match MemoryKind::read(row.get_ref(0)?.as_str().unwrap_or_default()) {
            MemoryKind::CodeReview => counts.reviews = number(1)?,
            MemoryKind::OrchestrationDecision => counts.decisions = number(1)?,
        }
        counts.bytes += number(2)?;
    }
    Ok(counts)
}

pub(crate) fn decisions(c: &Connection, since_ms: i64) -> rusqlite::Result<Vec<MemoryRow>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM memory WHERE kind = 'orchestration_decision' AND created_ms >= ?1 ORDER BY created_ms DESC LIMIT 200000"
    );
    c.prepare_cached(&sql)?
        .query_map([since_ms], read)?
        .collect()
}

pub(crate) fn retain(tx: &Connection, keep: Retention) -> rusqlite::Result<Vec<i64>> {
    let mut gone = Vec::new();
    let mut delete = |sql: &str, number: i64| -> rusqlite::Result<()> {
        let mut statement = tx.prepare_cached(sql)?;
        let seqs = statement.query_map([number], |r| r.get(0))?;
        gone.extend(seqs.collect::<rusqlite::Result<Vec<i64>>>()?);
        Ok(())
    };
    if keep.older_than_ms > 0 {
        delete(
            "DELETE FROM memory WHERE created_ms < ?1 RETURNING seq",
            keep.older_than_ms,
        )?;
    }
    if keep.items > 0 {
        let sql = "DELETE FROM memory WHERE seq NOT IN (SELECT seq FROM memory ORDER BY created_ms DESC, seq DESC LIMIT ?1) RETURNING seq";
        delete(sql, keep.items.min(i64::MAX as u64).cast_signed())?;
    }
    if keep.bytes > 0 {
        let sql = "DELETE FROM memory WHERE seq IN (SELECT seq FROM (SELECT seq, sum(length(CAST(code AS BLOB)) + length(CAST(review AS BLOB)) + length(CAST(metadata AS BLOB))) OVER (ORDER BY created_ms DESC, seq DESC) AS bytes FROM memory) WHERE bytes > ?1) RETURNING seq";
        delete(sql, keep.bytes.min(i64::MAX as u64).cast_signed())?;
    }
    Ok(gone)
}

pub(crate) fn read(r: &Row<'_>) -> rusqlite::Result<MemoryRow> {
    let metadata: String = r.get(5)?;
    Ok(MemoryRow {
        seq: r.get(0)?,
        item: NewMemory {
            id: r.get(1)?,
            kind: MemoryKind::read(r.get_ref(2)?.as_str().unwrap_or_default()),
            code: r.get(3)?,
            review: r.get(4)?,
            metadata: serde_json::from_str(&metadata).unwrap_or_else(|_| {
                serde_json::Value::Object(BTreeMap::new().into_iter().collect())
            }),
            created_ms: r.get(6)?,
            run: r.get(7)?,
        },
    })
}
