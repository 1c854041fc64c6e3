//! Bulkheads: a bounded number of calls at once for each upstream, and a bounded queue before it.
//!
//! Why: without them one slow provider takes every task of the program. Within a lane the queue is
//! first come, first served; more urgent lanes go first, but every fourth place goes to the least
//! urgent lane that waits, so none starves. A permit travels to its waiter inside a channel: if the
//! waiter is gone, the permit is dropped there and comes back, so cancellation cannot leak one.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::clock::lock;
use super::{Reason, Rejection};

/// Size of a pool and of its queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct PoolSettings {
    /// Calls at once.
    pub limit: u32,
    /// Callers that may wait.
    pub queue: u32,
    /// Longest wait in milliseconds.
    pub wait_ms: u64,
}

impl Default for PoolSettings {
    fn default() -> Self {
        Self {
            limit: 10,
            queue: 1_000,
            wait_ms: 30_000,
        }
    }
}

/// How urgent a call is; the order is the order of service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// A person waits for it.
    Interactive,
    /// A run waits for it.
    Run,
    /// A cached value is refreshed in the background.
    Refresh,
}

const LANES: usize = 3;
const FAIR_EVERY: u64 = 4;

/// A pool's section of the snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PoolStats {
    /// The pool's name.
    pub name: String,
    /// Calls running.
    pub in_use: u32,
    /// Calls allowed at once.
    pub limit: u32,
    /// Callers waiting.
    pub queued: u32,
    /// Callers that may wait.
    pub queue_limit: u32,
    /// Places given since start.
    pub admitted: u64,
    /// Refused since start: pool and queue full.
    pub rejected: u64,
    /// Gave up waiting since start.
    pub timed_out: u64,
}

#[derive(Debug)]
struct Waiter {
    id: u64,
    sender: oneshot::Sender<Permit>,
}

#[derive(Debug)]
struct Core {
    settings: PoolSettings,
    in_use: u32,
    lanes: [VecDeque<Waiter>; LANES],
    next_id: u64,
    grants: u64,
    admitted: u64,
    rejected: u64,
    timed_out: u64,
}

impl Core {
    fn queued(&self) -> usize {
        self.lanes.iter().map(VecDeque::len).sum()
    }

    /// The next waiter to serve, its place already counted; `None` while full or nobody waits.
    fn next(&mut self) -> Option<Waiter> {
        if self.in_use >= self.settings.limit {
            return None;
        }
        self.grants += 1;
        let waiting = |lane: &VecDeque<Waiter>| !lane.is_empty();
        let lane = if self.grants.is_multiple_of(FAIR_EVERY) {
            self.lanes.iter().rposition(waiting)
        } else {
            self.lanes.iter().position(waiting)
        }?;
        let waiter = self.lanes[lane].pop_front()?;
        self.in_use += 1;
        Some(waiter)
    }
}

/// A named pool.
#[derive(Debug)]
pub struct Bulkhead {
    name: String,
    core: Mutex<Core>,
}

/// A place in a pool, given back when dropped. Keep it until the answer's last byte.
#[derive(Debug)]
pub struct Permit {
    pool: Option<Arc<Bulkhead>>,
}

/// Takes its own entry out of the queue when the waiting future is dropped.
struct Leave<'a> {
    pool: &'a Bulkhead,
    id: u64,
    lane: Lane,
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        lock(&self.pool.core).lanes[self.lane as usize].retain(|w| w.id != self.id);
    }
}

impl Bulkhead {
    /// An empty pool.
    pub fn new(name: impl Into<String>, settings: PoolSettings) -> Arc<Self> {
        Arc::new(Self {
            name: name.into(),
            core: Mutex::new(Core {
                settings,
                in_use: 0,
                lanes: Default::default(),
                next_id: 0,
                grants: 0,
                admitted: 0,
                rejected: 0,
                timed_out: 0,
            }),
        })
    }

    /// The pool's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A place, at once or after a wait of at most `max_wait` and the pool's own limit.
    ///
    /// # Errors
    /// [`Reason::PoolFull`] when the queue is full, [`Reason::PoolWaitTimeout`] when the wait was too long.
    pub async fn acquire(
        self: &Arc<Self>,
        lane: Lane,
        max_wait: Duration,
    ) -> Result<Permit, Rejection> {
        let (receiver, wait, id) = {
            let mut core = lock(&self.core);
            if core.in_use < core.settings.limit && core.queued() == 0 {
                core.in_use += 1;
                core.admitted += 1;
                return Ok(Permit {
                    pool: Some(Arc::clone(self)),
                });
            }
            if core.queued() >= core.settings.queue as usize {
                core.rejected += 1;
                return Err(Rejection::new(&self.name, Reason::PoolFull, None));
            }
            let (sender, receiver) = oneshot::channel();
            core.next_id += 1;
            let id = core.next_id;
            core.lanes[lane as usize].push_back(Waiter { id, sender });
            (
                receiver,
                max_wait.min(Duration::from_millis(core.settings.wait_ms)),
                id,
            )
        };
        let _leave = Leave {
            pool: self,
            id,
            lane,
        };
        match tokio::time::timeout(wait, receiver).await {
            Ok(Ok(permit)) => {
                lock(&self.core).admitted += 1;
                Ok(permit)
            }
            Ok(Err(_)) => Err(Rejection::new(&self.name, Reason::PoolClosed, None)),
            Err(_) => {
                lock(&self.core).timed_out += 1;
                Err(Rejection::new(&self.name, Reason::PoolWaitTimeout, None))
            }
        }
    }

    /// Changes size while running. A smaller limit takes effect as permits come back.
    pub fn resize(self: &Arc<Self>, settings: PoolSettings) {
        lock(&self.core).settings = settings;
        self.serve();
    }

    /// The settings now.
    pub fn settings(&self) -> PoolSettings {
        lock(&self.core).settings
    }

    /// Its section of the snapshot.
    pub fn stats(&self) -> PoolStats {
        let core = lock(&self.core);
        PoolStats {
            name: self.name.clone(),
            in_use: core.in_use,
            limit: core.settings.limit,
            queued: core.queued() as u32,
            queue_limit: core.settings.queue,
            admitted: core.admitted,
            rejected: core.rejected,
            timed_out: core.timed_out,
        }
    }

    /// Hands free places to waiters. Sending happens outside the lock: a permit that finds nobody is
    /// dropped there, which comes back here.
    fn serve(self: &Arc<Self>) {
        loop {
            let next = lock(&self.core).next();
            let Some(waiter) = next else { return };
            drop(waiter.sender.send(Permit {
                pool: Some(Arc::clone(self)),
            }));
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(pool) = self.pool.take() {
            lock(&pool.core).in_use -= 1;
            pool.serve();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn pool(limit: u32, queue: u32) -> Arc<Bulkhead> {
        Bulkhead::new(
            "p",
            PoolSettings {
                limit,
                queue,
                wait_ms: 60_000,
            },
        )
    }

    fn assert_idle(pool: &Arc<Bulkhead>) {
        let stats = pool.stats();
        assert_eq!((stats.in_use, stats.queued), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn bounded_in_use_queue_and_wait() {
        let pool = pool(1, 1);
        let held = pool.acquire(Lane::Run, LONG).await.unwrap();
        let waiting = tokio::spawn({
            let pool = Arc::clone(&pool);
            async move {
                pool.acquire(Lane::Run, Duration::from_millis(50))
                    .await
                    .map(drop)
            }
        });
        tokio::task::yield_now().await;
        assert_eq!(
            pool.acquire(Lane::Run, LONG).await.unwrap_err().reason,
            Reason::PoolFull
        );
        assert_eq!(
            waiting.await.unwrap().unwrap_err().reason,
            Reason::PoolWaitTimeout
        );
        drop(held);
        assert_idle(&pool);
        assert_eq!((pool.stats().rejected, pool.stats().timed_out), (1, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn first_come_first_served_within_a_lane_and_urgent_lanes_first() {
        let pool = pool(1, 100);
        let held = pool.acquire(Lane::Run, LONG).await.unwrap();
        let (tx, mut rx) = tokio::sync::mpsc::unbounded_channel();
        for (lane, name) in [
            (Lane::Run, "r1"),
            (Lane::Run, "r2"),
            (Lane::Interactive, "i1"),
            (Lane::Refresh, "b1"),
        ] {
            let (pool, tx) = (Arc::clone(&pool), tx.clone());
            tokio::spawn(async move {
                let permit = pool.acquire(lane, LONG).await.unwrap();
                tx.send(name).unwrap();
                drop(permit);
            });
            tokio::task::yield_now().await;
        }
        drop(held);
        let mut order = Vec::new();
        for _ in 0..4 {
            order.push(rx.recv().await.unwrap());
        }
        assert_eq!(order[0], "i1");
        assert!(
            order.iter().position(|n| *n == "r1") < order.iter().position(|n| *n == "r2"),
            "{order:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn shrinking_retires_permits_as_they_return() {
        let pool = pool(3, 10);
        let mut held = Vec::new();
        for _ in 0..3 {
            held.push(pool.acquire(Lane::Run, LONG).await.unwrap());
        }
        pool.resize(PoolSettings {
            limit: 1,
            queue: 10,
            wait_ms: 10,
        });
        held.pop();
        held.pop();
        assert!(pool.acquire(Lane::Run, LONG).await.is_err());
        held.pop();
        assert!(pool.acquire(Lane::Run, LONG).await.is_ok());
        assert_idle(&pool);
    }

    // Seen failing with `Leave` removed (queued stays above zero) and with `serve` not called on drop.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn nothing_leaks_when_waiters_are_cancelled() {
        let pool = pool(3, 10_000);
        let mut tasks = Vec::new();
        for i in 0..4_000u32 {
            let pool = Arc::clone(&pool);
            tasks.push(tokio::spawn(async move {
                let permit = pool.acquire(Lane::Run, LONG).await;
                for _ in 0..i % 5 {
                    tokio::task::yield_now().await;
                }
                assert!(i % 97 != 0, "a panicking holder");
                drop(permit);
            }));
        }
        for (i, task) in tasks.into_iter().enumerate() {
            if i % 3 == 0 {
                task.abort();
            }
            let _ = task.await;
        }
        assert_idle(&pool);
    }

    // Seen failing with `Leave` removed: the queue fills with the dead and refuses the living.
    #[tokio::test]
    async fn a_million_cancelled_waits_leave_nothing_behind() {
        use futures_util::FutureExt as _;
        let pool = pool(1, 4);
        let held = pool.acquire(Lane::Run, LONG).await.unwrap();
        for i in 0..1_000_000u32 {
            let lane = if i % 2 == 0 {
                Lane::Run
            } else {
                Lane::Interactive
            };
            assert!(
                pool.acquire(lane, LONG).now_or_never().is_none(),
                "cancelled while it waits"
            );
        }
        drop(held);
        assert_idle(&pool);
        assert_eq!(pool.stats().rejected, 0);
    }

    #[test]
    fn ten_thousand_panicking_holders_give_their_places_back() {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_time()
            .build()
            .unwrap();
        let pool = pool(8, 20_000);
        runtime.block_on(async {
            let tasks: Vec<_> = (0..10_000)
                .map(|_| {
                    let pool = Arc::clone(&pool);
                    tokio::spawn(async move {
                        let _place = pool.acquire(Lane::Run, LONG).await.unwrap();
                        tokio::task::yield_now().await;
                        // As a panic, without ten thousand messages.
                        std::panic::resume_unwind(Box::new(()));
                    })
                })
                .collect();
            for task in tasks {
                assert!(task.await.unwrap_err().is_panic());
            }
        });
        assert_idle(&pool);
        assert_eq!(pool.stats().admitted, 10_000);
    }
}
