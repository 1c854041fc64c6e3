//! The engine's clock, runtime, tasks and stop: what every service that waits or works needs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Instant;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::engine::protocol::snapshot::Mode;
use crate::resilience::clock::Clock;

/// A wall clock that differs from the machine's own count by more than this was set, milliseconds.
const CLOCK_SKEW_MS: i64 = 600_000;

/// One per engine, shared by its services.
pub struct Lifecycle {
    /// Time, monotonic and wall.
    pub clock: Arc<dyn Clock>,
    /// How the engine was started; never changes.
    pub mode: Mode,
    /// Cancelled when the engine begins to stop.
    pub stopping: CancellationToken,
    /// Wall time of the start, milliseconds.
    pub started_ms: i64,
    /// The same by the clock that nobody sets and that goes on while the machine sleeps, milliseconds.
    boot_ms: i64,
    /// The engine's own runtime. A face may call from another one.
    runtime: tokio::runtime::Handle,
    tasks: TaskTracker,
    /// The engine accepts no runs.
    drained: AtomicBool,
}

impl Lifecycle {
    /// Must be called inside the runtime that the engine is to use.
    pub fn new(clock: Arc<dyn Clock>, mode: Mode) -> Arc<Self> {
        Arc::new(Self {
            started_ms: clock.wall_ms(),
            boot_ms: boot_ms(),
            clock,
            mode,
            stopping: CancellationToken::new(),
            runtime: tokio::runtime::Handle::current(),
            tasks: TaskTracker::new(),
            drained: AtomicBool::new(false),
        })
    }

    /// Monotonic time.
    pub fn now(&self) -> Instant {
        self.clock.now()
    }

    /// Wall time, milliseconds since 1970.
    pub fn wall_ms(&self) -> i64 {
        self.clock.wall_ms()
    }

    /// The engine is stopping.
    pub fn is_stopping(&self) -> bool {
        self.stopping.is_cancelled()
    }

    /// Runs a task on the engine's runtime; [`Self::stop`] waits for it.
    pub fn spawn<F>(&self, task: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.tasks.spawn_on(task, &self.runtime)
    }

    /// Runs a task on the engine's runtime; the stop does not wait for it.
    pub fn spawn_detached<F>(&self, task: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.runtime.spawn(task)
    }

    /// Begins the stop, and waits for the tasks, not longer than `limit`.
    pub async fn stop(&self, limit: std::time::Duration) {
        self.stopping.cancel();
        self.tasks.close();
        let _ = tokio::time::timeout(limit, self.tasks.wait()).await;
    }

    /// An operator drained the engine: it accepts no runs.
    pub fn is_drained(&self) -> bool {
        self.drained.load(Relaxed)
    }

    /// Drains the engine, or opens it again.
    pub fn set_drained(&self, drained: bool) {
        self.drained.store(drained, Relaxed);
    }

    /// Nobody set the wall clock since the start. Whatever is deleted by age or denied by time asks this
    /// first.
    pub fn clock_is_sound(&self) -> bool {
        let expected = self.started_ms + (boot_ms() - self.boot_ms);
        (self.wall_ms() - expected).abs() < CLOCK_SKEW_MS
    }
}

/// Milliseconds since the machine started, its sleep included.
fn boot_ms() -> i64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    time.tv_sec * 1_000 + time.tv_nsec / 1_000_000
}
