//! Rate limits towards an upstream: requests and tokens a minute.
//!
//! Why ours: a language model's quota counts tokens that are known only afterwards, so a call
//! reserves an estimate before it is sent and settles the difference when the answer is there; and a
//! 429 says until when to be quiet. The known limiters can neither refund nor change their quota.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::clock::{Clock, lock};
use super::deadline::Deadline;
use super::{Reason, Rejection};

/// Quotas of one upstream; absent means unlimited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct RateSettings {
    /// Requests a minute.
    pub requests_per_minute: Option<u32>,
    /// Tokens a minute, prompt and answer together.
    pub tokens_per_minute: Option<u32>,
}

/// A limiter's section of the snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RateStats {
    /// The upstream's name.
    pub name: String,
    /// Its quotas.
    #[serde(flatten)]
    pub settings: RateSettings,
    /// Requests available now.
    pub requests_left: Option<u32>,
    /// Tokens available now.
    pub tokens_left: Option<i64>,
    /// Seconds until the upstream's own limit is over, after a 429.
    pub paused_s: Option<u64>,
    /// Calls that had to wait, since start.
    pub delayed: u64,
    /// Calls refused, since start.
    pub rejected: u64,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    level: f64,
    at: Instant,
}

impl Bucket {
    fn refill(&mut self, per_minute: u32, now: Instant) {
        let capacity = f64::from(per_minute);
        let elapsed = now.saturating_duration_since(self.at).as_secs_f64();
        self.level = (self.level + elapsed * capacity / 60.0).min(capacity);
        self.at = self.at.max(now);
    }

    /// How long until `want` is there; a wish above the capacity waits for a full bucket.
    fn wait(&self, want: f64, per_minute: u32) -> Duration {
        let capacity = f64::from(per_minute).max(1.0);
        let missing = want.min(capacity) - self.level;
        Duration::from_secs_f64((missing * 60.0 / capacity).max(0.0))
    }
}

#[derive(Debug)]
struct Core {
    settings: RateSettings,
    requests: Bucket,
    tokens: Bucket,
    paused_until: Option<Instant>,
    delayed: u64,
    rejected: u64,
}

impl Core {
    fn try_take(&mut self, tokens: u32, now: Instant) -> Result<(), Duration> {
        if let Some(until) = self.paused_until {
            if now < until {
                return Err(until - now);
            }
            self.paused_until = None;
        }
        let mut wait = Duration::ZERO;
        if let Some(rate) = self.settings.requests_per_minute {
            self.requests.refill(rate, now);
            wait = wait.max(self.requests.wait(1.0, rate));
        }
        if let Some(rate) = self.settings.tokens_per_minute {
            self.tokens.refill(rate, now);
            wait = wait.max(self.tokens.wait(f64::from(tokens), rate));
        }
        if wait > Duration::ZERO {
            return Err(wait.max(Duration::from_millis(1)));
        }
        self.requests.level -= 1.0;
        self.tokens.level -= f64::from(tokens);
        Ok(())
    }
}

/// A limiter, shared by all callers of one upstream.
pub struct Limiter {
    name: String,
    clock: Arc<dyn Clock>,
    core: Mutex<Core>,
    /// Tokio's mutex is first come, first served: it makes the waiting fair.
    turn: tokio::sync::Mutex<()>,
}

/// Tokens set aside for one call. Settle it with what was used; dropped unsettled it is refunded.
pub struct Reservation {
    limiter: Arc<Limiter>,
    tokens: u32,
    settled: bool,
}

impl Limiter {
    /// A limiter whose buckets are full.
    pub fn new(
        name: impl Into<String>,
        settings: RateSettings,
        clock: Arc<dyn Clock>,
    ) -> Arc<Self> {
        let at = clock.now();
        let full = |rate: Option<u32>| Bucket {
            level: rate.map_or(0.0, f64::from),
            at,
        };
        Arc::new(Self {
            name: name.into(),
            core: Mutex::new(Core {
                settings,
                requests: full(settings.requests_per_minute),
                tokens: full(settings.tokens_per_minute),
                paused_until: None,
                delayed: 0,
                rejected: 0,
            }),
            clock,
            turn: tokio::sync::Mutex::new(()),
        })
    }

    /// Reserves one request and `tokens`, waiting in turn while the deadline allows it.
    ///
    /// # Errors
    /// [`Reason::RateLimited`] with the time to wait when that is longer than what is left.
    pub async fn reserve(
        self: &Arc<Self>,
        tokens: u32,
        deadline: Deadline,
    ) -> Result<Reservation, Rejection> {
        let mut waited = false;
        let left = deadline.remaining(self.clock.now());
        let Ok(_turn) = tokio::time::timeout(left, self.turn.lock()).await else {
            lock(&self.core).rejected += 1;
            return Err(Rejection::new(&self.name, Reason::RateLimited, None));
        };
        loop {
            let now = self.clock.now();
            let wait = {
                let mut core = lock(&self.core);
                match core.try_take(tokens, now) {
                    Ok(()) => {
                        core.delayed += u64::from(waited);
                        return Ok(Reservation {
                            limiter: Arc::clone(self),
                            tokens,
                            settled: false,
                        });
                    }
                    Err(wait) if wait > deadline.remaining(now) => {
                        core.rejected += 1;
                        return Err(Rejection::new(&self.name, Reason::RateLimited, Some(wait)));
                    }
                    Err(wait) => wait,
                }
            };
            waited = true;
            tokio::time::sleep(wait).await;
        }
    }

    /// The upstream said 429: quiet for `wait`.
    pub fn pause(&self, wait: Duration) {
        let until = self.clock.now() + wait;
        let mut core = lock(&self.core);
        core.paused_until = Some(core.paused_until.map_or(until, |old| old.max(until)));
    }

    /// Changes the quotas while running.
    pub fn reconfigure(&self, settings: RateSettings) {
        let now = self.clock.now();
        let mut core = lock(&self.core);
        let full = |rate: Option<u32>| Bucket {
            level: rate.map_or(0.0, f64::from),
            at: now,
        };
        if core.settings.requests_per_minute != settings.requests_per_minute {
            core.requests = full(settings.requests_per_minute);
        }
        if core.settings.tokens_per_minute != settings.tokens_per_minute {
            core.tokens = full(settings.tokens_per_minute);
        }
        core.settings = settings;
    }

    /// Its section of the snapshot.
    pub fn stats(&self) -> RateStats {
        let now = self.clock.now();
        let mut core = lock(&self.core);
        let settings = core.settings;
        let requests_left = settings.requests_per_minute.map(|rate| {
            core.requests.refill(rate, now);
            core.requests.level.max(0.0) as u32
        });
        let tokens_left = settings.tokens_per_minute.map(|rate| {
            core.tokens.refill(rate, now);
            core.tokens.level as i64
        });
        let paused = core
            .paused_until
            .map(|until| until.saturating_duration_since(now))
            .filter(|d| !d.is_zero());
        RateStats {
            name: self.name.clone(),
            settings,
            requests_left,
            tokens_left,
            paused_s: paused.map(|d| d.as_millis().div_ceil(1_000) as u64),
            delayed: core.delayed,
            rejected: core.rejected,
        }
    }
}

impl Reservation {
    /// The call used `actual` tokens: the difference is given back or taken.
    pub fn settle(mut self, actual: u32) {
        self.settled = true;
        lock(&self.limiter.core).tokens.level += f64::from(self.tokens) - f64::from(actual);
    }

    /// The request was sent but used no known number of tokens: the request stays counted.
    pub fn settle_unused(self) {
        self.settle(0);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if !self.settled {
            let mut core = lock(&self.limiter.core);
            core.tokens.level += f64::from(self.tokens);
            core.requests.level += 1.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::clock::SystemClock;
    use super::*;

    fn limiter(requests: Option<u32>, tokens: Option<u32>) -> Arc<Limiter> {
        let settings = RateSettings {
            requests_per_minute: requests,
            tokens_per_minute: tokens,
        };
        Limiter::new("openai", settings, Arc::new(SystemClock))
    }

    fn within(seconds: u64) -> Deadline {
        Deadline::after(SystemClock.now(), Duration::from_secs(seconds))
    }

    #[tokio::test(start_paused = true)]
    async fn waits_for_its_turn_and_says_how_long_when_it_may_not() {
        let l = limiter(Some(2), None);
        for _ in 0..2 {
            l.reserve(0, within(1)).await.unwrap().settle(0);
        }
        let refused = l.reserve(0, within(1)).await.err().unwrap();
        assert_eq!(refused.reason, Reason::RateLimited);
        assert!(
            (29_000..=30_001).contains(&refused.retry_in_ms.unwrap()),
            "{refused:?}"
        );
        let start = SystemClock.now();
        l.reserve(0, within(60)).await.unwrap().settle(0);
        assert!((29..=31).contains(&(SystemClock.now() - start).as_secs()));
    }

    #[tokio::test(start_paused = true)]
    async fn tokens_are_settled_and_refunded() {
        let l = limiter(None, Some(1_000));
        l.reserve(900, within(1)).await.unwrap().settle(100);
        assert_eq!(l.stats().tokens_left, Some(900));
        drop(l.reserve(900, within(1)).await.unwrap());
        assert_eq!(l.stats().tokens_left, Some(900));
        l.reserve(100, within(1)).await.unwrap().settle(950);
        assert_eq!(l.stats().tokens_left, Some(-50));
    }

    #[tokio::test(start_paused = true)]
    async fn a_429_pauses_everyone_until_its_header() {
        let l = limiter(None, None);
        l.pause(Duration::from_secs(7));
        assert_eq!(
            l.reserve(1, within(3)).await.err().unwrap().retry_in_ms,
            Some(7_000)
        );
        let start = SystemClock.now();
        l.reserve(1, within(10)).await.unwrap().settle(1);
        assert_eq!((SystemClock.now() - start).as_secs(), 7);
    }
}
