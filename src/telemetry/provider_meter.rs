//! What one provider did in the last five minutes, and in each of the last 60 seconds.
//!
//! Why newest samples and not histograms for percentiles: a few hundred calls are exact, small and sorted in
//! microseconds; a provider that answers more in five minutes is described well by the newest of them.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::call_outcome::{CallOutcome, CallSample, OutcomeCounts, millis, quantile};
use super::latency::ENOUGH;
use super::slots::Slots;
use crate::resilience::clock::lock;

/// Length of the window, seconds.
const WINDOW_S: u64 = 300;
const SLOT_S: u64 = 10;
const RIBBON_S: u64 = 60;
/// Newest calls that percentiles are taken over.
const MOST_SAMPLES: usize = 512;

/// One second of a provider: the worst that happened in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RibbonCell {
    /// No attempt.
    None,
    /// Every attempt was answered.
    Ok,
    /// Something was refused here; nothing failed and nothing was answered with 429.
    Refused,
    /// The provider answered 429; nothing else failed.
    RateLimited,
    /// Something failed.
    Failed,
}

impl RibbonCell {
    fn of(counts: &OutcomeCounts) -> Self {
        match counts {
            c if c.failed > 0 => Self::Failed,
            c if c.rate_limited > 0 => Self::RateLimited,
            c if c.refused > 0 => Self::Refused,
            c if c.sum() > 0 => Self::Ok,
            _ => Self::None,
        }
    }

    fn letter(self) -> char {
        match self {
            Self::None => '_',
            Self::Ok => '+',
            Self::Refused => '.',
            Self::RateLimited => '4',
            Self::Failed => 'x',
        }
    }
}

/// The last 60 whole seconds, a letter each, the newest last: `_` none, `+` ok, `.` refused, `4` 429, `x`
/// failed. Seconds before the first attempt are left out: it is empty after a minute without attempts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ribbon(pub String);

impl Ribbon {
    /// The cells, the newest last.
    pub fn cells(&self) -> impl DoubleEndedIterator<Item = RibbonCell> + '_ {
        self.0.chars().map(|letter| match letter {
            '+' => RibbonCell::Ok,
            '.' => RibbonCell::Refused,
            '4' => RibbonCell::RateLimited,
            'x' => RibbonCell::Failed,
            _ => RibbonCell::None,
        })
    }
}

/// A provider's figures.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ProviderFigures {
    /// Attempts of the last minute, whole seconds.
    pub minute: OutcomeCounts,
    /// Attempts of the last five minutes.
    pub window: OutcomeCounts,
    /// The last 60 seconds.
    pub ribbon: Ribbon,
    /// Answered attempts of the last five minutes that percentiles are taken over (the newest 512 at most).
    pub answered_n: u32,
    /// Median time inside the provider, answered attempts, milliseconds; `None` below 20.
    pub p50_ms: Option<u32>,
    /// 99th percentile of it, milliseconds; `None` below 20.
    pub p99_ms: Option<u32>,
    /// Attempts of the last five minutes that came as far as rate limit and pool.
    pub came: u64,
    /// Of those, the ones that waited for a place in the pool.
    pub waited_pool: u64,
    /// Of those, the ones that waited for the rate limit.
    pub waited_limiter: u64,
    /// Median wait for rate limit and pool of those that came as far, milliseconds; `None` below 20.
    pub wait_p50_ms: Option<u32>,
    /// Tokens of the last minute, input and output.
    pub tokens_per_minute: u64,
    /// Money an hour at the pace of the last five minutes, millionths of a dollar.
    pub micro_usd_per_hour: u64,
    /// Calls that another provider answered in its place since it last answered itself.
    pub fell_back: u64,
    /// The newest provider that did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fallback: Option<String>,
}

#[derive(Default)]
struct Slot {
    counts: OutcomeCounts,
    came: u64,
    waited_pool: u64,
    waited_limiter: u64,
    micro_usd: u64,
}

#[derive(Default)]
struct Second {
    counts: OutcomeCounts,
    tokens: u64,
}

struct Core {
    slots: Slots<Slot>,
    seconds: Slots<Second>,
    answered: VecDeque<(Instant, u32)>,
    waits: VecDeque<(Instant, u32)>,
    fell_back: u64,
    fallback: Option<String>,
}

/// Measures one provider.
pub struct ProviderMeter {
    core: Mutex<Core>,
}

impl ProviderMeter {
    /// Nothing measured yet.
    pub fn new(origin: Instant) -> Self {
        Self {
            core: Mutex::new(Core {
                slots: Slots::new(origin, SLOT_S, WINDOW_S / SLOT_S),
                seconds: Slots::new(origin, 1, RIBBON_S),
                answered: VecDeque::new(),
                waits: VecDeque::new(),
                fell_back: 0,
                fallback: None,
            }),
        }
    }

    /// An attempt at it is over.
    pub fn record(&self, sample: &CallSample, now: Instant) {
        let mut core = lock(&self.core);
        let second = core.seconds.at(now);
        second.counts.count(sample.outcome);
        second.tokens += sample.tokens;
        let waited = sample.limiter + sample.pool;
        let came = sample.outcome != CallOutcome::Refused || !waited.is_zero();
        let slot = core.slots.at(now);
        slot.counts.count(sample.outcome);
        slot.came += u64::from(came);
        slot.waited_pool += u64::from(!sample.pool.is_zero());
        slot.waited_limiter += u64::from(!sample.limiter.is_zero());
        slot.micro_usd += sample.micro_usd;
        if came {
            let ms = u32::try_from(waited.as_millis()).unwrap_or(u32::MAX);
            keep(&mut core.waits, (now, ms));
        }
        if sample.outcome.is_answered() {
            keep(&mut core.answered, (now, millis(sample.upstream)));
            core.fell_back = 0;
            core.fallback = None;
        }
    }

    /// `other` answered a call that this one had failed or refused.
    pub fn record_fallback(&self, other: &str) {
        let mut core = lock(&self.core);
        core.fell_back += 1;
        if core.fallback.as_deref() != Some(other) {
            core.fallback = Some(other.to_owned());
        }
    }

    /// Its figures now.
    pub fn figures(&self, now: Instant) -> ProviderFigures {
        let core = &mut *lock(&self.core);
        let old = |(at, _): &(Instant, u32)| {
            now.saturating_duration_since(*at) >= Duration::from_secs(WINDOW_S)
        };
        for samples in [&mut core.answered, &mut core.waits] {
            while samples.front().is_some_and(old) {
                samples.pop_front();
            }
        }
        let (answered, waits) = (sorted(&core.answered), sorted(&core.waits));
        let known = |values: &[u32], q| {
            let enough = values.len() as u64 >= ENOUGH;
            enough.then(|| quantile(values, q)).flatten()
        };
        let mut figures = ProviderFigures {
            answered_n: answered.len() as u32,
            p50_ms: known(&answered, 0.5),
            p99_ms: known(&answered, 0.99),
            wait_p50_ms: known(&waits, 0.5),
            fell_back: core.fell_back,
            fallback: core.fallback.clone(),
            ..ProviderFigures::default()
        };
        let mut micro_usd = 0;
        for (_, slot) in core.slots.running(now) {
            figures.window.add(&slot.counts);
            figures.came += slot.came;
            figures.waited_pool += slot.waited_pool;
            figures.waited_limiter += slot.waited_limiter;
            micro_usd += slot.micro_usd;
        }
        figures.micro_usd_per_hour = micro_usd * 3_600 / WINDOW_S;
        let end = core.seconds.number(now);
        let first = core.seconds.whole(now).next().map_or(end, |(n, _)| *n);
        let mut cells = vec![RibbonCell::None; (end - first) as usize];
        for (number, second) in core.seconds.whole(now) {
            figures.minute.add(&second.counts);
            figures.tokens_per_minute += second.tokens;
            cells[(number - first) as usize] = RibbonCell::of(&second.counts);
        }
        figures.ribbon = Ribbon(cells.into_iter().map(RibbonCell::letter).collect());
        figures
    }
}

fn keep(samples: &mut VecDeque<(Instant, u32)>, sample: (Instant, u32)) {
    if samples.len() == MOST_SAMPLES {
        samples.pop_front();
    }
    samples.push_back(sample);
}

fn sorted(samples: &VecDeque<(Instant, u32)>) -> Vec<u32> {
    let mut values: Vec<u32> = samples.iter().map(|(_, ms)| *ms).collect();
    values.sort_unstable();
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(outcome: CallOutcome, upstream_ms: u64, pool_ms: u64) -> CallSample {
        CallSample {
            outcome,
            limiter: Duration::ZERO,
            pool: Duration::from_millis(pool_ms),
            backoff: Duration::ZERO,
            upstream: Duration::from_millis(upstream_ms),
            total: Duration::from_millis(upstream_ms + pool_ms),
            waited: Duration::from_millis(pool_ms),
            tokens: 100,
            micro_usd: 50,
        }
    }

    #[test]
    fn figures_are_those_of_the_moment_and_an_idle_provider_has_none() {
        let start = Instant::now();
        let at = |s: u64| start + Duration::from_secs(s);
        let meter = ProviderMeter::new(start);
        for n in 0..40 {
            meter.record(&sample(CallOutcome::Answered, n * 10 + 10, 0), at(10));
        }
        for _ in 0..30 {
            meter.record(&sample(CallOutcome::Answered, 500, 21_000), at(70));
        }
        meter.record(&sample(CallOutcome::RateLimited, 5, 0), at(71));
        meter.record(&sample(CallOutcome::Refused, 0, 0), at(72));
        meter.record(&sample(CallOutcome::Failed, 5, 0), at(74));
        let now = meter.figures(at(75));
        assert_eq!(now.ribbon.0, "+4._x");
        let cells: Vec<RibbonCell> = now.ribbon.cells().collect();
        assert_eq!(cells[4], RibbonCell::Failed);
        assert_eq!((now.minute.sum(), now.window.sum()), (33, 73));
        assert_eq!((now.answered_n, now.p50_ms), (70, Some(350)));
        assert_eq!(
            (now.waited_pool, now.came),
            (30, 72),
            "a refusal at once never came"
        );
        assert_eq!(now.wait_p50_ms, Some(0));
        assert_eq!(now.tokens_per_minute, 3_300);
        assert_eq!(now.micro_usd_per_hour, 73 * 50 * 12);
        // Five minutes later the first burst says nothing any more.
        let later = meter.figures(at(315));
        assert_eq!((later.answered_n, later.p50_ms), (30, Some(500)));
        assert_eq!(later.wait_p50_ms, Some(21_000));
        assert_eq!(meter.figures(at(1_000)), ProviderFigures::default());
    }

    #[test]
    fn fallbacks_count_since_the_last_own_answer() {
        let start = Instant::now();
        let meter = ProviderMeter::new(start);
        meter.record_fallback("anthropic");
        meter.record_fallback("anthropic");
        meter.record(&sample(CallOutcome::Failed, 1, 0), start);
        let down = meter.figures(start);
        assert_eq!(
            (down.fell_back, down.fallback.as_deref()),
            (2, Some("anthropic"))
        );
        meter.record(&sample(CallOutcome::Answered, 1, 0), start);
        assert_eq!(meter.figures(start).fell_back, 0);
    }

    #[test]
    fn percentiles_below_twenty_calls_are_unknown() {
        let start = Instant::now();
        let meter = ProviderMeter::new(start);
        for _ in 0..19 {
            meter.record(&sample(CallOutcome::Answered, 1, 0), start);
        }
        assert_eq!(meter.figures(start).p99_ms, None);
        meter.record(&sample(CallOutcome::Retried, 1, 0), start);
        assert_eq!(meter.figures(start).p99_ms, Some(1));
    }
}
