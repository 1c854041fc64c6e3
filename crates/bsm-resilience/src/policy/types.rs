//! What a call brings along, what an upstream's error means, and what is told afterwards.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Rejection;
use crate::breaker::Breaker;
use crate::bulkhead::{Bulkhead, Lane};
use crate::deadline::Deadline;
use crate::deployment::Deployment;
use crate::limiter::Limiter;
use crate::retry::RetrySettings;

/// What an upstream's error means to each layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErrorClass {
    /// Worth another attempt at the same target.
    pub retry: bool,
    /// Worth an attempt at once, because it will be made with something else (another key). It is no
    /// retry: the caller's error says so at most once for each thing it has.
    pub again_now: bool,
    /// Worth trying the next target.
    pub fall_back: bool,
    /// Speaks against the upstream's health.
    pub counts: bool,
    /// It concerns the whole upstream (no connection), and not the one deployment that was asked.
    pub whole_upstream: bool,
    /// The upstream did its work, but the answer is of no use: it is well, and its tokens are used.
    pub answered: bool,
    /// The upstream asked for this much quiet.
    pub retry_after: Option<Duration>,
    /// The upstream answered 429: pause the limiter, shrink the pool.
    pub pause: bool,
}

/// An error that can say what it means.
pub trait Classify {
    /// Its meaning to the layers.
    fn meaning(&self) -> ErrorClass;
    /// A short name for counters and logs (`http_503`, `timeout`).
    fn class(&self) -> Cow<'static, str>;
    /// The attempt's own time ran out.
    fn attempt_timeout(after: Duration) -> Self;
}

/// What a call does at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// It waits for the rate limit, or for a pause that a 429 began.
    RateLimit,
    /// It waits for a place in the pool.
    Pool,
    /// It is with the upstream.
    Sent,
    /// An attempt failed; it waits so long before the next one, whose number is given.
    Backoff(Duration),
}

/// Somebody who has a say before each attempt and sees it afterwards.
pub trait AttemptHook<M> {
    /// Before anything else is done for an attempt. A refusal counts as one of ours: the next target
    /// may be asked.
    ///
    /// # Errors
    /// Why this target is not asked.
    fn before(&mut self, _what: &M) -> Result<(), Rejection> {
        Ok(())
    }

    /// An attempt enters a stage: it waits for a layer, is sent, or waits for a retry. Screens show the stage of
    /// a running call. `attempt` counts the attempts at this target from 1.
    fn stage(&mut self, _what: &M, _attempt: u32, _stage: Stage) {}

    /// An attempt, or a refusal, is over.
    fn after(&mut self, _attempt: &Attempt) {}
}

impl<M> AttemptHook<M> for () {}

/// The layers of one upstream.
#[derive(Clone)]
pub struct LayerSet {
    /// Its breaker.
    pub breaker: Arc<Breaker>,
    /// Its pool.
    pub pool: Arc<Bulkhead>,
    /// Its limiter.
    pub limiter: Arc<Limiter>,
    /// The deployment of it that is asked, where it has several: failures and pauses are kept for each.
    pub deployment: Option<Arc<Deployment>>,
}

/// One choice in a chain of fallbacks.
pub struct Target<M> {
    /// The upstream's layers.
    pub guards: LayerSet,
    /// Longest time of one attempt.
    pub attempt_timeout: Duration,
    /// Tokens to reserve for it.
    pub tokens: u32,
    /// What the caller needs to make the attempt (a model, a region).
    pub what: M,
}

/// How one attempt, or one refusal, went: what each layer did and how long it took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    /// The upstream's name.
    pub upstream: Arc<str>,
    /// Index of the target in the chain.
    pub target: usize,
    /// `ok`, an error's class, or a refusal's reason.
    pub outcome: Cow<'static, str>,
    /// True when it was sent.
    pub sent: bool,
    /// Milliseconds from the call's start to this attempt's.
    pub started_ms: u64,
    /// Microseconds of backoff before it.
    #[serde(default)]
    pub backoff_us: u64,
    /// Microseconds spent waiting for the rate limit.
    #[serde(default)]
    pub limiter_us: u64,
    /// Microseconds spent waiting for a place in the pool.
    #[serde(default)]
    pub pool_us: u64,
    /// Microseconds inside the upstream.
    pub upstream_us: u64,
    /// Milliseconds until the refusing layer is worth asking again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_in_ms: Option<u64>,
}

impl Attempt {
    /// One that begins: so long after its call, and after so long a backoff.
    pub(super) fn begun(
        upstream: Arc<str>,
        target: usize,
        after: Duration,
        backoff: Duration,
    ) -> Self {
        Self {
            upstream,
            target,
            outcome: Cow::Borrowed("ok"),
            sent: false,
            started_ms: millis(after),
            backoff_us: micros(backoff),
            limiter_us: 0,
            pool_us: 0,
            upstream_us: 0,
            retry_in_ms: None,
        }
    }
}

/// How a call ended, and everything that happened on the way.
pub struct Outcome<T, E> {
    /// The answer with its target's index, or why there is none.
    pub result: Result<(T, usize), Failure<E>>,
    /// Every attempt and refusal in order.
    pub trace: Vec<Attempt>,
}

/// Why there is no answer. The last failure speaks for all.
#[derive(Debug)]
pub enum Failure<E> {
    /// Refused here, nothing was sent.
    Rejected(Rejection),
    /// The upstream failed.
    Upstream(E),
    /// There was nobody to ask.
    NoTarget,
}

/// Layers that can be switched off while running. The breaker has its own switch
/// ([`Breaker::set_enabled`]), because it must also show that it is off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layers {
    /// Rate limits are kept.
    pub limiter: bool,
    /// Pools are kept.
    pub pool: bool,
    /// More than one attempt is made.
    pub retry: bool,
}

impl Default for Layers {
    fn default() -> Self {
        Self {
            limiter: true,
            pool: true,
            retry: true,
        }
    }
}

/// What one call brings along.
#[derive(Debug, Clone, Copy)]
pub struct Call {
    /// When all of it must be over.
    pub deadline: Deadline,
    /// How urgent it is.
    pub lane: Lane,
    /// The retry loop's settings at this moment.
    pub retry: RetrySettings,
    /// Layers that are on at this moment.
    pub layers: Layers,
    /// The caller has an old answer that is better than another target's: the first target alone is asked.
    pub stale_at_hand: bool,
    /// How long it waits for a rate limit or a pause.
    pub waits: Waits,
}

/// How long a call waits for a rate limit, or for a pause that an upstream asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Waits {
    /// As long as its deadline allows.
    #[default]
    UntilDeadline,
    /// So long at most, and not at all while another of its targets could be asked at once.
    AtMost(Duration),
}

pub(super) fn millis(d: Duration) -> u64 {
    u64::try_from(d.as_millis()).unwrap_or(u64::MAX)
}

pub(super) fn micros(d: Duration) -> u64 {
    u64::try_from(d.as_micros()).unwrap_or(u64::MAX)
}
