//! Time, injected.
//!
//! Why: durations are measured on a monotonic clock and tests must be able to hold it still; wall
//! time is for people and for file names only, and a jump of it changes nothing.

use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Where the time comes from.
pub trait Clock: Send + Sync + 'static {
    /// Monotonic time: for durations, deadlines and windows.
    fn now(&self) -> Instant;
    /// Wall time in milliseconds since 1970 (UTC): for people.
    fn wall_ms(&self) -> i64;
}

/// The real clock. Inside a tokio runtime it follows tokio's clock, so paused tests hold it still.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }

    fn wall_ms(&self) -> i64 {
        jiff::Timestamp::now().as_millisecond()
    }
}

/// A clock that moves only when told to (tests).
#[derive(Debug)]
pub struct ManualClock {
    start: Instant,
    state: Mutex<(Duration, i64)>,
}

impl ManualClock {
    /// A clock at an arbitrary instant and the given wall time.
    pub fn new(wall_ms: i64) -> Self {
        Self {
            start: Instant::now(),
            state: Mutex::new((Duration::ZERO, wall_ms)),
        }
    }

    /// Moves both clocks forward.
    pub fn advance(&self, by: Duration) {
        let mut state = lock(&self.state);
        state.0 += by;
        state.1 += i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
    }

    /// Sets the wall clock alone, as a correction of the system time would.
    pub fn set_wall_ms(&self, wall_ms: i64) {
        lock(&self.state).1 = wall_ms;
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Instant {
        self.start + lock(&self.state).0
    }

    fn wall_ms(&self) -> i64 {
        lock(&self.state).1
    }
}

/// Locks a mutex whose data stay valid even if a holder panicked (all uses here keep them so).
pub fn lock<T: ?Sized>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
