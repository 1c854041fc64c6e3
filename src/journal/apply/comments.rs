//! Records of comments that ask for something, and of dismissals.

use rusqlite::{Connection, params};

use crate::journal::comment_rows::{self as rows, CommentOutcome, DISMISSALS, DismissalRow};
use crate::journal::github_rows::LISTED;
use crate::journal::record::Applied;

/// What became of a comment; its webhook's line says so too.
pub(super) fn handled(tx: &Connection, outcome: &CommentOutcome) -> rusqlite::Result<Applied> {
    let sql = "UPDATE comment_tasks SET state = ?2, answered = ?3, note = ?4, attempts = ?5, next_ms = ?6 WHERE id = ?1";
    tx.prepare_cached(sql)?.execute(params![
        outcome.id,
        outcome.state,
        outcome.answered,
        outcome.note,
        outcome.attempts,
        outcome.next_ms
    ])?;
    tx.prepare_cached("UPDATE deliveries SET note = ?2 WHERE id = ?1")?
        .execute(params![outcome.id, outcome.note])?;
    Ok(Applied::Done)
}

pub(super) fn dismissed(tx: &Connection, dismissal: &DismissalRow) -> rusqlite::Result<Applied> {
    rows::put_dismissal(tx, dismissal)?;
    Ok(Applied::Done)
}

pub(super) fn revoked(
    tx: &Connection,
    id: &str,
    by: &str,
    at_ms: i64,
) -> rusqlite::Result<Applied> {
    let sql = "UPDATE dismissals SET revoked_by = ?2, revoked_ms = ?3 WHERE id = ?1 AND revoked_ms IS NULL";
    tx.prepare_cached(sql)?.execute(params![id, by, at_ms])?;
    Ok(Applied::Done)
}

/// What ended long ago goes.
pub(super) fn pruned(tx: &Connection, before_ms: i64) -> rusqlite::Result<()> {
    tx.execute("DELETE FROM comment_tasks WHERE state <> 'waiting' AND id NOT IN (SELECT id FROM comment_tasks ORDER BY created_ms DESC LIMIT ?1)", [LISTED])?;
    tx.execute(
        "DELETE FROM dismissals WHERE revoked_ms < ?1 OR expires_ms < ?1",
        [before_ms],
    )?;
    tx.execute("DELETE FROM dismissals WHERE id NOT IN (SELECT id FROM dismissals ORDER BY created_ms DESC LIMIT ?1)", [DISMISSALS])?;
    Ok(())
}
