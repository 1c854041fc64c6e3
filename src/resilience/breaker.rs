//! The circuit breaker: stop calling an upstream that is down, and find out when it is back.
//!
//! Why ours: the known ones let any number of trials through in half-open, let late results of an
//! earlier period change the state, or count a cancelled trial as a success. Here every permit carries
//! the generation it was given in; a result of an older generation is ignored; a permit dropped
//! without a result is neutral and gives its trial back; trials are reserved at admission and expire.
//!
//! A plain mutex guards the core: admit and record together cost tens of nanoseconds uncontended.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

pub use super::breaker_types::{BreakerSettings, BreakerState, BreakerStats, Outcome, Transition};
use super::clock::lock;
use super::{Reason, Rejection};

const BUCKETS: usize = 10;
const RECENT: usize = 20;
const TRANSITIONS: usize = 8;

#[derive(Debug, Clone, Copy, Default)]
struct Bucket {
    slot: u64,
    calls: u32,
    failures: u32,
}

#[derive(Debug)]
enum State {
    Closed,
    Open { until: Instant },
    HalfOpen { trials: VecDeque<(u64, Instant)> },
    Isolated,
    Disabled,
}

/// The synchronous core: every method is told the time and never waits.
#[derive(Debug)]
struct Core {
    settings: BreakerSettings,
    state: State,
    generation: u64,
    next_ticket: u64,
    origin: Instant,
    buckets: [Bucket; BUCKETS],
    in_row: u32,
    opened_in_row: u32,
    successes: u64,
    failures: u64,
    rejections: u64,
    trips: u64,
    recent: VecDeque<bool>,
    last_error: Option<String>,
    transitions: VecDeque<Transition>,
    unreported: VecDeque<Transition>,
}

/// A circuit breaker, shared by all callers of one upstream.
#[derive(Debug)]
pub struct Breaker {
    name: String,
    core: Mutex<Core>,
}

/// Leave to make one call. Tell it the outcome; dropped untold it is neutral.
#[derive(Debug)]
pub struct Permit {
    breaker: Arc<Breaker>,
    generation: u64,
    ticket: u64,
    told: bool,
}

impl Breaker {
    /// A closed breaker. Source of the defaults: the platform's contract (5 in a row or 50 % of 10).
    pub fn new(name: impl Into<String>, settings: BreakerSettings, now: Instant) -> Arc<Self> {
        Arc::new(Self {
            name: name.into(),
            core: Mutex::new(Core {
                settings,
                state: State::Closed,
                generation: 0,
                next_ticket: 0,
                origin: now,
                buckets: [Bucket::default(); BUCKETS],
                in_row: 0,
                opened_in_row: 0,
                successes: 0,
                failures: 0,
                rejections: 0,
                trips: 0,
                recent: VecDeque::with_capacity(RECENT),
                last_error: None,
                transitions: VecDeque::with_capacity(TRANSITIONS),
                unreported: VecDeque::with_capacity(TRANSITIONS),
            }),
        })
    }

    /// The upstream's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Leave for one call at `now`, or why not and for how long.
    pub fn admit(self: &Arc<Self>, now: Instant) -> Result<Permit, Rejection> {
        let (generation, ticket) = lock(&self.core)
            .admit(now)
            .map_err(|(reason, wait)| Rejection::new(&self.name, reason, wait))?;
        Ok(Permit {
            breaker: Arc::clone(self),
            generation,
            ticket,
            told: false,
        })
    }

    /// Whether a call would be refused at `now`, without reserving anything.
    pub fn check(&self, now: Instant) -> Result<(), Rejection> {
        lock(&self.core)
            .would_refuse(now)
            .map_or(Ok(()), |(reason, wait)| {
                Err(Rejection::new(&self.name, reason, wait))
            })
    }

    /// Closes it and forgets the window. `cause` is kept with the transition.
    pub fn reset(&self, cause: &str) {
        let mut core = lock(&self.core);
        core.buckets = [Bucket::default(); BUCKETS];
        core.recent.clear();
        core.in_row = 0;
        core.opened_in_row = 0;
        core.last_error = None;
        if !matches!(core.state, State::Closed) {
            core.enter(State::Closed, cause);
        }
    }

    /// Refuses everything until [`Breaker::reset`].
    pub fn isolate(&self, cause: &str) {
        lock(&self.core).enter(State::Isolated, cause);
    }

    /// Switches the breaker off (every call passes) or on again.
    pub fn set_enabled(&self, enabled: bool) {
        let mut core = lock(&self.core);
        match (enabled, matches!(core.state, State::Disabled)) {
            (false, false) => core.enter(State::Disabled, "feature flag off"),
            (true, true) => core.enter(State::Closed, "feature flag on"),
            _ => {}
        }
    }

    /// Changes the settings while running; state and window stay.
    pub fn reconfigure(&self, settings: BreakerSettings) {
        lock(&self.core).settings = settings;
    }

    /// Transitions since the last time this was asked.
    pub fn take_transitions(&self) -> Vec<Transition> {
        lock(&self.core).unreported.drain(..).collect()
    }

    /// Its section of the snapshot at `now`.
    pub fn stats(&self, now: Instant) -> BreakerStats {
        let mut core = lock(&self.core);
        core.settle(now);
        let (window_calls, window_failures) = core.window(now);
        let (retry_in_s, trials) = match &core.state {
            State::Open { until } => (
                Some(
                    until
                        .saturating_duration_since(now)
                        .as_millis()
                        .div_ceil(1_000) as u64,
                ),
                0,
            ),
            State::HalfOpen { trials } => (None, trials.len() as u32),
            _ => (None, 0),
        };
        BreakerStats {
            name: self.name.clone(),
            state: core.state.public(),
            generation: core.generation,
            failures_in_row: core.in_row,
            failures_limit: core.settings.failures,
            window_calls,
            window_failures,
            retry_in_s,
            trials,
            trials_limit: core.settings.half_open_trials,
            successes: core.successes,
            failures: core.failures,
            rejections: core.rejections,
            trips: core.trips,
            recent: core
                .recent
                .iter()
                .map(|ok| if *ok { '+' } else { '-' })
                .collect(),
            last_error: core.last_error.clone(),
            transitions: core.transitions.iter().cloned().collect(),
        }
    }
}

impl Permit {
    /// The upstream answered.
    pub fn success(mut self, now: Instant) {
        self.told = true;
        lock(&self.breaker.core).record(self.generation, self.ticket, Outcome::Success, "", now);
    }

    /// The upstream failed; `class` is a short name of how (`http_503`, `timeout`).
    pub fn failure(mut self, class: &str, now: Instant) {
        self.told = true;
        lock(&self.breaker.core).record(self.generation, self.ticket, Outcome::Failure, class, now);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if !self.told {
            lock(&self.breaker.core).give_back(self.generation, self.ticket);
        }
    }
}

impl State {
    fn public(&self) -> BreakerState {
        match self {
            Self::Closed => BreakerState::Closed,
            Self::Open { .. } => BreakerState::Open,
            Self::HalfOpen { .. } => BreakerState::HalfOpen,
            Self::Isolated => BreakerState::Isolated,
            Self::Disabled => BreakerState::Disabled,
        }
    }
}

impl Core {
    fn admit(&mut self, now: Instant) -> Result<(u64, u64), (Reason, Option<Duration>)> {
        self.settle(now);
        if let Some(refusal) = self.refusal(now) {
            self.rejections += 1;
            return Err(refusal);
        }
        if matches!(self.state, State::Open { .. }) {
            self.enter(
                State::HalfOpen {
                    trials: VecDeque::new(),
                },
                "open time over, trying again",
            );
        }
        self.next_ticket += 1;
        let ticket = self.next_ticket;
        let deadline = now + Duration::from_millis(self.settings.trial_deadline_ms);
        if let State::HalfOpen { trials } = &mut self.state {
            trials.push_back((ticket, deadline));
        }
        Ok((self.generation, ticket))
    }

    /// Expires trials that never came back: they count as failed.
    fn settle(&mut self, now: Instant) {
        if let State::HalfOpen { trials } = &self.state
            && trials.front().is_some_and(|(_, deadline)| now >= *deadline)
        {
            self.open(now, "a trial did not come back in time");
        }
    }

    fn would_refuse(&mut self, now: Instant) -> Option<(Reason, Option<Duration>)> {
        self.settle(now);
        self.refusal(now)
    }

    fn refusal(&self, now: Instant) -> Option<(Reason, Option<Duration>)> {
        match &self.state {
            State::Closed | State::Disabled => None,
            State::Open { until } if now < *until => {
                Some((Reason::BreakerOpen, Some(*until - now)))
            }
            State::Open { .. } => None,
            State::HalfOpen { trials }
                if trials.len() >= self.settings.half_open_trials.max(1) as usize =>
            {
                let wait = trials
                    .front()
                    .map(|(_, deadline)| deadline.saturating_duration_since(now));
                Some((Reason::BreakerTrialsTaken, wait))
            }
            State::HalfOpen { .. } => None,
            State::Isolated => Some((Reason::BreakerIsolated, None)),
        }
    }

    fn record(
        &mut self,
        generation: u64,
        ticket: u64,
        outcome: Outcome,
        class: &str,
        now: Instant,
    ) {
        if generation != self.generation {
            return; // a late result never moves a newer state
        }
        let ok = outcome == Outcome::Success;
        if ok {
            self.successes += 1;
        } else {
            self.failures += 1;
        }
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(ok);
        if !ok {
            self.last_error = Some(class.to_owned());
        }
        match &mut self.state {
            State::HalfOpen { trials } => {
                trials.retain(|(t, _)| *t != ticket);
                if ok {
                    self.in_row = 0;
                    self.opened_in_row = 0;
                    self.buckets = [Bucket::default(); BUCKETS];
                    self.enter(State::Closed, "trial succeeded");
                } else {
                    self.open(now, &format!("trial failed: {class}"));
                }
            }
            State::Closed => {
                self.count(ok, now);
                self.in_row = if ok { 0 } else { self.in_row + 1 };
                let (calls, failures) = self.window(now);
                if !ok && self.in_row >= self.settings.failures.max(1) {
                    let cause = format!("{} failures in a row, last: {class}", self.in_row);
                    self.open(now, &cause);
                } else if !ok
                    && calls >= self.settings.minimum_calls.max(1)
                    && f64::from(failures) >= self.settings.failure_rate * f64::from(calls)
                {
                    let cause = format!("{failures} of {calls} calls failed, last: {class}");
                    self.open(now, &cause);
                }
            }
            State::Open { .. } | State::Isolated | State::Disabled => {}
        }
    }

    fn give_back(&mut self, generation: u64, ticket: u64) {
        if generation == self.generation
            && let State::HalfOpen { trials } = &mut self.state
        {
            trials.retain(|(t, _)| *t != ticket);
        }
    }

    fn open(&mut self, now: Instant, cause: &str) {
        let doubled = self
            .settings
            .open_ms
            .saturating_mul(1 << self.opened_in_row.min(20));
        let capped = doubled.min(self.settings.open_max_ms.max(self.settings.open_ms));
        // Jitter shortens by up to a fifth, so that many breakers do not try in step.
        let wait = Duration::from_millis(capped).mul_f64(1.0 - 0.2 * fastrand::f64());
        self.opened_in_row += 1;
        self.trips += 1;
        self.enter(State::Open { until: now + wait }, cause);
    }

    fn enter(&mut self, state: State, cause: &str) {
        let from = self.state.public();
        let to = state.public();
        self.state = state;
        self.generation += 1;
        let transition = Transition {
            from,
            to,
            cause: cause.to_owned(),
            generation: self.generation,
        };
        for list in [&mut self.transitions, &mut self.unreported] {
            if list.len() == TRANSITIONS {
                list.pop_front();
            }
            list.push_back(transition.clone());
        }
    }

    fn slot(&self, now: Instant) -> u64 {
        let width = (self.settings.window_ms / BUCKETS as u64).max(1);
        now.saturating_duration_since(self.origin).as_millis() as u64 / width
    }

    fn count(&mut self, ok: bool, now: Instant) {
        let slot = self.slot(now);
        let bucket = &mut self.buckets[slot as usize % BUCKETS];
        if bucket.slot != slot {
            *bucket = Bucket {
                slot,
                ..Bucket::default()
            };
        }
        bucket.calls += 1;
        bucket.failures += u32::from(!ok);
    }

    fn window(&self, now: Instant) -> (u32, u32) {
        let slot = self.slot(now);
        self.buckets
            .iter()
            .filter(|b| b.slot + BUCKETS as u64 > slot)
            .fold((0, 0), |(calls, failures), b| {
                (calls + b.calls, failures + b.failures)
            })
    }
}

#[cfg(test)]
#[path = "breaker_tests.rs"]
mod tests;
