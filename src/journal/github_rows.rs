//! Webhooks and publications as rows.

use rusqlite::Connection;
use rusqlite::Row;
use rusqlite::params;
use serde::Deserialize;
use serde::Serialize;

/// Webhooks that are listed.
pub(crate) const LISTED: u32 = 1_000;

/// Days that a webhook's keys are remembered.
pub(crate) const KEYS_DAYS: i64 = 90;

/// Ended entries of the outbox that are kept.
pub(crate) const SENT: u32 = 1_000;

/// The oldest of each pull request that waits.
pub(crate) const OLDEST: &str = "SELECT min(id) FROM outbox WHERE state = 'waiting' GROUP BY json_extract(pull, '$.repository'), json_extract(pull, '$.number')";

/// What became of a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It began a run.
    Run,
    /// Nothing to do: a draft, a ping.
    Skipped,
    /// No rule of the workspace is for its event.
    Unmapped,
    /// Its repository is not listed.
    Refused,
    /// A comment that asks for something.
    Comment,
}

impl Outcome {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Skipped => "skipped",
            Self::Unmapped => "unmapped",
            Self::Refused => "refused",
            Self::Comment => "comment",
        }
    }

    fn read(word: &str) -> Self {
        match word {
            "run" => Self::Run,
            "skipped" => Self::Skipped,
            "unmapped" => Self::Unmapped,
            "comment" => Self::Comment,
            _ => Self::Refused,
        }
    }
}

/// A webhook, as it is kept and listed. Everything in it is cleaned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryRow {
    /// GitHub's id of it.
    pub id: String,
    /// When, wall time in milliseconds.
    pub at_ms: i64,
    /// `pull_request.opened`.
    pub event: String,
    /// `owner/name#7`, or as much of it as there is.
    pub place: String,
    /// What became of it.
    pub outcome: Outcome,
    /// Why.
    pub note: String,
    /// Its run.
    pub run: Option<String>,
    /// How often it came again.
    pub repeats: u32,
}

/// What a webhook turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeliveryResult {
    /// It is new, and on disk with its run.
    New,
    /// It came before; that one's run.
    Again(Option<String>),
    /// Its id came before with another body: nothing of it is kept.
    OtherBody,
}

/// Where an entry of the outbox stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OutboxState {
    /// To be done.
    Waiting,
    /// Until it is approved.
    Held,
    /// Only shown.
    Dry,
    /// Done.
    Done,
    /// Not done, and not to be done any more.
    Dropped,
}

impl OutboxState {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Held => "held",
            Self::Dry => "dry",
            Self::Done => "done",
            Self::Dropped => "dropped",
        }
    }

    pub(crate) fn read(word: &str) -> Self {
        match word {
            "waiting" => Self::Waiting,
            "held" => Self::Held,
            "dry" => Self::Dry,
            "done" => Self::Done,
            _ => Self::Dropped,
        }
    }
}

/// Something to leave at GitHub.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NewPublication {
    /// Where: JSON.
    pub pull: String,
    /// What: JSON.
    pub publication: String,
    /// Waiting, held or dry.
    pub state: OutboxState,
}

/// An entry of the outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxRow {
    /// Its number: they are done in this order.
    pub id: i64,
    /// The run whose decision it is.
    pub run: String,
    /// Where: JSON.
    pub pull: String,
    /// What: JSON.
    pub publication: String,
    /// Where it stands.
    pub state: OutboxState,
    /// Tries.
    pub attempts: u32,
    /// Not before, wall time in milliseconds.
    pub next_ms: i64,
    /// Written down, wall time in milliseconds.
    pub created_ms: i64,
    /// What was done, or why not.
    pub note: String,
}

/// The outbox in figures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OutboxCounts {
    /// To be done.
    pub waiting: u32,
    /// Until they are approved.
    pub held: u32,
    /// Done.
    pub done: u32,
    /// Given up.
    pub dropped: u32,
}

/// Writes a publication down, in the decision's own transaction. One with this number that is there stays.
pub(crate) fn insert(
    tx: &Connection,
    number: i64,
    run: &str,
    at_ms: i64,
    approval: Option<&str>,
    new: &NewPublication,
) -> rusqlite::Result<()> {
    let sql = "INSERT OR IGNORE INTO outbox (id, run_id, pull, publication, state, approval, next_ms, created_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7)";
    tx.prepare_cached(sql)?
        .execute(params![
            number,
            run,
            new.pull,
            new.publication,
            new.state.as_str(),
            approval,
            at_ms
        ])
        .map(drop)
}

/// What an older decision would still leave on the same pull request is not left there any more: not the
/// comment, not the success, above all not the merge.
pub(crate) fn supersede(tx: &Connection, pull: &str, at_ms: i64) -> rusqlite::Result<()> {
    const SAME: &str = "json_extract(pull, '$.repository') = json_extract(?1, '$.repository') AND json_extract(pull, '$.number') = json_extract(?1, '$.number')";
    let note = "a newer decision takes its place";
    let approvals = format!(
        "UPDATE approvals SET state = 'expired', decided_by = 'engine', reason = ?2, decided_ms = ?3 WHERE state = 'waiting' AND id IN (SELECT approval FROM outbox WHERE state = 'held' AND {SAME})"
    );
    tx.prepare_cached(&approvals)?
        .execute(params![pull, note, at_ms])?;
    let entries = format!(
        "UPDATE outbox SET state = 'dropped', note = ?2, done_ms = ?3 WHERE state IN ('waiting', 'held') AND {SAME}"
    );
    tx.prepare_cached(&entries)?
        .execute(params![pull, note, at_ms])?;
    Ok(())
}

pub(crate) fn deliveries(c: &Connection, limit: u32) -> rusqlite::Result<Vec<DeliveryRow>> {
    let sql = "SELECT id, at_ms, event, place, outcome, note, run_id, repeats FROM deliveries ORDER BY at_ms DESC, id LIMIT ?1";
    c.prepare_cached(sql)?
        .query_map([limit], |r| {
            Ok(DeliveryRow {
                id: r.get(0)?,
                at_ms: r.get(1)?,
                event: r.get(2)?,
                place: r.get(3)?,
                outcome: Outcome::read(r.get_ref(4)?.as_str().unwrap_or_default()),
                note: r.get(5)?,
                run: r.get(6)?,
                repeats: r.get(7)?,
            })
        })?
        .collect()
}

pub(crate) fn outbox(c: &Connection, which: &str, number: i64) -> rusqlite::Result<Vec<OutboxRow>> {
    let sql = format!(
        "SELECT id, run_id, pull, publication, state, attempts, next_ms, created_ms, note FROM outbox {which}"
    );
    c.prepare_cached(&sql)?
        .query_map([number], entry)?
        .collect()
}

pub(crate) fn entry(r: &Row<'_>) -> rusqlite::Result<OutboxRow> {
    Ok(OutboxRow {
        id: r.get(0)?,
        run: r.get(1)?,
        pull: r.get(2)?,
        publication: r.get(3)?,
        state: OutboxState::read(r.get_ref(4)?.as_str().unwrap_or_default()),
        attempts: r.get(5)?,
        next_ms: r.get(6)?,
        created_ms: r.get(7)?,
        note: r.get(8)?,
    })
}
