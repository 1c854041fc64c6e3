//! The window a breaker judges by: the last minute in ten buckets, or the last so many calls.
//!
//! Why running totals: every result would otherwise sum the window again. Both kinds forget exactly
//! what has left them; a property test compares them with a naive recount.

use std::time::{Duration, Instant};

use super::types::{BreakerSettings, WindowKind};

/// Buckets of a time window; it slides by one of them.
pub(super) const BUCKETS: u32 = 10;
/// Most calls a count window holds.
pub(super) const MOST_CALLS: u32 = 10_000;

/// What is in the window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) calls: u32,
    pub(super) failures: u32,
    pub(super) slow: u32,
}

impl Totals {
    fn add(&mut self, failed: bool, slow: bool) {
        self.calls += 1;
        self.failures += u32::from(failed);
        self.slow += u32::from(slow);
    }

    fn forget(&mut self, other: Self) {
        self.calls -= other.calls;
        self.failures -= other.failures;
        self.slow -= other.slow;
    }
}

#[derive(Debug)]
enum Ring {
    Time {
        buckets: [Totals; BUCKETS as usize],
        head: usize,
        /// The head's bucket ends here.
        ends: Instant,
        width: Duration,
    },
    Count {
        outcomes: Vec<(bool, bool)>,
        next: usize,
        size: usize,
    },
}

/// A sliding window of outcomes.
#[derive(Debug)]
pub(super) struct Window {
    ring: Ring,
    totals: Totals,
}

impl Window {
    pub(super) fn new(settings: &BreakerSettings, now: Instant) -> Self {
        let ring = match settings.window {
            WindowKind::Time => {
                let width = Duration::from_millis((settings.window_ms / u64::from(BUCKETS)).max(1));
                Ring::Time {
                    buckets: [Totals::default(); BUCKETS as usize],
                    head: 0,
                    ends: now + width,
                    width,
                }
            }
            WindowKind::Count => Ring::Count {
                outcomes: Vec::new(),
                next: 0,
                size: settings.window_calls.clamp(1, MOST_CALLS) as usize,
            },
        };
        Self {
            ring,
            totals: Totals::default(),
        }
    }

    /// One outcome at `now`.
    pub(super) fn record(&mut self, failed: bool, slow: bool, now: Instant) {
        self.slide(now);
        match &mut self.ring {
            Ring::Time { buckets, head, .. } => buckets[*head].add(failed, slow),
            Ring::Count {
                outcomes,
                next,
                size,
            } => {
                if outcomes.len() < *size {
                    outcomes.push((failed, slow));
                } else {
                    let (was_failed, was_slow) = outcomes[*next];
                    self.totals.forget(Totals {
                        calls: 1,
                        failures: u32::from(was_failed),
                        slow: u32::from(was_slow),
                    });
                    outcomes[*next] = (failed, slow);
                    *next = (*next + 1) % *size;
                }
            }
        }
        self.totals.add(failed, slow);
    }

    /// What it holds at `now`.
    pub(super) fn totals(&mut self, now: Instant) -> Totals {
        self.slide(now);
        self.totals
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.totals = Totals::default();
        match &mut self.ring {
            Ring::Time { buckets, .. } => *buckets = [Totals::default(); BUCKETS as usize],
            Ring::Count { outcomes, next, .. } => {
                outcomes.clear();
                *next = 0;
            }
        }
    }

    #[inline]
    fn slide(&mut self, now: Instant) {
        if let Ring::Time { ends, .. } = &self.ring
            && now >= *ends
        {
            self.slide_on(now);
        }
    }

    #[cold]
    fn slide_on(&mut self, now: Instant) {
        let Ring::Time {
            buckets,
            head,
            ends,
            width,
        } = &mut self.ring
        else {
            return;
        };
        let behind = now.saturating_duration_since(*ends);
        let steps = behind.as_nanos() / width.as_nanos() + 1;
        if steps >= u128::from(BUCKETS) {
            *buckets = [Totals::default(); BUCKETS as usize];
            self.totals = Totals::default();
            // The next edge of the same grid, so that a quiet hour does not shift the buckets.
            let into = Duration::from_nanos((behind.as_nanos() % width.as_nanos()) as u64);
            *ends = now + width.saturating_sub(into);
            return;
        }
        for _ in 0..steps {
            *head = (*head + 1) % BUCKETS as usize;
            self.totals.forget(buckets[*head]);
            buckets[*head] = Totals::default();
            *ends += *width;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn naive(events: &[(u64, bool, bool)]) -> Totals {
        let mut totals = Totals::default();
        for (_, failed, slow) in events {
            totals.add(*failed, *slow);
        }
        totals
    }

    proptest! {
        /// Seen failing with `forget` left out, and with `>` for `>=` in `slide`.
        #[test]
        fn both_kinds_hold_exactly_what_a_recount_finds(
            steps in proptest::collection::vec((0u64..2_500, any::<bool>(), any::<bool>()), 1..200),
            size in 1u32..30,
        ) {
            let start = Instant::now();
            let time = BreakerSettings { window_ms: 10_000, ..BreakerSettings::default() };
            let count = BreakerSettings { window: WindowKind::Count, window_calls: size, ..time };
            let (mut by_time, mut by_count) = (Window::new(&time, start), Window::new(&count, start));
            let (mut at, mut all) = (0, Vec::new());
            for (gap, failed, slow) in steps {
                at += gap;
                let now = start + Duration::from_millis(at);
                let in_time = |all: &[(u64, bool, bool)]| {
                    let oldest = (at / 1_000).saturating_sub(9);
                    naive(&all.iter().copied().filter(|(t, ..)| t / 1_000 >= oldest).collect::<Vec<_>>())
                };
                prop_assert_eq!(by_time.totals(now), in_time(&all));
                by_time.record(failed, slow, now);
                by_count.record(failed, slow, now);
                all.push((at, failed, slow));
                prop_assert_eq!(by_time.totals(now), in_time(&all));
                let last = all.len().saturating_sub(size as usize);
                prop_assert_eq!(by_count.totals(now), naive(&all[last..]));
            }
            let long_after = start + Duration::from_millis(at + 11_000);
            prop_assert_eq!(by_time.totals(long_after), Totals::default());
            by_count.clear();
            prop_assert_eq!(by_count.totals(long_after), Totals::default());
        }
    }
}
