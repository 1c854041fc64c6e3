//! Records: every change of the journal as data.
//!
//! Why: a table says how things are; a record says what happened. The journal keeps both in one
//! transaction, so that either can be checked against the other and made again from it.

use serde::{Deserialize, Serialize};

use crate::journal::approval_rows::{ApprovalRow, ApprovalState};
use crate::journal::comment_rows::{CommentOutcome, CommentTask, DismissalRow};
use crate::journal::github_rows::{DeliveryResult, DeliveryRow, OutboxState};
use crate::journal::memory_rows::{NewMemory, Remembered, Retention};
use crate::journal::pull_rows::{Planned, PullRef};
use crate::journal::rows::{Finish, NewRun, StepRow};
use crate::journal::spend_rows::SpendRow;

/// One change. Its JSON is kept for years: a field is added with a default, never renamed or removed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(
    tag = "type",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum Record {
    /// A run was accepted. `audit`: the line of the audit trail about it, in the trail's own form; on disk with
    /// the run, so that the trail need not be synced before the answer.
    RunAccepted {
        run: NewRun,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        audit: Option<String>,
    },
    /// Runs whose acceptance could not be confirmed to the caller: they must not run.
    RunsRefused { ids: Vec<String> },
    /// A webhook came, with the run that it begins.
    WebhookReceived {
        delivery: DeliveryRow,
        keys: Vec<String>,
        run: Option<NewRun>,
        /// The pull request that it is about, which is looked at again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pull: Option<Box<PullRef>>,
        /// The comment that asks for something.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        comment: Option<Box<CommentTask>>,
    },
    /// A webhook's run was begun again under another id.
    WebhookRedirected { old: String, new: String },
    /// The change of a run was fetched, or could not be.
    RunChangeFetched {
        id: String,
        input: String,
        diff: String,
    },
    /// A run began, or began again.
    RunStarted { id: String, at_ms: i64 },
    /// The engine stopped in good order while a run was active.
    RunParked { id: String },
    /// Somebody asked to stop a run.
    RunCancelRequested { id: String },
    /// A step ended.
    StepFinished {
        step: StepRow,
        memory: Option<NewMemory>,
    },
    /// A run ended.
    RunDecided { finish: Box<Finish> },
    /// A publication was tried.
    PublicationTried {
        id: i64,
        state: OutboxState,
        note: String,
        attempts: u32,
        at_ms: i64,
        next_ms: i64,
        /// The pull request's key and what is left there since, as JSON.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pull: Option<(String, String)>,
    },
    /// A pull request changed, or may have changed.
    PullMarked { pull: PullRef, at_ms: i64 },
    /// What is to be left on a pull request from now on. `kept`: numbers of what was planned before and stays.
    PublicationsPlanned {
        key: String,
        items: Vec<Planned>,
        kept: Vec<i64>,
        at_ms: i64,
    },
    /// A pass over a pull request ended. `next_ms`: it is tried again then; absent: all is as it should be.
    PullSettled {
        key: String,
        revision: i64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        next_ms: Option<i64>,
    },
    /// An action waits for a person.
    ApprovalRequested { approval: ApprovalRow },
    /// Somebody decided on it.
    ApprovalDecided {
        id: String,
        state: ApprovalState,
        by: String,
        reason: String,
        at_ms: i64,
    },
    /// An operator stopped an agent, or lets it work again.
    AgentStopped { agent: String, stopped: bool },
    /// A schedule is new, or its expression changed.
    ScheduleSeen {
        event: String,
        cron: String,
        at_ms: i64,
    },
    /// A schedule ran.
    ScheduleFired { event: String, at_ms: i64 },
    /// Models were paid for.
    Spent { rows: Vec<SpendRow> },
    /// Items were added to memory.
    MemoryAdded { items: Vec<NewMemory> },
    /// An item was removed from memory.
    MemoryForgotten { id: String },
    /// Memory was thinned.
    MemoryPruned { keep: Retention },
    /// Ended runs were removed.
    RunsPruned { ids: Vec<String> },
    /// Old webhooks, approvals and publications were removed.
    DeliveriesPruned { keys_before_ms: i64 },
    /// Sums of days before this one were removed.
    SpendPruned { before: String },
    /// A repository has another name.
    RepositoryRenamed {
        old: String,
        new: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        repository_id: Option<u64>,
    },
    /// A comment was acted on, or is tried again.
    CommentHandled { outcome: CommentOutcome },
    /// Somebody dismissed a finding in a repository.
    FindingDismissed { dismissal: Box<DismissalRow> },
    /// Somebody took a dismissal back.
    DismissalRevoked { id: String, by: String, at_ms: i64 },
    /// The journal was made again from what could be read of a damaged one, or restored from a backup.
    Recovered { at_ms: i64, notice: String },
    /// An operator has read the notice.
    Acknowledged { at_ms: i64, by: String },
}

impl Record {
    /// What it is about: a run's id, or a word for everything that belongs to no run. Records of runs are kept
    /// as long as their run, the others as long as they are among the newest.
    pub fn subject(&self) -> &str {
        match self {
            Self::RunAccepted { run, .. } | Self::WebhookReceived { run: Some(run), .. } => &run.id,
            Self::RunChangeFetched { id, .. }
            | Self::RunStarted { id, .. }
            | Self::RunParked { id }
            | Self::RunCancelRequested { id } => id,
            Self::StepFinished { step, .. } => &step.run_id,
            Self::RunDecided { finish } => &finish.id,
            Self::RunsRefused { .. } | Self::RunsPruned { .. } => "runs",
            Self::WebhookReceived { .. }
            | Self::WebhookRedirected { .. }
            | Self::CommentHandled { .. }
            | Self::DeliveriesPruned { .. } => "deliveries",
            Self::PublicationTried { .. }
            | Self::PublicationsPlanned { .. }
            | Self::PullMarked { .. }
            | Self::RepositoryRenamed { .. }
            | Self::PullSettled { .. } => "publications",
            Self::ApprovalRequested { .. } | Self::ApprovalDecided { .. } => "approvals",
            Self::AgentStopped { .. } => "agents",
            Self::FindingDismissed { .. } | Self::DismissalRevoked { .. } => "dismissals",
            Self::ScheduleSeen { .. } | Self::ScheduleFired { .. } => "schedules",
            Self::Spent { .. } | Self::SpendPruned { .. } => "spend",
            Self::MemoryAdded { .. } | Self::MemoryForgotten { .. } | Self::MemoryPruned { .. } => {
                "memory"
            }
            Self::Recovered { .. } | Self::Acknowledged { .. } => "journal",
        }
    }

    /// What happened, in the word of its JSON.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::RunAccepted { .. } => "runAccepted",
            Self::RunsRefused { .. } => "runsRefused",
            Self::WebhookReceived { .. } => "webhookReceived",
            Self::WebhookRedirected { .. } => "webhookRedirected",
            Self::RunChangeFetched { .. } => "runChangeFetched",
            Self::RunStarted { .. } => "runStarted",
            Self::RunParked { .. } => "runParked",
            Self::RunCancelRequested { .. } => "runCancelRequested",
            Self::StepFinished { .. } => "stepFinished",
            Self::RunDecided { .. } => "runDecided",
            Self::PublicationTried { .. } => "publicationTried",
            Self::PublicationsPlanned { .. } => "publicationsPlanned",
            Self::PullMarked { .. } => "pullMarked",
            Self::PullSettled { .. } => "pullSettled",
            Self::ApprovalRequested { .. } => "approvalRequested",
            Self::ApprovalDecided { .. } => "approvalDecided",
            Self::AgentStopped { .. } => "agentStopped",
            Self::ScheduleSeen { .. } => "scheduleSeen",
            Self::ScheduleFired { .. } => "scheduleFired",
            Self::Spent { .. } => "spent",
            Self::MemoryAdded { .. } => "memoryAdded",
            Self::MemoryForgotten { .. } => "memoryForgotten",
            Self::MemoryPruned { .. } => "memoryPruned",
            Self::RunsPruned { .. } => "runsPruned",
            Self::DeliveriesPruned { .. } => "deliveriesPruned",
            Self::SpendPruned { .. } => "spendPruned",
            Self::RepositoryRenamed { .. } => "repositoryRenamed",
            Self::CommentHandled { .. } => "commentHandled",
            Self::FindingDismissed { .. } => "findingDismissed",
            Self::DismissalRevoked { .. } => "dismissalRevoked",
            Self::Recovered { .. } => "recovered",
            Self::Acknowledged { .. } => "acknowledged",
        }
    }

    /// Bytes of the largest text in it, about: whether encoding it is worth a thread of its own.
    pub fn weight(&self) -> usize {
        match self {
            Self::RunAccepted { run, .. } | Self::WebhookReceived { run: Some(run), .. } => {
                run.diff.len() + run.input.len()
            }
            Self::RunChangeFetched { input, diff, .. } => input.len() + diff.len(),
            Self::RunDecided { finish } => finish.result.len() + finish.report.len(),
            Self::StepFinished { step, .. } => step.result.len(),
            _ => 0,
        }
    }
}

/// What applying a record gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applied {
    /// It is done.
    Done,
    /// There was nothing to do: the record is not kept.
    Unchanged,
    /// A run was accepted: the record's number.
    Accepted(i64),
    /// A run with this idempotency key was accepted before: its id.
    Duplicate(String),
    /// What a webhook turned out to be.
    Delivery(DeliveryResult),
    /// Numbers of publications that were planned.
    Planned(Vec<i64>),
    /// Numbers of items that were added to memory.
    Remembered(Vec<Remembered>),
    /// Numbers of items that were removed from memory.
    Removed(Vec<i64>),
}

impl Applied {
    /// Whether the record changed anything.
    pub fn changed(&self) -> bool {
        !matches!(self, Self::Unchanged | Self::Duplicate(_))
    }

    /// Numbers of items that were added to memory.
    pub fn remembered(self) -> Vec<Remembered> {
        match self {
            Self::Remembered(numbers) => numbers,
            _ => Vec::new(),
        }
    }

    /// What was removed from memory.
    pub fn removed(self) -> Vec<i64> {
        match self {
            Self::Removed(numbers) => numbers,
            _ => Vec::new(),
        }
    }
}
