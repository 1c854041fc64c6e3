//! When what has changed is drawn: so many frames a second at most, a key and its answer at once.
//!
//! Why one frame ahead of its turn: a key is drawn at once, and what it asked for is there a few
//! milliseconds later; it would wait for the next turn, and every letter of a search would be answered late.

use std::time::{Duration, Instant};

/// How soon what has changed is worth a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Dirty {
    No,
    /// Figures moved: nobody reads more than one change a second.
    Calm,
    /// A key, an answer, a change of health.
    Now,
}

/// Time between two frames that only figures ask for.
const CALM: Duration = Duration::from_secs(1);

/// The frames so far.
#[derive(Debug)]
pub(super) struct Pace {
    last: Option<Instant>,
    /// When the next one has its turn.
    turn: Instant,
}

impl Pace {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            last: None,
            turn: now,
        }
    }

    /// How long from now the next frame is drawn; none: nothing asks for one.
    pub(super) fn wait(&self, dirty: Dirty, frame: Duration, now: Instant) -> Option<Duration> {
        match dirty {
            Dirty::No => None,
            Dirty::Calm => {
                let since = self.last.map(|last| now.saturating_duration_since(last));
                Some(since.map_or(Duration::ZERO, |since| {
                    frame.max(CALM).saturating_sub(since)
                }))
            }
            // One may come a whole frame ahead of its turn.
            Dirty::Now => {
                // Frames may have been longer a moment ago, when nobody looked.
                let turn = self
                    .last
                    .map_or(self.turn, |last| self.turn.min(last + 2 * frame));
                Some(turn.saturating_duration_since(now).saturating_sub(frame))
            }
        }
    }

    /// One was drawn.
    pub(super) fn drawn(&mut self, frame: Duration, now: Instant) {
        self.last = Some(now);
        self.turn = self.turn.max(now) + frame;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Duration = Duration::from_millis(33);

    #[test]
    fn a_key_and_its_answer_are_drawn_at_once_and_no_more_than_so_many_a_second() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        let mut drawn = 0;
        // Something new every millisecond of a second.
        for ms in 0..1_000 {
            let now = start + Duration::from_millis(ms);
            if pace.wait(Dirty::Now, FRAME, now) == Some(Duration::ZERO) {
                pace.drawn(FRAME, now);
                drawn += 1;
                assert!(ms != 1 || drawn == 2, "the second comes ahead of its turn");
            }
        }
        assert_eq!(drawn, 1_000 / 33 + 2);
        // Unfocused, frames are longer; who comes back does not wait for theirs.
        let now = start + Duration::from_secs(3);
        pace.drawn(Duration::from_secs(1), now);
        pace.drawn(Duration::from_secs(1), now);
        assert_eq!(pace.wait(Dirty::Now, FRAME, now), Some(FRAME));
        // After a rest both are at once again, and the third has to wait.
        let now = start + Duration::from_secs(5);
        for _ in 0..2 {
            assert_eq!(pace.wait(Dirty::Now, FRAME, now), Some(Duration::ZERO));
            pace.drawn(FRAME, now);
        }
        assert_eq!(pace.wait(Dirty::Now, FRAME, now), Some(FRAME));
    }

    #[test]
    fn figures_move_once_a_second() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        assert_eq!(pace.wait(Dirty::No, FRAME, start), None);
        assert_eq!(pace.wait(Dirty::Calm, FRAME, start), Some(Duration::ZERO));
        pace.drawn(FRAME, start);
        let later = start + Duration::from_millis(400);
        let rest = Duration::from_millis(600);
        assert_eq!(pace.wait(Dirty::Calm, FRAME, later), Some(rest));
        // Unfocused: as slow as its frames.
        let slow = Duration::from_secs(3);
        assert_eq!(
            pace.wait(Dirty::Calm, slow, later),
            Some(Duration::from_millis(2_600))
        );
    }
}
