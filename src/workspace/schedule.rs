//! When an event begins by itself: a crontab expression and the zone that its hours are meant in.
//!
//! Why the zone must be named: six in the morning is six somewhere, and clocks change there. A time that a
//! clock leaves out comes as much later as the clock was set forward; one that it has twice comes once,
//! unless the expression is for every hour.

use std::str::FromStr as _;

use cronexpr::{Crontab, MakeTimestamp};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A schedule that can be read.
#[derive(Debug, Clone)]
pub struct Schedule {
    text: String,
    /// With the zone: what the clocks there really show.
    cron: Crontab,
    /// Without: days that all have the same hours.
    plain: Crontab,
    zone: TimeZone,
    /// For every hour, or every so many.
    hourly: bool,
}

impl PartialEq for Schedule {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Schedule {}

#[derive(Deserialize)]
#[serde(untagged)]
enum Form {
    Line(String),
    Parts(Parts),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parts {
    cron: String,
    zone: String,
}

impl Schedule {
    /// `MINUTE HOUR DAY MONTH WEEKDAY ZONE`
    ///
    /// # Errors
    /// A sentence: what is wrong.
    pub fn read(text: &str) -> Result<Self, String> {
        let shown = crate::text::clean_line(text, 80);
        let fields = text.split_whitespace().count();
        if fields == 5 {
            return Err(format!(
                "the schedule '{shown}' names no zone; write it after it, as UTC or Europe/Berlin"
            ));
        }
        if fields != 6 {
            return Err(format!(
                "the schedule '{shown}' is not five crontab fields and a zone"
            ));
        }
        let parsed = |text: &str| {
            Crontab::from_str(text).map_err(|e| {
                let why = crate::text::clean_line(&e.to_string(), 120);
                format!("the schedule '{shown}' cannot be read: {why}")
            })
        };
        let words: Vec<&str> = text.split_whitespace().collect();
        let zone = TimeZone::get(words[5])
            .map_err(|_| format!("the schedule '{shown}' names a zone that is not known here"))?;
        Ok(Self {
            cron: parsed(text)?,
            plain: parsed(&format!("{} UTC", words[..5].join(" ")))?,
            zone,
            hourly: words[1].contains('*'),
            text: words.join(" "),
        })
    }

    /// As it was written, in one line.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The first time after one, both wall time in milliseconds; `None` when there is none.
    pub fn next(&self, after_ms: i64) -> Option<i64> {
        if self.hourly {
            let after = MakeTimestamp::from_millisecond(after_ms).ok()?;
            let next = self.cron.find_next(after).ok()?;
            return Some(next.timestamp().as_millisecond());
        }
        let after = Timestamp::from_millisecond(after_ms).ok()?;
        let mut shown = after.to_zoned(self.zone.clone()).datetime();
        loop {
            // What the clock shows there, taken for a time of days that have all their hours.
            let as_plain = shown.to_zoned(TimeZone::UTC).ok()?.timestamp();
            let start = MakeTimestamp::from_millisecond(as_plain.as_millisecond()).ok()?;
            shown = self.plain.find_next(start).ok()?.datetime();
            let next = shown.to_zoned(self.zone.clone()).ok()?.timestamp();
            // An hour that is there twice: the first time has been.
            if next > after {
                return Some(next.as_millisecond());
            }
        }
    }
}

impl Serialize for Schedule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Schedule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = match Form::deserialize(deserializer).map_err(|_| {
            serde::de::Error::custom(
                "a schedule is {cron: \"0 6 * * 1\", zone: Europe/Berlin}, or one line of both",
            )
        })? {
            Form::Line(text) => text,
            Form::Parts(Parts { cron, zone }) => format!("{cron} {zone}"),
        };
        Self::read(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(text: &str) -> i64 {
        text.parse::<jiff::Timestamp>().unwrap().as_millisecond()
    }

    fn after(schedule: &str, at: &str, times: usize) -> Vec<String> {
        let schedule = Schedule::read(schedule).unwrap();
        let mut at = ms(at);
        let mut out = Vec::new();
        for _ in 0..times {
            at = schedule.next(at).unwrap();
            out.push(jiff::Timestamp::from_millisecond(at).unwrap().to_string());
        }
        out
    }

    #[test]
    fn both_forms_and_a_zone_always() {
        let line: Schedule = serde_yaml::from_str("\"0  6 * * 1 Europe/Berlin\"").unwrap();
        let parts: Schedule =
            serde_yaml::from_str("{cron: \"0 6 * * 1\", zone: Europe/Berlin}").unwrap();
        assert_eq!((&line, line.text()), (&parts, "0 6 * * 1 Europe/Berlin"));
        assert!(Schedule::read("0 6 * * 1").unwrap_err().contains("zone"));
        for bad in [
            "",
            "0 6 * * 1 Mars/Base",
            "99 6 * * 1 UTC",
            "a b c d e UTC",
            "* * * * * * UTC",
        ] {
            assert!(Schedule::read(bad).is_err(), "{bad}");
        }
        assert!(serde_yaml::from_str::<Schedule>("{cron: \"0 6 * * 1\"}").is_err());
    }

    /// In Berlin, 29 March 2026 has no 02:30, and 25 October 2026 has it twice.
    #[test]
    fn a_clock_that_is_set_forward_loses_no_run_for_ever_and_one_set_back_makes_no_second() {
        let daily = "30 2 * * * Europe/Berlin";
        let spring = after(daily, "2026-03-28T00:00:00Z", 3);
        assert_eq!(
            spring,
            [
                "2026-03-28T01:30:00Z",
                "2026-03-29T01:30:00Z",
                "2026-03-30T00:30:00Z"
            ]
        );
        let autumn = after(daily, "2026-10-24T12:00:00Z", 2);
        assert_eq!(autumn, ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]);
        // Every hour is every hour, twice the one that is there twice.
        let hourly = after("0 * * * * Europe/Berlin", "2026-10-24T23:30:00Z", 4);
        assert_eq!(
            hourly,
            [
                "2026-10-25T00:00:00Z",
                "2026-10-25T01:00:00Z",
                "2026-10-25T02:00:00Z",
                "2026-10-25T03:00:00Z"
            ]
        );
    }
}
