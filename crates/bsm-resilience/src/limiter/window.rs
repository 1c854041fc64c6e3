//! What was used in the last minute, and how long until there is room: a sliding window, exact to a tenth of
//! a second in the caller's disfavour.
//!
//! Why no bucket: a bucket that is full at the start and refills meanwhile lets nearly twice a minute's
//! quota through in the first minute. Here no 60 seconds, whenever they begin, hold more than the quota.
//! What is used is kept by tenths of a second, so the memory is bounded whatever the quota.

use std::collections::VecDeque;
use std::time::Duration;

const MINUTE: i64 = 60_000_000;
/// Microseconds of one slot.
const SLOT: i64 = 100_000;
/// What a quota of nothing answers.
const NEVER: Duration = Duration::from_secs(86_400);

/// A slot that something was used in; it is counted until a minute after its end.
pub(super) type Slot = i64;

#[derive(Debug)]
pub(super) struct Window {
    limit: Option<u32>,
    /// What was used, by slot, the oldest first.
    slots: VecDeque<(Slot, i64)>,
    sum: i64,
    /// Reserved and not sent yet: it counts however long it waits.
    unsent: i64,
}

impl Window {
    pub(super) fn new(limit: Option<u32>) -> Self {
        Self {
            limit,
            slots: VecDeque::new(),
            sum: 0,
            unsent: 0,
        }
    }

    pub(super) fn limit(&self) -> Option<u32> {
        self.limit
    }

    pub(super) fn set_limit(&mut self, limit: Option<u32>) {
        self.limit = limit;
    }

    /// Forgets what was used longer than a minute ago.
    pub(super) fn advance(&mut self, now: i64) {
        while let Some((slot, amount)) = self.slots.front().copied() {
            if (slot + 1) * SLOT + MINUTE > now {
                break;
            }
            self.sum -= amount;
            self.slots.pop_front();
        }
    }

    fn total(&self) -> i64 {
        self.sum + self.unsent
    }

    /// True when `want` can be had now; what is more than the quota is granted when nothing else counts.
    pub(super) fn has(&self, want: i64) -> bool {
        self.limit.is_none_or(|limit| {
            limit > 0 && self.total() + want.min(i64::from(limit)) <= i64::from(limit)
        })
    }

    /// How long until `want` can be had; what is more than the quota takes several minutes.
    pub(super) fn wait(&self, want: i64, now: i64) -> Duration {
        let Some(limit) = self.limit.map(i64::from) else {
            return Duration::ZERO;
        };
        if limit == 0 {
            return NEVER;
        }
        let want = want.max(1);
        let minutes = (want - 1) / limit;
        let must_leave = self.total() + (want - minutes * limit) - limit;
        let mut wait = 0;
        if must_leave > 0 {
            let mut left = 0;
            let leaves = self.slots.iter().find(|(_, amount)| {
                left += amount;
                left >= must_leave
            });
            // What is reserved and not sent leaves a minute after it is sent, at the earliest.
            wait = leaves.map_or(MINUTE + SLOT, |(slot, _)| (slot + 1) * SLOT + MINUTE - now);
        }
        let micros = wait.max(0).saturating_add(minutes.saturating_mul(MINUTE));
        Duration::from_micros(micros.unsigned_abs()).min(NEVER)
    }

    pub(super) fn reserve(&mut self, units: i64) {
        self.unsent += units;
    }

    /// A reservation that is not sent goes back.
    pub(super) fn release(&mut self, units: i64) {
        self.unsent -= units;
    }

    /// A reservation is sent now: from now on a minute counts.
    pub(super) fn send(&mut self, units: i64, now: i64) -> Slot {
        self.unsent -= units;
        self.charge(units, now)
    }

    /// Something was used now.
    pub(super) fn charge(&mut self, units: i64, now: i64) -> Slot {
        let slot = now.div_euclid(SLOT);
        self.sum += units;
        match self.slots.back_mut() {
            Some((last, amount)) if *last >= slot => *amount += units,
            _ => self.slots.push_back((slot, units)),
        }
        slot
    }

    /// Less was used than was counted in that slot.
    pub(super) fn give_back(&mut self, units: i64, slot: Slot) {
        let found = self.slots.iter_mut().rev().find(|(s, _)| *s <= slot);
        if let Some((_, amount)) = found {
            let back = units.min(*amount);
            *amount -= back;
            self.sum -= back;
        }
    }

    /// What could be had now; below zero after more was used than was reserved.
    pub(super) fn left(&self) -> Option<i64> {
        self.limit.map(|limit| i64::from(limit) - self.total())
    }
}
