//! When to try again, how long to wait before it, and when to stop for everybody's sake.
//!
//! Why a budget: retries multiply the load exactly when an upstream has least of it to spare. All
//! calls to primary and fallback share one budget: a fifth of recent calls, and a small floor.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use bsm_base::clock::lock;

/// The retry loop's settings.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct RetrySettings {
    /// Attempts at one target, the first included.
    pub attempts: u32,
    /// Base of the exponential backoff, milliseconds.
    pub base_ms: u64,
    /// Longest wait between attempts, milliseconds; also caps what `Retry-After` may ask for.
    pub cap_ms: u64,
    /// Retries allowed as a share of calls (0 to 1).
    pub budget_ratio: f64,
    /// Retries a window always allowed.
    pub budget_floor: u32,
    /// Length of the budget's window, milliseconds.
    pub budget_window_ms: u64,
}

impl Default for RetrySettings {
    fn default() -> Self {
        Self {
            attempts: 3,
            base_ms: 250,
            cap_ms: 8_000,
            budget_ratio: 0.2,
            budget_floor: 10,
            budget_window_ms: 10_000,
        }
    }
}

impl RetrySettings {
    /// Full jitter: uniform in `0..=min(cap, base × 2^(attempt-1))`, where `random` is in `0..1`.
    /// `attempt` is the number of attempts already made.
    pub fn backoff(&self, attempt: u32, random: f64) -> Duration {
        let doubled = self
            .base_ms
            .saturating_mul(1u64 << attempt.saturating_sub(1).min(40));
        Duration::from_millis(doubled.min(self.cap_ms)).mul_f64(random.clamp(0.0, 1.0))
    }

    /// The wait before the next attempt: the upstream's own wish where it gave one, else the backoff.
    pub fn wait(&self, attempt: u32, retry_after: Option<Duration>, random: f64) -> Duration {
        retry_after.unwrap_or_else(|| self.backoff(attempt, random))
    }
}

/// The budget's section of the snapshot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BudgetStats {
    /// Length of the window, seconds.
    pub window_s: u64,
    /// Calls in the window.
    pub calls: u32,
    /// Retries in the window.
    pub retries: u32,
    /// Retries still allowed now.
    pub left: u32,
    /// Retries refused since start.
    pub refused: u64,
}

#[derive(Debug)]
struct Window {
    started: Instant,
    calls: [u32; 2],
    retries: [u32; 2],
    refused: u64,
}

/// One budget over all targets. The window is two halves, so it slides by half its length.
#[derive(Debug)]
pub struct RetryBudget {
    window: Mutex<Window>,
}

impl RetryBudget {
    /// An unused budget.
    pub fn new(now: Instant) -> Self {
        Self {
            window: Mutex::new(Window {
                started: now,
                calls: [0; 2],
                retries: [0; 2],
                refused: 0,
            }),
        }
    }

    /// A call begins: it earns its share of a retry.
    pub fn call(&self, settings: &RetrySettings, now: Instant) {
        let mut window = lock(&self.window);
        window.slide(settings, now);
        window.calls[1] = window.calls[1].saturating_add(1);
    }

    /// Takes one retry out of the budget, or refuses.
    pub fn retry(&self, settings: &RetrySettings, now: Instant) -> bool {
        let mut window = lock(&self.window);
        window.slide(settings, now);
        let allowed = window.left(settings) > 0;
        if allowed {
            window.retries[1] += 1;
        } else {
            window.refused += 1;
        }
        allowed
    }

    /// Its section of the snapshot.
    pub fn stats(&self, settings: &RetrySettings, now: Instant) -> BudgetStats {
        let mut window = lock(&self.window);
        window.slide(settings, now);
        BudgetStats {
            window_s: settings.budget_window_ms / 1_000,
            calls: window.calls.iter().sum(),
            retries: window.retries.iter().sum(),
            left: window.left(settings),
            refused: window.refused,
        }
    }
}

impl Window {
    fn slide(&mut self, settings: &RetrySettings, now: Instant) {
        let half = Duration::from_millis((settings.budget_window_ms / 2).max(1));
        let halves = now.saturating_duration_since(self.started).as_nanos() / half.as_nanos();
        if halves == 0 {
            return;
        }
        let keep = halves == 1;
        self.calls = [if keep { self.calls[1] } else { 0 }, 0];
        self.retries = [if keep { self.retries[1] } else { 0 }, 0];
        self.started = now;
    }

    fn left(&self, settings: &RetrySettings) -> u32 {
        let calls: u32 = self.calls.iter().sum();
        let retries: u32 = self.retries.iter().sum();
        let earned = (f64::from(calls) * settings.budget_ratio) as u32;
        earned.max(settings.budget_floor).saturating_sub(retries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_wait_never_exceeds_the_cap(attempt in 0u32..10_000, random in -1.0f64..2.0, base in 0u64..u64::MAX, cap in 0u64..100_000) {
            let settings = RetrySettings { base_ms: base, cap_ms: cap, ..RetrySettings::default() };
            prop_assert!(settings.backoff(attempt, random) <= Duration::from_millis(cap));
        }
    }

    #[test]
    fn an_outage_costs_at_most_a_fifth_more_plus_the_floor() {
        let (settings, now) = (RetrySettings::default(), Instant::now());
        let budget = RetryBudget::new(now);
        let mut attempts = 0;
        for _ in 0..1_000 {
            budget.call(&settings, now);
            attempts += 1 + (0..2).filter(|_| budget.retry(&settings, now)).count();
        }
        assert!(attempts <= 1_210, "{attempts}");
        assert!(budget.stats(&settings, now).refused > 0);
        let later = now + Duration::from_secs(60);
        assert_eq!(budget.stats(&settings, later).left, settings.budget_floor);
    }
}
