//! The journal's rows. What the engine keeps in them is JSON to this room: it stores, it does not judge.

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde::{Deserialize, Serialize};

use crate::journal::approval_rows::ApprovalRow;
use crate::journal::github_rows::NewPublication;
use crate::journal::memory_rows::NewMemory;

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunStatus {
    /// Accepted, waiting.
    Queued,
    /// Its agents work.
    Running,
    /// Ended with a decision.
    Finished,
    /// Stopped by somebody; its decision is manual_review.
    Cancelled,
    /// Could not be carried out.
    Failed,
}

impl RunStatus {
    /// The word in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Finished => "finished",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
        }
    }

    fn read(word: &str) -> Self {
        match word {
            "queued" => Self::Queued,
            "running" => Self::Running,
            "cancelled" => Self::Cancelled,
            "failed" => Self::Failed,
            _ => Self::Finished,
        }
    }
}

/// A run to take in. Everything in it is redacted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NewRun {
    /// `job_<epoch ms>_<random>`.
    pub id: String,
    /// Wall time, milliseconds.
    pub created_ms: i64,
    /// The event whose rule applies.
    pub event: String,
    /// The event that was asked for.
    pub requested_event: String,
    /// Correlation id.
    pub correlation: String,
    /// Who asked.
    pub actor: String,
    /// Asked twice with the same key, it runs once.
    pub idempotency: Option<String>,
    /// Agents, strategy, policy: JSON.
    pub plan: String,
    /// Payload, findings, coverage: JSON.
    pub input: String,
    /// The redacted diff.
    pub diff: String,
    /// File name of its report.
    pub report_name: String,
}

/// A run as kept.
#[derive(Debug, Clone)]
pub struct RunRow {
    /// What was accepted.
    pub new: NewRun,
    /// Where it stands.
    pub status: RunStatus,
    /// How often it was begun; more than once after a crash.
    pub starts: u32,
    /// First begun, wall time in milliseconds.
    pub started_ms: Option<i64>,
    /// Ended, wall time in milliseconds.
    pub finished_ms: Option<i64>,
    /// The result: JSON.
    pub result: Option<String>,
    /// The decision's action.
    pub action: Option<String>,
    /// The report's text.
    pub report_text: Option<String>,
    /// The report is in its file.
    pub report_written: bool,
    /// Somebody asked to stop it.
    pub cancel: bool,
}

/// A finished step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StepRow {
    /// Its run.
    pub run_id: String,
    /// Its agent.
    pub agent_id: String,
    /// Wall time, milliseconds.
    pub finished_ms: i64,
    /// JSON.
    pub result: String,
}

/// What a finished run leaves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Finish {
    /// The run.
    pub id: String,
    /// Its last status.
    pub status: RunStatus,
    /// Wall time, milliseconds.
    pub at_ms: i64,
    /// The whole result as JSON.
    pub result: String,
    /// Its line in a list, as JSON.
    pub brief: String,
    /// The decision's action.
    pub action: String,
    /// The report's text: written to its file after this is on disk, again after a crash.
    pub report: String,
    /// What it leaves at GitHub, in this order.
    pub publications: Vec<NewPublication>,
    /// What they wait for.
    pub approval: Option<ApprovalRow>,
    /// What is remembered of it.
    pub memory: Option<NewMemory>,
}

const COLUMNS: &str = "id, created_ms, event, requested_event, correlation, actor, idempotency, plan, input, diff, report_name, \
                       status, starts, started_ms, finished_ms, result, action, report_text, report_written, cancel";

pub(super) fn insert(tx: &Connection, run: &NewRun) -> rusqlite::Result<()> {
    let sql = "INSERT INTO runs (id, created_ms, event, requested_event, correlation, actor, idempotency, plan, input, diff, report_name, status) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, 'queued')";
    tx.prepare_cached(sql)?
        .execute(params![
            run.id,
            run.created_ms,
            run.event,
            run.requested_event,
            run.correlation,
            run.actor,
            run.idempotency,
            run.plan,
            run.input,
            run.diff,
            run.report_name
        ])
        .map(drop)
}

fn row(r: &Row<'_>) -> rusqlite::Result<RunRow> {
    Ok(RunRow {
        new: NewRun {
            id: r.get(0)?,
            created_ms: r.get(1)?,
            event: r.get(2)?,
            requested_event: r.get(3)?,
            correlation: r.get(4)?,
            actor: r.get(5)?,
            idempotency: r.get(6)?,
            plan: r.get(7)?,
            input: r.get(8)?,
            diff: r.get(9)?,
            report_name: r.get(10)?,
        },
        status: RunStatus::read(&r.get::<_, String>(11)?),
        starts: r.get(12)?,
        started_ms: r.get(13)?,
        finished_ms: r.get(14)?,
        result: r.get(15)?,
        action: r.get(16)?,
        report_text: r.get(17)?,
        report_written: r.get(18)?,
        cancel: r.get(19)?,
    })
}

pub(super) fn recent(c: &Connection, limit: u32) -> rusqlite::Result<Vec<RunRow>> {
    // The list needs neither the diff nor the report.
    let light = COLUMNS
        .replace("diff,", "'',")
        .replace("report_text", "NULL");
    let sql = format!("SELECT {light} FROM runs ORDER BY created_ms DESC, id DESC LIMIT ?1");
    c.prepare_cached(&sql)?.query_map([limit], row)?.collect()
}

/// Runs without their diffs: those may be large, and a list needs none.
pub(super) fn select_light(c: &Connection, clause: &str) -> rusqlite::Result<Vec<RunRow>> {
    let light = COLUMNS.replace("diff,", "'',");
    c.prepare(&format!("SELECT {light} FROM runs {clause}"))?
        .query_map([], row)?
        .collect()
}

pub(super) fn one(c: &Connection, id: &str) -> rusqlite::Result<Option<RunRow>> {
    c.prepare_cached(&format!("SELECT {COLUMNS} FROM runs WHERE id = ?1"))?
        .query_row([id], row)
        .optional()
}

pub(super) fn by_idempotency(c: &Connection, key: &str) -> rusqlite::Result<Option<String>> {
    c.prepare_cached("SELECT id FROM runs WHERE idempotency = ?1")?
        .query_row([key], |r| r.get(0))
        .optional()
}

pub(super) fn steps(c: &Connection, id: &str) -> rusqlite::Result<Vec<StepRow>> {
    let sql = "SELECT run_id, agent_id, finished_ms, result FROM steps WHERE run_id = ?1 ORDER BY finished_ms, rowid";
    let read = |r: &Row<'_>| {
        Ok(StepRow {
            run_id: r.get(0)?,
            agent_id: r.get(1)?,
            finished_ms: r.get(2)?,
            result: r.get(3)?,
        })
    };
    c.prepare_cached(sql)?.query_map([id], read)?.collect()
}
