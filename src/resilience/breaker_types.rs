//! What a breaker is set to, what it says about itself, and what a call can tell it.

use serde::{Deserialize, Serialize};

/// When a breaker opens, how long it stays open and how it tries again.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct BreakerSettings {
    /// Failures in a row that open it.
    pub failures: u32,
    /// Failure rate (0 to 1) that opens it once `minimum_calls` are in the window.
    pub failure_rate: f64,
    /// Calls in the window before the rate counts.
    pub minimum_calls: u32,
    /// Length of the window in milliseconds.
    pub window_ms: u64,
    /// First time open, in milliseconds; doubles (with jitter) after each failed trial.
    pub open_ms: u64,
    /// Longest time open, in milliseconds.
    pub open_max_ms: u64,
    /// Trials at once while half-open.
    pub half_open_trials: u32,
    /// A trial without a result for this long (milliseconds) counts as failed.
    pub trial_deadline_ms: u64,
}

impl Default for BreakerSettings {
    fn default() -> Self {
        Self {
            failures: 5,
            failure_rate: 0.5,
            minimum_calls: 10,
            window_ms: 60_000,
            open_ms: 1_000,
            open_max_ms: 30_000,
            half_open_trials: 1,
            trial_deadline_ms: 60_000,
        }
    }
}

/// The state as operators name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BreakerState {
    /// Calls pass.
    Closed,
    /// Calls are refused until the countdown ends.
    Open,
    /// A bounded number of trials pass.
    HalfOpen,
    /// Refused until an operator closes it.
    Isolated,
    /// Everything passes, nothing is decided (the feature flag is off).
    Disabled,
}

impl BreakerState {
    /// The word, as in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half-open",
            Self::Isolated => "isolated",
            Self::Disabled => "disabled",
        }
    }
}

/// What a call that reached the upstream told about its health.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It answered.
    Success,
    /// It failed in a way that speaks about its health (5xx, timeout, connection).
    Failure,
    /// It says nothing about its health (4xx, cancelled by us).
    Neutral,
}

/// A state change and its cause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Transition {
    /// Before.
    pub from: BreakerState,
    /// After.
    pub to: BreakerState,
    /// Why, in words.
    pub cause: String,
    /// The new generation.
    pub generation: u64,
}

/// A breaker's section of the snapshot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BreakerStats {
    /// The upstream's name.
    pub name: String,
    /// The state now.
    pub state: BreakerState,
    /// Grows with every transition.
    pub generation: u64,
    /// Failures in a row now.
    pub failures_in_row: u32,
    /// Failures in a row that open it.
    pub failures_limit: u32,
    /// Calls in the window.
    pub window_calls: u32,
    /// Failures in the window.
    pub window_failures: u32,
    /// Seconds until the next trial, while open.
    pub retry_in_s: Option<u64>,
    /// Trials in flight, while half-open.
    pub trials: u32,
    /// Trials allowed at once.
    pub trials_limit: u32,
    /// Counted successes since start.
    pub successes: u64,
    /// Counted failures since start.
    pub failures: u64,
    /// Calls refused since start.
    pub rejections: u64,
    /// Times it opened since start.
    pub trips: u64,
    /// The last outcomes, oldest first: `+` success, `-` failure.
    pub recent: String,
    /// The last error's class, if any.
    pub last_error: Option<String>,
    /// Recent transitions, newest last.
    pub transitions: Vec<Transition>,
}
