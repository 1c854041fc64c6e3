//! What was recorded by time: values over the columns of a chart, the point at a moment, the moments to jump to.

use crate::engine::protocol::alert::Alert;
use crate::engine::protocol::history::{AlertMark, Point, Trends};

/// Values of a series: enough for two dots in each column of the widest terminal.
const COLUMNS: usize = 800;
/// After the last point of an engine nothing is known, but for the second in which it was recorded.
const HELD_MS: i64 = 1_000;

/// Values by time: a picture lies where its time is, holds until the next one (an unchanged picture is not
/// recorded), and no longer than its engine.
pub(super) fn spread(trends: &Trends, value: impl Fn(&Point) -> Option<f64>) -> Vec<Option<f64>> {
    let span = (trends.to_ms - trends.from_ms).max(1) as f64;
    let mut out = vec![None; COLUMNS];
    let mut last: Option<(usize, f64, i64)> = None;
    for p in &trends.points {
        let at = ((p.at_ms - trends.from_ms) as f64 / span * (COLUMNS - 1) as f64) as usize;
        let at = at.min(COLUMNS - 1);
        if let Some((from, held, engine)) = last
            && engine == p.engine_ms
        {
            out[from.min(at)..at].fill(Some(held));
        }
        let value = value(p);
        out[at] = value;
        last = value.map(|v| (at, v, p.engine_ms));
    }
    if let Some((from, held, _)) = last {
        out[from..].fill(Some(held));
    }
    out
}

/// Calls a second by outcome over the columns; nothing where it was not recorded.
pub(super) fn outcomes(trends: &Trends) -> Vec<[f64; 5]> {
    let mut out = vec![[0.0; 5]; COLUMNS];
    for n in 0..5 {
        let one = spread(trends, |p| p.outcomes.map(|o| o[n]));
        for (column, value) in out.iter_mut().zip(one) {
            column[n] = value.unwrap_or(0.0);
        }
    }
    out
}

/// The worst value of each column's part: an outage of a second must not fall between two columns.
pub(super) fn sampled(
    values: &[Option<f64>],
    width: usize,
) -> impl Iterator<Item = Option<f64>> + '_ {
    (0..width).map(move |x| {
        let from = x * values.len() / width.max(1);
        let to = ((x + 1) * values.len() / width.max(1)).max(from + 1);
        let part = values.get(from..to.min(values.len())).unwrap_or_default();
        part.iter().flatten().copied().reduce(f64::max)
    })
}

/// What was recorded at a moment; `None`: nothing is known of it.
pub(super) fn point_at(trends: &Trends, at_ms: i64) -> Option<(usize, &Point)> {
    let after = trends.points.partition_point(|p| p.at_ms <= at_ms);
    let at = after.checked_sub(1)?;
    let point = &trends.points[at];
    let next = trends.points.get(after);
    let is_other = next.is_some_and(|n| n.engine_ms != point.engine_ms);
    (!is_other || at_ms - point.at_ms <= HELD_MS).then_some((at, point))
}

/// When another start of the engine began to be recorded.
pub(super) fn starts(trends: &Trends) -> Vec<i64> {
    let pairs = trends.points.windows(2);
    let other = pairs.filter(|pair| pair[0].engine_ms != pair[1].engine_ms);
    other.map(|pair| pair[1].at_ms).collect()
}

/// Alerts of the recording, and those that the engine still keeps, oldest first.
pub(super) fn alerts(trends: &Trends, kept: &[Alert]) -> Vec<AlertMark> {
    let mut all = trends.alerts.clone();
    for alert in kept.iter().filter(|a| a.bad && !a.drill) {
        for at_ms in [alert.first_ms, alert.at_ms] {
            let is_known = all
                .iter()
                .any(|m| m.at_ms == at_ms && (m.code == alert.code || m.text == alert.text));
            if at_ms > 0 && !is_known {
                all.push(AlertMark {
                    at_ms,
                    code: alert.code.clone(),
                    text: alert.text.clone(),
                });
            }
        }
    }
    all.sort_by_key(|m| m.at_ms);
    all
}

/// The column of a moment in a chart so wide; `None`: outside of the span.
pub(super) fn column(trends: &Trends, at_ms: i64, width: u16) -> Option<u16> {
    let span = (trends.to_ms - trends.from_ms).max(1);
    if width == 0 || !(trends.from_ms..=trends.to_ms).contains(&at_ms) {
        return None;
    }
    let share = (at_ms - trends.from_ms) as f64 / span as f64;
    Some((share * f64::from(width - 1)).round() as u16)
}

/// The moment of a column.
pub(super) fn moment(trends: &Trends, x: u16, width: u16) -> i64 {
    let span = (trends.to_ms - trends.from_ms) as f64;
    let share = f64::from(x) / f64::from(width.max(2) - 1);
    trends.from_ms + (span * share.min(1.0)).round() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(at_ms: i64, engine_ms: i64) -> Point {
        Point {
            at_ms,
            engine_ms,
            ..Point::default()
        }
    }

    #[test]
    fn point_at_between_two_starts_is_unknown() {
        let trends = Trends {
            from_ms: 0,
            to_ms: 100_000,
            points: vec![point(10_000, 1), point(20_000, 1), point(60_000, 2)],
            ..Trends::default()
        };
        let at = |ms| point_at(&trends, ms).map(|(n, _)| n);
        assert_eq!(
            [at(9_999), at(15_000), at(20_500), at(40_000), at(99_000)],
            [None, Some(0), Some(1), None, Some(2)]
        );
        assert_eq!(starts(&trends), [60_000]);
    }

    #[test]
    fn column_and_moment_are_each_others_inverse() {
        let trends = Trends {
            from_ms: 1_000,
            to_ms: 301_000,
            ..Trends::default()
        };
        for width in [2, 61, 283] {
            for x in 0..width {
                let at = moment(&trends, x, width);
                assert_eq!(column(&trends, at, width), Some(x), "{x} of {width}");
            }
        }
        assert_eq!(column(&trends, 999, 60), None);
        assert_eq!(column(&trends, 301_001, 60), None);
    }
}
