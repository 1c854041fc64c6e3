//! Availability: the share of the last hour's runs that ended with full evidence.
//!
//! Why runs and not uptime: an engine that is up and decides nothing is of no use to anybody. A run that was
//! refused because it could not be kept counts against it; one that a person cancelled does not count.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::latency::ENOUGH;
use crate::resilience::clock::lock;

/// Slots of a minute, an hour together.
const SLOTS: u64 = 60;
const SLOT_SECONDS: u64 = 60;
/// Newest outcomes that are kept with their moment, for counts since a moment.
const MOST_MOMENTS: usize = 4_096;

/// How one run came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunOutcome {
    /// Decided, and everything that was asked for was had: the change, the rules, each model's answer.
    Full,
    /// Decided by what was had: a rule objects, though a model's answer is missing.
    Partial,
    /// Not decided: evidence is missing, or the run failed.
    Undecided,
    /// Not accepted: it could not be kept.
    Refused,
}

/// The outcomes' section of the snapshot: runs of the window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct OutcomeStats {
    /// The window's length, seconds.
    pub window_s: u64,
    /// Ended with full evidence.
    pub full: u64,
    /// Decided with partial evidence.
    pub partial: u64,
    /// Undecided: they wait for a person because evidence is missing, or failed.
    pub undecided: u64,
    /// Refused because they could not be kept.
    pub refused: u64,
}

impl OutcomeStats {
    /// Runs that ended, and those that were refused.
    pub fn asked(&self) -> u64 {
        self.full + self.partial + self.undecided + self.refused
    }

    /// Share of runs with full evidence, percent, rounded down to two decimals; `None`: no run in the window,
    /// so it is not known.
    pub fn availability(&self) -> Option<f64> {
        let asked = self.asked();
        (asked > 0).then(|| (self.full as f64 / asked as f64 * 10_000.0).floor() / 100.0)
    }

    fn count(&mut self, outcome: RunOutcome) {
        *match outcome {
            RunOutcome::Full => &mut self.full,
            RunOutcome::Partial => &mut self.partial,
            RunOutcome::Undecided => &mut self.undecided,
            RunOutcome::Refused => &mut self.refused,
        } += 1;
    }

    /// Runs without a decision: undecided, or refused because they could not be kept.
    pub fn without_decision(&self) -> u64 {
        self.undecided + self.refused
    }

    /// The definition with its figures.
    pub fn sentence(&self) -> String {
        let Some(percent) = self.availability() else {
            return "Availability is not known: no run has ended within the last hour.".into();
        };
        format!(
            "Available {percent:.2} %: {} of the last hour's {} runs ended with full evidence, {} with partial \
             evidence, {} were not decided, {} could not be kept.",
            self.full,
            self.asked(),
            self.partial,
            self.undecided,
            self.refused
        )
    }

    /// Share of runs that were not decided, 0 to 1; `None` below 20 runs.
    pub fn error_rate(&self) -> Option<f64> {
        let asked = self.asked();
        (asked >= ENOUGH).then(|| (self.undecided + self.refused) as f64 / asked as f64)
    }
}

/// Counts outcomes by the minute.
pub struct Outcomes {
    origin: Instant,
    /// Number of the minute and its counts, oldest first.
    slots: Mutex<VecDeque<(u64, OutcomeStats)>>,
    /// The newest of them with their moment, oldest first.
    moments: Mutex<VecDeque<(Instant, RunOutcome)>>,
}

impl Outcomes {
    /// Nothing counted yet.
    pub fn new(now: Instant) -> Self {
        Self {
            origin: now,
            slots: Mutex::default(),
            moments: Mutex::default(),
        }
    }

    fn minute(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.origin).as_secs() / SLOT_SECONDS
    }

    /// One run.
    pub fn record(&self, outcome: RunOutcome, now: Instant) {
        self.keep_moment(outcome, now);
        let minute = self.minute(now);
        let mut slots = lock(&self.slots);
        if slots.back().is_none_or(|(at, _)| *at < minute) {
            slots.push_back((minute, OutcomeStats::default()));
            while slots.front().is_some_and(|(at, _)| at + SLOTS <= minute) {
                slots.pop_front();
            }
        }
        let Some((_, counts)) = slots.back_mut() else {
            return;
        };
        counts.count(outcome);
    }

    fn keep_moment(&self, outcome: RunOutcome, now: Instant) {
        let mut moments = lock(&self.moments);
        let window = Duration::from_secs(SLOTS * SLOT_SECONDS);
        while moments.len() >= MOST_MOMENTS
            || moments
                .front()
                .is_some_and(|(at, _)| now.saturating_duration_since(*at) > window)
        {
            moments.pop_front();
        }
        moments.push_back((now, outcome));
    }

    /// How the runs of the last `span` came out: an hour and the newest 4,096 runs at most.
    pub fn within(&self, span: Duration, now: Instant) -> OutcomeStats {
        let span = span.min(Duration::from_secs(SLOTS * SLOT_SECONDS));
        let mut all = OutcomeStats {
            window_s: span.as_secs(),
            ..OutcomeStats::default()
        };
        let moments = lock(&self.moments);
        for (at, outcome) in moments.iter().rev() {
            if now.saturating_duration_since(*at) > span {
                break;
            }
            all.count(*outcome);
        }
        all
    }

    /// The window's counts.
    pub fn stats(&self, now: Instant) -> OutcomeStats {
        let minute = self.minute(now);
        let mut all = OutcomeStats {
            window_s: SLOTS * SLOT_SECONDS,
            ..OutcomeStats::default()
        };
        for (at, counts) in lock(&self.slots).iter() {
            if at + SLOTS > minute {
                all.full += counts.full;
                all.partial += counts.partial;
                all.undecided += counts.undecided;
                all.refused += counts.refused;
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn availability_without_runs_is_unknown_and_in_an_outage_nothing() {
        let start = Instant::now();
        let outcomes = Outcomes::new(start);
        assert_eq!(outcomes.stats(start).availability(), None);
        outcomes.record(RunOutcome::Undecided, start);
        assert_eq!(outcomes.stats(start).availability(), Some(0.0));
        for _ in 0..19 {
            outcomes.record(RunOutcome::Refused, start);
        }
        let stats = outcomes.stats(start);
        assert_eq!(
            (stats.availability(), stats.error_rate()),
            (Some(0.0), Some(1.0)),
            "refused runs count against it"
        );
    }

    #[test]
    fn outcomes_within_a_span_are_counted_to_the_moment_and_bounded() {
        let start = Instant::now();
        let outcomes = Outcomes::new(start);
        let at = |s: u64| start + Duration::from_secs(s);
        outcomes.record(RunOutcome::Full, at(10));
        outcomes.record(RunOutcome::Undecided, at(12));
        outcomes.record(RunOutcome::Refused, at(20));
        let within = |span: u64, now: u64| outcomes.within(Duration::from_secs(span), at(now));
        let recent = within(8, 20);
        assert_eq!((recent.asked(), recent.without_decision()), (2, 2));
        assert_eq!(within(10, 20).full, 1);
        assert_eq!(within(10, 60).asked(), 0);
        for _ in 0..5_000 {
            outcomes.record(RunOutcome::Full, at(30));
        }
        assert_eq!(within(60, 30).full, 4_096);
        outcomes.record(RunOutcome::Full, at(9_000));
        assert_eq!(lock(&outcomes.moments).len(), 1);
    }

    #[test]
    fn availability_counts_the_last_hour_and_error_rate_what_was_not_decided() {
        let start = Instant::now();
        let outcomes = Outcomes::new(start);
        let at = |minutes: u64| start + Duration::from_secs(minutes * 60);
        outcomes.record(RunOutcome::Undecided, at(0));
        for _ in 0..29 {
            outcomes.record(RunOutcome::Full, at(1));
        }
        outcomes.record(RunOutcome::Partial, at(2));
        let stats = outcomes.stats(at(59));
        assert_eq!(stats.availability(), Some(93.54), "29 of 31, rounded down");
        assert!((stats.error_rate().unwrap() - 1.0 / 31.0).abs() < 1e-9);
        assert_eq!(
            outcomes.stats(at(60)).availability(),
            Some(96.66),
            "29 of 30"
        );
        assert_eq!(outcomes.stats(at(500)).availability(), None);
        outcomes.record(RunOutcome::Full, at(500));
        assert_eq!(lock(&outcomes.slots).len(), 1, "old minutes are dropped");
    }
}
