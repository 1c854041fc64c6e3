//! How long to wait for an answer that comes in pieces: first piece, silence between pieces, all of it.
//!
//! Why not one timeout: a long answer is not a slow one. Why not a read timeout: some servers send
//! comments to keep the connection open while nothing happens; only content counts here. What the
//! answer holds (a place in a pool, a breaker's permit) is held until its end and no longer.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, StreamExt as _};
use tokio::time::Instant;

use super::deadline::Deadline;
use super::pauses::Pauses;

/// The clocks of one answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamTimeouts {
    /// Until the first content.
    pub first: Duration,
    /// Between two pieces of content.
    pub idle: Duration,
    /// For all of it.
    pub deadline: Deadline,
}

/// Which clock ran out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TimeoutKind {
    /// No content came.
    #[error("no first token within {} ms", .0.as_millis())]
    First(Duration),
    /// The content stopped coming.
    #[error("silent for {} ms", .0.as_millis())]
    Idle(Duration),
    /// The whole call's time is over.
    #[error("deadline exceeded")]
    Deadline,
}

/// A stream under these clocks. `held` is dropped with it, or as soon as the stream has ended or was cut.
pub struct TimedStream<S, H> {
    stream: Option<(S, H)>,
    patience: StreamTimeouts,
    began: Instant,
    last_content: Option<Instant>,
    pauses: Arc<Pauses>,
    /// How long the process had stood still when the clock that runs now was started.
    lost: Duration,
}

/// After a longer pause nothing more is expected of a connection.
const LONGEST_GIVEN_BACK: Duration = Duration::from_secs(60);

/// `by` after `at`, or in thirty years where the clock does not reach that far.
fn later(at: Instant, by: Duration) -> Instant {
    Instant::from_std(Deadline::after(at.into_std(), by).at())
}

impl<S: Stream + Unpin, H> TimedStream<S, H> {
    /// Starts the clocks. Must run inside tokio.
    pub fn new(stream: S, held: H, patience: StreamTimeouts) -> Self {
        Self {
            stream: Some((stream, held)),
            patience,
            began: Instant::now(),
            last_content: None,
            pauses: Arc::default(),
            lost: Duration::ZERO,
        }
    }

    /// Reads on for as long as the process stood still before it says that a clock ran out.
    #[must_use]
    pub fn allow_for(mut self, pauses: Arc<Pauses>) -> Self {
        self.lost = pauses.lost();
        self.pauses = pauses;
        self
    }

    /// The next piece; `None` after the end. `is_content` tells a piece of the answer from a sign of life.
    ///
    /// # Errors
    /// Which clock ran out; the stream is then over and what it held is free.
    pub async fn next(
        &mut self,
        mut is_content: impl FnMut(&S::Item) -> bool,
    ) -> Option<Result<S::Item, TimeoutKind>> {
        let (stream, _) = self.stream.as_mut()?;
        let (until, cut) = match self.last_content {
            None => (
                later(self.began, self.patience.first),
                TimeoutKind::First(self.patience.first),
            ),
            Some(at) => (
                later(at, self.patience.idle),
                TimeoutKind::Idle(self.patience.idle),
            ),
        };
        let end = Instant::from_std(self.patience.deadline.at());
        let (until, cut) = if end < until {
            (end, TimeoutKind::Deadline)
        } else {
            (until, cut)
        };
        let mut next = tokio::time::timeout_at(until, stream.next()).await;
        if next.is_err()
            && let Some(pause) = self.pauses.since(self.lost)
        {
            self.lost += pause;
            next = tokio::time::timeout(pause.min(LONGEST_GIVEN_BACK), stream.next()).await;
        }
        match next {
            Ok(Some(item)) => {
                if is_content(&item) {
                    self.last_content = Some(Instant::now());
                    self.lost = self.pauses.lost();
                }
                Some(Ok(item))
            }
            Ok(None) => {
                self.stream = None;
                None
            }
            Err(_) => {
                self.stream = None;
                Some(Err(cut))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::bulkhead::{Bulkhead, PoolSettings};
    use super::*;
    use bsm_base::clock::{Clock as _, SystemClock};

    const PATIENCE: fn(u64) -> StreamTimeouts = |deadline_s| StreamTimeouts {
        first: Duration::from_secs(5),
        idle: Duration::from_secs(2),
        deadline: Deadline::after(SystemClock.now(), Duration::from_secs(deadline_s)),
    };

    /// Pieces after so many milliseconds each; an empty one is a sign of life.
    fn pieces(list: &'static [(u64, &'static str)]) -> impl Stream<Item = &'static str> + Unpin {
        Box::pin(
            futures_util::stream::iter(list).then(|(ms, text)| async move {
                tokio::time::sleep(Duration::from_millis(*ms)).await;
                *text
            }),
        )
    }

    async fn read(
        list: &'static [(u64, &'static str)],
        deadline_s: u64,
    ) -> (String, Option<TimeoutKind>) {
        let pool = Bulkhead::new("p", PoolSettings::default(), Arc::new(SystemClock));
        let place = pool.try_acquire().unwrap();
        let mut paced = TimedStream::new(pieces(list), place, PATIENCE(deadline_s));
        let mut text = String::new();
        while let Some(piece) = paced.next(|p| !p.is_empty()).await {
            match piece {
                Ok(piece) => {
                    assert_eq!(pool.stats().in_use, 1, "held while it comes");
                    text += piece;
                }
                Err(cut) => {
                    assert_eq!(pool.stats().in_use, 0, "free once it is cut");
                    return (text, Some(cut));
                }
            }
        }
        assert_eq!(pool.stats().in_use, 0, "free at its end");
        (text, None)
    }

    // Seen failing with every piece counted as content: the signs of life keep it waiting for ever.
    #[tokio::test(start_paused = true)]
    async fn each_clock_cuts_and_signs_of_life_stop_none() {
        let whole = read(&[(4_900, "a"), (1_900, "b"), (1_900, "c")], 60).await;
        assert_eq!(whole, ("abc".into(), None));
        let late = read(&[(2_000, ""), (2_000, ""), (2_000, "a")], 60).await;
        assert_eq!(
            late,
            (
                String::new(),
                Some(TimeoutKind::First(Duration::from_secs(5)))
            )
        );
        let silent = read(&[(1_000, "a"), (1_500, ""), (1_500, "b")], 60).await;
        assert_eq!(
            silent,
            ("a".into(), Some(TimeoutKind::Idle(Duration::from_secs(2))))
        );
        let over = read(&[(1_000, "a"), (1_500, "b"), (1_500, "c")], 3).await;
        assert_eq!(over, ("ab".into(), Some(TimeoutKind::Deadline)));
    }

    #[tokio::test(start_paused = true)]
    async fn piece_after_a_pause_of_the_process_is_read_before_the_stream_is_cut() {
        for paused in [false, true] {
            let pauses = Arc::new(Pauses::default());
            pauses.tick(std::time::Instant::now());
            // Silence of 2 s is too long; the second piece comes after 3.
            let list = pieces(&[(10, "a"), (3_000, "b")]);
            let mut timed = TimedStream::new(list, (), PATIENCE(60)).allow_for(Arc::clone(&pauses));
            assert_eq!(timed.next(|_| true).await, Some(Ok("a")));
            if paused {
                let later = std::time::Instant::now() + Duration::from_secs(36);
                pauses.tick(later);
            }
            let next = timed.next(|_| true).await;
            let cut = Err(TimeoutKind::Idle(Duration::from_secs(2)));
            assert_eq!(next, Some(if paused { Ok("b") } else { cut }));
        }
    }
}
