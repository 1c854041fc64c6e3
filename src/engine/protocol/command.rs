//! The one public verb. Keys, palette, command line, API and fleet all send it; each is audited.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::engine::protocol::blob::{Blob, DiffContent};
use crate::engine::protocol::github::{DeliveryOutcome, Secret, Webhook};
use crate::engine::protocol::memory::MemoryItem;
use crate::engine::protocol::retention::Pruned;
use crate::model::simulator::Switch;
use crate::model::{Citation, Message, Tokens};
use crate::review::finding::FilterMode;
use crate::text::Untrusted;

/// What a run looks at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "from")]
pub enum Subject {
    /// The diff itself.
    Diff {
        /// Its bytes. Whoever names a file reads it: no path crosses the seam.
        diff: DiffContent,
    },
    /// A range of a repository on this machine; only local callers may name one.
    Range {
        /// The repository.
        repo: PathBuf,
        /// `A..B`.
        range: String,
    },
    /// A folder on this machine; only local callers may name one.
    Folder {
        /// The folder.
        dir: PathBuf,
    },
    /// A sample that comes with the binary.
    Sample {
        /// `risky`, `docs` or `code`.
        name: String,
    },
}

/// A run to start.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Trigger {
    /// The event.
    pub event: String,
    /// Its payload.
    #[serde(default)]
    pub payload: serde_json::Value,
    /// What it looks at.
    #[serde(default)]
    pub subject: Option<Subject>,
    /// Asked twice with the same key, it runs once.
    #[serde(default)]
    pub idempotency_key: Option<String>,
    /// Models are not asked.
    #[serde(default)]
    pub offline: bool,
    /// Which findings count; none: as the settings say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<FilterMode>,
    /// What other linters found.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub linters: Vec<LinterReport>,
}

/// What another linter wrote: SARIF, rdjson or rdjsonl.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LinterReport {
    /// Its file's name, for people.
    pub name: String,
    /// Its content; of a failed one, whatever there is.
    pub content: Blob,
    /// Why there is no content: the linter was to run and failed. Then the change counts as not wholly
    /// reviewed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

/// A person's question to an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Question {
    /// The asker's own name for it: events say under it what has been answered so far.
    pub id: String,
    /// The agent; none: an assistant without a role.
    #[serde(default)]
    pub agent: Option<String>,
    /// What is asked.
    pub text: String,
    /// What was said before, oldest first.
    #[serde(default)]
    pub history: Vec<Message>,
    /// It needs the web.
    #[serde(default)]
    pub search: bool,
}

/// What can be told to an engine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "command")]
pub enum Command {
    /// Start a run.
    Trigger(Trigger),
    /// Stop a run.
    CancelRun {
        /// Its id.
        run: String,
    },
    /// Start a run again with what it looked at (redacted as it was kept).
    RunAgain {
        /// Its id.
        run: String,
    },
    /// Forget what a cache holds; `None`: all of them.
    ClearCache {
        /// agents, knowledge, registry, responses.
        cache: Option<String>,
        /// Only the answers of a provider or a model: `provider:NAME`, `model:NAME`.
        #[serde(default)]
        tag: Option<String>,
    },
    /// Close a breaker and forget its window; `None`: all of them.
    ResetBreaker {
        /// The provider.
        breaker: Option<String>,
    },
    /// Close a breaker but keep what it knows: one more failure opens it again, for longer.
    CloseBreaker {
        /// The provider.
        breaker: String,
    },
    /// Refuse every call to a provider until its breaker is reset or closed.
    IsolateBreaker {
        /// The provider.
        breaker: String,
    },
    /// Change how many calls a pool lets through at once.
    ResizePool {
        /// The pool.
        pool: String,
        /// Calls at once, 1 or more.
        limit: u32,
    },
    /// Switch a feature flag.
    SetFlag {
        /// asyncFileIo, circuitBreaker, cacheStampedeProtection, rateLimiter, bulkhead, retry, safeMode.
        flag: String,
        /// On or off.
        on: bool,
    },
    /// Forget one thing that a cache holds.
    ClearEntry {
        /// agents, knowledge, registry, responses.
        cache: String,
        /// Its key, as the list of entries has it.
        key: String,
    },
    /// Ask an agent something; answered when the model has answered.
    Ask(Question),
    /// Change how the simulator behaves, under `--simulate`.
    SetFaults(Switch),
    /// Start a drill; what happens comes as events.
    Drill {
        /// Its name.
        drill: String,
    },
    /// Stop every run and take no more until intake is opened again.
    Drain,
    /// Take runs again after a drain.
    OpenIntake,
    /// An operator has read that the journal was recovered: what was held goes on.
    AcknowledgeRecovery,
    /// An operator has seen an alert. What still holds stays active.
    AcknowledgeAlert {
        /// Its id.
        alert: String,
    },
    /// Read the workspace again.
    Reload,
    /// Change what is logged.
    SetLogLevel {
        /// error, warn, info, debug, trace, or a filter.
        level: String,
    },
    /// Take a webhook in.
    Deliver(Webhook),
    /// Approve or deny an action that waits.
    Decide {
        /// The approval's id.
        approval: String,
        /// Approved; else denied.
        grant: bool,
        /// Why.
        reason: String,
        /// The approver's token.
        token: Secret,
    },
    /// Take a dismissal of a finding back: the next decision counts the finding again.
    RevokeDismissal {
        /// Its id.
        id: String,
    },
    /// Remember items, in place of those with the same ids.
    Remember {
        /// The items.
        items: Vec<MemoryItem>,
    },
    /// Forget one thing that is remembered.
    Forget {
        /// Its id.
        id: String,
    },
    /// Let an agent work, or not: where it is wanted and does not work, a person decides.
    SetAgent {
        /// The agent.
        agent: String,
        /// It works.
        on: bool,
    },
    /// Remove what is beyond its bound now.
    Prune {
        /// Runs, memory, reports and logs that are older go, too; days.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        older_than_days: Option<u32>,
        /// Nothing is removed, only counted.
        #[serde(default)]
        dry_run: bool,
    },
}

impl Command {
    /// Its name in the audit trail.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Trigger(_) => "trigger",
            Self::CancelRun { .. } => "cancel_run",
            Self::RunAgain { .. } => "run_again",
            Self::ClearCache { .. } => "clear_cache",
            Self::ResetBreaker { .. } => "reset_breaker",
            Self::CloseBreaker { .. } => "close_breaker",
            Self::IsolateBreaker { .. } => "isolate_breaker",
            Self::ResizePool { .. } => "resize_pool",
            Self::SetFlag { .. } => "set_flag",
            Self::ClearEntry { .. } => "clear_entry",
            Self::Ask(_) => "ask",
            Self::SetFaults(_) => "set_faults",
            Self::Drill { .. } => "drill",
            Self::Drain => "drain",
            Self::OpenIntake => "open_intake",
            Self::AcknowledgeRecovery => "acknowledge_recovery",
            Self::AcknowledgeAlert { .. } => "acknowledge_alert",
            Self::Reload => "reload",
            Self::SetLogLevel { .. } => "set_log_level",
            Self::Deliver(_) => "deliver",
            Self::Decide { grant: true, .. } => "approve",
            Self::Decide { .. } => "deny",
            Self::RevokeDismissal { .. } => "revoke_dismissal",
            Self::Remember { .. } => "remember",
            Self::Forget { .. } => "forget",
            Self::SetAgent { on: true, .. } => "start_agent",
            Self::SetAgent { .. } => "stop_agent",
            Self::Prune { .. } => "prune",
        }
    }

    /// What it is about, for the audit trail.
    pub fn object(&self) -> String {
        match self {
            Self::Trigger(t) => t.event.clone(),
            Self::CancelRun { run } | Self::RunAgain { run } => run.clone(),
            Self::ClearCache { tag: Some(tag), .. } => tag.clone(),
            Self::ClearCache { cache: name, .. } | Self::ResetBreaker { breaker: name } => {
                name.clone().unwrap_or_else(|| "all".into())
            }
            Self::CloseBreaker { breaker } | Self::IsolateBreaker { breaker } => breaker.clone(),
            Self::ResizePool { pool, limit } => format!("{pool} to {limit}"),
            Self::SetFlag { flag, on } => format!("{flag} {}", if *on { "on" } else { "off" }),
            Self::ClearEntry { cache, key } => format!("{cache} {key}"),
            // What is asked is nobody's business but the asker's.
            Self::Ask(question) => question.agent.clone().unwrap_or_else(|| "assistant".into()),
            Self::SetFaults(switch) => format!(
                "{} of {}",
                switch.preset.as_deref().unwrap_or("faults"),
                switch.provider.as_deref().unwrap_or("all")
            ),
            Self::Drill { drill } => drill.clone(),
            Self::AcknowledgeAlert { alert } => alert.clone(),
            Self::Drain | Self::OpenIntake => "runs".into(),
            Self::Reload => "workspace".into(),
            Self::AcknowledgeRecovery => "journal".into(),
            Self::SetLogLevel { level } => level.clone(),
            Self::Deliver(webhook) => format!("{} {}", webhook.named, webhook.delivery),
            Self::Decide {
                approval, reason, ..
            } => format!("{approval}: {reason}"),
            Self::SetAgent { agent, .. } => agent.clone(),
            Self::Remember { items } => format!("{} items", items.len()),
            Self::Forget { id } | Self::RevokeDismissal { id } => id.clone(),
            Self::Prune {
                older_than_days,
                dry_run,
            } => {
                let age = older_than_days.map_or_else(String::new, |days| {
                    format!(", and what is older than {days} days")
                });
                let dry = if *dry_run { " (dry run)" } else { "" };
                format!("beyond the bounds{age}{dry}")
            }
        }
    }
}

/// A command with who sent it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Envelope {
    /// What.
    pub command: Command,
    /// Who: `console`, `cli`, a token's name.
    pub actor: String,
    /// Correlation id; made where it is absent.
    #[serde(default)]
    pub correlation: Option<String>,
}

/// What a command did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "done")]
pub enum Reply {
    /// The run is on disk and will run.
    Accepted {
        /// Its id.
        run: String,
        /// Its correlation id.
        correlation: String,
        /// The event has no rule; the default's applies.
        defaulted: bool,
    },
    /// The answer to a question.
    Answered {
        /// The model's text, redacted.
        text: Untrusted,
        /// The model.
        model: String,
        /// `loaded`, `cache`, `shared`, `stale`.
        source: String,
        /// Where it says it has it from.
        citations: Vec<Citation>,
        /// Tokens of all attempts.
        tokens: Tokens,
        /// Millionths of a dollar.
        micro_usd: u64,
    },
    /// A webhook was taken.
    Delivered {
        /// What became of it.
        outcome: DeliveryOutcome,
        /// Its run; a repeated one's is that of the first.
        run: Option<String>,
        /// It came before.
        repeated: bool,
        /// Why.
        note: String,
    },
    /// What a pruning removed, or, of a dry run, would remove.
    Pruned(Pruned),
    /// It is done; a sentence says what changed.
    Done {
        /// The sentence.
        what: String,
    },
}

/// Why a command was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "camelCase", tag = "code")]
pub enum Refused {
    /// The engine only shows.
    #[error("read-only: this engine takes no commands")]
    ReadOnly,
    /// There is no such run, cache, breaker, pool or flag.
    #[error("there is no {what} '{name}'")]
    NotFound {
        /// The kind of thing.
        what: String,
        /// Its name, cleaned.
        name: String,
    },
    /// The input cannot be used.
    #[error("{reason}")]
    InvalidInput {
        /// A sentence.
        reason: String,
    },
    /// The event selects no agent.
    #[error("{reason}")]
    NoAgent {
        /// A sentence.
        reason: String,
    },
    /// An operator drained the engine.
    #[error("the engine is drained and takes no runs until somebody opens it again")]
    Drained,
    /// Too much is waiting already.
    #[error("{waiting} runs are waiting, as many as engine.queue allows; try again later")]
    Busy {
        /// How many.
        waiting: u32,
    },
    /// The engine is stopping.
    #[error("the engine is stopping")]
    Stopping,
    /// A question found no answer, or a command's own answer was lost on the way.
    #[error("{reason}")]
    Unanswered {
        /// A sentence.
        reason: String,
    },
    /// The registry, the profile or safe mode forbids it.
    #[error("{reason}")]
    Forbidden {
        /// A sentence.
        reason: String,
    },
    /// Something else is known by this name already.
    #[error("{reason}")]
    Conflict {
        /// A sentence.
        reason: String,
    },
    /// It waits until somebody approves it.
    #[error("{what} waits for an approval: {approval}")]
    ApprovalRequired {
        /// The approval's id.
        approval: String,
        /// What waits.
        what: String,
    },
    /// It could not be put on disk, so it was not accepted.
    #[error("{reason}")]
    Journal {
        /// A sentence.
        reason: String,
    },
}

impl Refused {
    /// A refusal because of the input.
    pub fn input(reason: impl std::fmt::Display) -> Self {
        Self::InvalidInput {
            reason: crate::text::clean_line(&reason.to_string(), 400),
        }
    }

    /// There is nothing of that name.
    pub fn not_found(what: &str, name: &str) -> Self {
        Self::NotFound {
            what: what.to_owned(),
            name: crate::text::clean_line(name, 80),
        }
    }
}

/// A payload's title, for lists: `#482` and the like.
pub fn payload_title(payload: &serde_json::Value) -> Option<Untrusted> {
    let number = payload
        .pointer("/pull_request/number")
        .or_else(|| payload.get("number"))
        .and_then(serde_json::Value::as_u64);
    let title = payload
        .pointer("/pull_request/title")
        .or_else(|| payload.get("title"))
        .and_then(serde_json::Value::as_str);
    match (number, title) {
        (Some(number), _) => Some(Untrusted::new(format!("#{number}"))),
        (None, Some(title)) => Some(Untrusted::new(crate::text::cut(title, 60))),
        (None, None) => None,
    }
}
