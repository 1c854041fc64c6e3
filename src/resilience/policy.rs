//! The stack: the one place where breaker, limiter, bulkhead, timeout, retry and fallback meet.
//!
//! Why one place: their order decides what is counted, retried and refunded, and the literature
//! disagrees. Ours, outermost first: deadline → targets in order (fallback) → retry → for each attempt:
//! breaker admits → rate limit → bulkhead (where one must wait, its permit goes back and the breaker is
//! asked again afterwards) → attempt timeout → the upstream. A refusal made here never counts against the upstream and is never
//! retried at the same target. Whoever calls owns the cache in front. `docs/resilience.md` has the
//! whole table of what each outcome does to each layer.

use std::borrow::Cow;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::breaker::{self, Breaker};
use super::bulkhead::{self, Bulkhead, Lane};
use super::clock::Clock;
use super::deadline::Deadline;
use super::limiter::{Limiter, Reservation};
use super::retry::{RetryBudget, RetrySettings};
use super::{Reason, Refusal, Rejection};

/// What an upstream's error means to each layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meaning {
    /// Worth another attempt at the same target.
    pub retry: bool,
    /// Worth trying the next target.
    pub fall_back: bool,
    /// Speaks against the upstream's health.
    pub counts: bool,
    /// The upstream did its work, but the answer is of no use: it is well, and its tokens are used.
    pub answered: bool,
    /// The upstream asked for this much quiet.
    pub retry_after: Option<Duration>,
    /// The upstream said that it is too much for now: pause the limiter, shrink the pool.
    pub pause: bool,
}

/// An error that can say what it means.
pub trait Classify {
    /// Its meaning to the layers.
    fn meaning(&self) -> Meaning;
    /// A short name for counters and logs (`http_503`, `timeout`).
    fn class(&self) -> Cow<'static, str>;
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
        send: F,
    ) -> Outcome<T, E>
    where
        E: Classify,
        F: FnMut(&M) -> Fut,
        Fut: Future<Output = Result<(T, u32), E>>,
    {
        self.run_seen(call, targets, send, |_| ()).await
    }

    /// As [`Policy::run`], showing every attempt and refusal to `seen` as soon as it is over.
    pub async fn run_seen<T, E, M, F, Fut>(
        &self,
        call: Call,
        targets: &[Target<M>],
        mut send: F,
        mut seen: impl FnMut(&Attempt),
    ) -> Outcome<T, E>
    where
        E: Classify,
        F: FnMut(&M) -> Fut,
        Fut: Future<Output = Result<(T, u32), E>>,
    {
        let started = self.clock.now();
        let mut trace = Vec::with_capacity(1);
        let mut last = Failure::NoTarget;
        self.budget.call(&call.retry, started);
        for (index, target) in targets.iter().enumerate() {
            if index > 0 && call.stale_at_hand {
                break;
            }
            let (mut attempt, mut began, mut backoff) =
                (0, self.first(index, started), Duration::ZERO);
            loop {
                attempt += 1;
                let mut entry = Attempt {
                    upstream: Arc::clone(target.guards.breaker.name()),
                    target: index,
                    outcome: Cow::Borrowed("ok"),
                    sent: false,
                    started_ms: millis(began - started),
                    backoff_us: micros(backoff),
                    limiter_us: 0,
                    pool_us: 0,
                    upstream_us: 0,
                    retry_in_ms: None,
                };
                let result = self
                    .attempt(call, target, began, &mut entry, &mut send)
                    .await;
                let (failure, meaning) = match result {
                    Ok(answer) => {
                        seen(&entry);
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
                            entry.outcome = Cow::Borrowed(rejection.reason.code());
                            entry.retry_in_ms = rejection.retry_in_ms;
                        }
                        (other, LOCAL)
                    }
                };
                seen(&entry);
                trace.push(entry);
                // What an upstream said tells more than a refusal of ours that follows from it.
                if !(matches!(last, Failure::Upstream(_))
                    && matches!(failure, Failure::Rejected(_)))
                {
                    last = failure;
                }
                let now = self.clock.now();
                if call.deadline.has_passed(now) {
                    return failed(last, trace);
                }
                if let Some(wait) = self.again(call, attempt, meaning, &target.guards, now) {
                    tokio::time::sleep(wait).await;
                    began = self.clock.now();
                    backoff = began - now;
                    continue;
                }
                if !meaning.fall_back {
                    return failed(last, trace);
                }
                break;
            }
        }
        failed(last, trace)
    }

    /// The first target's attempt begins with the call; a fallback's, when its turn comes.
    fn first(&self, index: usize, started: Instant) -> Instant {
        if index == 0 {
            started
        } else {
            self.clock.now()
        }
    }

    /// The wait before another attempt at the same target, if one is worth it and the budget allows it.
    fn again(
        &self,
        call: Call,
        attempt: u32,
        meaning: Meaning,
        guards: &Guards,
        now: Instant,
    ) -> Option<Duration> {
        if !meaning.retry || !call.layers.retry || attempt >= call.retry.attempts.max(1) {
            return None;
        }
        let wait = call
            .retry
            .wait(attempt, meaning.retry_after, fastrand::f64());
        let worth_it = wait <= Duration::from_millis(call.retry.cap_ms)
            && wait < call.deadline.remaining(now)
            && guards.breaker.check(now).is_ok();
        (worth_it && self.budget.retry(&call.retry, now)).then_some(wait)
    }

    async fn attempt<T, E, M, F, Fut>(
        &self,
        call: Call,
        target: &Target<M>,
        began: Instant,
        entry: &mut Attempt,
        send: &mut F,
    ) -> Result<T, Failure<E>>
    where
        E: Classify,
        F: FnMut(&M) -> Fut,
        Fut: Future<Output = Result<(T, u32), E>>,
    {
        let guards = &target.guards;
        let refused = |layer: &str, refusal: Refusal| Failure::Rejected(refusal.by(layer));
        let by_breaker = |r: Refusal| refused(guards.breaker.name(), r);
        in_time(call.deadline, began).map_err(by_breaker)?;
        let mut permit = Some(guards.breaker.admit(began).map_err(by_breaker)?);
        let (mut reservation, mut place) = self.at_once(call, target, began);
        if reservation.is_none() && call.layers.limiter || place.is_none() && call.layers.pool {
            // A trial is not spent on waiting here: it goes back, and the breaker is asked again.
            permit = None;
            if reservation.is_none() {
                reservation = self
                    .reserve(call, target, began, entry)
                    .await
                    .map_err(|r| refused(guards.limiter.name(), r))?;
            }
            if place.is_none() {
                place = self
                    .place(call, guards, began, entry)
                    .await
                    .map_err(|r| refused(guards.pool.name(), r))?;
            }
        }
        let (mut permit, sent) = match permit {
            Some(permit) => (permit, began),
            None => {
                let now = self.clock.now();
                let asked = in_time(call.deadline, now).and_then(|()| guards.breaker.admit(now));
                (asked.map_err(by_breaker)?, now)
            }
        };
        let limit = call.deadline.clip(sent, target.attempt_timeout);
        permit.sending(limit, sent);
        entry.sent = true;
        if let Some(reservation) = &mut reservation {
            reservation.sent();
        }
        let result = tokio::time::timeout(limit, send(&target.what)).await;
        let now = self.clock.now();
        entry.upstream_us = micros(now - sent);
        match result {
            Ok(Ok((answer, tokens))) => {
                permit.success(now);
                if let Some(reservation) = reservation {
                    reservation.settle(tokens, now);
                }
                if let Some(place) = place {
                    place.well();
                }
                Ok(answer)
            }
            Ok(Err(error)) => Err(learn(error, guards, call.layers, permit, reservation, now)),
            // The caller's time was shorter than an attempt's: that says nothing about the upstream.
            Err(_) if limit < target.attempt_timeout => Err(by_breaker(Refusal {
                reason: Reason::DeadlineExceeded,
                retry_in: None,
            })),
            Err(_) => {
                let error = E::attempt_timeout(limit);
                Err(learn(error, guards, call.layers, permit, reservation, now))
            }
        }
    }

    /// Tokens and a place, as far as they can be had without waiting. Nobody takes a place ahead of its
    /// tokens: it would stand empty.
    fn at_once<'t, M>(
        &self,
        call: Call,
        target: &'t Target<M>,
        now: Instant,
    ) -> (Option<Reservation<'t>>, Option<bulkhead::Permit>) {
        let guards = &target.guards;
        let reservation = call
            .layers
            .limiter
            .then(|| guards.limiter.try_reserve(target.tokens, now))
            .flatten();
        let waits = call.layers.limiter && reservation.is_none();
        let place = (call.layers.pool && !waits)
            .then(|| guards.pool.try_acquire())
            .flatten();
        (reservation, place)
    }

    async fn reserve<'t, M>(
        &self,
        call: Call,
        target: &'t Target<M>,
        began: Instant,
        entry: &mut Attempt,
    ) -> Result<Option<Reservation<'t>>, Refusal> {
        if !call.layers.limiter {
            return Ok(None);
        }
        let limiter = &target.guards.limiter;
        let reserved = limiter.reserve(target.tokens, call.deadline, began).await;
        entry.limiter_us = micros(self.clock.now() - began);
        reserved.map(Some)
    }

    async fn place(
        &self,
        call: Call,
        guards: &Guards,
        began: Instant,
        entry: &mut Attempt,
    ) -> Result<Option<bulkhead::Permit>, Refusal> {
        if !call.layers.pool {
            return Ok(None);
        }
        let before = began + Duration::from_micros(entry.limiter_us);
        let left = call.deadline.remaining(before);
        let place = guards.pool.acquire(call.lane, left).await;
        entry.pool_us = micros(self.clock.now() - before);
        place.map(Some)
    }
}

fn failed<T, E>(last: Failure<E>, trace: Vec<Attempt>) -> Outcome<T, E> {
    Outcome {
        result: Err(last),
        trace,
    }
}

fn in_time(deadline: Deadline, now: Instant) -> Result<(), Refusal> {
    if deadline.has_passed(now) {
        return Err(Refusal {
            reason: Reason::DeadlineExceeded,
            retry_in: None,
        });
    }
    Ok(())
}

/// Tells each layer what the upstream's error means to it.
fn learn<E: Classify>(
    error: E,
    guards: &Guards,
    layers: Layers,
    permit: breaker::Permit<'_>,
    reservation: Option<Reservation<'_>>,
    now: Instant,
) -> Failure<E> {
    let meaning = error.meaning();
    if let Some(reservation) = reservation
        && meaning.answered
    {
        reservation.settle_all(now);
    }
    if meaning.answered {
        permit.success(now);
    } else if meaning.counts {
        permit.failure(&error.class(), meaning.retry_after, now);
    }
    if meaning.pause {
        if layers.limiter {
            let wait = meaning.retry_after.unwrap_or(PAUSE);
            guards.limiter.pause(wait.min(PAUSE_MOST));
        }
        if layers.pool {
            guards.pool.shrink();
        }
    }
    Failure::Upstream(error)
}

/// Quiet after a 429 that does not say how long.
const PAUSE: Duration = Duration::from_secs(1);
/// The longest quiet that an upstream may ask for.
const PAUSE_MOST: Duration = Duration::from_secs(300);

/// A local refusal: not retried here, never counted, the next target may be asked.
const LOCAL: Meaning = Meaning {
    retry: false,
    fall_back: true,
    counts: false,
    answered: false,
    retry_after: None,
    pause: false,
};

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
