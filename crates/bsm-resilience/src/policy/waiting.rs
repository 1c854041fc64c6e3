//! What a call waits for before it is sent: tokens, quiet, a place. And how long it waits for them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::admission::is_ready;
use super::types::{Attempt, AttemptHook, Call, LayerSet, Stage, Target, Waits, micros};
use crate::bulkhead;
use crate::deadline::Deadline;
use crate::deployment::Deployment;
use crate::limiter::Reservation;
use crate::{Reason, Refusal, Rejection};
use bsm_base::clock::Clock;

/// How often a call that waits for a deployment looks whether it must wait still.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Tokens and a place, as far as a call has them.
pub(super) type Had<'t> = (Option<Reservation<'t>>, Option<bulkhead::Permit>);

/// Who is told what an attempt does.
pub(super) struct Told<'a, M, W> {
    pub(super) watch: &'a mut W,
    pub(super) what: &'a M,
    pub(super) attempt: u32,
}

impl<M, W: AttemptHook<M>> Told<'_, M, W> {
    pub(super) fn at(&mut self, stage: Stage) {
        self.watch.stage(self.what, self.attempt, stage);
    }
}

impl Call {
    /// The call as it is at one of its targets: it waits for none while a later one could be asked.
    pub(super) fn at<M>(self, targets: &[Target<M>], index: usize, now: Instant) -> Self {
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
    pub(super) fn waiting_ends(&self, now: Instant) -> Deadline {
        match self.waits {
            Waits::UntilDeadline => self.deadline,
            Waits::AtMost(most) => Deadline::after(now, most.min(self.deadline.remaining(now))),
        }
    }
}

/// Waits by one clock.
pub(super) struct Waiter<'c> {
    pub(super) clock: &'c dyn Clock,
}

impl Waiter<'_> {
    /// Waits for what could not be had at once: tokens first, then a place.
    pub(super) async fn wait<'t, M>(
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
    pub(super) fn at_once<'t, M>(
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
