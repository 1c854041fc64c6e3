//! Staying useful while upstreams are slow, limited or down.
//!
//! Why: a model API fails in a dozen ways and each wants another answer. This room holds the pieces
//! that decide (breaker, bulkhead, limiter, retry, deadline) and [`policy`], the one place that
//! stacks them. It stands alone: nothing here knows what a model is. Each piece is a synchronous core
//! that is told the time, and where it must wait a thin async shell around it.

pub mod breaker;
pub mod bulkhead;
pub mod deadline;
pub mod deployment;
pub mod limiter;
pub mod pauses;
pub mod policy;
pub mod retry;
pub mod stream_timeouts;

pub use bsm_base::clock;

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Why one layer refuses a call and for how long: what the cores answer, without a name to copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub reason: Reason,
    /// Time until it is worth asking again, where that is known.
    pub retry_in: Option<Duration>,
}

impl Refusal {
    /// With the name of the layer that refused.
    pub fn by(self, layer: &str) -> Rejection {
        Rejection::new(layer, self.reason, self.retry_in)
    }
}

/// A refusal made here, before anything was sent upstream: never counted against the upstream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{} ({layer}{})", self.reason.summary(), retry_words(*retry_in_ms))]
#[serde(rename_all = "camelCase")]
pub struct Rejection {
    /// The breaker's, pool's or limiter's name.
    pub layer: String,
    /// Why, for machines.
    pub reason: Reason,
    /// Milliseconds until it is worth asking again, where that is known.
    pub retry_in_ms: Option<u64>,
}

impl Rejection {
    /// A refusal by the named layer.
    pub fn new(layer: &str, reason: Reason, retry_in: Option<Duration>) -> Self {
        let retry_in_ms = retry_in.map(|d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX));
        Self {
            layer: layer.to_owned(),
            reason,
            retry_in_ms,
        }
    }
}

fn retry_words(ms: Option<u64>) -> String {
    ms.map_or_else(String::new, |ms| format!(", retry in {ms} ms"))
}

/// Why a call was refused locally.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The breaker is open.
    BreakerOpen,
    /// The breaker is half-open and all its trials are taken.
    BreakerTrialsTaken,
    /// An operator isolated the upstream.
    BreakerIsolated,
    /// The pool and its queue are full.
    PoolFull,
    /// A place in the pool did not come free in time.
    PoolWaitTimeout,
    /// The local rate limit is used up.
    RateLimited,
    /// The time for the whole call ran out.
    DeadlineExceeded,
    /// It would cost more than may be spent.
    OverBudget,
    /// It is larger than the upstream can take.
    TooLarge,
    /// The upstream has refused every key there is.
    NoCredentials,
    /// A part of the answer has been passed on already: it cannot be begun again.
    AnswerBegun,
    /// Its address may not be connected to.
    NotAllowed,
}

impl Reason {
    /// The reason for machines, as in JSON.
    pub const fn code(self) -> &'static str {
        match self {
            Self::BreakerOpen => "breaker_open",
            Self::BreakerTrialsTaken => "breaker_trials_taken",
            Self::BreakerIsolated => "breaker_isolated",
            Self::PoolFull => "pool_full",
            Self::PoolWaitTimeout => "pool_wait_timeout",
            Self::RateLimited => "rate_limited",
            Self::DeadlineExceeded => "deadline_exceeded",
            Self::OverBudget => "over_budget",
            Self::TooLarge => "too_large",
            Self::NoCredentials => "no_credentials",
            Self::AnswerBegun => "answer_begun",
            Self::NotAllowed => "not_allowed",
        }
    }

    /// The reason in words.
    pub fn summary(self) -> &'static str {
        match self {
            Self::BreakerOpen => "circuit breaker open",
            Self::BreakerTrialsTaken => "circuit breaker half-open, trials taken",
            Self::BreakerIsolated => "isolated by an operator",
            Self::PoolFull => "pool and queue full",
            Self::PoolWaitTimeout => "no free place in the pool in time",
            Self::RateLimited => "rate limit reached",
            Self::DeadlineExceeded => "deadline exceeded",
            Self::OverBudget => "over the budget",
            Self::TooLarge => "too large for it",
            Self::NoCredentials => "every key was refused",
            Self::AnswerBegun => "a part of the answer was passed on already",
            Self::NotAllowed => "its address may not be connected to",
        }
    }
}
