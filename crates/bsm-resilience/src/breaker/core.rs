//! The breaker's state machine: told the time, never waits, allocates only when the state changes or
//! a call fails.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::pauses::Pauses;
use super::super::{Reason, Refusal};
use super::types::{BreakerSettings, BreakerState, BreakerStats, Transition, WindowKind};
use super::window::{MOST_CALLS, Window};

/// Transitions kept for the picture, and for whoever asks for the new ones.
const TRANSITIONS: usize = 8;
/// Outcomes kept as marks.
const RECENT: u32 = 20;
/// The longest an upstream's `Retry-After` may keep it open.
const RETRY_AFTER_MOST: Duration = Duration::from_secs(300);

#[derive(Debug)]
pub(super) enum State {
    Closed,
    Open {
        until: Instant,
    },
    HalfOpen {
        /// Each trial in flight.
        trials: VecDeque<Trial>,
        good: u32,
    },
    Isolated,
    Disabled,
}

/// A trial in flight.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trial {
    ticket: u64,
    deadline: Instant,
    /// How long the process had stood still when it began.
    lost: Duration,
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

/// What a call told about its upstream.
#[derive(Debug, Clone, Copy)]
pub(super) struct Result<'a> {
    pub(super) generation: u64,
    pub(super) ticket: u64,
    /// `None`: it answered; else the class of its failure.
    pub(super) failure: Option<&'a str>,
    pub(super) took: Duration,
    pub(super) retry_after: Option<Duration>,
}

#[derive(Debug)]
pub(super) struct Core {
    settings: BreakerSettings,
    pauses: Option<Arc<Pauses>>,
    slow: Duration,
    enabled: bool,
    state: State,
    generation: u64,
    next_ticket: u64,
    window: Window,
    in_row: u32,
    opened_in_row: u32,
    open_for: Duration,
    successes: u64,
    failures: u64,
    rejections: u64,
    late: u64,
    trips: u64,
    /// The last outcomes as bits, newest lowest; one is a failure.
    recent: u32,
    recent_count: u32,
    last_error: Option<String>,
    /// The start on both clocks: wall times of transitions are counted from here.
    origin: (Instant, i64),
    since: Instant,
    transitions: VecDeque<Transition>,
    unreported: VecDeque<Transition>,
}

impl Core {
    pub(super) fn new(settings: BreakerSettings, now: Instant, wall_ms: i64) -> Self {
        Self {
            slow: slow(&settings),
            window: Window::new(&settings, now),
            settings,
            pauses: None,
            enabled: true,
            state: State::Closed,
            generation: 0,
            next_ticket: 0,
            in_row: 0,
            opened_in_row: 0,
            open_for: Duration::ZERO,
            successes: 0,
            failures: 0,
            rejections: 0,
            late: 0,
            trips: 0,
            recent: 0,
            recent_count: 0,
            last_error: None,
            origin: (now, wall_ms),
            since: now,
            transitions: VecDeque::with_capacity(TRANSITIONS),
            unreported: VecDeque::with_capacity(TRANSITIONS),
        }
    }

    /// Generation of a call that may go out, and its ticket; 0: it is no trial and needs none.
    pub(super) fn admit(&mut self, now: Instant) -> std::result::Result<(u64, u64), Refusal> {
        // The commonest refusal first: it must cost least when everybody is refused.
        if let State::Open { until } = self.state
            && now < until
        {
            self.rejections += 1;
            return Err(Refusal {
                reason: Reason::BreakerOpen,
                retry_in: Some(until - now),
            });
        }
        if !matches!(self.state, State::Closed) {
            self.settle(now);
            if let Some(refusal) = self.refusal(now) {
                self.rejections += 1;
                return Err(refusal);
            }
            let ticket = self.begin_trial(now);
            return Ok((self.generation, ticket));
        }
        Ok((self.generation, 0))
    }

    /// Reserves the place of a trial; its ticket, or 0 where calls simply pass.
    #[cold]
    fn begin_trial(&mut self, now: Instant) -> u64 {
        if matches!(self.state, State::Open { .. }) {
            let trials = VecDeque::new();
            self.enter(
                State::HalfOpen { trials, good: 0 },
                "cool-down ended, trying again",
                now,
            );
        }
        let deadline = self.trial_deadline(now, Duration::ZERO);
        let lost = self.lost();
        if let State::HalfOpen { trials, .. } = &mut self.state {
            self.next_ticket += 1;
            trials.push_back(Trial {
                ticket: self.next_ticket,
                deadline,
                lost,
            });
            return self.next_ticket;
        }
        0
    }

    fn trial_deadline(&self, now: Instant, limit: Duration) -> Instant {
        const DAY: Duration = Duration::from_secs(86_400);
        let own = Duration::from_millis(self.settings.trial_deadline_ms);
        now + own.max(limit).min(DAY)
    }

    /// A trial goes out now and may take as long as `limit`: its deadline is never shorter than that.
    pub(super) fn sending(&mut self, generation: u64, ticket: u64, limit: Duration, now: Instant) {
        let deadline = self.trial_deadline(now, limit);
        if generation == self.generation
            && let State::HalfOpen { trials, .. } = &mut self.state
            && let Some(trial) = trials.iter_mut().find(|t| t.ticket == ticket)
        {
            trial.deadline = deadline;
        }
    }

    /// Expires trials that never came back: they count as failed.
    #[inline]
    pub(super) fn settle(&mut self, now: Instant) {
        if let State::HalfOpen { trials, .. } = &self.state
            && trials.iter().any(|trial| now >= trial.deadline)
        {
            self.expire(now);
        }
    }

    /// Opens when a trial's time is over; times when the process stood still are not the upstream's.
    #[cold]
    fn expire(&mut self, now: Instant) {
        let lost = self.lost();
        let State::HalfOpen { trials, .. } = &mut self.state else {
            return;
        };
        for trial in trials.iter_mut() {
            trial.deadline += lost.saturating_sub(trial.lost);
            trial.lost = lost;
        }
        if trials.iter().any(|trial| now >= trial.deadline) {
            self.open(now, None, "a trial did not come back in time");
        }
    }

    fn lost(&self) -> Duration {
        self.pauses.as_ref().map_or(Duration::ZERO, |p| p.lost())
    }

    pub(super) fn allow_for(&mut self, pauses: Arc<Pauses>) {
        self.pauses = Some(pauses);
    }

    #[inline]
    pub(super) fn refusal(&self, now: Instant) -> Option<Refusal> {
        let refuse = |reason, retry_in| Some(Refusal { reason, retry_in });
        match &self.state {
            State::Open { until } if now < *until => {
                refuse(Reason::BreakerOpen, Some(*until - now))
            }
            State::HalfOpen { trials, .. }
                if trials.len() >= self.settings.half_open_trials.max(1) as usize =>
            {
                let wait = trials
                    .iter()
                    .map(|trial| trial.deadline.saturating_duration_since(now))
                    .min();
                refuse(Reason::BreakerTrialsTaken, wait)
            }
            State::Isolated => refuse(Reason::BreakerIsolated, None),
            State::Closed | State::Disabled | State::Open { .. } | State::HalfOpen { .. } => None,
        }
    }

    pub(super) fn record(&mut self, result: Result<'_>, now: Instant) {
        // A hung trial is over before its own late word is heard.
        self.settle(now);
        if result.generation != self.generation {
            self.late += 1; // a late result never moves a newer state
            return;
        }
        let failed = result.failure.is_some();
        let slow = result.took >= self.slow;
        self.recent = (self.recent << 1) | u32::from(failed);
        self.recent_count = (self.recent_count + 1).min(RECENT);
        if let Some(class) = result.failure {
            self.failures += 1;
            self.last_error = Some(class.to_owned());
        } else {
            self.successes += 1;
        }
        match &mut self.state {
            State::Closed => {
                self.window.record(failed, slow, now);
                self.in_row = if failed { self.in_row + 1 } else { 0 };
                if failed || slow {
                    self.judge(result, slow, now);
                } else {
                    self.opened_in_row = 0;
                }
            }
            State::HalfOpen { trials, good } => {
                trials.retain(|trial| trial.ticket != result.ticket);
                if let Some(class) = result.failure {
                    let cause = format!("trial failed: {class}");
                    self.open(now, result.retry_after, &cause);
                } else if slow {
                    self.open(now, None, "trial succeeded but was slow");
                } else {
                    *good += 1;
                    if *good >= self.settings.trial_successes.max(1) {
                        self.in_row = 0;
                        self.opened_in_row = 0;
                        self.window.clear();
                        self.enter(State::Closed, "trial succeeded", now);
                    }
                }
            }
            State::Open { .. } | State::Isolated | State::Disabled => {}
        }
    }

    /// Whether a closed breaker opens after a failed or slow call.
    #[cold]
    fn judge(&mut self, result: Result<'_>, slow: bool, now: Instant) {
        let totals = self.window.totals(now);
        let enough = totals.calls >= self.minimum_calls();
        let over =
            |part: u32, rate: f64| enough && f64::from(part) >= rate * f64::from(totals.calls);
        let last = result.failure.unwrap_or("slow");
        let cause = if result.failure.is_some() && self.in_row >= self.settings.failures.max(1) {
            format!("{} failures in a row, last: {last}", self.in_row)
        } else if result.failure.is_some() && over(totals.failures, self.settings.failure_rate) {
            let (failures, calls) = (totals.failures, totals.calls);
            format!("{failures} of {calls} calls failed, last: {last}")
        } else if slow && over(totals.slow, self.settings.slow_rate) {
            let (slow, calls, ms) = (totals.slow, totals.calls, self.settings.slow_ms);
            format!("{slow} of {calls} calls took {ms} ms or more")
        } else {
            return;
        };
        self.open(now, result.retry_after, &cause);
    }

    /// Never more than a count window can hold: it would never open.
    fn minimum_calls(&self) -> u32 {
        let held = match self.settings.window {
            WindowKind::Time => u32::MAX,
            WindowKind::Count => self.settings.window_calls.clamp(1, MOST_CALLS),
        };
        self.settings.minimum_calls.clamp(1, held)
    }

    pub(super) fn give_back(&mut self, generation: u64, ticket: u64) {
        if generation == self.generation
            && let State::HalfOpen { trials, .. } = &mut self.state
        {
            trials.retain(|trial| trial.ticket != ticket);
        }
    }

    fn open(&mut self, now: Instant, retry_after: Option<Duration>, cause: &str) {
        let settings = &self.settings;
        let most = settings.open_max_ms.max(settings.open_ms);
        // Half as much again, not twice: after doubling, a short outage that ends just after a trial
        // would be noticed later than it lasted.
        let mut capped = settings.open_ms;
        for _ in 0..self.opened_in_row {
            if capped >= most {
                break;
            }
            capped = capped.saturating_add((capped / 2).max(1)).min(most);
        }
        let jitter = if settings.open_jitter.is_nan() {
            0.0
        } else {
            settings.open_jitter.clamp(0.0, 1.0)
        };
        let share = 1.0 - jitter * fastrand::f64();
        let ours = Duration::from_millis(capped.min(86_400_000)).mul_f64(share);
        let theirs = retry_after.unwrap_or_default().min(RETRY_AFTER_MOST);
        self.open_for = ours.max(theirs);
        self.opened_in_row = self.opened_in_row.saturating_add(1);
        self.trips += 1;
        let until = now + self.open_for;
        self.enter(State::Open { until }, cause, now);
    }

    pub(super) fn enter(&mut self, state: State, cause: &str, now: Instant) {
        let transition = Transition {
            from: self.state.public(),
            to: state.public(),
            cause: cause.to_owned(),
            generation: self.generation + 1,
            at_ms: self.wall(now),
        };
        self.state = state;
        self.generation += 1;
        self.since = now;
        for list in [&mut self.transitions, &mut self.unreported] {
            if list.len() == TRANSITIONS {
                list.pop_front();
            }
            list.push_back(transition.clone());
        }
    }

    fn wall(&self, at: Instant) -> i64 {
        let (start, wall_ms) = self.origin;
        wall_ms + i64::try_from(at.saturating_duration_since(start).as_millis()).unwrap_or(i64::MAX)
    }

    pub(super) fn reset(&mut self, cause: &str, now: Instant) {
        self.window.clear();
        (self.recent, self.recent_count) = (0, 0);
        self.in_row = 0;
        self.opened_in_row = 0;
        self.last_error = None;
        self.close(cause, now);
    }

    pub(super) fn close(&mut self, cause: &str, now: Instant) {
        if !matches!(self.state, State::Closed | State::Disabled) {
            let closed = self.enabled.then_some(State::Closed);
            self.enter(closed.unwrap_or(State::Disabled), cause, now);
        }
    }

    /// A trial's answer has begun: its end may be minutes away, and nobody need wait for it.
    pub(super) fn answer_begun(&mut self, now: Instant) {
        if matches!(self.state, State::HalfOpen { .. }) {
            self.enter(State::Closed, "an answer has begun", now);
        }
    }

    pub(super) fn isolate(&mut self, cause: &str, now: Instant) {
        if !matches!(self.state, State::Isolated) {
            self.enter(State::Isolated, cause, now);
        }
    }

    /// What somebody isolated stays isolated.
    pub(super) fn set_enabled(&mut self, enabled: bool, now: Instant) {
        self.enabled = enabled;
        match (enabled, &self.state) {
            (false, State::Closed | State::Open { .. } | State::HalfOpen { .. }) => {
                self.enter(State::Disabled, "switched off", now);
            }
            (true, State::Disabled) => {
                self.window.clear();
                self.in_row = 0;
                self.enter(State::Closed, "switched on", now);
            }
            _ => {}
        }
    }

    pub(super) fn reconfigure(&mut self, settings: BreakerSettings, now: Instant) {
        let same = |s: &BreakerSettings| (s.window, s.window_ms, s.window_calls);
        if same(&settings) != same(&self.settings) {
            self.window = Window::new(&settings, now);
        }
        self.slow = slow(&settings);
        self.settings = settings;
    }

    pub(super) fn has_unreported(&self) -> bool {
        !self.unreported.is_empty()
    }

    pub(super) fn take_transitions(&mut self) -> Vec<Transition> {
        self.unreported.drain(..).collect()
    }

    pub(super) fn stats(&mut self, name: &str, now: Instant) -> BreakerStats {
        self.settle(now);
        let window = self.window.totals(now);
        let (retry_in_s, trials) = match &self.state {
            State::Open { until } => {
                let left = until.saturating_duration_since(now).as_millis();
                (Some(left.div_ceil(1_000) as u64), 0)
            }
            State::HalfOpen { trials, .. } => (None, trials.len() as u32),
            _ => (None, 0),
        };
        BreakerStats {
            name: name.to_owned(),
            state: self.state.public(),
            since_ms: self.wall(self.since),
            generation: self.generation,
            failures_in_row: self.in_row,
            failures_limit: self.settings.failures,
            window_calls: window.calls,
            window_failures: window.failures,
            window_slow: window.slow,
            retry_in_s,
            open_for_ms: self.open_for.as_millis() as u64,
            trials,
            trials_limit: self.settings.half_open_trials.max(1),
            successes: self.successes,
            failures: self.failures,
            rejections: self.rejections,
            late: self.late,
            trips: self.trips,
            recent: (0..self.recent_count)
                .rev()
                .map(|bit| {
                    if self.recent >> bit & 1 == 0 {
                        '+'
                    } else {
                        '-'
                    }
                })
                .collect(),
            last_error: self.last_error.clone(),
            transitions: self.transitions.iter().cloned().collect(),
        }
    }
}

/// From when on a call is slow.
fn slow(settings: &BreakerSettings) -> Duration {
    match settings.slow_ms {
        0 => Duration::MAX,
        ms => Duration::from_millis(ms),
    }
}
