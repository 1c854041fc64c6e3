//! Time, injected.
//!
//! Why: durations are measured on a monotonic clock and tests must be able to hold it still; wall
//! time is for people and for file names only, and a jump of it changes nothing.

use std::sync::Mutex;
use std::time::Instant;

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

/// Locks a mutex whose data stay valid even if a holder panicked (all uses here keep them so).
///
/// Every core is entered here and nowhere else, so that a test can interleave callers at each entry.
pub fn lock<T: ?Sized>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    #[cfg(any(test, feature = "interleave"))]
    if let Some(guard) = crate::interleave::lock(mutex) {
        return guard;
    }
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
