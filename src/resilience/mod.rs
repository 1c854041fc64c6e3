//! Staying useful while upstreams are slow, limited or down.
//!
//! Why: a model API fails in a dozen ways and each wants another answer. This room holds the pieces
//! that decide (breaker, bulkhead, limiter, retry, deadline) and [`policy`], the one place that
//! stacks them. It stands alone: nothing here knows what a model is. Each piece is a synchronous core
//! that is told the time, and where it must wait a thin async shell around it.

pub mod breaker;
mod breaker_types;
pub mod bulkhead;
pub mod clock;
pub mod deadline;
pub mod limiter;
pub mod policy;
pub mod retry;

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A refusal made here, before anything was sent upstream: never counted against the upstream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{} ({layer}{})", self.reason.words(), retry_words(*retry_in_ms))]
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
    /// The pool was closed.
    PoolClosed,
    /// The local rate limit is used up.
    RateLimited,
    /// The time for the whole call ran out.
    DeadlineExceeded,
}

impl Reason {
    /// The reason in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::BreakerOpen => "circuit breaker open",
            Self::BreakerTrialsTaken => "circuit breaker half-open, trials taken",
            Self::BreakerIsolated => "isolated by an operator",
            Self::PoolFull => "pool and queue full",
            Self::PoolWaitTimeout => "no free place in the pool in time",
            Self::PoolClosed => "pool closed",
            Self::RateLimited => "rate limit reached",
            Self::DeadlineExceeded => "deadline exceeded",
        }
    }
}
