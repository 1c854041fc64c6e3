//! The engine's clock, runtime, tasks and stop: what every service that waits or works needs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering::Relaxed};
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
    /// The machine's own count at the start, milliseconds.
    started_boot_ms: i64,
    /// The wall clock without the time since the machine started, milliseconds: it moves when somebody sets the
    /// clock. The machine's own count goes on while it sleeps.
    boot_wall_ms: AtomicI64,
    /// The same for the time that is written down: a clock that was set back does not move it.
    written_boot_wall_ms: AtomicI64,
    /// Retention does not believe the wall clock.
    clock_in_doubt: AtomicBool,
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
            started_boot_ms: boot_ms(),
            boot_wall_ms: AtomicI64::new(clock.wall_ms() - boot_ms()),
            written_boot_wall_ms: AtomicI64::new(clock.wall_ms() - boot_ms()),
            clock_in_doubt: AtomicBool::new(false),
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

    /// Wall time, milliseconds since 1970. Of a clock that was set back, and is not believed yet, the time that it
    /// would have: what is made now is not old when the clock is right again, and nothing waits for the past.
    pub fn wall_ms(&self) -> i64 {
        let wall = self.clock.wall_ms();
        let expected = boot_ms() + self.written_boot_wall_ms.load(Relaxed);
        if expected - wall < CLOCK_SKEW_MS {
            wall
        } else {
            expected
        }
    }

    /// Wall time of the start and what the machine has counted since, milliseconds: for due times. Nobody sets it.
    pub fn steady_ms(&self) -> i64 {
        self.started_ms + (boot_ms() - self.started_boot_ms)
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

    /// Nobody set the wall clock since the start, or since it was last taken as it is.
    pub fn clock_is_steady(&self) -> bool {
        let moved = self.clock.wall_ms() - boot_ms() - self.boot_wall_ms.load(Relaxed);
        moved.abs() < CLOCK_SKEW_MS
    }

    /// The wall clock is steady, and agrees with what is known of earlier days. Whatever is deleted by age or
    /// denied by time asks this first.
    pub fn clock_is_sound(&self) -> bool {
        self.clock_is_steady() && !self.clock_in_doubt.load(Relaxed)
    }

    /// The clock is in doubt, or not any more; whether it was before.
    pub fn set_clock_in_doubt(&self, doubted: bool) -> bool {
        self.clock_in_doubt.swap(doubted, Relaxed)
    }

    /// The wall clock is believed as it is now: what was set before is over.
    pub fn take_clock_as_it_is(&self) {
        let now = self.clock.wall_ms() - boot_ms();
        self.boot_wall_ms.store(now, Relaxed);
        self.written_boot_wall_ms.store(now, Relaxed);
    }

    /// It was later than the wall clock says: time is written down from here on until the clock is believed.
    pub fn write_time_from(&self, at_ms: i64) {
        self.written_boot_wall_ms.store(at_ms - boot_ms(), Relaxed);
    }
}

/// Milliseconds since the machine started, its sleep included.
fn boot_ms() -> i64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    time.tv_sec * 1_000 + time.tv_nsec / 1_000_000
}
