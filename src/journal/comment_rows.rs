//! Comments that ask for something, and findings that somebody dismissed, as rows.

use rusqlite::{Connection, Row, params};
use serde::{Deserialize, Serialize};

/// Dismissals that are listed.
pub(crate) const DISMISSALS: u32 = 10_000;

/// A comment that asks for something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CommentTask {
    /// The webhook's id.
    pub id: String,
    /// The pull request, as its row is called.
    pub pull_key: String,
    /// Who wrote it: the host's name of the account.
    pub author: String,
    /// `command` or `reply`.
    pub kind: String,
    /// All that is needed to act on it: JSON, redacted.
    pub task: String,
    /// Received, wall time in milliseconds.
    pub created_ms: i64,
}

/// What became of such a comment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CommentOutcome {
    /// The comment's webhook.
    pub id: String,
    /// `waiting`: it is tried again; `done`; `dropped`.
    pub state: String,
    /// How it was answered: empty (not), `answer`, `reply`, `refusal`.
    pub answered: String,
    /// In a line.
    pub note: String,
    /// Tries.
    pub attempts: u32,
    /// Not before, by the engine's own count of milliseconds.
    pub next_ms: i64,
}

/// A comment that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommentRow {
    /// What came.
    pub task: CommentTask,
    /// Tries.
    pub attempts: u32,
}

/// A finding that somebody dismissed in a repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DismissalRow {
    /// Its id, `dis_…`: the same finding of the same repository has the same one.
    pub id: String,
    /// `owner/name`, in small letters.
    pub repository: String,
    /// The finding's fingerprint.
    pub fingerprint: String,
    /// The rule that found it.
    pub rule: String,
    /// The file; empty: the change as a whole.
    pub file: String,
    /// Where it was, for people: `file:line`.
    pub place: String,
    /// Who dismissed it.
    pub by: String,
    /// Why.
    pub reason: String,
    /// On which pull request.
    pub pull: String,
    /// Wall time, milliseconds.
    pub created_ms: i64,
    /// It ends then; `None`: never by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_ms: Option<i64>,
    /// Who took it back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_by: Option<String>,
    /// When.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_ms: Option<i64>,
}

impl DismissalRow {
    /// It takes its finding out of a decision that is made now.
    pub fn holds(&self, now_ms: i64) -> bool {
        self.revoked_ms.is_none() && self.expires_ms.is_none_or(|end| now_ms < end)
    }
}

const COLUMNS: &str = "id, repository, fingerprint, rule, file, place, dismissed_by, reason, pull, created_ms, expires_ms, revoked_by, revoked_ms";

fn row(r: &Row<'_>) -> rusqlite::Result<DismissalRow> {
    Ok(DismissalRow {
        id: r.get(0)?,
        repository: r.get(1)?,
        fingerprint: r.get(2)?,
        rule: r.get(3)?,
        file: r.get(4)?,
        place: r.get(5)?,
        by: r.get(6)?,
        reason: r.get(7)?,
        pull: r.get(8)?,
        created_ms: r.get(9)?,
        expires_ms: r.get(10)?,
        revoked_by: r.get(11)?,
        revoked_ms: r.get(12)?,
    })
}

/// Keeps a dismissal; one with this id is replaced.
pub(crate) fn put_dismissal(tx: &Connection, new: &DismissalRow) -> rusqlite::Result<()> {
    let sql = format!(
        "INSERT OR REPLACE INTO dismissals ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)"
    );
    tx.prepare_cached(&sql)?
        .execute(params![
            new.id,
            new.repository,
            new.fingerprint,
            new.rule,
            new.file,
            new.place,
            new.by,
            new.reason,
            new.pull,
            new.created_ms,
            new.expires_ms,
            new.revoked_by,
            new.revoked_ms
        ])
        .map(drop)
}

/// The newest dismissals, newest first.
pub(crate) fn newest_dismissals(c: &Connection, limit: u32) -> rusqlite::Result<Vec<DismissalRow>> {
    let sql =
        format!("SELECT {COLUMNS} FROM dismissals ORDER BY created_ms DESC, id DESC LIMIT ?1");
    c.prepare_cached(&sql)?.query_map([limit], row)?.collect()
}

/// Those of a repository, small letters, that nobody took back.
pub(crate) fn dismissals_of(
    c: &Connection,
    repository: &str,
) -> rusqlite::Result<Vec<DismissalRow>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM dismissals WHERE repository = ?1 AND revoked_ms IS NULL ORDER BY id"
    );
    c.prepare_cached(&sql)?
        .query_map([repository], row)?
        .collect()
}

/// Keeps a comment that asks for something.
pub(crate) fn insert_task(tx: &Connection, new: &CommentTask) -> rusqlite::Result<()> {
    let sql = "INSERT OR IGNORE INTO comment_tasks (id, pull_key, author, kind, task, state, answered, note, attempts, next_ms, created_ms) \
               VALUES (?1, ?2, ?3, ?4, ?5, 'waiting', '', '', 0, 0, ?6)";
    tx.prepare_cached(sql)?
        .execute(params![
            new.id,
            new.pull_key,
            new.author,
            new.kind,
            new.task,
            new.created_ms
        ])
        .map(drop)
}

/// Comments whose time has come, the oldest first. One that would wait for longer than `longest_ms` is due: the
/// clock was ahead when it was tried.
pub(crate) fn tasks_due(
    c: &Connection,
    now_ms: i64,
    longest_ms: i64,
) -> rusqlite::Result<Vec<CommentRow>> {
    let sql = "SELECT id, pull_key, author, kind, task, created_ms, attempts FROM comment_tasks \
               WHERE state = 'waiting' AND (next_ms <= ?1 OR next_ms > ?1 + ?2) ORDER BY created_ms, id LIMIT 100";
    c.prepare_cached(sql)?
        .query_map(params![now_ms, longest_ms], |r| {
            Ok(CommentRow {
                task: CommentTask {
                    id: r.get(0)?,
                    pull_key: r.get(1)?,
                    author: r.get(2)?,
                    kind: r.get(3)?,
                    task: r.get(4)?,
                    created_ms: r.get(5)?,
                },
                attempts: r.get(6)?,
            })
        })?
        .collect()
}
