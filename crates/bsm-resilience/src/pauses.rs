//! Times when this process stood still: SIGSTOP, a frozen container, a machine with no time for it.
//!
//! Why: every clock of a call goes on meanwhile. Afterwards an upstream that answered at once looks as if it
//! had timed out, and half a second later it would be called down. A task says every second that the process
//! runs ([`Pauses::tick`]); a gap between two ticks is a pause, and a call that was under way during one is
//! read before it is judged and counts for nothing. Where nobody ticks there are no pauses.
//!
//! These are times of the machine's own monotonic clock, not of a test's: what is measured is the process.

use std::future::Future;
use std::pin::pin;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use bsm_base::clock::lock;
use tokio::time::error::Elapsed;

/// Ticks come every second; a gap longer than this is a pause.
const GAP: Duration = Duration::from_secs(5);

/// The pauses of this process.
#[derive(Debug, Default)]
pub struct Pauses(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    last: Option<Instant>,
    /// All pauses before `last`, together.
    lost: Duration,
}

impl Seen {
    /// The pause between the last tick and `now`; none for a short gap.
    fn gap(&self, now: Instant) -> Duration {
        let gap = self.last.map(|last| now.saturating_duration_since(last));
        gap.filter(|gap| *gap > GAP).unwrap_or_default()
    }
}

impl Pauses {
    /// The process runs at `now`. Returns how long it stood still before, if it did.
    pub fn tick(&self, now: Instant) -> Option<Duration> {
        let mut seen = lock(&self.0);
        let gap = seen.gap(now);
        seen.lost += gap;
        seen.last = Some(now);
        (!gap.is_zero()).then_some(gap)
    }

    /// Nobody ticks from now on.
    pub fn end(&self) {
        lock(&self.0).last = None;
    }

    /// All pauses so far, together; one that no tick has seen yet too. It only grows.
    pub fn lost(&self) -> Duration {
        let seen = lock(&self.0);
        // Where nobody ticks no clock is read.
        match seen.last {
            Some(_) => seen.lost + seen.gap(Instant::now()),
            None => seen.lost,
        }
    }

    /// How long the process stood still since [`Pauses::lost`] was `before`.
    pub fn since(&self, before: Duration) -> Option<Duration> {
        let pause = self.lost().saturating_sub(before);
        (!pause.is_zero()).then_some(pause)
    }

    /// As tokio's `timeout`. After a pause the time that it took is given back, `limit` at most: what came
    /// meanwhile is read before the call is judged.
    ///
    /// # Errors
    /// When the time is over.
    pub async fn timeout<F: Future>(
        &self,
        limit: Duration,
        future: F,
    ) -> Result<F::Output, Elapsed> {
        let before = self.lost();
        let mut future = pin!(future);
        match tokio::time::timeout(limit, &mut future).await {
            Err(elapsed) => match self.since(before) {
                Some(pause) => tokio::time::timeout(pause.min(limit), future).await,
                None => Err(elapsed),
            },
            ended => ended,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn gap_between_two_ticks_is_a_pause_and_short_ones_are_none() {
        let pauses = Pauses::default();
        let start = Instant::now();
        assert_eq!(pauses.lost(), s(0), "where nobody ticks there are none");
        assert_eq!(pauses.tick(start), None);
        assert_eq!(pauses.tick(start + s(5)), None);
        assert_eq!(pauses.tick(start + s(41)), Some(s(36)));
        assert_eq!(pauses.tick(start + s(42)), None);
        assert_eq!(pauses.tick(start + s(52)), Some(s(10)));
        assert_eq!(pauses.lost(), s(46));
        assert_eq!(pauses.since(s(36)), Some(s(10)));
        assert_eq!(pauses.since(s(46)), None);
    }

    #[test]
    fn pause_is_known_before_the_first_tick_after_it() {
        let pauses = Pauses::default();
        let Some(before) = Instant::now().checked_sub(s(36)) else {
            return; // the machine is younger than that
        };
        pauses.tick(before);
        assert!(pauses.lost() >= s(36));
        assert!(pauses.tick(Instant::now()).unwrap() >= s(36));
        pauses.end();
        let known = pauses.lost();
        assert_eq!(pauses.lost(), known, "it grows no more");
    }

    #[tokio::test(start_paused = true)]
    async fn timeout_gives_the_time_of_a_pause_back_and_no_more() {
        let answer_after = async |pause: Option<u64>, seconds: u64| {
            let pauses = Pauses::default();
            pauses.tick(Instant::now());
            let answer = async {
                if let Some(pause) = pause {
                    pauses.tick(Instant::now() + s(pause));
                }
                tokio::time::sleep(s(seconds)).await;
            };
            pauses.timeout(s(10), answer).await.is_ok()
        };
        assert!(answer_after(None, 9).await && !answer_after(None, 11).await);
        assert!(answer_after(Some(36), 19).await && !answer_after(Some(36), 21).await);
        assert!(answer_after(Some(7), 16).await && !answer_after(Some(7), 18).await);
    }
}
