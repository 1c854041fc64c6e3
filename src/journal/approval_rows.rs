//! Approvals, schedules and stopped agents as rows.

use rusqlite::Connection;
use rusqlite::Row;
use rusqlite::params;
use serde::Deserialize;
use serde::Serialize;

/// Where an approval stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ApprovalState {
    /// Nobody has decided.
    Waiting,
    /// Somebody approved it.
    Approved,
    /// Somebody denied it.
    Denied,
    /// Nobody decided in time: denied.
    Expired,
}

impl ApprovalState {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Approved => "approved",
            Self::Denied => "denied",
            Self::Expired => "expired",
        }
    }

    fn read(word: &str) -> Self {
        match word {
            "waiting" => Self::Waiting,
            "approved" => Self::Approved,
            "denied" => Self::Denied,
            _ => Self::Expired,
        }
    }
}

/// An action that waits, or waited.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApprovalRow {
    /// Its id.
    pub id: String,
    /// publish or start.
    pub action: String,
    /// The run, or the agent.
    pub subject: String,
    /// A sentence: what happens once it is approved.
    pub what: String,
    /// Who may; empty: every approver of the settings.
    pub approvers: Vec<String>,
    /// Wall time, milliseconds.
    pub created_ms: i64,
    /// Denied from then on.
    pub expires_ms: i64,
    /// Where it stands.
    pub state: ApprovalState,
    /// Who decided.
    pub by: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// When.
    pub decided_ms: Option<i64>,
}

pub(crate) const COLUMNS: &str = "id, action, subject, what, approvers, created_ms, expires_ms, state, decided_by, reason, decided_ms";

/// Writes one down, in whatever transaction its reason is written in.
pub(crate) fn insert(tx: &Connection, new: &ApprovalRow) -> rusqlite::Result<()> {
    let approvers = serde_json::to_string(&new.approvers).unwrap_or_default();
    let sql = "INSERT OR IGNORE INTO approvals (id, action, subject, what, approvers, created_ms, expires_ms, state) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    tx.prepare_cached(sql)?
        .execute(params![
            new.id,
            new.action,
            new.subject,
            new.what,
            approvers,
            new.created_ms,
            new.expires_ms,
            new.state.as_str()
        ])
        .map(drop)
}

/// Those that wait first, then the newest.
pub(crate) fn newest(c: &Connection, limit: u32) -> rusqlite::Result<Vec<ApprovalRow>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM approvals ORDER BY state = 'waiting' DESC, created_ms DESC, id LIMIT ?1"
    );
    c.prepare_cached(&sql)?.query_map([limit], row)?.collect()
}

pub(crate) fn row(r: &Row<'_>) -> rusqlite::Result<ApprovalRow> {
    let approvers: String = r.get(4)?;
    Ok(ApprovalRow {
        id: r.get(0)?,
        action: r.get(1)?,
        subject: r.get(2)?,
        what: r.get(3)?,
        approvers: serde_json::from_str(&approvers).unwrap_or_default(),
        created_ms: r.get(5)?,
        expires_ms: r.get(6)?,
        state: ApprovalState::read(r.get_ref(7)?.as_str().unwrap_or_default()),
        by: r.get(8)?,
        reason: r.get(9)?,
        decided_ms: r.get(10)?,
    })
}
