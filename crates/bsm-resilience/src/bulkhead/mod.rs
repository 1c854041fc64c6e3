//! Bulkheads: a bounded number of calls at once for each upstream, and a bounded queue before it.
//!
//! Why: without them one slow provider takes every task of the program. Within a lane the queue is
//! first come, first served; more urgent lanes go first, but a lane that waits is passed over three
//! times in a row, four at most, so none starves. A permit travels to its waiter inside a channel: if the
//! waiter is gone, the permit is dropped there and comes back, so cancellation cannot leak one.

mod core;
mod types;

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use self::core::{Core, Entry};
pub use self::types::{Lane, PoolSettings, PoolStats, Queued};
use super::Refusal;
use bsm_base::clock::{Clock, lock};

/// A named pool.
pub struct Bulkhead {
    name: Arc<str>,
    clock: Arc<dyn Clock>,
    core: Mutex<Core<oneshot::Sender<Permit>>>,
}

/// A place in a pool, given back when dropped. Keep it until the answer's last byte.
#[must_use = "dropped at once it keeps no place"]
pub struct Permit {
    pool: Option<Arc<Bulkhead>>,
    well: bool,
}

/// Waits in the queue; dropped it leaves it.
struct Waiting<'a> {
    pool: &'a Bulkhead,
    lane: Lane,
    ticket: u64,
    receiver: oneshot::Receiver<Permit>,
}

impl Future for Waiting<'_> {
    type Output = Option<Permit>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.receiver)
            .poll(context)
            .map(std::result::Result::ok)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        // A permit that is already in the channel comes back with the channel, after this.
        lock(&self.pool.core).leave(self.lane, self.ticket);
    }
}

impl Bulkhead {
    /// An empty pool.
    pub fn new(name: &str, settings: PoolSettings, clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self {
            name: Arc::from(name),
            clock,
            core: Mutex::new(Core::new(settings)),
        })
    }

    /// The pool's name.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// A place, if one is free.
    pub fn try_acquire(self: &Arc<Self>) -> Option<Permit> {
        let entered = lock(&self.core).try_enter();
        entered.then(|| self.permit())
    }

    /// A place, at once or after a wait of at most `max_wait` and the pool's own limit. Dropped while it
    /// waits, it leaves the queue.
    ///
    /// # Errors
    /// [`super::Reason::PoolFull`] when the queue is full, [`super::Reason::PoolWaitTimeout`] when the wait
    /// was too long; both say how long the last one in the queue had to wait.
    pub async fn acquire(
        self: &Arc<Self>,
        lane: Lane,
        max_wait: Duration,
    ) -> Result<Permit, Refusal> {
        if let Some(permit) = self.try_acquire() {
            return Ok(permit);
        }
        let Some((waiting, wait)) = self.enqueue(lane, max_wait, self.clock.now())? else {
            return Ok(self.permit());
        };
        match tokio::time::timeout(wait, waiting).await {
            Ok(Some(permit)) => Ok(permit),
            // The sender lives in the pool and the pool is here: only time can run out.
            Ok(None) | Err(_) => Err(lock(&self.core).timed_out()),
        }
    }

    /// Enters the queue; `None` when a place came free meanwhile, which then is the caller's.
    fn enqueue(
        &self,
        lane: Lane,
        max_wait: Duration,
        now: Instant,
    ) -> Result<Option<(Waiting<'_>, Duration)>, Refusal> {
        let mut receiver = None;
        let entry = lock(&self.core).enter(lane, now, max_wait, || {
            let (sender, theirs) = oneshot::channel();
            receiver = Some(theirs);
            sender
        })?;
        Ok(match (entry, receiver) {
            (Entry::Queue(ticket, wait), Some(receiver)) => {
                let waiting = Waiting {
                    pool: self,
                    lane,
                    ticket,
                    receiver,
                };
                Some((waiting, wait))
            }
            _ => None,
        })
    }

    fn permit(self: &Arc<Self>) -> Permit {
        Permit {
            pool: Some(Arc::clone(self)),
            well: false,
        }
    }

    /// The upstream answered 429: fewer places, one more again after as many
    /// successes as there are places.
    pub fn shrink(&self) {
        lock(&self.core).shrink();
    }

    /// Changes size by hand: as many as that, whatever the upstream has complained about. A smaller limit
    /// takes effect as permits come back.
    pub fn resize(self: &Arc<Self>, settings: PoolSettings) {
        lock(&self.core).resize(settings);
        self.serve();
    }

    /// Takes new settings; a pool that the upstream has pressed stays pressed.
    pub fn reconfigure(self: &Arc<Self>, settings: PoolSettings) {
        lock(&self.core).reconfigure(settings);
        self.serve();
    }

    /// The settings now.
    pub fn settings(&self) -> PoolSettings {
        lock(&self.core).settings()
    }

    /// When the oldest waiting caller began to wait; `None`: nobody waits.
    pub fn oldest_wait(&self) -> Option<Instant> {
        lock(&self.core).oldest()
    }

    /// Its section of the snapshot.
    pub fn stats(&self) -> PoolStats {
        lock(&self.core).stats(&self.name)
    }

    /// Hands free places to waiters. Sending happens outside the lock: a permit that finds nobody comes
    /// back from the channel and goes to the next.
    fn serve(self: &Arc<Self>) {
        let now = self.clock.now();
        loop {
            let next = lock(&self.core).next(now);
            let Some(wake) = next else { return };
            #[cfg(test)]
            bsm_base::interleave::point(); // the waiter may go away just here
            if let Err(mut unused) = wake.send(self.permit()) {
                unused.pool = None; // given back here, not by its drop: that would recurse
                let mut core = lock(&self.core);
                core.give_back(false);
                core.not_taken();
            }
        }
    }
}

impl Permit {
    /// The call succeeded: a pool that had shrunk may grow again.
    pub fn well(mut self) {
        self.well = true;
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(pool) = self.pool.take() {
            let somebody_waits = lock(&pool.core).give_back(self.well);
            if somebody_waits {
                pool.serve();
            }
        }
    }
}

impl std::fmt::Debug for Bulkhead {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bulkhead")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Permit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Permit")
            .field("held", &self.pool.is_some())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod tests;
