//! The limiter's ledger: two sliding windows, what is reserved, who waits. It never waits.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::super::{Reason, Refusal};
use crate::limiter::types::{RateSettings, RateStats};
use crate::limiter::window::{Slot, Window};

#[derive(Debug)]
pub(super) struct Core {
    began: Instant,
    requests: Window,
    tokens: Window,
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
            requests: Window::new(settings.requests_per_minute),
            tokens: Window::new(settings.tokens_per_minute),
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

    fn advance(&mut self, now: Instant) -> i64 {
        let now = self.micros(now);
        self.requests.advance(now);
        self.tokens.advance(now);
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
        self.advance(now);
        let want = i64::from(tokens);
        if !paused.is_zero() || !self.requests.has(1) || !self.tokens.has(want) {
            return Err(self.wait(tokens, now));
        }
        self.requests.reserve(1);
        self.tokens.reserve(want);
        self.admitted += 1;
        self.reserved += 1;
        self.reserved_tokens += u64::from(tokens);
        Ok(())
    }

    /// How long until `tokens` can be taken by whoever is first in line; never zero.
    pub(super) fn wait(&mut self, tokens: u32, now: Instant) -> Duration {
        let at = self.advance(now);
        let capacity = self.tokens.limit().map_or(i64::MAX, i64::from);
        self.paused(now)
            .max(self.requests.wait(1, at))
            .max(self.tokens.wait(i64::from(tokens).min(capacity), at))
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
        let at = self.advance(now);
        // One wish above the quota is granted from an empty window; a line waits for all before it.
        let capacity = self.tokens.limit().map_or(i64::MAX, i64::from);
        let ahead = i64::try_from(self.waiting_tokens).unwrap_or(i64::MAX / 2);
        let wait = self
            .paused(now)
            .max(self.requests.wait(i64::from(self.waiting()) + 1, at))
            .max(
                self.tokens
                    .wait(ahead + i64::from(tokens).min(capacity), at),
            );
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

    /// A reservation is sent: its minute begins. The slot that its tokens are counted in.
    pub(super) fn send(&mut self, tokens: u32, now: Instant) -> Slot {
        let now = self.advance(now);
        self.requests.send(1, now);
        self.tokens.send(i64::from(tokens), now)
    }

    /// A call that was sent is over and used `actual` tokens. What is less is given back where it was
    /// counted, what is more is counted now. True when somebody waits for what came back.
    pub(super) fn settle(&mut self, tokens: u32, actual: u32, slot: Slot, now: Instant) -> bool {
        self.reserved -= 1;
        self.reserved_tokens -= u64::from(tokens);
        let now = self.advance(now);
        match i64::from(tokens) - i64::from(actual) {
            0 => {}
            less @ 1.. => self.tokens.give_back(less, slot),
            more => drop(self.tokens.charge(-more, now)),
        }
        !self.line.is_empty()
    }

    /// A call was never sent.
    pub(super) fn refund(&mut self, tokens: u32) -> bool {
        self.admitted -= 1;
        self.reserved -= 1;
        self.reserved_tokens -= u64::from(tokens);
        self.requests.release(1);
        self.tokens.release(i64::from(tokens));
        !self.line.is_empty()
    }

    pub(super) fn pause(&mut self, until: Instant) -> bool {
        self.paused_until = Some(self.paused_until.map_or(until, |old| old.max(until)));
        !self.line.is_empty()
    }

    pub(super) fn reconfigure(&mut self, settings: RateSettings, now: Instant) {
        self.advance(now);
        self.requests.set_limit(settings.requests_per_minute);
        self.tokens.set_limit(settings.tokens_per_minute);
    }

    pub(super) fn stats(&mut self, name: &str, now: Instant) -> RateStats {
        let paused = self.paused(now);
        self.advance(now);
        RateStats {
            name: name.to_owned(),
            settings: RateSettings {
                requests_per_minute: self.requests.limit(),
                tokens_per_minute: self.tokens.limit(),
            },
            requests_left: self.requests.left().map(|l| l.max(0) as u32),
            tokens_left: self.tokens.left(),
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
