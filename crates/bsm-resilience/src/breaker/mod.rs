//! The circuit breaker: stop calling an upstream that is down, and find out when it is back.
//!
//! Why ours: the known ones let any number of trials through in half-open, let late results of an
//! earlier period change the state, or count a cancelled trial as a success. Here every permit carries
//! the generation it was given in; a result of an older generation is ignored; a permit dropped
//! without a result is neutral and gives its trial back; trials are reserved at admission and expire.
//!
//! A plain mutex guards the core; `docs/benchmarks.md` has what that costs. It never reads a clock of
//! its own: a test can hold time still, and a jump of the wall clock changes nothing.

mod core;
mod types;
mod window;

use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use self::core::Core;
pub use self::types::{BreakerSettings, BreakerState, BreakerStats, Transition, WindowKind};
use super::Refusal;
use super::pauses::Pauses;
use bsm_base::clock::{Clock, lock};

/// A circuit breaker, shared by all callers of one upstream.
#[derive(Debug)]
pub struct Breaker {
    name: Arc<str>,
    core: Mutex<Core>,
    observer: OnceLock<Observer>,
    /// Held while transitions are handed over, so that the observer sees them in order.
    reporting: Mutex<()>,
}

/// Is called with each transition, in order, on the thread that caused it. It must not block.
pub type TransitionObserver = Arc<dyn Fn(&str, &Transition) + Send + Sync>;

struct Observer(TransitionObserver);

impl std::fmt::Debug for Observer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Observer")
    }
}

/// Leave to make one call. Tell it the outcome; dropped untold it is neutral and its trial goes back.
#[derive(Debug)]
#[must_use = "dropped at once it admits nothing"]
pub struct Permit<'a> {
    breaker: &'a Breaker,
    generation: u64,
    ticket: u64,
    since: Instant,
    told: bool,
}

impl Breaker {
    /// A closed breaker. Source of the defaults: the platform's contract (5 in a row or 50 % of 10).
    pub fn new(name: &str, settings: BreakerSettings, clock: &dyn Clock) -> Arc<Self> {
        Arc::new(Self {
            name: Arc::from(name),
            core: Mutex::new(Core::new(settings, clock.now(), clock.wall_ms())),
            observer: OnceLock::new(),
            reporting: Mutex::new(()),
        })
    }

    /// The upstream's name.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Leave for one call at `now`.
    ///
    /// # Errors
    /// [`super::Reason::BreakerOpen`], [`super::Reason::BreakerTrialsTaken`] (both with the time to the
    /// next trial) or [`super::Reason::BreakerIsolated`].
    pub fn admit(&self, now: Instant) -> Result<Permit<'_>, Refusal> {
        let (generation, ticket) = self.change(|core| core.admit(now))?;
        Ok(Permit {
            breaker: self,
            generation,
            ticket,
            since: now,
            told: false,
        })
    }

    /// Whether a call would be refused at `now`, without reserving or counting anything.
    ///
    /// # Errors
    /// As [`Breaker::admit`].
    pub fn check(&self, now: Instant) -> Result<(), Refusal> {
        self.change(|core| {
            core.settle(now);
            core.refusal(now).map_or(Ok(()), Err)
        })
    }

    /// Closes it and forgets all it knew. `cause` is kept with the transition.
    pub fn reset(&self, cause: &str, now: Instant) {
        self.change(|core| core.reset(cause, now));
    }

    /// Closes it but forgets nothing: failures in a row and the window still count, so that the next failure
    /// may open it again, for longer than before.
    pub fn close(&self, cause: &str, now: Instant) {
        self.change(|core| core.close(cause, now));
    }

    /// A streamed answer has begun: where it is a trial's, the breaker closes before its end.
    pub fn answer_begun(&self, now: Instant) {
        self.change(|core| core.answer_begun(now));
    }

    /// Refuses everything until [`Breaker::reset`] or [`Breaker::close`].
    pub fn isolate(&self, cause: &str, now: Instant) {
        self.change(|core| core.isolate(cause, now));
    }

    /// Switches the breaker off (every call passes) or on again.
    pub fn set_enabled(&self, enabled: bool, now: Instant) {
        self.change(|core| core.set_enabled(enabled, now));
    }

    /// Changes the settings while running. The state stays, and the window too unless its own form changed.
    pub fn reconfigure(&self, settings: BreakerSettings, now: Instant) {
        lock(&self.core).reconfigure(settings, now);
    }

    /// Hands every transition to `observer` from now on, and those that came before it, the newest eight. A
    /// second observer is ignored: there is one owner.
    pub fn observe(&self, observer: TransitionObserver) {
        if self.observer.set(Observer(observer)).is_ok() {
            self.report();
        }
    }

    /// A trial's deadline moves by the times when the process stood still.
    pub fn allow_for(&self, pauses: Arc<Pauses>) {
        lock(&self.core).allow_for(pauses);
    }

    /// Changes the core, then reports the transitions that came of it.
    fn change<T>(&self, act: impl FnOnce(&mut Core) -> T) -> T {
        let (result, changed) = {
            let mut core = lock(&self.core);
            let result = act(&mut core);
            (result, core.has_unreported())
        };
        if changed {
            self.report();
        }
        result
    }

    fn report(&self) {
        let Some(Observer(observer)) = self.observer.get() else {
            return;
        };
        let _in_order = lock(&self.reporting);
        let transitions = lock(&self.core).take_transitions();
        for transition in &transitions {
            observer(&self.name, transition);
        }
    }

    /// Its section of the snapshot at `now`.
    pub fn stats(&self, now: Instant) -> BreakerStats {
        self.change(|core| core.stats(&self.name, now))
    }
}

impl Permit<'_> {
    /// The upstream answered.
    pub fn success(mut self, now: Instant) {
        self.tell(None, None, now);
    }

    /// The upstream answered, and the process stood still meanwhile: how long it took is not known.
    pub fn success_after_pause(mut self, now: Instant) {
        self.since = now;
        self.tell(None, None, now);
    }

    /// The upstream failed; `class` is a short name of how (`http_503`, `timeout`), `retry_after` what it
    /// asked for.
    pub fn failure(mut self, class: &str, retry_after: Option<Duration>, now: Instant) {
        self.tell(Some(class), retry_after, now);
    }

    /// The call goes out at `now` and may take as long as `limit`. A trial is not given up before that.
    pub fn sending(&mut self, limit: Duration, now: Instant) {
        self.since = now;
        if self.ticket != 0 {
            lock(&self.breaker.core).sending(self.generation, self.ticket, limit, now);
        }
    }

    fn tell(&mut self, failure: Option<&str>, retry_after: Option<Duration>, now: Instant) {
        self.told = true;
        let result = self::core::Result {
            generation: self.generation,
            ticket: self.ticket,
            failure,
            took: now.saturating_duration_since(self.since),
            retry_after,
        };
        self.breaker.change(|core| core.record(result, now));
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if !self.told && self.ticket != 0 {
            lock(&self.breaker.core).give_back(self.generation, self.ticket);
        }
    }
}

#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod tests;
