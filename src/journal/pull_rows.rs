//! Pull requests as rows: which commit is known, what was left there, and whether that is still what is wanted.

use rusqlite::{Connection, OptionalExtension as _, Row, params};
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

/// Those about which the newest that was planned was only shown, in a dry run.
pub(crate) fn shown(c: &Connection) -> rusqlite::Result<Vec<PullRow>> {
    let sql = format!(
        "WITH entries AS (SELECT lower(json_extract(pull, '$.repository')) || CASE json_extract(pull, '$.number') WHEN 0 \
         THEN '@' || json_extract(pull, '$.headSha') ELSE '#' || json_extract(pull, '$.number') END AS place, state, id FROM outbox), \
         newest AS (SELECT place, max(CASE state WHEN 'dry' THEN id END) AS shown, max(CASE state WHEN 'done' THEN id END) AS done \
         FROM entries GROUP BY place) \
         SELECT {COLUMNS} FROM pulls WHERE key IN (SELECT place FROM newest WHERE shown > coalesce(done, 0)) ORDER BY revision"
    );
    c.prepare_cached(&sql)?.query_map([], row)?.collect()
}

/// A repository has another name: its pull requests, the decisions about them, what was dismissed and what was asked
/// in comments go along. Rows that the new name has already stay.
pub(crate) fn rename(
    tx: &Connection,
    sequence: i64,
    (old, new): (&str, &str),
    repository_id: Option<u64>,
) -> rusqlite::Result<()> {
    let (old_key, new_key) = (old.to_ascii_lowercase(), new.to_ascii_lowercase());
    let sql = "UPDATE OR IGNORE pulls SET key = ?2 || substr(key, length(?1) + 1), repository = ?3, \
               repository_id = coalesce(?4, repository_id), revision = ?5, next_ms = 0 WHERE lower(repository) = ?1";
    tx.prepare_cached(sql)?.execute(params![
        old_key,
        new_key,
        new,
        repository_id.map(u64::cast_signed),
        sequence
    ])?;
    for table in ["pull_decisions", "dismissals"] {
        let sql = format!("UPDATE {table} SET repository = ?2 WHERE repository = ?1");
        tx.prepare_cached(&sql)?.execute([&old_key, &new_key])?;
    }
    let sql = "UPDATE comment_tasks SET pull_key = ?2 || substr(pull_key, length(?1) + 1) \
               WHERE substr(pull_key, 1, length(?1) + 1) = ?1 || '#'";
    tx.prepare_cached(sql)?.execute([&old_key, &new_key])?;
    Ok(())
}

/// The other name under which a repository is known.
fn other_name(tx: &Connection, repository_id: u64, name: &str) -> rusqlite::Result<Option<String>> {
    let sql = "SELECT repository FROM pulls WHERE repository_id = ?1 AND lower(repository) <> lower(?2) LIMIT 1";
    tx.prepare_cached(sql)?
        .query_row(params![repository_id.cast_signed(), name], |r| r.get(0))
        .optional()
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
    if let (Some(id), true) = (pull.repository_id, pull.number > 0)
        && let Some(old) = other_name(tx, id, &pull.repository)?
    {
        rename(tx, sequence, (&old, &pull.repository), Some(id))?;
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
