//! Time that may be spent on one file, asked inside the loops that hostile text goes through.
//!
//! Why a value: a line of four megabytes can hold a quarter of a million matches, so asking once per hunk
//! is too late.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// Matches between two looks at the clock.
const STEP: u32 = 32;

/// Whether a file's time is over.
#[derive(Debug, Default)]
pub struct Budget {
    until: Option<Instant>,
    asked: Cell<u32>,
    over: Cell<bool>,
}

impl Budget {
    /// No bound.
    pub fn unlimited() -> Self {
        Self::default()
    }

    /// Ends `time` after `began`.
    pub fn since(began: Instant, time: Duration) -> Self {
        Self {
            until: began.checked_add(time),
            ..Self::default()
        }
    }

    /// Asked for every match: looks at the clock now and then.
    pub(super) fn is_over(&self) -> bool {
        let asked = self.asked.get() + 1;
        self.asked.set(asked % STEP);
        asked == STEP && self.look() || self.over.get()
    }

    /// Looks at the clock.
    pub(super) fn look(&self) -> bool {
        if !self.over.get() && self.until.is_some_and(|until| Instant::now() >= until) {
            self.over.set(true);
        }
        self.over.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budget_that_is_spent_stays_over() {
        let none = Budget::unlimited();
        assert!((0..1_000).all(|_| !none.is_over()) && !none.look());
        let spent = Budget::since(Instant::now(), Duration::ZERO);
        assert!(spent.look() && spent.is_over());
        let asked = Budget::since(Instant::now(), Duration::ZERO);
        assert!((0..STEP).any(|_| asked.is_over()));
    }
}
