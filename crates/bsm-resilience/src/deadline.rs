//! One point in time that a whole call, its waits and its retries must keep.

use std::time::{Duration, Instant};

/// A deadline on the monotonic clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Instant);

impl Deadline {
    /// `after` from `now`; a duration beyond the clock's range means "in about thirty years".
    pub fn after(now: Instant, after: Duration) -> Self {
        const FAR: Duration = Duration::from_secs(30 * 365 * 86_400);
        Self(now.checked_add(after).unwrap_or(now + FAR))
    }

    /// The instant itself.
    pub fn at(self) -> Instant {
        self.0
    }

    /// What is left; zero when it has passed.
    pub fn remaining(self, now: Instant) -> Duration {
        self.0.saturating_duration_since(now)
    }

    /// `wish`, cut to what is left.
    pub fn clip(self, now: Instant, wish: Duration) -> Duration {
        wish.min(self.remaining(now))
    }

    /// True when nothing is left.
    pub fn has_passed(self, now: Instant) -> bool {
        now >= self.0
    }
}
