//! Uptime as a share: how much of the time since start the engine could do its whole job.
//!
//! It counts as unavailable while the journal cannot be written or the shutdown has begun.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::resilience::clock::lock;

/// Adds up the time the engine was down for work.
pub struct Availability {
    origin: Instant,
    state: Mutex<(Duration, Option<Instant>)>,
}

impl Availability {
    /// Available since `now`.
    pub fn new(now: Instant) -> Self {
        Self {
            origin: now,
            state: Mutex::new((Duration::ZERO, None)),
        }
    }

    /// Says whether the engine can do its work from `now` on.
    pub fn set(&self, available: bool, now: Instant) {
        let mut state = lock(&self.state);
        match (available, state.1) {
            (false, None) => state.1 = Some(now),
            (true, Some(since)) => {
                state.0 += now.saturating_duration_since(since);
                state.1 = None;
            }
            _ => {}
        }
    }

    /// Time since start.
    pub fn uptime(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.origin)
    }

    /// Available share of the time since start, in percent.
    pub fn percent(&self, now: Instant) -> f64 {
        let (down, since) = *lock(&self.state);
        let down = down + since.map_or(Duration::ZERO, |s| now.saturating_duration_since(s));
        let up = self.uptime(now).as_secs_f64();
        if up <= 0.0 {
            100.0
        } else {
            100.0 * (1.0 - down.as_secs_f64() / up).clamp(0.0, 1.0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_the_time_it_was_down() {
        let start = Instant::now();
        let a = Availability::new(start);
        let at = |s| start + Duration::from_secs(s);
        a.set(false, at(10));
        a.set(false, at(15));
        a.set(true, at(20));
        assert!((a.percent(at(100)) - 90.0).abs() < 1e-9);
        a.set(false, at(100));
        assert!((a.percent(at(200)) - 45.0).abs() < 1e-9);
    }
}
