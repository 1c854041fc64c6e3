//! What comes from GitHub and goes there, and what waits for a person, as the faces see it.

use serde::{Deserialize, Serialize};

use crate::code_host::{Publication, Pull};
use crate::engine::protocol::blob::Blob;
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
    pub state: PublicationState,
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
    /// When the oldest approval that waits was made, wall time in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest_approval_ms: Option<i64>,
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
    /// Comments that ask for something.
    #[serde(default)]
    pub comments: u64,
    /// The outbox.
    pub outbox: OutboxCounts,
    /// Actions that wait for a person.
    pub approvals: u32,
    /// Pull requests that are not yet as they should be.
    #[serde(default)]
    pub behind: u32,
}

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
}

/// An action that waits, or waited.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Approval {
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

/// A finding that somebody dismissed in a repository. Everything in it is cleaned or escaped where it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Dismissal {
    /// Its id.
    pub id: String,
    /// `owner/name`, in small letters.
    pub repository: String,
    /// The finding's fingerprint.
    pub fingerprint: String,
    /// The rule that found it.
    pub rule: String,
    /// Where it was: `file:line`.
    pub place: String,
    /// Who dismissed it.
    pub by: String,
    /// Why.
    pub reason: String,
    /// On which pull request.
    pub pull: String,
    /// Wall time, milliseconds.
    pub created_ms: i64,
    /// It ends then; absent: never by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_ms: Option<i64>,
    /// Who took it back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_by: Option<String>,
    /// When.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_ms: Option<i64>,
}

impl Dismissal {
    /// Decisions that are made now leave its finding out.
    pub fn holds(&self, now_ms: i64) -> bool {
        self.revoked_ms.is_none() && self.expires_ms.is_none_or(|end| now_ms < end)
    }
}

/// What became of a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeliveryOutcome {
    /// It began a run.
    Run,
    /// Nothing to do: a draft, a ping.
    Skipped,
    /// No rule of the workspace is for its event.
    Unmapped,
    /// Its repository is not listed.
    Refused,
    /// A comment that asks for something; its note says what became of it.
    Comment,
}

impl DeliveryOutcome {
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
}

/// A webhook, as it is kept and listed. Everything in it is cleaned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Delivery {
    /// GitHub's id of it.
    pub id: String,
    /// When, wall time in milliseconds.
    pub at_ms: i64,
    /// `pull_request.opened`.
    pub event: String,
    /// `owner/name#7`, or as much of it as there is.
    pub place: String,
    /// What became of it.
    pub outcome: DeliveryOutcome,
    /// Why.
    pub note: String,
    /// Its run.
    pub run: Option<String>,
    /// How often it came again.
    pub repeats: u32,
}

/// Where an entry of the outbox stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PublicationState {
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

impl PublicationState {
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
