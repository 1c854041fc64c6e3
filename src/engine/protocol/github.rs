//! What comes from GitHub and goes there, and what waits for a person, as the faces see it.

use serde::{Deserialize, Serialize};

use crate::engine::protocol::blob::Blob;
use crate::github::{Publication, Pull};
use crate::journal::{OutboxCounts, OutboxState};
use crate::text::Untrusted;

/// A webhook whose signature was good, as it came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Webhook {
    /// GitHub's id of it.
    pub delivery: String,
    /// The event that its header names.
    pub named: String,
    /// Its body.
    pub body: Blob,
}

/// A token on its way to where it is compared. It is in no log and no message.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(pub String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

/// Where a run's change comes from, and whether it is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// The pull request.
    pub pull: Pull,
    /// Its diff is still to be fetched.
    pub to_fetch: bool,
    /// Without a diff there is nothing to review.
    pub needs_diff: bool,
}

/// An entry of the outbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PublicationView {
    /// Its number.
    pub id: i64,
    /// The run whose decision it is.
    pub run: String,
    /// `owner/name#7`
    pub place: Untrusted,
    /// comment, status, review, label, merge.
    pub kind: String,
    /// In a line.
    pub says: Untrusted,
    /// All of it.
    pub publication: Option<Publication>,
    /// Where it stands.
    pub state: OutboxState,
    /// Tries.
    pub attempts: u32,
    /// What was done, or why not.
    pub note: Untrusted,
    /// Written down, wall time in milliseconds.
    pub created_ms: i64,
    /// Not before, wall time in milliseconds.
    pub next_ms: i64,
}

/// Webhooks and outbox in figures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GithubStats {
    /// Webhooks that began a run, since start.
    pub runs: u64,
    /// That had come before.
    pub repeated: u64,
    /// Drafts, pings.
    pub skipped: u64,
    /// For whose event there is no rule.
    pub unmapped: u64,
    /// Of repositories that are not listed.
    pub refused: u64,
    /// The outbox.
    pub outbox: OutboxCounts,
    /// Actions that wait for a person.
    pub approvals: u32,
}
