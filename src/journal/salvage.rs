//! Rows of a damaged journal: which table a row belongs to, and which of two versions stays.
//!
//! Why by shape: a page does not say which table it is of. The number and the types of the values do.

use rusqlite::types::Value as Sql;
use rusqlite::{Connection, OptionalExtension as _, params, params_from_iter};

use crate::journal::raw_pages::{RawRow, Value};

/// A table of the journal, in the order in which rows are put back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Table {
    Records,
    Runs,
    Steps,
    Deliveries,
    DeliveryKeys,
    Approvals,
    Outbox,
    Stopped,
    Schedules,
    Spend,
    Memory,
    History,
    Pulls,
    PullDecisions,
    Dismissals,
    CommentTasks,
}

impl Table {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Records => "records",
            Self::Runs => "runs",
            Self::Steps => "steps",
            Self::Deliveries => "deliveries",
            Self::DeliveryKeys => "delivery_keys",
            Self::Approvals => "approvals",
            Self::Outbox => "outbox",
            Self::Stopped => "stopped",
            Self::Schedules => "schedules",
            Self::Spend => "spend",
            Self::Memory => "memory",
            Self::History => "history",
            Self::Pulls => "pulls",
            Self::PullDecisions => "pull_decisions",
            Self::Dismissals => "dismissals",
            Self::CommentTasks => "comment_tasks",
        }
    }

    /// Its columns in the order of the file.
    pub(super) fn columns(self) -> &'static [&'static str] {
        match self {
            Self::Records => &["sequence", "subject", "kind", "digest", "chain", "body"],
            Self::Runs => &[
                "id",
                "created_ms",
                "event",
                "requested_event",
                "correlation",
                "actor",
                "idempotency",
                "status",
                "starts",
                "cancel",
                "started_ms",
                "finished_ms",
                "plan",
                "input",
                "diff",
                "result",
                "action",
                "report_name",
                "report_text",
                "report_written",
                "brief",
            ],
            Self::Steps => &["run_id", "agent_id", "finished_ms", "result"],
            Self::Deliveries => &[
                "id", "at_ms", "event", "place", "outcome", "note", "run_id", "repeats",
            ],
            Self::DeliveryKeys => &["key", "delivery", "run_id", "at_ms"],
            Self::Approvals => &[
                "id",
                "action",
                "subject",
                "what",
                "approvers",
                "created_ms",
                "expires_ms",
                "state",
                "decided_by",
                "reason",
                "decided_ms",
            ],
            Self::Outbox => &[
                "id",
                "run_id",
                "pull",
                "publication",
                "state",
                "approval",
                "attempts",
                "next_ms",
                "created_ms",
                "done_ms",
                "note",
            ],
            Self::Stopped => &["agent"],
            Self::Schedules => &["event", "cron", "last_ms"],
            Self::Spend => &[
                "day",
                "provider",
                "model",
                "agent",
                "calls",
                "prompt",
                "completion",
                "micro_usd",
            ],
            Self::Memory => &[
                "seq",
                "id",
                "kind",
                "code",
                "review",
                "metadata",
                "created_ms",
                "run_id",
            ],
            Self::History => &["at_ms", "picture"],
            Self::Pulls => &[
                "key",
                "repository",
                "repository_id",
                "number",
                "head",
                "base",
                "run_id",
                "revision",
                "settled",
                "next_ms",
                "changed_ms",
                "published",
            ],
            Self::PullDecisions => &["run_id", "repository", "head", "base", "sequence"],
            Self::Dismissals => DISMISSALS,
            Self::CommentTasks => COMMENT_TASKS,
        }
    }
}

const DISMISSALS: &[&str] = &[
    "id",
    "repository",
    "fingerprint",
    "rule",
    "file",
    "place",
    "dismissed_by",
    "reason",
    "pull",
    "created_ms",
    "expires_ms",
    "revoked_by",
    "revoked_ms",
];

const COMMENT_TASKS: &[&str] = &[
    "id",
    "pull_key",
    "author",
    "kind",
    "task",
    "state",
    "answered",
    "note",
    "attempts",
    "next_ms",
    "created_ms",
];

/// Types of the values of a table: `T`ext, `I`nteger, `B`lob, `N`ull (the row's number), lower case where it
/// may be null.
const SHAPES: [(&str, Table); 16] = [
    ("NTTBBb", Table::Records),
    ("TITTTTtTIIiiTTTttTtIt", Table::Runs),
    ("TTIT", Table::Steps),
    ("TITTTTtI", Table::Deliveries),
    ("TTtI", Table::DeliveryKeys),
    ("TTTTTIITtti", Table::Approvals),
    ("NTTTTtIIIiT", Table::Outbox),
    ("T", Table::Stopped),
    ("TTI", Table::Schedules),
    ("TTTTIIII", Table::Spend),
    ("NTTTTTIt", Table::Memory),
    ("NB", Table::History),
    ("TTiITTtIIIIT", Table::Pulls),
    ("TTTTI", Table::PullDecisions),
    ("TTTTTTTTTIiti", Table::Dismissals),
    ("TTTTTTTTIII", Table::CommentTasks),
];

/// The table that a row is of.
pub(super) fn table_of(row: &RawRow) -> Option<Table> {
    SHAPES
        .iter()
        .find(|(shape, table)| fits(shape, *table, row))
        .map(|(_, table)| *table)
}

fn fits(shape: &str, table: Table, row: &RawRow) -> bool {
    let wanted = shape.len();
    // Rows of runs from before a column was added are one value shorter.
    let short = table == Table::Runs && row.values.len() + 1 == wanted;
    if row.values.len() != wanted && !short {
        return false;
    }
    shape.chars().zip(&row.values).all(|(kind, value)| {
        matches!(
            (kind, value),
            ('T' | 't', Value::Text(_))
                | ('I' | 'i', Value::Integer(_))
                | ('B' | 'b', Value::Blob(_))
                | ('N' | 't' | 'i' | 'b', Value::Null)
        )
    })
}

/// Puts a row back; true: the journal had none with this key.
pub(super) fn merge(tx: &Connection, table: Table, row: &RawRow) -> rusqlite::Result<bool> {
    let values = sql_values(row);
    match table {
        Table::Records => Ok(false),
        Table::Runs => merge_run(tx, row, &values),
        Table::Outbox => {
            let added = insert(tx, table, &values)?;
            if !added {
                outbox_state(tx, row)?;
            }
            Ok(added)
        }
        Table::Schedules => {
            let added = insert(tx, table, &values)?;
            // The later one: a schedule that ran does not run twice.
            let sql = "UPDATE schedules SET last_ms = max(last_ms, ?2) WHERE event = ?1";
            tx.prepare_cached(sql)?
                .execute(params![values[0], values[2]])?;
            Ok(added)
        }
        Table::Spend => {
            let added = insert(tx, table, &values)?;
            let sql = "UPDATE spend SET calls = max(calls, ?5), prompt = max(prompt, ?6), \
                       completion = max(completion, ?7), micro_usd = max(micro_usd, ?8) \
                       WHERE day = ?1 AND provider = ?2 AND model = ?3 AND agent = ?4";
            tx.prepare_cached(sql)?.execute(params_from_iter(&values))?;
            Ok(added)
        }
        _ => insert(tx, table, &values),
    }
}

/// Inserts a row with the columns of its table; false: a row with this key is there.
fn insert(tx: &Connection, table: Table, values: &[Sql]) -> rusqlite::Result<bool> {
    let columns = &table.columns()[..values.len()];
    let marks: Vec<String> = (1..=values.len()).map(|n| format!("?{n}")).collect();
    let sql = format!(
        "INSERT OR IGNORE INTO {} ({}) VALUES ({})",
        table.name(),
        columns.join(", "),
        marks.join(", ")
    );
    let mut statement = tx.prepare_cached(&sql)?;
    Ok(statement.execute(params_from_iter(values))? > 0)
}

fn sql_values(row: &RawRow) -> Vec<Sql> {
    row.values
        .iter()
        .enumerate()
        .map(|(index, value)| match value {
            // The first column of these tables is the row's number, and stands in its key alone.
            Value::Null if index == 0 => Sql::Integer(row.rowid),
            Value::Null => Sql::Null,
            Value::Integer(number) => Sql::Integer(*number),
            Value::Text(text) => Sql::Text(text.clone()),
            Value::Blob(bytes) => Sql::Blob(bytes.clone()),
        })
        .collect()
}

/// A publication that was done, or given up, is not done again.
fn outbox_state(tx: &Connection, row: &RawRow) -> rusqlite::Result<()> {
    if let Some(state @ ("done" | "dropped")) = row.values[4].text() {
        let sql = "UPDATE outbox SET state = ?2 WHERE id = ?1 AND state IN ('waiting', 'held')";
        tx.prepare_cached(sql)?.execute(params![row.rowid, state])?;
    }
    Ok(())
}

const STARTS: usize = 8;
const CANCEL: usize = 9;
const FINISHED: usize = 11;
const ACTION: usize = 16;

/// Of two versions of a run: one that is decided stays before one that is not, a stricter decision before a
/// milder one. A request to stop is never lost, nor a start uncounted.
fn merge_run(tx: &Connection, row: &RawRow, values: &[Sql]) -> rusqlite::Result<bool> {
    let id = row.values[0].text().unwrap_or_default();
    let sql = "SELECT finished_ms IS NOT NULL, coalesce(action, '') FROM runs WHERE id = ?1";
    let kept: Option<(bool, String)> = tx
        .prepare_cached(sql)?
        .query_row([id], |r| Ok((r.get(0)?, r.get(1)?)))
        .optional()?;
    let Some((kept_over, kept_action)) = kept else {
        return insert(tx, Table::Runs, values);
    };
    let over = row.values[FINISHED] != Value::Null;
    let action = row.values[ACTION].text().unwrap_or_default();
    let further = over && (!kept_over || strictness(action) > strictness(&kept_action));
    if further {
        // Replaced in place: deleting it would take its steps along.
        let columns = &Table::Runs.columns()[..values.len()];
        let set: Vec<String> = columns
            .iter()
            .enumerate()
            .map(|(n, name)| format!("{name} = ?{}", n + 1))
            .collect();
        let sql = format!("UPDATE OR IGNORE runs SET {} WHERE id = ?1", set.join(", "));
        tx.prepare_cached(&sql)?.execute(params_from_iter(values))?;
    } else if !over {
        let sql = "UPDATE runs SET starts = max(starts, ?2), cancel = max(cancel, ?3) WHERE id = ?1 AND finished_ms IS NULL";
        tx.prepare_cached(sql)?
            .execute(params![id, values[STARTS], values[CANCEL]])?;
    }
    Ok(false)
}

/// A milder decision in a run's row makes way for a stricter one of a record, which is applied next.
pub(super) fn yield_to(tx: &Connection, id: &str, action: &str) -> rusqlite::Result<()> {
    let sql = "SELECT coalesce(action, '') FROM runs WHERE id = ?1 AND finished_ms IS NOT NULL";
    let kept: Option<String> = tx
        .prepare_cached(sql)?
        .query_row([id], |r| r.get(0))
        .optional()?;
    if kept.is_some_and(|kept| strictness(&kept) < strictness(action)) {
        tx.prepare_cached("UPDATE runs SET finished_ms = NULL WHERE id = ?1")?
            .execute([id])?;
    }
    Ok(())
}

/// How strict an action is; an unknown word is stricter than an approval.
pub(super) fn strictness(action: &str) -> u8 {
    match action {
        "approve_and_merge" => 1,
        "pass" => 2,
        "" => 0,
        "request_changes" => 4,
        "block_pr" => 5,
        _ => 3,
    }
}
