//! Records of webhooks and publications.

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::journal::apply::comments;
use crate::journal::comment_rows::{self, CommentTask};
use crate::journal::github_rows::{DeliveryResult, DeliveryRow, LISTED, OutboxState, SENT};
use crate::journal::pull_rows::{self, PULLS, PullRef};
use crate::journal::record::Applied;
use crate::journal::rows::{self, NewRun};

/// A webhook whose keys are all new is kept with its run; else it is counted as a repeat of the first, whose keys
/// its own lead to from now on. One whose id is known and whose body is not that one's is refused.
pub(super) fn received(
    tx: &Connection,
    sequence: i64,
    row: &DeliveryRow,
    keys: &[String],
    run: Option<&NewRun>,
    (pull, comment): (Option<&PullRef>, Option<&CommentTask>),
) -> rusqlite::Result<Applied> {
    if has_other_body(tx, keys)? {
        return Ok(Applied::Delivery(DeliveryResult::OtherBody));
    }
    // A repeat too: somebody may want to see again what is left there. On one that was never reviewed nothing is left.
    if let Some(pull) = pull
        && (run.is_some() || pull_rows::one(tx, &pull.key())?.is_some())
    {
        pull_rows::mark(tx, sequence, pull, None, row.at_ms)?;
    }
    for key in keys {
        let first = holder(tx, key)?;
        if let (Some((_, None)), true) = (&first, run.is_some()) {
            // Nothing came of it then: its repository or its event was not known. Now it is.
            tx.prepare_cached("DELETE FROM delivery_keys WHERE key = ?1")?
                .execute([key])?;
            continue;
        }
        if let Some((id, run)) = first {
            tx.prepare_cached("UPDATE deliveries SET repeats = repeats + 1 WHERE id = ?1")?
                .execute([&id])?;
            keep_keys(tx, keys, &id, run.as_deref(), row.at_ms)?;
            return Ok(Applied::Delivery(DeliveryResult::Again(run)));
        }
    }
    let sql = "INSERT OR REPLACE INTO deliveries (id, at_ms, event, place, outcome, note, run_id) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    tx.prepare_cached(sql)?.execute(params![
        row.id,
        row.at_ms,
        row.event,
        row.place,
        row.outcome.as_str(),
        row.note,
        row.run
    ])?;
    keep_keys(tx, keys, &row.id, row.run.as_deref(), row.at_ms)?;
    if let Some(run) = run {
        rows::insert(tx, run)?;
    }
    if let Some(comment) = comment {
        comment_rows::insert_task(tx, comment)?;
    }
    Ok(Applied::Delivery(DeliveryResult::New))
}

/// The delivery that a key leads to, and its run.
fn holder(tx: &Connection, key: &str) -> rusqlite::Result<Option<(String, Option<String>)>> {
    let sql = "SELECT delivery, run_id FROM delivery_keys WHERE key = ?1";
    tx.prepare_cached(sql)?
        .query_row([key], |r| Ok((r.get(0)?, r.get(1)?)))
        .optional()
}

/// Whether the id of a delivery is known, and its body leads to another delivery or to none.
fn has_other_body(tx: &Connection, keys: &[String]) -> rusqlite::Result<bool> {
    let held = |prefix: &str| match keys.iter().find(|key| key.starts_with(prefix)) {
        Some(key) => holder(tx, key).map(|held| held.map(|(delivery, _)| delivery)),
        None => Ok(None),
    };
    let id = held("delivery:")?;
    Ok(id.is_some() && id != held("body:")?)
}

/// Keys that lead nowhere yet lead to a delivery from now on.
fn keep_keys(
    tx: &Connection,
    keys: &[String],
    delivery: &str,
    run: Option<&str>,
    at_ms: i64,
) -> rusqlite::Result<()> {
    let sql = "INSERT OR IGNORE INTO delivery_keys (key, delivery, run_id, at_ms) VALUES (?1, ?2, ?3, ?4)";
    for key in keys {
        tx.prepare_cached(sql)?
            .execute(params![key, delivery, run, at_ms])?;
    }
    Ok(())
}

pub(super) fn redirected(tx: &Connection, old: &str, new: &str) -> rusqlite::Result<Applied> {
    for table in ["delivery_keys", "deliveries"] {
        let sql = format!("UPDATE {table} SET run_id = ?2 WHERE run_id = ?1");
        tx.prepare_cached(&sql)?.execute([old, new])?;
    }
    Ok(Applied::Done)
}

pub(super) fn publication_tried(
    tx: &Connection,
    id: i64,
    state: OutboxState,
    note: &str,
    attempts: u32,
    at_ms: i64,
    next_ms: i64,
) -> rusqlite::Result<Applied> {
    let sql = "UPDATE outbox SET state = ?2, note = ?3, attempts = ?6, next_ms = ?5,
               done_ms = CASE WHEN ?2 = 'waiting' THEN NULL ELSE ?4 END WHERE id = ?1";
    tx.prepare_cached(sql)?
        .execute(params![id, state.as_str(), note, at_ms, next_ms, attempts])?;
    Ok(Applied::Done)
}

/// What is too old to matter goes; keys are kept longest.
pub(super) fn pruned(tx: &Connection, keys_before_ms: i64) -> rusqlite::Result<Applied> {
    tx.execute("DELETE FROM deliveries WHERE id NOT IN (SELECT id FROM deliveries ORDER BY at_ms DESC LIMIT ?1)", [LISTED])?;
    tx.execute("DELETE FROM approvals WHERE state <> 'waiting' AND id NOT IN (SELECT id FROM approvals ORDER BY created_ms DESC LIMIT ?1)", [LISTED])?;
    tx.execute(
        "DELETE FROM delivery_keys WHERE at_ms < ?1",
        [keys_before_ms],
    )?;
    tx.execute("DELETE FROM outbox WHERE state IN ('done', 'dropped', 'dry') AND id NOT IN (SELECT id FROM outbox ORDER BY id DESC LIMIT ?1)", [SENT])?;
    tx.execute("DELETE FROM pulls WHERE revision <= settled AND key NOT IN (SELECT key FROM pulls ORDER BY changed_ms DESC LIMIT ?1)", [PULLS])?;
    comments::pruned(tx, keys_before_ms)?;
    Ok(Applied::Done)
}
