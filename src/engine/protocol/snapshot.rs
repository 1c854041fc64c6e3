//! The one public picture: the console draws it, `--json` prints it. At most 64 KiB of JSON while no more than 40
//! runs are live, less than 1 KiB more for each further one up to 200; other lists that can grow go through
//! queries.

use serde::{Deserialize, Serialize};

use crate::cache::CacheStats;
pub use crate::engine::protocol::alert::Alert;
use crate::engine::protocol::decision_stats::DecisionStats;
use crate::engine::protocol::github::GithubStats;
use crate::engine::protocol::health::{Check, Level, Reason};
use crate::engine::protocol::identity::RunIdentity;
use crate::engine::protocol::impact::Impact;
use crate::engine::protocol::phase::Phase;
use crate::engine::protocol::provider_row::ProviderRow;
use crate::engine::protocol::run::{Action, Cause, Evidence, RunState, StepStatus};
use crate::filter::{Row, lowered};
use crate::model::provider::ProviderStats;
use crate::resilience::breaker::BreakerStats;
use crate::resilience::bulkhead::PoolStats;
use crate::resilience::limiter::RateStats as LimiterStats;
use crate::resilience::retry::BudgetStats;
use crate::review::verdict::Verdict;
use crate::settings::{Environment, Flags, Targets};
use crate::telemetry::availability::OutcomeStats;
use crate::telemetry::call_history::CallHistoryStats;
use crate::telemetry::latency::LatencyStats;
use crate::telemetry::rate::RateStats;
use crate::telemetry::resources::ResourceStats;
use crate::text::Untrusted;
use crate::workspace::trust::Trust;

/// The schema's number.
pub const VERSION: u32 = 2;

/// How the engine is, in one word.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// All is well.
    #[default]
    Healthy,
    /// It works, but something is missing.
    Degraded,
    /// It cannot do its work.
    Unhealthy,
}

impl Health {
    /// The same as a level of a check.
    pub fn level(self) -> Level {
        match self {
            Self::Healthy => Level::Pass,
            Self::Degraded => Level::Warn,
            Self::Unhealthy => Level::Fail,
        }
    }
}

/// One agent of a run, in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StepSummary {
    /// The agent.
    pub agent: String,
    /// Where it stands.
    pub status: StepStatus,
    /// What it concludes.
    pub verdict: Option<Verdict>,
    /// What it does with a provider at the moment; `None`: nothing, or it has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
}

/// A run, in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunSummary {
    /// Its id.
    pub id: String,
    /// Its event.
    pub event: Untrusted,
    /// A short name: `#482`, or the title. [`RunSummary::identity`] has all of it.
    pub title: Option<Untrusted>,
    /// What it is about; `None`: unknown, because an older version kept the line. What is `None` within it
    /// nobody named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<RunIdentity>,
    /// Where it stands.
    pub state: RunState,
    /// Its agents.
    pub steps: Vec<StepSummary>,
    /// Its decision's action.
    pub action: Option<Action>,
    /// The rule that fired.
    pub rule: Option<u8>,
    /// Why.
    pub reason: Option<Untrusted>,
    /// Why it was decided so, at most 60 characters, made of the rule or finding that decided; `None` while it is
    /// at work ([`RunSummary::why_at`] has what it waits for), or unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<Untrusted>,
    /// What it rests on.
    pub evidence: Option<Evidence>,
    /// What its decision rests on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// Under the simulator.
    pub simulated: bool,
    /// Accepted, wall time in milliseconds.
    pub created_ms: i64,
    /// First begun.
    pub started_ms: Option<i64>,
    /// Ended.
    pub finished_ms: Option<i64>,
    /// Milliseconds of work, once it has ended; time between a crash and the resume is not work.
    pub duration_ms: Option<u64>,
    /// Milliseconds in the queue, for rate limits, for places in pools and before retries. Of agents that work at
    /// the same time the longest counts; of one at work what has ended ([`RunSummary::waited_at`] adds what goes
    /// on). `None`: not begun, or unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waited_ms: Option<u64>,
    /// Milliseconds with providers, of the same agents. `None`: not begun, or unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_ms: Option<u64>,
    /// What its models cost, millionths of a dollar by the table's prices; with `simulated`, nobody pays it.
    /// `None`: unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub micro_usd: Option<u64>,
}

/// How the engine was started.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Mode {
    /// development, staging, production.
    pub environment: Environment,
    /// Models are not asked, by choice.
    pub offline: bool,
    /// Models are the simulator.
    pub simulated: bool,
    /// It takes no commands.
    pub read_only: bool,
    /// Nothing leaves the machine.
    pub safe_mode: bool,
    /// Nothing is kept.
    pub no_save: bool,
}

/// Runs by state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunCounts {
    /// At work.
    pub running: u32,
    /// Waiting.
    pub queued: u32,
    /// Ended since start.
    pub finished: u64,
    /// Of those, failed.
    pub failed: u64,
    /// Of those, undecided: evidence is missing, or they failed.
    #[serde(default)]
    pub undecided: u64,
}

/// Decisions of one kind, since start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DecisionCount {
    /// What was decided.
    pub action: Action,
    /// On which evidence.
    pub evidence: Evidence,
    /// How often.
    pub count: u64,
}

/// The workspace, in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkspaceStats {
    /// Its name.
    pub name: Untrusted,
    /// Its folder.
    pub root: Option<Untrusted>,
    /// Whether the operator trusts it.
    pub trust: Trust,
    /// Agents loaded.
    pub agents: u32,
    /// Errors in its files.
    pub errors: u32,
    /// Warnings.
    pub warnings: u32,
    /// The broken edit that is not in effect, if any.
    pub kept_last_good: bool,
}

/// Money of the day (UTC).
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Money {
    /// Spent, millionths of a dollar.
    pub today_micro_usd: u64,
    /// Set aside for calls under way, millionths of a dollar.
    pub reserved_micro_usd: u64,
    /// What a day may cost, US dollars; 0: no bound.
    pub day_budget_usd: f64,
    /// What answers of the cache would have cost, millionths of a dollar, since start.
    #[serde(default)]
    pub saved_micro_usd: u64,
    /// Models are simulated: nobody was paid, the figures are what it would have cost.
    #[serde(default)]
    pub simulated: bool,
}

/// Bounds that were hit since start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Losses {
    /// Log lines.
    pub log_lines: u64,
    /// Runs refused because the queue was full.
    pub runs_refused: u64,
    /// Journal writes that failed and were tried again.
    pub journal_retries: u64,
    /// Lines of the audit trail that could not be written.
    pub audit_lines: u64,
}

/// The engine is in another process and does not answer: the picture is the last one. Added by the side that reads
/// it, never sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disconnected {
    /// Since when, wall time in milliseconds.
    pub since_ms: i64,
    /// When it is tried next, wall time in milliseconds.
    pub next_try_ms: i64,
    /// Where it was, harmless.
    pub address: String,
    /// What the link said, harmless.
    pub reason: String,
}

/// The picture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Snapshot {
    /// [`VERSION`].
    pub version: u32,
    /// Grows by one with every published picture.
    pub sequence: u64,
    /// When the engine started, wall time in milliseconds.
    pub started_ms: i64,
    /// The engine does not answer; `None`: it does.
    #[serde(skip)]
    pub disconnected: Option<Disconnected>,
    /// In one word.
    pub health: Health,
    /// What it means for work, worst first, at most 12. Empty: an older engine, so it is not known.
    #[serde(default)]
    pub impact: Vec<Impact>,
    /// Why not healthy, worst first.
    pub reasons: Vec<Reason>,
    /// Every check and how it stands.
    #[serde(default)]
    pub checks: Vec<Check>,
    /// The workspace.
    pub workspace: WorkspaceStats,
    /// How it was started.
    pub mode: Mode,
    /// Feature flags.
    pub flags: Flags,
    /// It takes no runs until somebody opens it again.
    #[serde(default)]
    pub drained: bool,
    /// Targets.
    pub targets: Targets,
    /// Total minus the provider's time, a question each.
    pub added_latency: LatencyStats,
    /// Time inside providers, an attempt each.
    pub call_latency: LatencyStats,
    /// A run from its start to its decision.
    pub run_latency: LatencyStats,
    /// Calls sent to models.
    pub calls: RateStats,
    /// Runs accepted.
    pub runs_rate: RateStats,
    /// Attempts by outcome over the last 15 minutes, and latency of answered calls.
    #[serde(default)]
    pub call_history: CallHistoryStats,
    /// Calls that failed, since start.
    pub calls_failed: u64,
    /// Tokens read and written, since start.
    pub tokens: u64,
    /// US dollars since start, by the table's prices.
    pub cost_usd: f64,
    /// Until the first piece of an answer, an answered attempt each.
    #[serde(default)]
    pub first_token: LatencyStats,
    /// Today's money.
    #[serde(default)]
    pub money: Money,
    /// The caches.
    pub caches: Vec<CacheStats>,
    /// The breakers.
    pub breakers: Vec<BreakerStats>,
    /// The pools.
    pub pools: Vec<PoolStats>,
    /// The limiters.
    pub limiters: Vec<LimiterStats>,
    /// The retry budget.
    pub retry_budget: BudgetStats,
    /// The providers.
    pub providers: Vec<ProviderStats>,
    /// Every provider in a row, those that somebody counts on first.
    #[serde(default)]
    pub provider_rows: Vec<ProviderRow>,
    /// The process.
    pub resources: ResourceStats,
    /// Share of the last hour's runs that ended with full evidence, percent, two decimals; `None`: no run.
    pub availability: Option<f64>,
    /// What it is made of: the last hour's runs by how they ended.
    #[serde(default)]
    pub outcomes: OutcomeStats,
    /// Decisions of the last hour, and what waits for a person.
    #[serde(default)]
    pub decisions_hour: DecisionStats,
    /// Runs by state.
    pub counts: RunCounts,
    /// Every run that has not ended, at most 200, and recent ones up to 40 in all; newest first. Where more than
    /// 200 have not ended, running runs go before queued ones.
    pub runs: Vec<RunSummary>,
    /// Runs that have not ended and are not in `runs`.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub runs_left_out: u32,
    /// Alerts, at most 20: those that hold first, each kind newest first. `Query::Alerts` has all that are kept.
    pub alerts: Vec<Alert>,
    /// Bounds that were hit.
    pub losses: Losses,
    /// Decisions by what they were and what they rest on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub decisions: Vec<DecisionCount>,
    /// Webhooks, outbox, approvals.
    #[serde(default)]
    pub github: GithubStats,
    /// Agents that an operator stopped.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stopped_agents: Vec<String>,
    /// People whose consoles in other processes are attached, each once, in the order in which they came.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attached: Vec<String>,
}

impl Snapshot {
    /// Share of the last hour's runs that were not decided, 0 to 1; `None` below 20 runs.
    pub fn error_rate(&self) -> Option<f64> {
        self.outcomes.error_rate()
    }

    /// The response cache: the one that saves calls and money. Only questions to models read it; what a screen
    /// or a command looks up does not.
    pub fn response_cache(&self) -> Option<&CacheStats> {
        self.caches.iter().find(|c| c.name == "responses")
    }

    /// Share of questions that the response cache answered; `None` below 20 questions.
    pub fn hit_rate(&self) -> Option<f64> {
        let cache = self.response_cache()?;
        let gets = cache.served() + cache.misses;
        let enough = gets >= crate::telemetry::latency::ENOUGH;
        enough.then(|| cache.hit_rate()).flatten()
    }

    /// Names of providers that can be asked.
    pub fn ready_providers(&self) -> Vec<&str> {
        self.providers
            .iter()
            .filter(|p| p.ready)
            .map(|p| p.name.as_str())
            .collect()
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde's skip_serializing_if wants a reference"
)]
fn is_zero(n: &u32) -> bool {
    *n == 0
}

impl Row for RunSummary {
    fn field(&self, key: &str) -> Vec<String> {
        let state = || lowered(&format!("{:?}", self.state));
        match key {
            "id" | "run" => vec![lowered(&self.id)],
            "state" => vec![state()],
            "event" => vec![lowered(self.event.raw())],
            "action" | "decision" => self
                .action
                .map(|a| a.as_str().to_owned())
                .into_iter()
                .collect(),
            "agent" => self.steps.iter().map(|s| lowered(&s.agent)).collect(),
            "status" => self
                .steps
                .iter()
                .map(|s| s.status.as_str().to_owned())
                .collect(),
            "evidence" => self
                .evidence
                .map(|e| e.as_str().to_owned())
                .into_iter()
                .collect(),
            "title" => {
                let own = self.identity.as_ref().and_then(|i| i.title.as_ref());
                let both = own.into_iter().chain(&self.title);
                both.map(|t| lowered(t.raw())).collect()
            }
            "reason" => self.reason.iter().map(|r| lowered(r.raw())).collect(),
            "why" => self.why.iter().map(|w| lowered(w.raw())).collect(),
            "live" => vec![if self.is_live() { "yes" } else { "no" }.into()],
            "simulated" => vec![if self.simulated { "yes" } else { "no" }.into()],
            "cause" => self.cause.iter().map(|c| c.as_str().to_owned()).collect(),
            "repo" | "pr" | "author" | "branch" | "sha" | "by" => match &self.identity {
                Some(identity) => identity.field(key),
                None => Vec::new(),
            },
            "phase" | "provider" | "model" => {
                let phases = self.steps.iter().filter_map(|s| s.phase.as_ref());
                phases
                    .map(|p| match key {
                        "phase" => p.kind.as_str().to_owned(),
                        "provider" => lowered(&p.provider),
                        _ => lowered(&p.model),
                    })
                    .collect()
            }
            _ => Vec::new(),
        }
    }

    fn number(&self, key: &str) -> Option<u64> {
        match key {
            "took" => self.duration_ms,
            "rule" => self.rule.map(u64::from),
            "agents" => Some(self.steps.len() as u64),
            "pr" => self.identity.as_ref()?.pull,
            "waited" => self.waited_ms,
            "model" => self.model_ms,
            "cost" => self.micro_usd,
            _ => None,
        }
    }

    fn shows(&self, word: &str) -> bool {
        let keys = [
            "id", "event", "action", "agent", "title", "reason", "state", "why", "repo", "author",
        ];
        let place = || self.place().is_some_and(|p| lowered(&p).contains(word));
        keys.iter()
            .any(|key| self.field(key).iter().any(|f| f.contains(word)))
            || place()
    }
}
