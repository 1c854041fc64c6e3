//! Details on demand: what is too large for the snapshot.

use serde::{Deserialize, Serialize};

use crate::cache::CacheEntryInfo;
use crate::engine::protocol::alert::Alert;
use crate::engine::protocol::call::CallView;
use crate::engine::protocol::cost::Costs;
use crate::engine::protocol::github::{Approval, Delivery, Dismissal, PublicationView};
use crate::engine::protocol::history::{SnapshotAt, Trends};
use crate::engine::protocol::memory::{MemoryStats, Patterns, Similar};
use crate::engine::protocol::run::RunResult;
use crate::engine::protocol::snapshot::RunSummary;
use crate::engine::protocol::storage::Usage;
use crate::engine::protocol::why::{About, Why};
use crate::telemetry::log_read::{LogFilter, LogLine};
use crate::text::Untrusted;
use crate::workspace::Problem;
use crate::workspace::agent::Agent;
use crate::workspace::events::EventRule;

/// A question.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "query")]
pub enum Query {
    /// The newest ended runs.
    Runs {
        /// At most so many.
        limit: u32,
        /// Terms of the filter language, all of which must hold.
        #[serde(default)]
        filter: String,
    },
    /// One run.
    Run {
        /// Its id.
        id: String,
    },
    /// A run's report.
    Report {
        /// Its id.
        id: String,
    },
    /// Log lines.
    Logs {
        /// Which.
        filter: LogFilter,
    },
    /// Agents, events, problems.
    Workspace,
    /// The newest attempts at providers.
    Calls {
        /// Only this provider's.
        provider: Option<String>,
        /// Only this run's.
        run: Option<String>,
        /// Only those that were not answered.
        failed: bool,
        /// At most so many.
        limit: u32,
    },
    /// What the workspace knows.
    Knowledge,
    /// The models that can be named, with their providers.
    Models,
    /// What a cache holds.
    Entries {
        /// agents, knowledge, registry, responses.
        cache: String,
        /// At most so many, the newest.
        limit: u32,
    },
    /// What models cost.
    Costs {
        /// The newest so many days (UTC), today included.
        days: u32,
    },
    /// The newest webhooks.
    Deliveries {
        /// At most so many.
        limit: u32,
    },
    /// Publications at GitHub: sent and waiting.
    Outbox {
        /// At most so many, the newest.
        limit: u32,
    },
    /// Actions that wait for a person, and those that did.
    Approvals {
        /// At most so many.
        limit: u32,
    },
    /// Findings that somebody dismissed by a comment.
    Dismissals {
        /// At most so many, the newest.
        limit: u32,
    },
    /// What is remembered and most like a text.
    Similar {
        /// The text: its first 1,000 characters count.
        text: String,
        /// At most so many, 1 to 100.
        k: u32,
        /// At least so like, 0 to 1.
        #[serde(default)]
        min_score: f64,
    },
    /// Why changes are rejected.
    Patterns {
        /// Since, wall time in milliseconds.
        #[serde(default)]
        since_ms: i64,
    },
    /// How much is remembered.
    MemoryStats,
    /// Every alert that is kept.
    Alerts,
    /// What takes how much of the disk. Measured at most every 30 seconds.
    Storage,
    /// Why something is as it is.
    Why {
        /// What.
        about: About,
    },
    /// Why something was as it was at a past moment, from what was recorded of it. What was not recorded is said to
    /// be unknown. Answered like [`Query::Why`].
    WhyAt {
        /// What.
        about: About,
        /// Wall time in milliseconds.
        at_ms: i64,
    },
    /// The recorded picture nearest to a time.
    Moment {
        /// Wall time in milliseconds.
        at_ms: i64,
        /// True: the oldest at or after it; else the newest at or before it.
        after: bool,
    },
    /// Series over a span of what was recorded.
    Trends {
        /// From, wall time in milliseconds.
        from_ms: i64,
        /// To.
        to_ms: i64,
        /// At most so many points.
        points: u32,
    },
}

/// Its answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "answer")]
pub enum Answer {
    /// Newest first.
    Runs {
        /// The runs.
        runs: Vec<RunSummary>,
    },
    /// One run.
    Run {
        /// All of it.
        run: Box<RunResult>,
    },
    /// Markdown.
    Report {
        /// Its text, already safe Markdown.
        text: Untrusted,
    },
    /// Oldest first.
    Logs {
        /// The lines.
        lines: Vec<LogLine>,
    },
    /// The workspace.
    Workspace {
        /// Its agents.
        agents: Vec<Agent>,
        /// Its events.
        events: Vec<(String, EventRule)>,
        /// What is wrong.
        problems: Vec<Problem>,
    },
    /// Newest first.
    Calls {
        /// The attempts.
        calls: Vec<CallView>,
    },
    /// What the workspace knows.
    Knowledge {
        /// Its documents.
        documents: Vec<KnowledgeView>,
    },
    /// By name: the model, its provider.
    Models {
        /// All of them.
        models: Vec<(String, String)>,
    },
    /// Newest first.
    Entries {
        /// What is held.
        entries: Vec<CacheEntryInfo>,
    },
    /// What they cost.
    Costs {
        /// All of it.
        costs: Box<Costs>,
    },
    /// Newest first.
    Deliveries {
        /// The webhooks.
        deliveries: Vec<Delivery>,
    },
    /// Newest first.
    Outbox {
        /// The publications.
        entries: Vec<PublicationView>,
    },
    /// Those that wait first.
    Approvals {
        /// The actions.
        approvals: Vec<Approval>,
    },
    /// Newest first; those that ended too.
    Dismissals {
        /// The dismissals.
        dismissals: Vec<Dismissal>,
    },
    /// Best first.
    Similar {
        /// What was found.
        found: Box<Similar>,
    },
    /// Rejections.
    Patterns {
        /// All of them.
        patterns: Box<Patterns>,
    },
    /// How much.
    MemoryStats {
        /// The figures.
        stats: MemoryStats,
    },
    /// Those that hold first, each kind newest first; at most 200.
    Alerts {
        /// The alerts.
        alerts: Vec<Alert>,
    },
    /// What takes how much.
    Storage {
        /// As `bsm state usage --json` prints it.
        usage: Box<Usage>,
    },
    /// The reasons.
    Why {
        /// All of it.
        why: Box<Why>,
    },
    /// A recorded picture, if there is one.
    Moment {
        /// The picture.
        moment: Option<SnapshotAt>,
    },
    /// Series.
    Trends {
        /// All of them.
        trends: Box<Trends>,
    },
}

/// A knowledge document, redacted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KnowledgeView {
    /// Its file's name.
    pub name: Untrusted,
    /// Its text.
    pub text: Untrusted,
}

/// Why a question has no answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "camelCase", tag = "code")]
pub enum QueryError {
    /// There is no such run or report.
    #[error("there is no {what} '{name}'")]
    NotFound {
        /// The kind of thing.
        what: String,
        /// Its name, cleaned.
        name: String,
    },
    /// It could not be read.
    #[error("{reason}")]
    Unavailable {
        /// A sentence.
        reason: String,
    },
}

/// What an engine can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Capabilities {
    /// It takes no commands.
    pub read_only: bool,
    /// Runs may name folders of this machine.
    pub local_paths: bool,
    /// It keeps runs on disk.
    pub saves: bool,
}
