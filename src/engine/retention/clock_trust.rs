//! Up to which time the wall clock is believed: what is deleted by age is old by that time.
//!
//! Why: a clock that was set wrong must not cost anything. A jump of a year would make everything old at once, and
//! the first run under the wrong clock would make the year look real. So the time that is believed is kept in the
//! journal. It follows the wall clock as long as that goes on as it should. A jump is not believed until the engine
//! has run with it for a day; then the time that is believed follows by a day for each hour of running.

use serde::{Deserialize, Serialize};

pub(super) const DAY_MS: i64 = 86_400_000;
/// An engine may have been off for so long: a clock further ahead of what is believed is in doubt.
const FAR_AHEAD_MS: i64 = 30 * DAY_MS;
/// A clock so far behind it is, too; and so far off the machine's own count while the engine runs.
const TOLERANCE_MS: i64 = 600_000;
/// The engine runs for so long before it believes a jump.
const DOUBT_LASTS_MS: i64 = DAY_MS;
/// Then it believes so many hours more in each hour.
const CATCH_UP: i64 = 24;

/// What is believed. Kept in the journal from pass to pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ClockTrust {
    /// The wall clock was right up to here, milliseconds.
    believed_ms: i64,
    /// How long the engine has run with a clock in doubt, milliseconds.
    doubted_ms: i64,
    /// The clock is in doubt.
    in_doubt: bool,
}

impl ClockTrust {
    /// Believes the clock as it is.
    pub(super) fn of(wall_ms: i64) -> Self {
        Self {
            believed_ms: wall_ms,
            doubted_ms: 0,
            in_doubt: false,
        }
    }

    /// `wall_ms` now, after the engine has run for `ran_ms` more; `steady`: nobody set the clock meanwhile.
    #[must_use]
    pub(super) fn advance(self, wall_ms: i64, ran_ms: i64, steady: bool) -> Self {
        let ahead = wall_ms.saturating_sub(self.believed_ms);
        let most = if steady && !self.in_doubt {
            FAR_AHEAD_MS
        } else {
            ran_ms.saturating_add(TOLERANCE_MS)
        };
        if (-TOLERANCE_MS..=most).contains(&ahead) {
            return Self::of(self.believed_ms.max(wall_ms));
        }
        let doubted_ms = self.doubted_ms.saturating_add(ran_ms);
        if doubted_ms < DOUBT_LASTS_MS {
            return Self {
                // So much time has passed, whatever the clock says.
                believed_ms: self.believed_ms.saturating_add(ran_ms),
                doubted_ms,
                in_doubt: true,
            };
        }
        if ahead < 0 {
            return Self::of(wall_ms);
        }
        let step = ran_ms.saturating_mul(CATCH_UP + 1);
        if step >= ahead {
            return Self::of(wall_ms);
        }
        Self {
            believed_ms: self.believed_ms + step,
            doubted_ms,
            in_doubt: true,
        }
    }

    /// The time by which things are old; `None`: nothing may be removed now.
    pub(super) fn now_ms(&self, wall_ms: i64) -> Option<i64> {
        let waits = self.in_doubt && self.doubted_ms < DOUBT_LASTS_MS;
        (!waits).then(|| self.believed_ms.min(wall_ms))
    }

    /// Why the clock is in doubt; `None`: it is not.
    pub(super) fn doubt(&self, wall_ms: i64) -> Option<String> {
        let far = wall_ms - self.believed_ms;
        let (ahead, far) = if far >= 0 {
            ("ahead of", far)
        } else {
            ("behind", -far)
        };
        let far = if far < DAY_MS {
            format!("{} min", far / 60_000)
        } else {
            format!("{} days", far / DAY_MS)
        };
        self.in_doubt.then(|| {
            format!(
                "the wall clock is {far} {ahead} what is believed: nothing is removed by its bound for a day of \
                 running, then at most a day's worth an hour; if the clock is right, `bsm state prune` does it now"
            )
        })
    }

    /// What time it is at least, where the clock is in doubt because it is behind that.
    pub(super) fn behind(&self, wall_ms: i64) -> Option<i64> {
        (self.in_doubt && wall_ms < self.believed_ms).then_some(self.believed_ms)
    }

    /// The clock is in doubt.
    pub(super) fn is_in_doubt(&self) -> bool {
        self.in_doubt
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_790_000_000_000;
    const PASS: i64 = 600_000;
    const HOUR: i64 = 3_600_000;

    /// Passes every ten minutes, for so many hours, at a clock that goes on from `wall`.
    fn run(mut trust: ClockTrust, wall: i64, hours: i64) -> (ClockTrust, i64) {
        let mut wall = wall;
        for _ in 0..hours * 6 {
            wall += PASS;
            trust = trust.advance(wall, PASS, true);
        }
        (trust, wall)
    }

    #[test]
    fn clock_that_goes_on_is_believed_and_an_engine_may_be_off_for_weeks() {
        let (trust, wall) = run(ClockTrust::of(NOW), NOW, 5);
        assert_eq!(trust, ClockTrust::of(NOW + 5 * HOUR));
        let off = wall + 29 * DAY_MS;
        assert_eq!(trust.advance(off, 0, true), ClockTrust::of(off));
        // A little back is what time services do.
        let back = trust.advance(wall - 60_000, 0, true);
        assert_eq!(back.now_ms(wall - 60_000), Some(wall - 60_000));
    }

    #[test]
    fn clock_a_year_ahead_makes_nothing_old_for_a_day_and_then_a_day_an_hour() {
        let far = NOW + 365 * DAY_MS;
        let start = ClockTrust::of(NOW).advance(far, 0, true);
        assert_eq!(start.now_ms(far), None);
        assert!(start.doubt(far).unwrap().contains("365 days ahead of"));
        // Starts again and again do not add up to belief, whatever was written meanwhile.
        let again = (0..1_000).fold(start, |t, _| t.advance(far, 0, true));
        assert_eq!(again, start);
        let (trust, wall) = run(start, far, 23);
        assert_eq!(trust.now_ms(wall), None);
        let (trust, wall) = run(trust, wall, 2);
        let old_by = trust.now_ms(wall).unwrap() - NOW;
        assert!((0..3 * DAY_MS).contains(&old_by), "{old_by}");
        let (later, wall) = run(trust, wall, 10);
        let more = later.now_ms(wall).unwrap() - trust.now_ms(wall).unwrap();
        assert!((10 * DAY_MS..11 * DAY_MS).contains(&more), "{more}");
        let (last, wall) = run(later, wall, 400);
        assert_eq!((last.is_in_doubt(), last.now_ms(wall)), (false, Some(wall)));
    }

    #[test]
    fn clock_set_back_removes_nothing_for_a_day_and_is_believed_then() {
        for far in [HOUR, 365 * DAY_MS] {
            let back = NOW - far;
            let start = ClockTrust::of(NOW).advance(back, 0, true);
            assert_eq!(start.now_ms(back), None);
            assert_eq!(start.behind(back), Some(NOW));
            assert_eq!(
                start.advance(back + PASS, PASS, true).behind(back),
                Some(NOW + PASS)
            );
            let (trust, wall) = run(start, back, 25);
            assert_eq!(
                (trust.is_in_doubt(), trust.now_ms(wall)),
                (false, Some(wall))
            );
        }
    }

    #[test]
    fn clock_set_while_the_engine_runs_is_in_doubt_however_small_the_jump() {
        let mut trust = ClockTrust::of(NOW);
        let mut wall = NOW + 2 * DAY_MS;
        trust = trust.advance(wall, PASS, false);
        assert_eq!(trust.now_ms(wall), None);
        // Nor is it believed by a start in between.
        trust = trust.advance(wall, 0, true);
        assert_eq!(trust.now_ms(wall), None);
        for _ in 0..26 * 6 {
            wall += PASS;
            trust = trust.advance(wall, PASS, false);
        }
        assert_eq!(trust, ClockTrust::of(wall));
    }

    #[test]
    fn clock_that_is_put_right_again_is_believed_at_once() {
        let doubted = ClockTrust::of(NOW).advance(NOW + 365 * DAY_MS, 0, true);
        let right = NOW + PASS;
        assert_eq!(doubted.advance(right, 0, true), ClockTrust::of(right));
    }
}
