//! Calls by outcome over the last 15 minutes, in buckets of 5 seconds.
//!
//! Why outcomes apart: a rate of "calls" that counts refusals looks best in an outage. Why latency of answered
//! calls alone: a refusal takes no time, and would make the worst minute the fastest one.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::call_outcome::{CallOutcome, CallSample, OutcomeCounts, millis, quantile};
use super::latency::Latency;
use super::slots::Slots;
use crate::resilience::clock::lock;

/// A bucket's length, seconds.
pub const BUCKET_S: u64 = 5;
/// Buckets in the window: 15 minutes.
pub const BUCKETS: u64 = 180;
/// Seconds that rates are taken over.
const MINUTE_S: u64 = 60;
/// Buckets that the share of waiting is taken over: 5 minutes, as percentiles.
const RECENT: u64 = 60;
/// Answered calls of a bucket whose time is kept; of more, the first ones speak for all.
const MOST_SAMPLES: usize = 4_096;

/// Time that answered calls took as their callers saw it, waits and earlier attempts included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AnsweredLatency {
    /// Answered calls in the window.
    pub count: u64,
    /// The window's length, seconds.
    pub window_s: u64,
    /// Median, milliseconds; `None` below 20 calls.
    pub p50_ms: Option<u64>,
    /// 95th percentile, milliseconds; `None` below 20 calls.
    pub p95_ms: Option<u64>,
    /// 99th percentile, milliseconds; `None` below 20 calls.
    pub p99_ms: Option<u64>,
    /// Share of that time spent waiting for backoff, rate limit and pool, percent; the rest was at providers.
    /// `None` below 20 calls.
    pub waiting_percent: Option<u8>,
}

/// One bucket.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CallBucket {
    /// Attempts by outcome.
    pub counts: OutcomeCounts,
    /// Median of answered calls, milliseconds; `None`: none was answered. The count says what it is worth.
    pub p50_ms: Option<u32>,
    /// 99th percentile of answered calls, milliseconds.
    pub p99_ms: Option<u32>,
    /// Share of answered calls' time spent waiting, percent.
    pub waiting_percent: u8,
}

/// The history's section of the snapshot. Columns have one value for each whole bucket, oldest first, from the
/// first bucket of the window in which something happened; a column of zeros is empty. [`Self::buckets`] reads
/// them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CallHistoryStats {
    /// A bucket's length, seconds.
    pub bucket_s: u32,
    /// Number of buckets in the columns.
    pub buckets: u32,
    /// When the newest bucket ended, wall time in milliseconds; 0 without buckets.
    pub until_ms: i64,
    /// Answered by the first attempt, calls.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub answered: Vec<u32>,
    /// Answered after an earlier attempt, calls.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub retried: Vec<u32>,
    /// 429 from the provider, attempts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rate_limited: Vec<u32>,
    /// Sent and failed, attempts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<u32>,
    /// Not sent, attempts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<u32>,
    /// Median of answered calls, milliseconds; 0: none was answered.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub p50_ms: Vec<u32>,
    /// 99th percentile of answered calls, milliseconds; 0: none was answered.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub p99_ms: Vec<u32>,
    /// Share of answered calls' time spent waiting, percent.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub waiting_percent: Vec<u32>,
    /// Attempts of the last minute, whole seconds.
    pub minute: OutcomeCounts,
    /// Seconds that the minute has so far: fewer than 60 after the start.
    pub minute_s: u32,
    /// Attempts of the last 15 minutes.
    pub window: OutcomeCounts,
    /// Answered calls of the last five minutes.
    pub latency: AnsweredLatency,
    /// When a call was last answered, wall time in milliseconds; `None`: not since the start.
    pub last_answer_ms: Option<i64>,
}

impl CallHistoryStats {
    /// Attempts a second with this outcome, over the last minute.
    pub fn per_second(&self, outcome: CallOutcome) -> f64 {
        self.minute.of(outcome) as f64 / f64::from(self.minute_s.max(1))
    }

    /// The whole buckets, oldest first.
    pub fn buckets(&self) -> impl Iterator<Item = CallBucket> + '_ {
        let at = |column: &[u32], i: usize| column.get(i).copied().unwrap_or(0);
        let count = move |column: &[u32], i: usize| u64::from(at(column, i));
        let known = |ms: u32| (ms > 0).then_some(ms);
        (0..self.buckets as usize).map(move |i| CallBucket {
            counts: OutcomeCounts {
                answered: count(&self.answered, i),
                retried: count(&self.retried, i),
                rate_limited: count(&self.rate_limited, i),
                failed: count(&self.failed, i),
                refused: count(&self.refused, i),
            },
            p50_ms: known(at(&self.p50_ms, i)),
            p99_ms: known(at(&self.p99_ms, i)),
            waiting_percent: u8::try_from(at(&self.waiting_percent, i)).unwrap_or(100),
        })
    }
}

/// Seconds that a minute has so far. Without calls it is a whole one: an engine at rest stands still.
fn seconds_of(minute: &OutcomeCounts, since_start: u64) -> u32 {
    if minute.sum() == 0 {
        return MINUTE_S as u32;
    }
    since_start.min(MINUTE_S) as u32
}

#[derive(Default)]
struct Bucket {
    counts: OutcomeCounts,
    /// Times of answered calls, milliseconds; empty once the bucket is over and its percentiles are made.
    took_ms: Vec<u32>,
    percentiles: Option<(u32, u32)>,
    total_us: u64,
    waited_us: u64,
}

impl Bucket {
    fn percentiles(&self) -> Option<(u32, u32)> {
        self.percentiles.or_else(|| {
            let mut sorted = self.took_ms.clone();
            sorted.sort_unstable();
            Some((quantile(&sorted, 0.5)?, quantile(&sorted, 0.99)?))
        })
    }

    fn close(&mut self) {
        if !self.took_ms.is_empty() {
            self.percentiles = self.percentiles();
            self.took_ms = Vec::new();
        }
    }
}

struct Core {
    buckets: Slots<Bucket>,
    seconds: Slots<OutcomeCounts>,
    last_answer: Option<Instant>,
}

/// Counts calls by outcome.
pub struct CallHistory {
    origin: Instant,
    origin_ms: i64,
    latency: Latency,
    core: Mutex<Core>,
}

impl CallHistory {
    /// Nothing counted yet; `wall_ms` is the wall time of `now`.
    pub fn new(now: Instant, wall_ms: i64) -> Self {
        Self {
            origin: now,
            origin_ms: wall_ms,
            latency: Latency::new(now),
            core: Mutex::new(Core {
                buckets: Slots::new(now, BUCKET_S, BUCKETS),
                seconds: Slots::new(now, 1, MINUTE_S),
                last_answer: None,
            }),
        }
    }

    /// An attempt is over.
    pub fn record(&self, sample: &CallSample, now: Instant) {
        let answered = sample.outcome.is_answered();
        if answered {
            self.latency.record(sample.total, now);
        }
        let mut core = lock(&self.core);
        core.seconds.at(now).count(sample.outcome);
        let bucket = core.buckets.at(now);
        let is_new = bucket.counts.sum() == 0;
        bucket.counts.count(sample.outcome);
        if answered {
            if bucket.took_ms.len() < MOST_SAMPLES {
                bucket.took_ms.push(millis(sample.total));
            }
            bucket.total_us += micros(sample.total);
            bucket.waited_us += micros(sample.waited.min(sample.total));
            core.last_answer = Some(now);
        }
        if is_new {
            core.buckets.past_mut().for_each(Bucket::close);
        }
    }

    fn wall_ms(&self, at: Instant) -> i64 {
        let since = at.saturating_duration_since(self.origin).as_millis();
        self.origin_ms + i64::try_from(since).unwrap_or(i64::MAX / 2)
    }

    /// Its section of the snapshot.
    pub fn stats(&self, now: Instant) -> CallHistoryStats {
        let latency = self.latency.stats(now);
        let core = lock(&self.core);
        let ms = |us: Option<u64>| us.map(|us| us.div_ceil(1_000));
        let end = core.buckets.number(now);
        let recent = core.buckets.between(end.saturating_sub(RECENT), end + 1);
        let (total, waited) = recent.fold((0, 0), |(total, waited), (_, b)| {
            (total + b.total_us, waited + b.waited_us)
        });
        let mut stats = CallHistoryStats {
            bucket_s: BUCKET_S as u32,
            latency: AnsweredLatency {
                count: latency.count,
                window_s: latency.window_s,
                p50_ms: ms(latency.p50_us),
                p95_ms: ms(latency.p95_us),
                p99_ms: ms(latency.p99_us),
                waiting_percent: latency.p50_us.map(|_| percent(waited, total)),
            },
            last_answer_ms: core.last_answer.map(|at| self.wall_ms(at)),
            ..CallHistoryStats::default()
        };
        for (_, counts) in core.seconds.whole(now) {
            stats.minute.add(counts);
        }
        stats.minute_s = seconds_of(&stats.minute, core.seconds.number(now));
        for (_, bucket) in core.buckets.running(now) {
            stats.window.add(&bucket.counts);
        }
        let Some((first, _)) = core.buckets.whole(now).next() else {
            return stats;
        };
        let newest = Duration::from_secs(end * BUCKET_S);
        stats.until_ms = self.wall_ms(self.origin + newest);
        let mut all: Vec<Option<&Bucket>> = vec![None; (end - first) as usize];
        for (number, bucket) in core.buckets.whole(now) {
            all[(number - first) as usize] = Some(bucket);
        }
        stats.fill(&all);
        stats
    }
}

impl CallHistoryStats {
    fn fill(&mut self, buckets: &[Option<&Bucket>]) {
        let column = |value: &dyn Fn(&Bucket) -> u64| {
            let values: Vec<u32> = buckets
                .iter()
                .map(|b| u32::try_from(b.map_or(0, value)).unwrap_or(u32::MAX))
                .collect();
            if values.iter().any(|v| *v > 0) {
                values
            } else {
                Vec::new()
            }
        };
        self.buckets = buckets.len() as u32;
        self.answered = column(&|b| b.counts.answered);
        self.retried = column(&|b| b.counts.retried);
        self.rate_limited = column(&|b| b.counts.rate_limited);
        self.failed = column(&|b| b.counts.failed);
        self.refused = column(&|b| b.counts.refused);
        self.p50_ms = column(&|b| b.percentiles().map_or(0, |(p50, _)| p50.into()));
        self.p99_ms = column(&|b| b.percentiles().map_or(0, |(_, p99)| p99.into()));
        self.waiting_percent = column(&|b| percent(b.waited_us, b.total_us).into());
    }
}

fn micros(took: Duration) -> u64 {
    u64::try_from(took.as_micros()).unwrap_or(u64::MAX / 1_000_000)
}

fn percent(part: u64, whole: u64) -> u8 {
    (part as f64 * 100.0 / whole.max(1) as f64).round() as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(outcome: CallOutcome, total_ms: u64, waited_ms: u64) -> CallSample {
        CallSample {
            outcome,
            limiter: Duration::ZERO,
            pool: Duration::from_millis(waited_ms),
            backoff: Duration::ZERO,
            upstream: Duration::from_millis(total_ms - waited_ms),
            total: Duration::from_millis(total_ms),
            waited: Duration::from_millis(waited_ms),
            tokens: 0,
            micro_usd: 0,
        }
    }

    #[test]
    fn history_splits_calls_by_outcome_and_times_answered_calls_alone() {
        let start = Instant::now();
        let at = |s: u64| start + Duration::from_secs(s);
        let history = CallHistory::new(start, 1_000_000);
        for _ in 0..30 {
            history.record(&sample(CallOutcome::Answered, 1_000, 0), at(1));
        }
        for n in 0..30 {
            history.record(&sample(CallOutcome::Refused, 1, 0), at(7));
            if n < 10 {
                history.record(&sample(CallOutcome::Retried, 3_000, 2_000), at(7));
            }
        }
        history.record(&sample(CallOutcome::Failed, 30_000, 0), at(7));
        history.record(&sample(CallOutcome::RateLimited, 9, 0), at(7));
        let stats = history.stats(at(10));
        let buckets: Vec<CallBucket> = stats.buckets().collect();
        assert_eq!(buckets.len(), 2);
        assert_eq!(
            (buckets[0].counts.answered, buckets[0].p50_ms),
            (30, Some(1_000))
        );
        let counts = buckets[1].counts;
        assert_eq!(
            (counts.retried, counts.failed, counts.rate_limited),
            (10, 1, 1)
        );
        assert_eq!((counts.refused, buckets[1].p99_ms), (30, Some(3_000)));
        assert_eq!(buckets[1].waiting_percent, 67);
        assert_eq!(stats.until_ms, 1_010_000);
        assert_eq!((stats.minute.sum(), stats.minute_s), (72, 10));
        assert!((stats.per_second(CallOutcome::Answered) - 3.0).abs() < 1e-9);
        assert_eq!(stats.latency.count, 40);
        assert_eq!(stats.latency.waiting_percent, Some(33), "20 s of 60 s");
        assert_eq!(stats.last_answer_ms, Some(1_007_000));
    }

    #[test]
    fn history_of_refusals_alone_knows_no_latency_and_forgets_when_idle() {
        let start = Instant::now();
        let at = |s: u64| start + Duration::from_secs(s);
        let history = CallHistory::new(start, 0);
        for _ in 0..50 {
            history.record(&sample(CallOutcome::Refused, 1, 0), at(2));
        }
        let stats = history.stats(at(9));
        assert_eq!((stats.latency.count, stats.latency.p50_ms), (0, None));
        assert_eq!((stats.p50_ms.len(), stats.answered.len()), (0, 0));
        assert_eq!(stats.minute.error_share(), Some(1.0));
        let idle = history.stats(at(2_000));
        assert_eq!(
            idle,
            history.stats(at(3_000)),
            "an idle history stands still"
        );
        assert_eq!((idle.buckets, idle.until_ms, idle.window.sum()), (0, 0, 0));
    }

    #[test]
    fn history_of_a_long_outage_fits_six_kilobytes() {
        let start = Instant::now();
        let history = CallHistory::new(start, 1_764_223_456_789);
        for bucket in 0..180 {
            let now = start + Duration::from_secs(bucket * BUCKET_S);
            for (outcome, count) in [
                (CallOutcome::Answered, 16),
                (CallOutcome::Retried, 2),
                (CallOutcome::RateLimited, 5),
                (CallOutcome::Failed, 40),
                (CallOutcome::Refused, 110),
            ] {
                for n in 0..count {
                    history.record(&sample(outcome, 1_200 + n * 2_000, 1_100), now);
                }
            }
        }
        let stats = history.stats(start + Duration::from_secs(900));
        assert_eq!(stats.buckets().count(), 180);
        let json = serde_json::to_string(&stats).unwrap();
        assert!(json.len() <= 6 * 1_024, "{} bytes", json.len());
    }
}
