//! Records of what people decide: approvals, stopped agents, schedules, and the notice about a recovered
//! journal.

use rusqlite::{Connection, params};

use crate::journal::approval_rows::{self, ApprovalRow, ApprovalState};
use crate::journal::meta;
use crate::journal::record::Applied;

/// Why a publication waits after the journal was recovered. What carries this note goes on when the notice is
/// acknowledged.
const HELD: &str = "held: the journal was recovered; acknowledge it first";

pub(super) fn requested(tx: &Connection, approval: &ApprovalRow) -> rusqlite::Result<Applied> {
    approval_rows::insert(tx, approval)?;
    Ok(Applied::Done)
}

/// Decides what still waits, and lets its publications go or drops them.
pub(super) fn decided(
    tx: &Connection,
    sequence: i64,
    id: &str,
    state: ApprovalState,
    by: &str,
    reason: &str,
    at_ms: i64,
) -> rusqlite::Result<Applied> {
    let sql = "UPDATE approvals SET state = ?2, decided_by = ?3, reason = ?4, decided_ms = ?5 WHERE id = ?1 AND state = 'waiting'";
    let first = tx
        .prepare_cached(sql)?
        .execute(params![id, state.as_str(), by, reason, at_ms])?
        > 0;
    if !first {
        return Ok(Applied::Unchanged);
    }
    let (next, note) = match state {
        ApprovalState::Approved => ("waiting", format!("approved by {by}")),
        _ => ("dropped", format!("{} by {by}: {reason}", state.as_str())),
    };
    let sql = "UPDATE outbox SET state = ?2, note = ?3 WHERE approval = ?1 AND state = 'held'";
    tx.prepare_cached(sql)?.execute(params![id, next, note])?;
    // What its run may publish has changed.
    let sql = "UPDATE pulls SET revision = ?2, next_ms = 0 WHERE run_id = (SELECT subject FROM approvals WHERE id = ?1 AND action = 'publish')";
    tx.prepare_cached(sql)?.execute(params![id, sequence])?;
    Ok(Applied::Done)
}

pub(super) fn agent_stopped(
    tx: &Connection,
    agent: &str,
    stopped: bool,
) -> rusqlite::Result<Applied> {
    let sql = if stopped {
        "INSERT OR IGNORE INTO stopped (agent) VALUES (?1)"
    } else {
        "DELETE FROM stopped WHERE agent = ?1"
    };
    tx.prepare_cached(sql)?.execute([agent])?;
    Ok(Applied::Done)
}

pub(super) fn schedule_seen(
    tx: &Connection,
    event: &str,
    cron: &str,
    at_ms: i64,
) -> rusqlite::Result<Applied> {
    let sql = "INSERT INTO schedules (event, cron, last_ms) VALUES (?1, ?2, ?3)
               ON CONFLICT (event) DO UPDATE SET cron = ?2, last_ms = ?3 WHERE cron <> ?2";
    tx.prepare_cached(sql)?
        .execute(params![event, cron, at_ms])?;
    Ok(Applied::Done)
}

pub(super) fn schedule_fired(
    tx: &Connection,
    event: &str,
    at_ms: i64,
) -> rusqlite::Result<Applied> {
    let sql = "UPDATE schedules SET last_ms = ?2 WHERE event = ?1";
    tx.prepare_cached(sql)?.execute(params![event, at_ms])?;
    Ok(Applied::Done)
}

/// After damage or a restore nothing leaves this machine on the word of old rows: approvals expire, and
/// publications wait until somebody has read the notice.
pub(super) fn recovered(tx: &Connection, at_ms: i64, notice: &str) -> rusqlite::Result<Applied> {
    meta::set(tx, meta::NOTICE, notice)?;
    let sql = "UPDATE approvals SET state = 'expired', decided_by = 'engine', reason = ?1, decided_ms = ?2 WHERE state = 'waiting'";
    let reason = "the journal was recovered; ask again";
    tx.execute(sql, params![reason, at_ms])?;
    tx.execute("UPDATE outbox SET state = 'dropped', note = ?1, done_ms = ?2 WHERE state = 'held' AND approval IS NOT NULL", params![reason, at_ms])?;
    tx.execute(
        "UPDATE outbox SET state = 'held', approval = NULL, note = ?1 WHERE state = 'waiting'",
        [HELD],
    )?;
    Ok(Applied::Done)
}

pub(super) fn acknowledged(tx: &Connection, at_ms: i64) -> rusqlite::Result<Applied> {
    meta::remove(tx, meta::NOTICE)?;
    tx.execute(
        "UPDATE outbox SET state = 'waiting', note = '', next_ms = min(?2, created_ms) WHERE state = 'held' AND note = ?1",
        params![HELD, at_ms],
    )?;
    Ok(Applied::Done)
}
