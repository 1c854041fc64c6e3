//! The stack: the one place where breaker, limiter, bulkhead, timeout, retry and fallback meet.
//!
//! Why one place: their order decides what is counted, retried and refunded, and the literature
//! disagrees. Ours, outermost first: deadline → targets in order (fallback) → retry → for each attempt:
//! breaker admits → rate limit → bulkhead (and the breaker is asked again after a wait) → attempt
//! timeout → the upstream. A refusal made here never counts against the upstream and is never
//! retried at the same target. Whoever calls owns the cache in front.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::breaker::Breaker;
use super::bulkhead::{Bulkhead, Lane};
use super::clock::Clock;
use super::deadline::Deadline;
use super::limiter::Limiter;
use super::retry::{RetryBudget, RetrySettings};
use super::{Reason, Rejection};

/// What an upstream's error means to each layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meaning {
    /// Worth another attempt at the same target.
    pub retry: bool,
    /// Worth trying the next target.
    pub fall_back: bool,
    /// Speaks against the upstream's health.
    pub counts: bool,
    /// The upstream asked for this much quiet.
    pub retry_after: Option<Duration>,
    /// The upstream said that its quota is used up for now: pause the limiter.
    pub pause: bool,
}

/// An error that can say what it means.
pub trait Classify {
    /// Its meaning to the layers.
    fn meaning(&self) -> Meaning;
    /// A short name for counters and logs (`http_503`, `timeout`).
    fn class(&self) -> String;
    /// The attempt's own time ran out.
    fn attempt_timeout(after: Duration) -> Self;
}

/// The layers of one upstream.
#[derive(Clone)]
pub struct Guards {
    /// Its breaker.
    pub breaker: Arc<Breaker>,
    /// Its pool.
    pub pool: Arc<Bulkhead>,
    /// Its limiter.
    pub limiter: Arc<Limiter>,
}

/// One choice in a chain of fallbacks.
pub struct Target<M> {
    /// The upstream's layers.
    pub guards: Guards,
    /// Longest time of one attempt.
    pub attempt_timeout: Duration,
    /// Tokens to reserve for it.
    pub tokens: u32,
    /// What the caller needs to make the attempt (a model, a region).
    pub what: M,
}

/// How one attempt, or one refusal, went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    /// The upstream's name.
    pub upstream: String,
    /// Index of the target in the chain.
    pub target: usize,
    /// `ok`, an error's class, or a refusal's reason.
    pub outcome: String,
    /// True when it was sent.
    pub sent: bool,
    /// Milliseconds from the call's start to this attempt's.
    pub started_ms: u64,
    /// Microseconds spent waiting for limiter and pool.
    pub waited_us: u64,
    /// Microseconds inside the upstream.
    pub upstream_us: u64,
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

/// The stack for all calls of a program.
pub struct Policy {
    clock: Arc<dyn Clock>,
    budget: RetryBudget,
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
}

impl Policy {
    /// A stack with an unused retry budget.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let budget = RetryBudget::new(clock.now());
        Self { clock, budget }
    }

    /// The budget shared by all calls.
    pub fn budget(&self) -> &RetryBudget {
        &self.budget
    }

    /// Tries the targets in order until one answers. `send` makes one attempt and reports the tokens
    /// it used. It may be dropped at any await: nothing leaks.
    pub async fn run<T, E, M, F, Fut>(
        &self,
        call: Call,
        targets: &[Target<M>],
        mut send: F,
    ) -> Outcome<T, E>
    where
        E: Classify,
        F: FnMut(&M) -> Fut,
        Fut: Future<Output = Result<(T, u32), E>>,
    {
        let started = self.clock.now();
        let mut trace = Vec::new();
        let mut last = Failure::NoTarget;
        self.budget.call(&call.retry, started);
        for (index, target) in targets.iter().enumerate() {
            let mut attempt = 0;
            loop {
                attempt += 1;
                let mut entry = Attempt {
                    upstream: target.guards.breaker.name().to_owned(),
                    target: index,
                    outcome: String::new(),
                    sent: false,
                    started_ms: millis(self.clock.now() - started),
                    waited_us: 0,
                    upstream_us: 0,
                };
                let result = self.attempt(call, target, &mut entry, &mut send).await;
                let (failure, meaning) = match result {
                    Ok(answer) => {
                        entry.outcome = "ok".into();
                        trace.push(entry);
                        return Outcome {
                            result: Ok((answer, index)),
                            trace,
                        };
                    }
                    Err(Failure::Upstream(error)) => {
                        entry.outcome = error.class();
                        let meaning = error.meaning();
                        (Failure::Upstream(error), meaning)
                    }
                    Err(other) => {
                        if let Failure::Rejected(rejection) = &other {
                            entry.outcome = serde_name(rejection.reason);
                        }
                        (other, LOCAL)
                    }
                };
                trace.push(entry);
                // What an upstream said tells more than a refusal of ours that follows from it.
                if !(matches!(last, Failure::Upstream(_))
                    && matches!(failure, Failure::Rejected(_)))
                {
                    last = failure;
                }
                let now = self.clock.now();
                if call.deadline.has_passed(now) {
                    return Outcome {
                        result: Err(last),
                        trace,
                    };
                }
                let wait = call
                    .retry
                    .wait(attempt, meaning.retry_after, fastrand::f64());
                let worth_it = meaning.retry
                    && attempt < call.retry.attempts.max(1)
                    && wait <= Duration::from_millis(call.retry.cap_ms)
                    && wait < call.deadline.remaining(now)
                    && target.guards.breaker.check(now).is_ok();
                if worth_it && self.budget.retry(&call.retry, now) {
                    tokio::time::sleep(wait).await;
                    continue;
                }
                if !meaning.fall_back {
                    return Outcome {
                        result: Err(last),
                        trace,
                    };
                }
                break;
            }
        }
        Outcome {
            result: Err(last),
            trace,
        }
    }

    async fn attempt<T, E, M, F, Fut>(
        &self,
        call: Call,
        target: &Target<M>,
        entry: &mut Attempt,
        send: &mut F,
    ) -> Result<T, Failure<E>>
    where
        E: Classify,
        F: FnMut(&M) -> Fut,
        Fut: Future<Output = Result<(T, u32), E>>,
    {
        let guards = &target.guards;
        let began = self.clock.now();
        if call.deadline.has_passed(began) {
            let layer = guards.breaker.name();
            return Err(Failure::Rejected(Rejection::new(
                layer,
                Reason::DeadlineExceeded,
                None,
            )));
        }
        let mut permit = guards.breaker.admit(began).map_err(Failure::Rejected)?;
        let reservation = guards
            .limiter
            .reserve(target.tokens, call.deadline)
            .await
            .map_err(Failure::Rejected)?;
        let place = guards
            .pool
            .acquire(call.lane, call.deadline.remaining(self.clock.now()))
            .await
            .map_err(Failure::Rejected)?;
        let sent = self.clock.now();
        entry.waited_us = micros(sent - began);
        if sent > began {
            // It may have opened while we waited; the old permit must not let us through.
            drop(permit);
            permit = guards.breaker.admit(sent).map_err(Failure::Rejected)?;
        }
        let limit = call.deadline.clip(sent, target.attempt_timeout);
        entry.sent = true;
        let result = tokio::time::timeout(limit, send(&target.what)).await;
        let now = self.clock.now();
        entry.upstream_us = micros(now - sent);
        drop(place);
        let error = match result {
            Ok(Ok((answer, tokens))) => {
                permit.success(now);
                reservation.settle(tokens);
                return Ok(answer);
            }
            Ok(Err(error)) => error,
            Err(_) => E::attempt_timeout(limit),
        };
        reservation.settle_unused();
        let meaning = error.meaning();
        if meaning.counts {
            permit.failure(&error.class(), now);
        }
        if meaning.pause {
            guards.limiter.pause(
                meaning
                    .retry_after
                    .unwrap_or(Duration::from_secs(1))
                    .min(Duration::from_secs(300)),
            );
        }
        Err(Failure::Upstream(error))
    }
}

/// A local refusal: not retried here, never counted, the next target may be asked.
const LOCAL: Meaning = Meaning {
    retry: false,
    fall_back: true,
    counts: false,
    retry_after: None,
    pause: false,
};

fn serde_name(reason: Reason) -> String {
    serde_json::to_value(reason)
        .ok()
        .and_then(|v| v.as_str().map(str::to_owned))
        .unwrap_or_default()
}

fn millis(d: Duration) -> u64 {
    u64::try_from(d.as_millis()).unwrap_or(u64::MAX)
}

fn micros(d: Duration) -> u64 {
    u64::try_from(d.as_micros()).unwrap_or(u64::MAX)
}

/// Time inside upstreams over all attempts; the rest of a call's time is latency we added.
pub fn upstream_time(trace: &[Attempt]) -> Duration {
    Duration::from_micros(trace.iter().map(|a| a.upstream_us).sum())
}

/// An instant's distance in whole milliseconds, for callers that keep traces.
pub fn elapsed_ms(since: Instant, now: Instant) -> u64 {
    millis(now.saturating_duration_since(since))
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
