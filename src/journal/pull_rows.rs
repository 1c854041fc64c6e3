//! Pull requests as rows: which commit is known, what was left there, and whether that is still what is wanted.

use rusqlite::{Connection, Row, params};
use serde::{Deserialize, Serialize};

use crate::journal::github_rows::NewPublication;

/// Settled pull requests that are kept.
pub(crate) const PULLS: u32 = 10_000;

/// A pull request at one commit, or a commit of a merge queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PullRef {
    /// `owner/name`.
    pub repository: String,
    /// The host's number of the repository: it stays when the repository is renamed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository_id: Option<u64>,
    /// Its number; 0 for a commit of a merge queue.
    pub number: u64,
    /// The newest commit that is known.
    pub head: String,
    /// The branch that it would go into; empty: not known.
    pub base: String,
}

impl PullRef {
    /// `owner/name#7`, or `owner/name@commit` in a merge queue. Hosts do not tell upper from lower case here.
    pub fn key(&self) -> String {
        let repository = self.repository.to_ascii_lowercase();
        match self.number {
            0 => format!("{repository}@{}", self.head),
            number => format!("{repository}#{number}"),
        }
    }
}

/// A pull request as kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullRow {
    /// [`PullRef::key`].
    pub key: String,
    /// What is known of it.
    pub pull: PullRef,
    /// The run that decided about it last.
    pub run: Option<String>,
    /// The record that last changed what is wanted.
    pub revision: i64,
    /// Not before, by the engine's own count of milliseconds.
    pub next_ms: i64,
    /// What was left there: JSON.
    pub published: String,
}

/// A publication that is planned, or planned once more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Planned {
    /// The run whose decision it shows; empty: it shows that there is none.
    pub run: String,
    /// Where and what.
    pub publication: NewPublication,
}

const COLUMNS: &str =
    "key, repository, repository_id, number, head, base, run_id, revision, next_ms, published";

fn row(r: &Row<'_>) -> rusqlite::Result<PullRow> {
    Ok(PullRow {
        key: r.get(0)?,
        pull: PullRef {
            repository: r.get(1)?,
            repository_id: r.get::<_, Option<i64>>(2)?.map(i64::cast_unsigned),
            number: r.get::<_, i64>(3)?.cast_unsigned(),
            head: r.get(4)?,
            base: r.get(5)?,
        },
        run: r.get(6)?,
        revision: r.get(7)?,
        next_ms: r.get(8)?,
        published: r.get(9)?,
    })
}

/// One pull request.
pub(crate) fn one(c: &Connection, key: &str) -> rusqlite::Result<Option<PullRow>> {
    let sql = format!("SELECT {COLUMNS} FROM pulls WHERE key = ?1");
    let mut found = c.prepare_cached(&sql)?;
    let mut rows = found.query_map([key], row)?;
    rows.next().transpose()
}

/// Those on which something is to be done, where its time has come, the oldest change first. One that would wait
/// for longer than `longest_ms`, which nothing does, is due: the clock was ahead when it was tried.
pub(crate) fn due(c: &Connection, now_ms: i64, longest_ms: i64) -> rusqlite::Result<Vec<PullRow>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM pulls WHERE revision > settled AND (next_ms <= ?1 OR next_ms > ?1 + ?2) \
         ORDER BY revision LIMIT 200"
    );
    c.prepare_cached(&sql)?
        .query_map(params![now_ms, longest_ms], row)?
        .collect()
}

/// Something about a pull request changed: it is looked at again. A repository that was renamed keeps its rows.
pub(crate) fn mark(
    tx: &Connection,
    sequence: i64,
    pull: &PullRef,
    run: Option<&str>,
    at_ms: i64,
) -> rusqlite::Result<()> {
    let key = pull.key();
    if let (Some(id), true) = (pull.repository_id, pull.number > 0) {
        let sql = "UPDATE OR IGNORE pulls SET key = ?1, repository = ?2 WHERE repository_id = ?3 AND number = ?4 AND key <> ?1";
        tx.prepare_cached(sql)?.execute(params![
            key,
            pull.repository,
            id.cast_signed(),
            pull.number.cast_signed()
        ])?;
    }
    let sql = "INSERT INTO pulls (key, repository, repository_id, number, head, base, run_id, revision, settled, next_ms, changed_ms, published) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 0, 0, ?9, '{}') \
               ON CONFLICT (key) DO UPDATE SET repository = ?2, repository_id = coalesce(?3, repository_id), head = ?5, \
               base = CASE ?6 WHEN '' THEN base ELSE ?6 END, run_id = coalesce(?7, run_id), revision = ?8, next_ms = 0, changed_ms = ?9";
    tx.prepare_cached(sql)?
        .execute(params![
            key,
            pull.repository,
            pull.repository_id.map(u64::cast_signed),
            pull.number.cast_signed(),
            pull.head,
            pull.base,
            run,
            sequence,
            at_ms
        ])
        .map(drop)
}
