//! The limiter's ledger: two buckets of whole units, what is reserved, who waits. It never waits.
//!
//! Why whole numbers: a level is kept in tokens times microseconds of a minute, so that nothing is
//! rounded away and what was issued is always what was settled, outstanding and refunded.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::super::{Reason, Refusal};
use crate::limiter::types::{RateSettings, RateStats};

const MINUTE: i64 = 60_000_000;
/// What a quota of nothing answers.
const NEVER: Duration = Duration::from_secs(86_400);

#[derive(Debug, Clone, Copy)]
struct Bucket {
    rate: Option<u32>,
    level: i64,
    /// Microseconds since the ledger began, up to which it is filled.
    at: i64,
}

impl Bucket {
    fn full(rate: Option<u32>, now: i64) -> Self {
        Self {
            rate,
            level: i64::from(rate.unwrap_or(0)) * MINUTE,
            at: now,
        }
    }

    fn refill(&mut self, now: i64) {
        let Some(rate) = self.rate else { return };
        let rate = i64::from(rate);
        if now > self.at {
            // A bucket is full after a minute, so what saturates here is cut anyway.
            let came = (now - self.at).saturating_mul(rate);
            self.level = self.level.saturating_add(came);
            self.at = now;
        }
        self.level = self.level.min(rate * MINUTE);
    }

    /// True when `want` can be taken; a wish above the capacity is granted from a full bucket.
    fn has(&self, want: i64) -> bool {
        self.rate
            .is_none_or(|rate| rate > 0 && self.level >= want.min(i64::from(rate)) * MINUTE)
    }

    /// How long until `want` is there.
    fn wait(&self, want: i64) -> Duration {
        let Some(rate) = self.rate else {
            return Duration::ZERO;
        };
        if rate == 0 {
            return NEVER;
        }
        let missing = want.saturating_mul(MINUTE).saturating_sub(self.level);
        let micros = (missing.max(0) as u64).div_ceil(u64::from(rate));
        Duration::from_micros(micros).min(NEVER)
    }

    /// Takes what [`Bucket::has`] has just granted.
    fn spend(&mut self, units: i64) {
        if let Some(rate) = self.rate {
            self.level = (self.level - units * MINUTE).max(-i64::from(rate) * MINUTE);
        }
    }

    /// Gives back or takes, from the level of now; more than a minute's debt is nobody's.
    fn add(&mut self, units: i64, now: i64) {
        self.refill(now);
        if let Some(rate) = self.rate {
            let least = -i64::from(rate) * MINUTE;
            self.level = self.level.saturating_add(units * MINUTE).max(least);
        }
    }

    /// A new quota; what was used of the old one stays used, but blocks for two minutes at most.
    fn change(&mut self, rate: Option<u32>, now: i64) {
        if self.rate == rate {
            return;
        }
        self.refill(now);
        let used = self
            .rate
            .map_or(0, |old| i64::from(old) * MINUTE - self.level);
        *self = Self::full(rate, now);
        if let Some(rate) = rate {
            self.level = (self.level - used).max(-i64::from(rate) * MINUTE);
        }
    }

    fn left(&mut self, now: i64) -> Option<i64> {
        self.refill(now);
        self.rate.map(|_| self.level.div_euclid(MINUTE))
    }
}

#[derive(Debug)]
pub(super) struct Core {
    began: Instant,
    requests: Bucket,
    tokens: Bucket,
    paused_until: Option<Instant>,
    /// Who waits: since when, by ticket.
    line: BTreeMap<u64, Instant>,
    next_ticket: u64,
    waiting_tokens: u64,
    reserved: u32,
    reserved_tokens: u64,
    admitted: u64,
    delayed: u64,
    rejected: u64,
}

impl Core {
    pub(super) fn new(settings: RateSettings, now: Instant) -> Self {
        Self {
            began: now,
            requests: Bucket::full(settings.requests_per_minute, 0),
            tokens: Bucket::full(settings.tokens_per_minute, 0),
            paused_until: None,
            line: BTreeMap::new(),
            next_ticket: 0,
            waiting_tokens: 0,
            reserved: 0,
            reserved_tokens: 0,
            admitted: 0,
            delayed: 0,
            rejected: 0,
        }
    }

    /// Whole microseconds since the ledger began; what is less counts the next time.
    fn micros(&self, now: Instant) -> i64 {
        let since = now.saturating_duration_since(self.began);
        let seconds = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
        seconds
            .saturating_mul(1_000_000)
            .saturating_add(i64::from(since.subsec_micros()))
    }

    fn fill(&mut self, now: Instant) -> i64 {
        let now = self.micros(now);
        self.requests.refill(now);
        self.tokens.refill(now);
        now
    }

    fn paused(&mut self, now: Instant) -> Duration {
        if self.paused_until.is_none() {
            return Duration::ZERO;
        }
        let left = self
            .paused_until
            .map_or(Duration::ZERO, |until| until.saturating_duration_since(now));
        if left.is_zero() {
            self.paused_until = None;
        }
        left
    }

    pub(super) fn is_paused(&mut self, now: Instant) -> bool {
        !self.paused(now).is_zero()
    }

    pub(super) fn pause_left(&mut self, now: Instant) -> Duration {
        self.paused(now)
    }

    /// Takes one request and `tokens`, or says how long that is not possible.
    pub(super) fn take(&mut self, tokens: u32, now: Instant) -> Result<(), Duration> {
        let paused = self.paused(now);
        self.fill(now);
        let want = i64::from(tokens);
        if !paused.is_zero() || !self.requests.has(1) || !self.tokens.has(want) {
            return Err(self.wait(tokens, now));
        }
        self.requests.spend(1);
        self.tokens.spend(want);
        self.admitted += 1;
        self.reserved += 1;
        self.reserved_tokens += u64::from(tokens);
        Ok(())
    }

    /// How long until `tokens` can be taken by whoever is first in line; never zero.
    pub(super) fn wait(&mut self, tokens: u32, now: Instant) -> Duration {
        self.fill(now);
        let capacity = self.tokens.rate.map_or(i64::MAX, i64::from);
        self.paused(now)
            .max(self.requests.wait(1))
            .max(self.tokens.wait(i64::from(tokens).min(capacity)))
            .max(Duration::from_nanos(1))
    }

    /// As [`Core::take`], for somebody who has not waited: those who wait go first.
    pub(super) fn take_first(&mut self, tokens: u32, now: Instant) -> bool {
        self.line.is_empty() && self.take(tokens, now).is_ok()
    }

    /// A place in the line, with its ticket, unless what is before it and its own wish cannot be had within `left`.
    pub(super) fn line_up(
        &mut self,
        tokens: u32,
        left: Duration,
        now: Instant,
    ) -> Result<u64, Refusal> {
        self.fill(now);
        // One wish above the capacity is granted from a full bucket; a line waits for all before it.
        let capacity = self.tokens.rate.map_or(i64::MAX, i64::from);
        let ahead = i64::try_from(self.waiting_tokens).unwrap_or(i64::MAX / 2);
        let wait = self
            .paused(now)
            .max(self.requests.wait(i64::from(self.waiting()) + 1))
            .max(self.tokens.wait(ahead + i64::from(tokens).min(capacity)));
        if wait > left {
            return Err(self.refuse(wait));
        }
        self.next_ticket += 1;
        self.line.insert(self.next_ticket, now);
        self.waiting_tokens += u64::from(tokens);
        Ok(self.next_ticket)
    }

    fn waiting(&self) -> u32 {
        self.line.len() as u32
    }

    /// Since when the oldest waiter has waited. Tickets grow with time.
    pub(super) fn oldest(&self) -> Option<Instant> {
        self.line.values().next().copied()
    }

    pub(super) fn leave(&mut self, ticket: u64, tokens: u32) {
        self.line.remove(&ticket);
        self.waiting_tokens -= u64::from(tokens);
    }

    pub(super) fn refuse(&mut self, wait: Duration) -> Refusal {
        self.rejected += 1;
        Refusal {
            reason: Reason::RateLimited,
            retry_in: Some(wait),
        }
    }

    pub(super) fn delayed(&mut self) {
        self.delayed += 1;
    }

    /// A call is over and used `actual` tokens. True when somebody waits for what came back.
    pub(super) fn settle(&mut self, tokens: u32, actual: u32, now: Instant) -> bool {
        self.reserved -= 1;
        self.reserved_tokens -= u64::from(tokens);
        let difference = i64::from(tokens) - i64::from(actual);
        let now = self.micros(now);
        self.tokens.add(difference, now);
        !self.line.is_empty()
    }

    /// A call was never made.
    pub(super) fn refund(&mut self, tokens: u32, now: Instant) -> bool {
        self.admitted -= 1;
        let at = self.micros(now);
        self.requests.add(1, at);
        self.settle(tokens, 0, now)
    }

    pub(super) fn pause(&mut self, until: Instant) -> bool {
        self.paused_until = Some(self.paused_until.map_or(until, |old| old.max(until)));
        !self.line.is_empty()
    }

    pub(super) fn reconfigure(&mut self, settings: RateSettings, now: Instant) {
        let now = self.micros(now);
        self.requests.change(settings.requests_per_minute, now);
        self.tokens.change(settings.tokens_per_minute, now);
    }

    pub(super) fn stats(&mut self, name: &str, now: Instant) -> RateStats {
        let paused = self.paused(now);
        let now = self.micros(now);
        RateStats {
            name: name.to_owned(),
            settings: RateSettings {
                requests_per_minute: self.requests.rate,
                tokens_per_minute: self.tokens.rate,
            },
            requests_left: self.requests.left(now).map(|l| l.max(0) as u32),
            tokens_left: self.tokens.left(now),
            paused_s: (!paused.is_zero()).then(|| paused.as_millis().div_ceil(1_000) as u64),
            reserved: self.reserved,
            reserved_tokens: self.reserved_tokens,
            waiting: self.waiting(),
            admitted: self.admitted,
            delayed: self.delayed,
            rejected: self.rejected,
        }
    }
}
