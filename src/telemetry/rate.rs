//! How often something happens: now, at its peak and on average over the last minute.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::resilience::clock::lock;

const SECONDS: u64 = 60;
const NOW_SECONDS: u64 = 5;

/// A rate's section of the snapshot. Window: 60 s; "now" is the mean of the last 5 whole seconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RateStats {
    /// Per second, over the last 5 whole seconds.
    pub now: f64,
    /// The busiest second of the window.
    pub peak: f64,
    /// Per second over the window, or over the time since start if that is shorter.
    pub average: f64,
    /// Events since start.
    pub total: u64,
    /// Events in each whole second of the window, oldest first.
    pub seconds: Vec<u32>,
}

struct Core {
    origin: Instant,
    counts: VecDeque<(u64, u32)>,
    total: u64,
}

/// Counts events by the second.
pub struct Rate {
    core: Mutex<Core>,
}

impl Rate {
    /// Nothing counted yet.
    pub fn new(now: Instant) -> Self {
        Self {
            core: Mutex::new(Core {
                origin: now,
                counts: VecDeque::new(),
                total: 0,
            }),
        }
    }

    /// One event.
    pub fn tick(&self, now: Instant) {
        let mut core = lock(&self.core);
        let second = now.saturating_duration_since(core.origin).as_secs();
        core.total += 1;
        match core.counts.back_mut() {
            Some((at, count)) if *at == second => *count = count.saturating_add(1),
            _ => core.counts.push_back((second, 1)),
        }
        while core
            .counts
            .front()
            .is_some_and(|(at, _)| at + SECONDS + 1 < second)
        {
            core.counts.pop_front();
        }
    }

    /// Its section of the snapshot. The second that is still running is not in it.
    pub fn stats(&self, now: Instant) -> RateStats {
        let core = lock(&self.core);
        let current = now.saturating_duration_since(core.origin).as_secs();
        let first = current.saturating_sub(SECONDS);
        let mut seconds = vec![0u32; (current - first) as usize];
        for (at, count) in &core.counts {
            if (first..current).contains(at) {
                seconds[(at - first) as usize] = *count;
            }
        }
        let mean = |part: &[u32]| {
            if part.is_empty() {
                0.0
            } else {
                part.iter().map(|c| f64::from(*c)).sum::<f64>() / part.len() as f64
            }
        };
        let recent = seconds.len().saturating_sub(NOW_SECONDS as usize);
        RateStats {
            now: mean(&seconds[recent..]),
            peak: seconds.iter().copied().max().map_or(0.0, f64::from),
            average: mean(&seconds),
            total: core.total,
            seconds,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn now_peak_and_average_over_whole_seconds() {
        let start = Instant::now();
        let rate = Rate::new(start);
        for second in 0..10u64 {
            for _ in 0..=second {
                rate.tick(start + Duration::from_secs(second));
            }
        }
        let stats = rate.stats(start + Duration::from_secs(10));
        assert_eq!(
            (stats.peak, stats.average, stats.now, stats.total),
            (10.0, 5.5, 8.0, 55)
        );
        assert_eq!(rate.stats(start + Duration::from_secs(100)).peak, 0.0);
    }
}
