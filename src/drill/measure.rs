//! What a drill measures, beside what it promises.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What a measured value must be.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Want {
    /// This very number.
    Exactly(f64),
    /// This or less.
    AtMost(f64),
    /// This or more.
    AtLeast(f64),
    /// Told and not promised.
    Nothing,
}

/// What a promise is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// How often: the same on every machine. It decides.
    Count,
    /// How long: it depends on the machine. It decides only under `--strict`.
    Timing,
}

/// One value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Measure {
    /// What it is.
    pub name: String,
    /// Count or timing.
    pub kind: Kind,
    /// What was promised.
    pub want: Want,
    /// What it is.
    pub value: f64,
    /// Its unit; empty for plain numbers.
    pub unit: String,
}

impl Measure {
    /// The promise is kept.
    pub fn kept(&self) -> bool {
        match self.want {
            Want::Exactly(wanted) => (self.value - wanted).abs() < f64::EPSILON,
            Want::AtMost(most) => self.value <= most,
            Want::AtLeast(least) => self.value >= least,
            Want::Nothing => true,
        }
    }

    /// It decides how the drill ends.
    pub fn decides(&self, strict: bool) -> bool {
        strict || self.kind == Kind::Count
    }

    /// The promise in words: `≤ 5`.
    pub fn promised(&self, ascii: bool) -> String {
        let (sign, number) = match (self.want, ascii) {
            (Want::Exactly(n), _) => ("=", n),
            (Want::AtMost(n), false) => ("≤", n),
            (Want::AtMost(n), true) => ("<=", n),
            (Want::AtLeast(n), false) => ("≥", n),
            (Want::AtLeast(n), true) => (">=", n),
            (Want::Nothing, _) => return String::new(),
        };
        format!("{sign} {}", self.said(number))
    }

    /// The value in words.
    pub fn measured(&self) -> String {
        self.said(self.value)
    }

    fn said(&self, number: f64) -> String {
        let text = if number.fract() == 0.0 {
            format!("{number:.0}")
        } else if number.abs() < 10.0 {
            format!("{number:.2}")
        } else {
            format!("{number:.1}")
        };
        if self.unit.is_empty() {
            text
        } else {
            format!("{text} {}", self.unit)
        }
    }
}

fn measure(name: &str, kind: Kind, want: Want, value: f64, unit: &str) -> Measure {
    Measure {
        name: name.to_owned(),
        kind,
        want,
        value,
        unit: unit.to_owned(),
    }
}

/// A count that must be this.
pub(super) fn exactly(name: &str, wanted: u64, value: u64) -> Measure {
    measure(
        name,
        Kind::Count,
        Want::Exactly(wanted as f64),
        value as f64,
        "",
    )
}

/// A count that must not be larger.
pub(super) fn at_most(name: &str, most: u64, value: u64) -> Measure {
    measure(
        name,
        Kind::Count,
        Want::AtMost(most as f64),
        value as f64,
        "",
    )
}

/// A count that must not be smaller.
pub(super) fn at_least(name: &str, least: u64, value: u64) -> Measure {
    measure(
        name,
        Kind::Count,
        Want::AtLeast(least as f64),
        value as f64,
        "",
    )
}

/// A share that must not be smaller, percent; counted, not timed.
pub(super) fn share_at_least(name: &str, least: f64, value: f64) -> Measure {
    measure(name, Kind::Count, Want::AtLeast(least), value, "%")
}

/// A time that should not be longer, milliseconds.
pub(super) fn within(name: &str, most_ms: f64, value: Duration) -> Measure {
    measure(
        name,
        Kind::Timing,
        Want::AtMost(most_ms),
        value.as_secs_f64() * 1e3,
        "ms",
    )
}

/// A time that should not be longer, microseconds.
pub(super) fn within_us(name: &str, most_us: f64, value: Duration) -> Measure {
    measure(
        name,
        Kind::Timing,
        Want::AtMost(most_us),
        value.as_secs_f64() * 1e6,
        "µs",
    )
}

/// A ratio that should not be larger; of times.
pub(super) fn ratio_at_most(name: &str, most: f64, value: f64) -> Measure {
    measure(name, Kind::Timing, Want::AtMost(most), value, "×")
}

/// Told and not promised.
pub(super) fn fact(name: &str, value: f64, unit: &str) -> Measure {
    measure(name, Kind::Timing, Want::Nothing, value, unit)
}

/// The value below which `percent` of all lie; zero of none.
pub(super) fn percentile(all: &[Duration], percent: f64) -> Duration {
    let mut sorted = all.to_vec();
    sorted.sort_unstable();
    let place = (percent / 100.0 * sorted.len() as f64).ceil() as usize;
    sorted
        .get(place.saturating_sub(1))
        .copied()
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_promise_is_kept_or_not_and_said_in_words() {
        assert!(exactly("a", 0, 0).kept() && !exactly("a", 0, 1).kept());
        assert!(at_most("a", 5, 5).kept() && !at_most("a", 5, 6).kept());
        assert!(share_at_least("a", 99.0, 99.5).kept() && !share_at_least("a", 99.0, 98.9).kept());
        let late = within("a", 1.0, Duration::from_micros(2_500));
        assert!(!late.kept() && !late.decides(false) && late.decides(true));
        assert_eq!(
            (late.promised(false), late.promised(true), late.measured()),
            ("≤ 1 ms".into(), "<= 1 ms".into(), "2.50 ms".into())
        );
        assert_eq!(fact("cpu", 12.34, "ms").promised(false), "");
    }

    #[test]
    fn percentiles_are_of_what_was_measured() {
        let all: Vec<Duration> = (1..=100).rev().map(Duration::from_millis).collect();
        assert_eq!(percentile(&all, 99.0), Duration::from_millis(99));
        assert_eq!(percentile(&all, 50.0), Duration::from_millis(50));
        assert_eq!(percentile(&[], 99.0), Duration::ZERO);
    }
}
