//! Latency percentiles over a sliding window of five minutes, in slots of ten seconds.
//!
//! Why slots of histograms: percentiles cannot be averaged, histograms can be added. Values are kept
//! to two significant digits between a microsecond and ten minutes.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::resilience::clock::lock;

const SLOTS: usize = 30;
const SLOT_SECONDS: u64 = 10;
const MAX_US: u64 = 600_000_000;
/// Below this many samples a percentile says nothing and shows as "—".
pub const ENOUGH: u64 = 20;

/// A series' section of the snapshot; microseconds throughout.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LatencyStats {
    /// Samples in the window.
    pub count: u64,
    /// The window's length, seconds.
    pub window_s: u64,
    /// Median; `None` below 20 samples.
    pub p50_us: Option<u64>,
    /// 95th percentile; `None` below 20 samples.
    pub p95_us: Option<u64>,
    /// 99th percentile; `None` below 20 samples.
    pub p99_us: Option<u64>,
    /// The median of each ten-second slot, oldest first; `None` where a slot has no sample.
    pub p50_slots: Vec<Option<u64>>,
    /// The 99th percentile of each slot, oldest first.
    pub p99_slots: Vec<Option<u64>>,
}

struct Slot {
    number: u64,
    histogram: Histogram<u32>,
}

struct Core {
    origin: Instant,
    slots: Vec<Slot>,
    recorded: u64,
    /// The last answer, with what it was made from: an idle engine is asked every second.
    memo: Option<(u64, u64, LatencyStats)>,
}

/// One series.
pub struct Latency {
    core: Mutex<Core>,
}

impl Latency {
    /// An empty series.
    pub fn new(now: Instant) -> Self {
        Self {
            core: Mutex::new(Core {
                origin: now,
                slots: Vec::with_capacity(SLOTS),
                recorded: 0,
                memo: None,
            }),
        }
    }

    /// Adds one duration.
    pub fn record(&self, took: Duration, now: Instant) {
        let us = u64::try_from(took.as_micros())
            .unwrap_or(MAX_US)
            .clamp(1, MAX_US);
        let mut core = lock(&self.core);
        let number = core.number(now);
        if core.slots.last().is_none_or(|s| s.number < number) {
            if core.slots.len() == SLOTS {
                // The oldest slot's memory becomes the newest slot.
                let mut slot = core.slots.remove(0);
                slot.histogram.reset();
                slot.number = number;
                core.slots.push(slot);
            } else if let Ok(histogram) = Histogram::new_with_bounds(1, MAX_US, 2) {
                core.slots.push(Slot { number, histogram });
            }
        }
        core.recorded += 1;
        if let Some(slot) = core.slots.last_mut() {
            slot.histogram.saturating_record(us);
        }
    }

    /// Its section of the snapshot.
    pub fn stats(&self, now: Instant) -> LatencyStats {
        let mut core = lock(&self.core);
        let newest = core.number(now);
        if let Some((at, recorded, stats)) = &core.memo
            && (*at, *recorded) == (newest, core.recorded)
        {
            return stats.clone();
        }
        let oldest = (newest + 1).saturating_sub(SLOTS as u64);
        let mut stats = LatencyStats {
            window_s: SLOTS as u64 * SLOT_SECONDS,
            ..LatencyStats::default()
        };
        let Ok(mut all) = Histogram::<u32>::new_with_bounds(1, MAX_US, 2) else {
            return stats;
        };
        for number in oldest..=newest {
            let slot = core
                .slots
                .iter()
                .find(|s| s.number == number && !s.histogram.is_empty());
            stats
                .p50_slots
                .push(slot.map(|s| s.histogram.value_at_quantile(0.5)));
            stats
                .p99_slots
                .push(slot.map(|s| s.histogram.value_at_quantile(0.99)));
            if let Some(slot) = slot {
                let _ = all.add(&slot.histogram);
            }
        }
        stats.count = all.len();
        if stats.count >= ENOUGH {
            stats.p50_us = Some(all.value_at_quantile(0.5));
            stats.p95_us = Some(all.value_at_quantile(0.95));
            stats.p99_us = Some(all.value_at_quantile(0.99));
        }
        core.memo = Some((newest, core.recorded, stats.clone()));
        stats
    }
}

impl Core {
    fn number(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.origin).as_secs() / SLOT_SECONDS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_nothing_below_twenty_samples_then_the_truth_then_forgets() {
        let start = Instant::now();
        let series = Latency::new(start);
        for ms in 1..20 {
            series.record(Duration::from_millis(ms), start);
        }
        assert_eq!(
            (series.stats(start).count, series.stats(start).p50_us),
            (19, None)
        );
        for ms in 20..=100 {
            series.record(Duration::from_millis(ms), start + Duration::from_secs(15));
        }
        let stats = series.stats(start + Duration::from_secs(15));
        let near = |got: Option<u64>, want: u64| got.is_some_and(|g| g.abs_diff(want) <= want / 50);
        assert!(
            near(stats.p50_us, 50_000) && near(stats.p99_us, 99_000),
            "{stats:?}"
        );
        assert_eq!(stats.p50_slots.len(), 2);
        let later = series.stats(start + Duration::from_secs(305));
        assert_eq!(later.count, 81);
        assert_eq!(series.stats(start + Duration::from_secs(999)).count, 0);
    }
}
