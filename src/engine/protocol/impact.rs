//! What the engine's state means for work, worst first: facts with a type, and the sentence they make.
//!
//! Why facts and not only a sentence: a narrow screen leaves parts out, a script reads numbers, and times are
//! absolute so that a snapshot stands still while a face counts the seconds.

use serde::{Deserialize, Serialize};

use crate::engine::protocol::why::About;

/// A median of answered calls above this is slow, milliseconds: a review takes a few seconds.
pub const SLOW_P50_MS: u32 = 10_000;
/// A 99th percentile above this is slow, milliseconds.
pub const SLOW_P99_MS: u32 = 30_000;

/// How bad it is, worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ImpactKind {
    /// Work is refused, or ends undecided.
    Down,
    /// Work waits.
    Slow,
    /// Something needs a look.
    Warn,
    /// No run is accepted, by choice.
    Drained,
    /// No model is asked.
    Offline,
    /// Models are the simulator: no decision is evidence.
    Simulated,
    /// It is not known yet.
    Unknown,
    /// Nothing has run for an hour.
    Idle,
    /// Work is done.
    Ok,
}

impl ImpactKind {
    /// The word that leads the sentence.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Down => "DOWN",
            Self::Slow => "SLOW",
            Self::Warn => "WARN",
            Self::Drained => "DRAINED",
            Self::Offline => "OFFLINE",
            Self::Simulated => "SIMULATED",
            Self::Unknown => "UNKNOWN",
            Self::Idle => "IDLE",
            Self::Ok => "OK",
        }
    }
}

/// What it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ImpactCause {
    /// A provider's breaker is open or on trial.
    ProviderRefuses,
    /// An operator isolated a provider.
    ProviderIsolated,
    /// A provider refused every key.
    KeysRefused,
    /// A provider has a key and cannot be asked; [`Impact::message`] says why.
    ProviderNotReady,
    /// No provider that is set up can be asked.
    AllProvidersRefuse,
    /// Calls are made and none is answered.
    NoAnswer,
    /// A part of the calls is not answered.
    CallsFail,
    /// Runs end undecided, or could not be kept.
    RunsUndecided,
    /// Runs were not accepted; [`Impact::message`] says why.
    RunsRefused,
    /// Calls wait for a pool.
    PoolFull,
    /// A provider answers 429.
    RateLimited,
    /// A provider answers slowly.
    SlowAnswers,
    /// A reason of health; [`Impact::message`] says which.
    Health,
    /// An operator drained the engine.
    Drained,
    /// Started with `--offline`.
    Offline,
    /// No provider can be asked, and none is down: no key is set, or nothing may leave the machine.
    NoModel,
    /// Started with `--simulate`.
    Simulated,
    /// A check has not looked yet, or cannot.
    NotKnown,
    /// Nothing has run for an hour.
    Idle,
    /// Runs are decided.
    Working,
}

/// One finding. A fact that does not apply is zero, empty or absent, and is not in the JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Impact {
    /// How bad it is.
    pub kind: ImpactKind,
    /// Why.
    pub cause: ImpactCause,
    /// The provider, pool or check, or several of them; harmless.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subjects: Vec<String>,
    /// What explains it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<About>,
    /// Health's own sentence, or why; harmless.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Since when, wall time in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since_ms: Option<i64>,
    /// Runs that ended undecided since then (or within [`Impact::window_s`]).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub undecided: u64,
    /// Runs that were not accepted in that time.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub refused: u64,
    /// Runs that ended or were not accepted in that time.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub of: u64,
    /// The window of the counts, seconds; 0: since [`Impact::since_ms`].
    #[serde(default, skip_serializing_if = "is_zero")]
    pub window_s: u64,
    /// Calls that another provider answered instead.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub fell_back: u64,
    /// The newest provider that did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<String>,
    /// When the provider is tried again, wall time in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_attempt_ms: Option<i64>,
    /// Seconds that calls back off after a 429.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backoff_s: Option<u64>,
    /// Calls that were not answered, or got 429, or waited, in the window.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub calls: u64,
    /// All calls of the window.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub calls_of: u64,
    /// Calls that wait now.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub waiting: u64,
    /// Calls at once now, adapted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed: Option<u32>,
    /// Calls at once, as configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Since when the oldest of them waits, wall time in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest_ms: Option<i64>,
    /// Runs decided within the last hour.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub decided: u64,
    /// Of those, with full evidence.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub full: u64,
    /// Runs at work now.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub at_work: u64,
    /// Spent today (UTC), millionths of a dollar.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub micro_usd: u64,
    /// Median of answered calls, milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p50_ms: Option<u64>,
    /// 99th percentile of answered calls, milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p99_ms: Option<u64>,
    /// When the newest run ended, wall time in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_run_ms: Option<i64>,
    /// When a model last answered, wall time in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_answer_ms: Option<i64>,
    /// Variables to set, one of which is enough.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub variables: Vec<String>,
    /// What helps, by the name of the console's action.
    pub action: String,
    /// The page that says what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runbook: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Impact {
    /// A finding without facts.
    pub fn new(kind: ImpactKind, cause: ImpactCause, action: &str) -> Self {
        Self {
            kind,
            cause,
            subjects: Vec::new(),
            about: None,
            message: None,
            since_ms: None,
            undecided: 0,
            refused: 0,
            of: 0,
            window_s: 0,
            fell_back: 0,
            fallback: None,
            next_attempt_ms: None,
            backoff_s: None,
            calls: 0,
            calls_of: 0,
            waiting: 0,
            allowed: None,
            limit: None,
            oldest_ms: None,
            decided: 0,
            full: 0,
            at_work: 0,
            micro_usd: 0,
            p50_ms: None,
            p99_ms: None,
            last_run_ms: None,
            last_answer_ms: None,
            variables: Vec::new(),
            action: action.to_owned(),
            runbook: None,
        }
    }
}
