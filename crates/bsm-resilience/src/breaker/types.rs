//! What a breaker is set to and what it says about itself.

use serde::{Deserialize, Serialize};

/// What the failure and slow rates are taken over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WindowKind {
    /// The last `windowMs`, sliding by a tenth.
    #[default]
    Time,
    /// The last `windowCalls` calls.
    Count,
}

/// When a breaker opens, how long it stays open and how it tries again.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct BreakerSettings {
    /// Failures in a row that open it.
    pub failures: u32,
    /// Failure rate (0 to 1) that opens it once `minimum_calls` are in the window.
    pub failure_rate: f64,
    /// A call that took this long (milliseconds) is slow, whatever it ended in; 0: none is.
    pub slow_ms: u64,
    /// Rate of slow calls (0 to 1) that opens it once `minimum_calls` are in the window.
    pub slow_rate: f64,
    /// Calls in the window before a rate counts.
    pub minimum_calls: u32,
    /// What the rates are taken over.
    pub window: WindowKind,
    /// Length of a time window in milliseconds.
    pub window_ms: u64,
    /// Length of a count window in calls (at most 10,000).
    pub window_calls: u32,
    /// First time open, in milliseconds; half as much again after each failed trial.
    pub open_ms: u64,
    /// Longest time open, in milliseconds; an upstream's `Retry-After` may ask for up to five minutes.
    pub open_max_ms: u64,
    /// Share (0 to 1) by which the open time is shortened at random, so that many do not try in step.
    pub open_jitter: f64,
    /// Trials at once while half-open.
    pub half_open_trials: u32,
    /// Trials that must succeed before it closes; one that fails opens it again.
    pub trial_successes: u32,
    /// A trial without a result for this long (milliseconds) counts as failed.
    pub trial_deadline_ms: u64,
}

impl Default for BreakerSettings {
    fn default() -> Self {
        Self {
            failures: 5,
            failure_rate: 0.5,
            slow_ms: 0,
            slow_rate: 0.8,
            minimum_calls: 10,
            window: WindowKind::Time,
            window_ms: 60_000,
            window_calls: 100,
            open_ms: 1_000,
            open_max_ms: 30_000,
            open_jitter: 0.2,
            half_open_trials: 1,
            trial_successes: 1,
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
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half-open",
            Self::Isolated => "isolated",
            Self::Disabled => "disabled",
        }
    }
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
    /// When, wall time in milliseconds: the start's wall time plus what the monotonic clock counted.
    #[serde(default)]
    pub at_ms: i64,
}

/// A breaker's section of the snapshot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BreakerStats {
    /// The upstream's name.
    pub name: String,
    /// The state now.
    pub state: BreakerState,
    /// Since when, wall time in milliseconds.
    pub since_ms: i64,
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
    /// Slow calls in the window.
    pub window_slow: u32,
    /// Seconds until the next trial, while open.
    pub retry_in_s: Option<u64>,
    /// How long it was opened for the last time, milliseconds; 0 before the first.
    pub open_for_ms: u64,
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
    /// Results that came after their generation had ended, since start; they changed nothing.
    pub late: u64,
    /// Times it opened since start.
    pub trips: u64,
    /// The last outcomes, oldest first: `+` success, `-` failure.
    pub recent: String,
    /// The last error's class, if any.
    pub last_error: Option<String>,
    /// Recent transitions, newest last.
    pub transitions: Vec<Transition>,
}
