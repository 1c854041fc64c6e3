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

use self::admission::{Admission, is_admitting, is_ready};
pub use self::types::{
    Attempt, AttemptHook, Call, Classify, ErrorClass, Failure, LayerSet, Layers, Outcome, Stage,
    Target, Waits,
};
use self::types::{micros, millis};
use super::bulkhead;
use super::deadline::Deadline;
use super::deployment::Deployment;
use super::limiter::Reservation;
use super::pauses::Pauses;
use super::retry::RetryBudget;
use super::{Reason, Refusal, Rejection};
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
                let most = if call.layers.retry {
                    call.retry.attempts.max(1)
                } else {
                    1
                };
                // With another key after a 429 it is asked again, and no more often than without one.
                if meaning.again_now && swaps < MOST_SWAPS && (!meaning.pause || attempt < most) {
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
        if !meaning.retry || !call.layers.retry || attempt >= call.retry.attempts.max(1) {
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
        let mut admission = Some(Admission::ask(guards, began).map_err(Failure::Rejected)?);
        let (mut reservation, mut place) = self.at_once(call, target, began);
        if reservation.is_none() && call.layers.limiter || place.is_none() && call.layers.pool {
            // A trial is not spent on waiting here: it goes back, and the breaker is asked again.
            admission = None;
            let had = (reservation, place);
            (reservation, place) = self
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

    /// Waits for what could not be had at once: tokens first, then a place.
    async fn wait<'t, M>(
        &self,
        call: Call,
        target: &'t Target<M>,
        began: Instant,
        entry: &mut Attempt,
        (mut reservation, mut place): Had<'t>,
        told: &mut Told<'_, M, impl AttemptHook<M>>,
    ) -> Result<Had<'t>, Rejection> {
        let guards = &target.guards;
        let by_limiter = |refusal: Refusal| refusal.by(guards.limiter.name());
        if reservation.is_none() && call.layers.limiter {
            told.at(Stage::RateLimit);
            self.own_quiet(call, guards, entry).await?;
            reservation = self
                .reserve(call, target, began, entry)
                .await
                .map_err(by_limiter)?;
        }
        while place.is_none() && call.layers.pool {
            told.at(Stage::Pool);
            place = self
                .place(call, guards, began, entry)
                .await
                .map_err(|refusal| refusal.by(guards.pool.name()))?;
            // The upstream may have asked for quiet while this one waited for its place.
            if call.layers.limiter && guards.limiter.is_paused(self.clock.now()) {
                place = None;
                told.at(Stage::RateLimit);
                self.quiet(call, guards, entry).await.map_err(by_limiter)?;
            }
        }
        Ok((reservation, place))
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
        let is_quiet = |d: &Arc<Deployment>| !d.quiet_left(now).is_zero();
        let may_reserve = call.layers.limiter && !guards.deployment.as_ref().is_some_and(is_quiet);
        let reservation = may_reserve
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
        let now = self.clock.now();
        let until = call.waiting_ends(now);
        let reserved = limiter.reserve(target.tokens, until, now).await;
        entry.limiter_us = micros(self.clock.now() - began);
        reserved.map(Some)
    }

    async fn quiet(
        &self,
        call: Call,
        guards: &LayerSet,
        entry: &mut Attempt,
    ) -> Result<(), Refusal> {
        let from = self.clock.now();
        let waited = guards.limiter.quiet(call.waiting_ends(from)).await;
        entry.limiter_us += micros(self.clock.now() - from);
        waited
    }

    /// Waits until the deployment wants quiet no more.
    async fn own_quiet(
        &self,
        call: Call,
        guards: &LayerSet,
        entry: &mut Attempt,
    ) -> Result<(), Rejection> {
        let Some(deployment) = &guards.deployment else {
            return Ok(());
        };
        let from = self.clock.now();
        let until = call.waiting_ends(from);
        loop {
            let now = self.clock.now();
            entry.limiter_us = micros(now - from);
            let quiet = deployment.quiet_left(now);
            if quiet.is_zero() {
                return Ok(());
            }
            if quiet > until.remaining(now) {
                let reason = Reason::RateLimited;
                return Err(Rejection::new(deployment.name(), reason, Some(quiet)));
            }
            // An operator may end it before its time.
            tokio::time::sleep(quiet.min(LOOK_AGAIN)).await;
        }
    }

    async fn place(
        &self,
        call: Call,
        guards: &LayerSet,
        began: Instant,
        entry: &mut Attempt,
    ) -> Result<Option<bulkhead::Permit>, Refusal> {
        let before = began + Duration::from_micros(entry.limiter_us);
        let left = call.deadline.remaining(before);
        let place = guards.pool.acquire(call.lane, left).await;
        entry.pool_us = micros(self.clock.now() - before);
        place.map(Some)
    }
}

/// Tokens and a place, as far as a call has them.
type Had<'t> = (Option<Reservation<'t>>, Option<bulkhead::Permit>);

impl Call {
    /// The call as it is at one of its targets: it waits for none while a later one could be asked.
    fn at<M>(self, targets: &[Target<M>], index: usize, now: Instant) -> Self {
        let later = || targets.iter().skip(index + 1);
        match self.waits {
            Waits::AtMost(_) if later().any(|t| is_ready(&t.guards, now)) => Self {
                waits: Waits::AtMost(Duration::ZERO),
                ..self
            },
            _ => self,
        }
    }

    /// When it waits no more for a rate limit or a pause that begins now.
    fn waiting_ends(&self, now: Instant) -> Deadline {
        match self.waits {
            Waits::UntilDeadline => self.deadline,
            Waits::AtMost(most) => Deadline::after(now, most.min(self.deadline.remaining(now))),
        }
    }
}

/// Who is told what an attempt does.
struct Told<'a, M, W> {
    watch: &'a mut W,
    what: &'a M,
    attempt: u32,
}

impl<M, W: AttemptHook<M>> Told<'_, M, W> {
    fn at(&mut self, stage: Stage) {
        self.watch.stage(self.what, self.attempt, stage);
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

/// How often a call that waits for a deployment looks whether it must wait still.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
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
