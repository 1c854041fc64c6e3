//! Decisions by the minute, over the last hour.

use std::sync::Mutex;
use std::time::Instant;

use crate::engine::protocol::decision_stats::{DecisionStats, DecisionSums};
use crate::engine::protocol::run::Action;
use crate::resilience::clock::lock;
use crate::telemetry::slots::Slots;

const MINUTE_S: u64 = 60;
const MINUTES: u64 = 60;

#[derive(Default)]
struct Minute {
    sums: DecisionSums,
    /// When the first run of the minute ended in `manual_review`, wall time in milliseconds.
    first_manual_ms: Option<i64>,
}

/// Counts decisions.
pub struct DecisionHistory(Mutex<Slots<Minute>>);

impl DecisionHistory {
    /// None yet.
    pub fn new(now: Instant) -> Self {
        Self(Mutex::new(Slots::new(now, MINUTE_S, MINUTES)))
    }

    /// A run was decided; `at_ms` is the wall time.
    pub fn record(&self, action: Action, at_ms: i64, now: Instant) {
        let mut minutes = lock(&self.0);
        let minute = minutes.at(now);
        match action {
            Action::ApproveAndMerge | Action::Pass => minute.sums.approved += 1,
            Action::RequestChanges | Action::BlockPr => minute.sums.negative += 1,
            Action::ManualReview => {
                minute.sums.manual += 1;
                minute.first_manual_ms.get_or_insert(at_ms);
            }
        }
    }

    /// The hour's decisions; the rest of the section is others' to fill.
    pub fn stats(&self, now: Instant) -> DecisionStats {
        let minutes = lock(&self.0);
        let mut stats = DecisionStats::default();
        let end = minutes.number(now) + 1;
        for (number, minute) in minutes.running(now) {
            if stats.minutes.is_empty() {
                stats.minutes.resize((end - number) as usize, [0; 3]);
            }
            let place = stats.minutes.len() - (end - number) as usize;
            let sums = &minute.sums;
            let small = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
            stats.minutes[place] = [
                small(sums.approved),
                small(sums.negative),
                small(sums.manual),
            ];
            stats.hour.approved += sums.approved;
            stats.hour.negative += sums.negative;
            stats.hour.manual += sums.manual;
            if stats.waiting.oldest_ms.is_none() {
                stats.waiting.oldest_ms = minute.first_manual_ms;
            }
        }
        stats.waiting.manual = u32::try_from(stats.hour.manual).unwrap_or(u32::MAX);
        stats
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn decisions_are_those_of_the_last_hour_by_the_minute() {
        let start = Instant::now();
        let at = |minutes: u64| start + Duration::from_secs(minutes * 60);
        let history = DecisionHistory::new(start);
        history.record(Action::ManualReview, 1_000, at(0));
        history.record(Action::Pass, 2_000, at(2));
        history.record(Action::BlockPr, 3_000, at(2));
        history.record(Action::ManualReview, 4_000, at(3));
        let stats = history.stats(at(4));
        assert_eq!(
            stats.minutes,
            [[0, 0, 1], [0, 0, 0], [1, 1, 0], [0, 0, 1], [0, 0, 0]]
        );
        assert_eq!((stats.hour.sum(), stats.waiting.manual), (4, 2));
        assert_eq!(stats.waiting.oldest_ms, Some(1_000));
        let later = history.stats(at(60));
        assert_eq!(
            (later.hour.manual, later.waiting.oldest_ms),
            (1, Some(4_000))
        );
        assert_eq!(later.minutes.len(), 59);
        assert_eq!(history.stats(at(500)), DecisionStats::default());
    }
}
