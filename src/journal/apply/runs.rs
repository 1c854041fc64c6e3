//! Records of runs and steps.

use rusqlite::{Connection, params};

use crate::journal::apply::pulls;
use crate::journal::approval_rows as approvals;
use crate::journal::github_rows as github;
use crate::journal::memory_rows::{self as memory, NewMemory};
use crate::journal::record::Applied;
use crate::journal::row_numbers::row_number;
use crate::journal::rows::{self, Finish, NewRun, StepRow};

pub(super) fn accepted(tx: &Connection, sequence: i64, run: &NewRun) -> rusqlite::Result<Applied> {
    if let Some(key) = &run.idempotency
        && let Some(first) = rows::by_idempotency(tx, key)?
    {
        return Ok(Applied::Duplicate(first));
    }
    rows::insert(tx, run)?;
    Ok(Applied::Accepted(sequence))
}

/// Only what has not begun is taken back: nothing can have been promised about it.
pub(super) fn refused(tx: &Connection, ids: &[String]) -> rusqlite::Result<Applied> {
    for id in ids {
        let sql = "DELETE FROM runs WHERE id = ?1 AND starts = 0 AND finished_ms IS NULL";
        if tx.prepare_cached(sql)?.execute([id])? > 0 {
            tx.prepare_cached("DELETE FROM delivery_keys WHERE run_id = ?1")?
                .execute([id])?;
        }
    }
    Ok(Applied::Done)
}

pub(super) fn change_fetched(
    tx: &Connection,
    id: &str,
    input: &str,
    diff: &str,
) -> rusqlite::Result<Applied> {
    let sql = "UPDATE runs SET input = ?2, diff = ?3 WHERE id = ?1 AND finished_ms IS NULL";
    tx.prepare_cached(sql)?.execute(params![id, input, diff])?;
    Ok(Applied::Done)
}

pub(super) fn started(tx: &Connection, id: &str, at_ms: i64) -> rusqlite::Result<Applied> {
    let sql = "UPDATE runs SET status = 'running', starts = starts + 1, started_ms = coalesce(started_ms, ?2) WHERE id = ?1 AND finished_ms IS NULL";
    tx.prepare_cached(sql)?.execute(params![id, at_ms])?;
    Ok(Applied::Done)
}

pub(super) fn parked(tx: &Connection, id: &str) -> rusqlite::Result<Applied> {
    let sql = "UPDATE runs SET status = 'queued', starts = max(starts - 1, 0) WHERE id = ?1 AND finished_ms IS NULL";
    tx.prepare_cached(sql)?.execute([id])?;
    Ok(Applied::Done)
}

pub(super) fn cancel_requested(tx: &Connection, id: &str) -> rusqlite::Result<Applied> {
    let sql = "UPDATE runs SET cancel = 1 WHERE id = ?1 AND finished_ms IS NULL";
    tx.prepare_cached(sql)?.execute([id])?;
    Ok(Applied::Done)
}

/// The first result stays: a step never counts twice.
pub(super) fn step_finished(
    tx: &Connection,
    sequence: i64,
    step: &StepRow,
    memory: Option<&NewMemory>,
) -> rusqlite::Result<Applied> {
    let sql = "INSERT OR IGNORE INTO steps (run_id, agent_id, finished_ms, result) VALUES (?1, ?2, ?3, ?4)";
    let first = tx.prepare_cached(sql)?.execute(params![
        step.run_id,
        step.agent_id,
        step.finished_ms,
        step.result
    ])? > 0;
    match memory.filter(|_| first) {
        Some(item) => {
            let number = memory::insert(tx, row_number(sequence, 0), item)?;
            Ok(Applied::Remembered(vec![number]))
        }
        None => Ok(Applied::Done),
    }
}

/// Decision, report, publications, approval and memory. The first decision stays.
pub(super) fn decided(
    tx: &Connection,
    sequence: i64,
    finish: &Finish,
) -> rusqlite::Result<Applied> {
    let sql = "UPDATE runs SET status = ?2, finished_ms = ?3, result = ?4, action = ?5, report_text = ?6, brief = ?7 WHERE id = ?1 AND finished_ms IS NULL";
    let first = tx.prepare_cached(sql)?.execute(params![
        finish.id,
        finish.status.as_str(),
        finish.at_ms,
        finish.result,
        finish.action,
        finish.report,
        finish.brief
    ])? > 0;
    if !first {
        return Ok(Applied::Unchanged);
    }
    pulls::decided(tx, sequence, &finish.id, finish.at_ms)?;
    let approval = finish.approval.as_ref();
    if let Some(approval) = approval {
        approvals::insert(tx, approval)?;
    }
    let approval = approval.map(|a| a.id.as_str());
    if let Some(first) = finish.publications.first() {
        github::supersede(tx, &first.pull, finish.at_ms)?;
    }
    for (index, publication) in finish.publications.iter().enumerate() {
        let number = row_number(sequence, index);
        github::insert(tx, number, &finish.id, finish.at_ms, approval, publication)?;
    }
    match &finish.memory {
        Some(item) => {
            let number = memory::insert(tx, row_number(sequence, 0), item)?;
            Ok(Applied::Remembered(vec![number]))
        }
        None => Ok(Applied::Done),
    }
}

/// Runs with their steps. The texts of their records go with the next pass over the log.
pub(super) fn pruned(tx: &Connection, ids: &[String]) -> rusqlite::Result<Applied> {
    for id in ids {
        tx.prepare_cached("DELETE FROM runs WHERE id = ?1 AND finished_ms IS NOT NULL")?
            .execute([id])?;
        tx.prepare_cached("DELETE FROM pull_decisions WHERE run_id = ?1 AND NOT EXISTS (SELECT 1 FROM runs WHERE id = ?1)")?
            .execute([id])?;
    }
    Ok(Applied::Done)
}
