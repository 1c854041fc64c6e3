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

mod admission;
mod types;
mod waiting;

use self::admission::{Admission, is_admitting};
pub use self::types::{
    Attempt, AttemptHook, Call, Classify, ErrorClass, Failure, LayerSet, Layers, Outcome, Stage,
    Target, Waits,
};
use self::types::{micros, millis};
use self::waiting::{Told, Waiter};
use super::deadline::Deadline;
use super::deployment::Deployment;
use super::limiter::Reservation;
use super::pauses::Pauses;
use super::retry::RetryBudget;
use super::{Reason, Refusal};
use bsm_base::clock::Clock;

/// The stack for all calls of a program.
pub struct Policy {
    clock: Arc<dyn Clock>,
    budget: RetryBudget,
    pauses: Arc<Pauses>,
}

impl Policy {
    /// A stack with an unused retry budget.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let budget = RetryBudget::new(clock.now());
        Self {
            clock,
            budget,
            pauses: Arc::default(),
        }
    }

    /// Times when this process stood still. Calls under way meanwhile are not counted against upstreams;
    /// somebody must tick.
    pub fn pauses(&self) -> &Arc<Pauses> {
        &self.pauses
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
        self.run_watched(call, targets, send, &mut ()).await
    }

    /// As [`Policy::run`]; `watch` is asked before every attempt and shown it as soon as it is over.
    pub async fn run_watched<T, E, M, F, Fut>(
        &self,
        call: Call,
        targets: &[Target<M>],
        mut send: F,
        watch: &mut impl AttemptHook<M>,
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
            let mut swaps = 0;
            loop {
                attempt += 1;
                let upstream = Arc::clone(target.guards.breaker.name());
                let mut entry = Attempt::begun(upstream, index, began - started, backoff);
                let result = match watch.before(&target.what) {
                    Ok(()) => {
                        let mut told = Told {
                            watch: &mut *watch,
                            what: &target.what,
                            attempt,
                        };
                        let call = call.at(targets, index, began);
                        self.attempt(call, target, began, &mut entry, &mut send, &mut told)
                            .await
                    }
                    Err(rejection) => Err(Failure::Rejected(rejection)),
                };
                let (failure, meaning) = match result {
                    Ok(answer) => {
                        watch.after(&entry);
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
                watch.after(&entry);
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
                let call = call.at(targets, index, now);
                // With another key after a 429 it is asked again, and no more often than without one.
                let may_swap = swaps < MOST_SWAPS && (!meaning.pause || attempt < most(call));
                if meaning.again_now && may_swap {
                    let counted = u32::from(!meaning.pause);
                    (swaps, attempt, began, backoff) =
                        (swaps + 1, attempt - counted, now, Duration::ZERO);
                    continue;
                }
                if let Some(wait) = self.again(call, attempt, meaning, &target.guards, now) {
                    watch.stage(&target.what, attempt + 1, Stage::Backoff(wait));
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
        meaning: ErrorClass,
        guards: &LayerSet,
        now: Instant,
    ) -> Option<Duration> {
        if !meaning.retry || attempt >= most(call) {
            return None;
        }
        let wait = call
            .retry
            .wait(attempt, meaning.retry_after, fastrand::f64());
        // What a 429 asks for is waited out only where nobody else can answer.
        let longest = if meaning.pause {
            call.waiting_ends(now).remaining(now)
        } else {
            call.deadline.remaining(now)
        };
        let worth_it = wait <= Duration::from_millis(call.retry.cap_ms)
            && wait < longest
            && is_admitting(guards, now);
        (worth_it && self.budget.retry(&call.retry, now)).then_some(wait)
    }

    async fn attempt<T, E, M, F, Fut>(
        &self,
        call: Call,
        target: &Target<M>,
        began: Instant,
        entry: &mut Attempt,
        send: &mut F,
        told: &mut Told<'_, M, impl AttemptHook<M>>,
    ) -> Result<T, Failure<E>>
    where
        E: Classify,
        F: FnMut(&M) -> Fut,
        Fut: Future<Output = Result<(T, u32), E>>,
    {
        let guards = &target.guards;
        let by_breaker = |r: Refusal| Failure::Rejected(r.by(guards.breaker.name()));
        in_time(call.deadline, began).map_err(by_breaker)?;
        let waiter = Waiter {
            clock: self.clock.as_ref(),
        };
        let mut admission = Some(Admission::ask(guards, began).map_err(Failure::Rejected)?);
        let (mut reservation, mut place) = waiter.at_once(call, target, began);
        if reservation.is_none() && call.layers.limiter || place.is_none() && call.layers.pool {
            // A trial is not spent on waiting here: it goes back, and the breaker is asked again.
            admission = None;
            let had = (reservation, place);
            (reservation, place) = waiter
                .wait(call, target, began, entry, had, told)
                .await
                .map_err(Failure::Rejected)?;
        }
        let (mut admission, sent) = match admission {
            Some(admission) => (admission, began),
            None => {
                let now = self.clock.now();
                in_time(call.deadline, now).map_err(by_breaker)?;
                let asked = Admission::ask(guards, now).map_err(Failure::Rejected)?;
                (asked, now)
            }
        };
        let limit = call.deadline.clip(sent, target.attempt_timeout);
        admission.sending(limit, sent);
        let _in_flight = guards.deployment.as_ref().map(Deployment::begin);
        entry.sent = true;
        told.at(Stage::Sent);
        if let Some(reservation) = &mut reservation {
            reservation.sent();
        }
        let lost = self.pauses.lost();
        let result = self.pauses.timeout(limit, send(&target.what)).await;
        let pause = self.pauses.since(lost);
        let now = self.clock.now();
        entry.upstream_us = micros((now - sent).saturating_sub(pause.unwrap_or_default()));
        match result {
            Ok(Ok((answer, tokens))) => {
                admission.success(pause.is_some(), now);
                if let Some(reservation) = reservation {
                    reservation.settle(tokens, now);
                }
                if let Some(place) = place {
                    place.well();
                }
                Ok(answer)
            }
            Ok(Err(error)) => {
                let heard = (pause.is_none() || error.meaning().answered).then_some(admission);
                Err(learn(error, guards, call.layers, heard, reservation, now))
            }
            // The caller's time was shorter than an attempt's: that says nothing about the upstream.
            Err(_) if limit < target.attempt_timeout => Err(by_breaker(Refusal {
                reason: Reason::DeadlineExceeded,
                retry_in: None,
            })),
            Err(_) => {
                let error = E::attempt_timeout(limit);
                let heard = pause.is_none().then_some(admission);
                Err(learn(error, guards, call.layers, heard, reservation, now))
            }
        }
    }
}

/// Attempts at one target, at most.
fn most(call: Call) -> u32 {
    let retries = call.layers.retry.then_some(call.retry.attempts);
    retries.unwrap_or(1).max(1)
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

/// Tells each layer what the upstream's error means to it. Without an admission the
/// breakers are told nothing.
fn learn<E: Classify>(
    error: E,
    guards: &LayerSet,
    layers: Layers,
    admission: Option<Admission<'_>>,
    reservation: Option<Reservation<'_>>,
    now: Instant,
) -> Failure<E> {
    let meaning = error.meaning();
    if let Some(reservation) = reservation
        && meaning.answered
    {
        reservation.settle_all(now);
    }
    if let Some(admission) = admission {
        if meaning.answered {
            admission.success(false, now);
        } else if meaning.counts {
            admission.failure(&error, meaning, now);
        }
    }
    if meaning.pause {
        if layers.limiter && !meaning.again_now {
            let wait = meaning.retry_after.unwrap_or(PAUSE).min(PAUSE_MOST);
            match &guards.deployment {
                Some(deployment) => deployment.pause(wait, now),
                None => guards.limiter.pause(wait),
            }
        }
        if layers.pool {
            guards.pool.shrink();
        }
    }
    Failure::Upstream(error)
}

/// Attempts in a row with something else each time, whatever the errors say.
const MOST_SWAPS: u32 = 8;
/// Quiet after a 429 that does not say how long.
const PAUSE: Duration = Duration::from_secs(1);
/// The longest quiet that an upstream may ask for.
const PAUSE_MOST: Duration = Duration::from_secs(300);

/// A local refusal: not retried here, never counted, the next target may be asked.
const LOCAL: ErrorClass = ErrorClass {
    retry: false,
    again_now: false,
    fall_back: true,
    counts: false,
    whole_upstream: false,
    answered: false,
    retry_after: None,
    pause: false,
};

/// Time inside upstreams over all attempts; the rest of a call's time is latency we added.
pub fn upstream_time(trace: &[Attempt]) -> Duration {
    Duration::from_micros(trace.iter().map(|a| a.upstream_us).sum())
}

/// An instant's distance in whole milliseconds, for callers that keep traces.
pub fn elapsed_ms(since: Instant, now: Instant) -> u64 {
    millis(now.saturating_duration_since(since))
}

#[cfg(test)]
mod deployment_tests;
#[cfg(test)]
mod pause_tests;
#[cfg(test)]
mod stage_tests;
#[cfg(test)]
mod tests;
