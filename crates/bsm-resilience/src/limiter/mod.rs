//! Rate limits towards an upstream: requests and tokens a minute.
//!
//! Why ours: a language model's quota counts tokens that are known only afterwards, so a call
//! reserves an estimate before it is sent and settles the difference when the answer is there; a quota
//! holds in every minute, the first included; and a
//! 429 says until when to be quiet. The known limiters can neither refund nor change their quota.

mod core;
mod types;
mod window;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use self::core::Core;
pub use self::types::{RateSettings, RateStats};
use super::Refusal;
use super::deadline::Deadline;
use bsm_base::clock::{Clock, lock};

/// A limiter, shared by all callers of one upstream.
pub struct Limiter {
    name: Arc<str>,
    clock: Arc<dyn Clock>,
    core: Mutex<Core>,
    /// Tokio's mutex is first come, first served: it makes the waiting fair.
    turn: tokio::sync::Mutex<()>,
    /// Something came back or the quota changed: whoever sleeps looks again.
    changed: Notify,
}

/// Tokens set aside for one call. Settle it with what was used. Dropped unsettled its tokens come back,
/// and its request too unless it had been [`Reservation::sent`].
#[must_use = "dropped at once it is refunded"]
pub struct Reservation<'a> {
    limiter: &'a Limiter,
    tokens: u32,
    /// Where its tokens are counted, once it is sent.
    sent: Option<window::Slot>,
    settled: bool,
}

/// Leaves the line when the waiting future ends or is dropped.
struct InLine<'a> {
    limiter: &'a Limiter,
    ticket: u64,
    tokens: u32,
}

impl Drop for InLine<'_> {
    fn drop(&mut self) {
        lock(&self.limiter.core).leave(self.ticket, self.tokens);
    }
}

impl Limiter {
    /// A limiter of which nothing is used yet.
    pub fn new(name: &str, settings: RateSettings, clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self {
            name: Arc::from(name),
            core: Mutex::new(Core::new(settings, clock.now())),
            clock,
            turn: tokio::sync::Mutex::new(()),
            changed: Notify::new(),
        })
    }

    /// The upstream's name.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Reserves one request and `tokens` at `now`, if they are there and nobody waits for them.
    pub fn try_reserve(&self, tokens: u32, now: Instant) -> Option<Reservation<'_>> {
        let taken = lock(&self.core).take_first(tokens, now);
        taken.then(|| self.reservation(tokens))
    }

    /// Reserves one request and `tokens`, waiting in turn while the deadline allows it.
    ///
    /// # Errors
    /// [`super::Reason::RateLimited`] with the time to wait when that is longer than what is left; at once,
    /// not after a wait in vain.
    pub async fn reserve(
        &self,
        tokens: u32,
        deadline: Deadline,
        now: Instant,
    ) -> Result<Reservation<'_>, Refusal> {
        if let Some(reservation) = self.try_reserve(tokens, now) {
            return Ok(reservation);
        }
        let ticket = lock(&self.core).line_up(tokens, deadline.remaining(now), now)?;
        let _in_line = InLine {
            limiter: self,
            ticket,
            tokens,
        };
        let Ok(_turn) = tokio::time::timeout(deadline.remaining(now), self.turn.lock()).await
        else {
            return Err(self.refuse(tokens));
        };
        loop {
            let changed = self.changed.notified();
            let now = self.clock.now();
            let wait = {
                let mut core = lock(&self.core);
                match core.take(tokens, now) {
                    Ok(()) => {
                        core.delayed();
                        return Ok(self.reservation(tokens));
                    }
                    Err(wait) if wait > deadline.remaining(now) => {
                        return Err(core.refuse(wait));
                    }
                    Err(wait) => wait,
                }
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = changed => {}
            }
        }
    }

    fn refuse(&self, tokens: u32) -> Refusal {
        let now = self.clock.now();
        let mut core = lock(&self.core);
        let wait = core.wait(tokens, now);
        core.refuse(wait)
    }

    fn reservation(&self, tokens: u32) -> Reservation<'_> {
        Reservation {
            limiter: self,
            tokens,
            sent: None,
            settled: false,
        }
    }

    /// The upstream said 429: quiet for `wait`.
    pub fn pause(&self, wait: Duration) {
        let until = Deadline::after(self.clock.now(), wait).at();
        let somebody = lock(&self.core).pause(until);
        self.look_again(somebody);
    }

    /// True while the upstream wants quiet.
    pub fn is_paused(&self, now: Instant) -> bool {
        lock(&self.core).is_paused(now)
    }

    /// Waits until the upstream wants quiet no more. Reserves nothing.
    ///
    /// # Errors
    /// [`super::Reason::RateLimited`] at once when that is longer than what is left.
    pub async fn quiet(&self, deadline: Deadline) -> Result<(), Refusal> {
        loop {
            let now = self.clock.now();
            let wait = {
                let mut core = lock(&self.core);
                match core.pause_left(now) {
                    wait if wait.is_zero() => return Ok(()),
                    wait if wait > deadline.remaining(now) => return Err(core.refuse(wait)),
                    wait => wait,
                }
            };
            tokio::time::sleep(wait).await;
        }
    }

    /// What one took the longest wait for may be there now, or may never come in time.
    fn look_again(&self, somebody_waits: bool) {
        if somebody_waits {
            self.changed.notify_waiters();
        }
    }

    /// Changes the quotas while running; what was used stays used, and whoever waits looks again.
    pub fn reconfigure(&self, settings: RateSettings) {
        lock(&self.core).reconfigure(settings, self.clock.now());
        self.changed.notify_waiters();
    }

    /// When the oldest waiting caller began to wait; `None`: nobody waits.
    pub fn oldest_wait(&self) -> Option<Instant> {
        lock(&self.core).oldest()
    }

    /// Its section of the snapshot.
    pub fn stats(&self) -> RateStats {
        lock(&self.core).stats(&self.name, self.clock.now())
    }
}

impl Reservation<'_> {
    /// The call is over at `now` and used `actual` tokens: the difference is given back or taken.
    pub fn settle(mut self, actual: u32, now: Instant) {
        self.settled = true;
        let somebody = {
            let mut core = lock(&self.limiter.core);
            let slot = match self.sent {
                Some(slot) => slot,
                None => core.send(self.tokens, now),
            };
            core.settle(self.tokens, actual, slot, now)
        };
        self.limiter.look_again(somebody);
    }

    /// The request goes out: whatever becomes of it, it counts, from now on for a minute.
    pub fn sent(&mut self) {
        if self.sent.is_none() {
            let now = self.limiter.clock.now();
            self.sent = Some(lock(&self.limiter.core).send(self.tokens, now));
        }
    }

    /// It was answered without saying what that used: all that was set aside.
    pub fn settle_all(self, now: Instant) {
        let tokens = self.tokens;
        self.settle(tokens, now);
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        if !self.settled {
            let now = self.limiter.clock.now();
            let somebody = {
                let mut core = lock(&self.limiter.core);
                match self.sent {
                    Some(slot) => core.settle(self.tokens, 0, slot, now),
                    None => core.refund(self.tokens),
                }
            };
            self.limiter.look_again(somebody);
        }
    }
}

#[cfg(test)]
mod tests;
