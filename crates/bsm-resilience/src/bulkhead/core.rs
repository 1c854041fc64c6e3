//! The pool's bookkeeping: places, lanes, the adapted limit. It never waits and never sends.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::super::{Reason, Refusal};
use crate::bulkhead::types::{Lane, PoolSettings, PoolStats, Queued};

const LANES: usize = 3;
/// A lane that has been passed over this often goes first; where two have, the more urgent of them, so
/// that the other waits for one more.
const PASSED_OVER_MOST: u32 = 3;
/// What is left of the limit after the upstream answered 429.
const SHRINK: f64 = 0.7;

/// What waits: its ticket, when it came, and how its place reaches it.
#[derive(Debug)]
struct Waiter<W> {
    ticket: u64,
    since: Instant,
    wake: W,
}

/// The answer to a caller.
#[derive(Debug)]
pub(super) enum Entry {
    /// Go on; the place is taken.
    Place,
    /// Wait under this ticket for at most so long.
    Queue(u64, Duration),
}

#[derive(Debug)]
pub(super) struct Core<W> {
    settings: PoolSettings,
    /// At most `settings.limit`; below it while the upstream is pressed.
    allowed: u32,
    /// Successes since the adapted limit last grew.
    eased: u32,
    in_use: u32,
    lanes: [VecDeque<Waiter<W>>; LANES],
    passed_over: [u32; LANES],
    next_ticket: u64,
    last_wait: Option<Duration>,
    admitted: u64,
    waited: u64,
    rejected: u64,
    timed_out: u64,
    shrunk: u64,
}

impl<W> Core<W> {
    pub(super) fn new(settings: PoolSettings) -> Self {
        Self {
            settings,
            allowed: settings.limit,
            eased: 0,
            in_use: 0,
            lanes: std::array::from_fn(|_| VecDeque::new()),
            passed_over: [0; LANES],
            next_ticket: 0,
            last_wait: None,
            admitted: 0,
            waited: 0,
            rejected: 0,
            timed_out: 0,
            shrunk: 0,
        }
    }

    fn queued(&self) -> usize {
        self.lanes.iter().map(VecDeque::len).sum()
    }

    fn is_free(&self) -> bool {
        self.in_use < self.allowed
    }

    /// Since when the oldest waiter has waited.
    pub(super) fn oldest(&self) -> Option<Instant> {
        let first = self.lanes.iter().filter_map(VecDeque::front);
        first.map(|w| w.since).min()
    }

    /// A place at once, if one is free and nobody waits for it.
    pub(super) fn try_enter(&mut self) -> bool {
        // A place that has just come back is owed to whoever waits, before it has been handed over too.
        let enters = self.is_free() && self.queued() == 0;
        if enters {
            self.in_use += 1;
            self.admitted += 1;
        }
        enters
    }

    /// A place, or a place in the queue; `wake` is made only if it must wait.
    pub(super) fn enter(
        &mut self,
        lane: Lane,
        now: Instant,
        max_wait: Duration,
        wake: impl FnOnce() -> W,
    ) -> Result<Entry, Refusal> {
        if self.try_enter() {
            return Ok(Entry::Place);
        }
        if self.queued() >= self.settings.queue as usize {
            self.rejected += 1;
            return Err(self.refusal(Reason::PoolFull));
        }
        self.next_ticket += 1;
        self.lanes[lane as usize].push_back(Waiter {
            ticket: self.next_ticket,
            since: now,
            wake: wake(),
        });
        let wait = max_wait.min(Duration::from_millis(self.settings.wait_ms));
        Ok(Entry::Queue(self.next_ticket, wait))
    }

    /// Worth asking again after as long as the last one had to wait.
    pub(super) fn refusal(&self, reason: Reason) -> Refusal {
        let wait = self
            .last_wait
            .unwrap_or(Duration::from_millis(self.settings.wait_ms));
        Refusal {
            reason,
            retry_in: Some(wait.max(Duration::from_millis(1))),
        }
    }

    /// A waiter went away, or its place has reached it: its entry is no more.
    pub(super) fn leave(&mut self, lane: Lane, ticket: u64) {
        let lane = lane as usize;
        self.lanes[lane].retain(|w| w.ticket != ticket);
        if self.lanes[lane].is_empty() {
            self.passed_over[lane] = 0;
        }
    }

    pub(super) fn timed_out(&mut self) -> Refusal {
        self.timed_out += 1;
        self.refusal(Reason::PoolWaitTimeout)
    }

    /// The next waiter to serve, its place already counted; `None` while full or nobody waits.
    pub(super) fn next(&mut self, now: Instant) -> Option<W> {
        if !self.is_free() {
            return None;
        }
        let waits = |lane: &usize| !self.lanes[*lane].is_empty();
        let lane = (0..LANES)
            .filter(waits)
            .find(|lane| self.passed_over[*lane] >= PASSED_OVER_MOST)
            .or_else(|| (0..LANES).find(waits))?;
        for other in lane + 1..LANES {
            if !self.lanes[other].is_empty() {
                self.passed_over[other] += 1;
            }
        }
        self.passed_over[lane] = 0;
        let waiter = self.lanes[lane].pop_front()?;
        self.in_use += 1;
        self.admitted += 1;
        self.waited += 1;
        self.last_wait = Some(now.saturating_duration_since(waiter.since));
        Some(waiter.wake)
    }

    /// A place came back; `well`: its call succeeded. True when somebody may be waiting for it.
    pub(super) fn give_back(&mut self, well: bool) -> bool {
        self.in_use -= 1;
        if well && self.allowed < self.settings.limit {
            self.eased += 1;
            if self.eased >= self.allowed {
                self.eased = 0;
                self.allowed += 1;
            }
        }
        self.queued() > 0
    }

    /// The place went to somebody who had already left: it was not used.
    pub(super) fn not_taken(&mut self) {
        self.admitted -= 1;
        self.waited -= 1;
    }

    /// The upstream answered 429: less, until calls succeed again.
    pub(super) fn shrink(&mut self) {
        let less = (f64::from(self.allowed) * SHRINK) as u32;
        if less.max(1) < self.allowed {
            self.allowed = less.max(1);
            self.shrunk += 1;
        }
        self.eased = 0;
    }

    /// By hand: what the upstream asked for is overruled.
    pub(super) fn resize(&mut self, settings: PoolSettings) {
        self.settings = settings;
        self.allowed = settings.limit;
    }

    pub(super) fn reconfigure(&mut self, settings: PoolSettings) {
        // What the upstream asked for holds until calls succeed, whatever the size.
        self.allowed = if self.allowed == self.settings.limit {
            settings.limit
        } else {
            self.allowed.min(settings.limit)
        };
        self.settings = settings;
    }

    pub(super) fn settings(&self) -> PoolSettings {
        self.settings
    }

    pub(super) fn stats(&self, name: &str) -> PoolStats {
        let lane = |lane: Lane| self.lanes[lane as usize].len() as u32;
        PoolStats {
            name: name.to_owned(),
            in_use: self.in_use,
            limit: self.settings.limit,
            allowed: self.allowed,
            debt: self.in_use.saturating_sub(self.allowed),
            queued: self.queued() as u32,
            lanes: Queued {
                interactive: lane(Lane::Interactive),
                run: lane(Lane::Run),
                refresh: lane(Lane::Refresh),
            },
            queue_limit: self.settings.queue,
            admitted: self.admitted,
            waited: self.waited,
            rejected: self.rejected,
            timed_out: self.timed_out,
            shrunk: self.shrunk,
        }
    }
}
