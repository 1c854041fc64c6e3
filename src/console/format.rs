//! Figures for people: fixed forms, units once.

/// Microseconds as milliseconds: `0.11 ms`, `12 ms`, `1.4 s`.
pub fn micros(us: u64) -> String {
    let ms = us as f64 / 1_000.0;
    match ms {
        ms if ms < 10.0 => format!("{ms:.2} ms"),
        ms if ms < 1_000.0 => format!("{ms:.0} ms"),
        ms => format!("{:.1} s", ms / 1_000.0),
    }
}

/// Milliseconds as seconds: `0.4 s`, `62 s`, `12 min`.
pub fn seconds(ms: u64) -> String {
    match ms {
        ms if ms < 100_000 => format!("{:.1} s", ms as f64 / 1_000.0),
        ms if ms < 6_000_000 => format!("{} min", ms / 60_000),
        ms => format!("{} h", ms / 3_600_000),
    }
}

/// A time in seconds, so that a column has one unit: `0.05 s`, `0.9 s`, `21 s`.
pub fn secs(ms: i64) -> String {
    let ms = ms.max(0);
    match ms {
        0 => "0 s".to_owned(),
        ms if ms < 100 => format!("{:.2} s", ms as f64 / 1_000.0),
        ms if ms < 10_000 => format!("{:.1} s", ms as f64 / 1_000.0),
        ms => format!("{} s", ms / 1_000),
    }
}

/// How old something is, in at most four characters: `12s`, `9m`, `3h`, `41d`.
pub fn age(ms: i64) -> String {
    match ms.max(0) / 1_000 {
        s if s < 120 => format!("{s}s"),
        s if s < 7_200 => format!("{}m", s / 60),
        s if s < 172_800 => format!("{}h", s / 3_600),
        s => format!("{}d", s / 86_400),
    }
}

/// A count in at most five characters: `21`, `12.4k`, `3.1M`.
pub fn compact(n: u64) -> String {
    match n {
        n if n < 10_000 => n.to_string(),
        n if n < 999_950 => format!("{:.1}k", n as f64 / 1e3),
        n => format!("{:.1}M", n as f64 / 1e6),
    }
}

/// A length of time to the minute: `6 d 4 h`, `4 h 12 min`, `12 min`.
pub fn uptime(ms: u64) -> String {
    let minutes = ms / 60_000;
    let (days, hours, minutes) = (minutes / 1_440, minutes / 60 % 24, minutes % 60);
    match (days, hours) {
        (0, 0) => format!("{minutes} min"),
        (0, hours) => format!("{hours} h {minutes} min"),
        (days, hours) => format!("{days} d {hours} h"),
    }
}

/// A count with separators: `4,218`.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A share as percent: `96.5 %`.
pub fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// Whose time is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Zone {
    /// The operator's.
    #[default]
    Local,
    /// Everybody's.
    Utc,
}

impl Zone {
    /// Wall time in this zone.
    pub fn at(self, wall_ms: i64) -> jiff::Zoned {
        let zone = match self {
            Self::Local => jiff::tz::TimeZone::system(),
            Self::Utc => jiff::tz::TimeZone::UTC,
        };
        let at = jiff::Timestamp::from_millisecond(wall_ms).unwrap_or_default();
        at.to_zoned(zone)
    }

    /// Wall time as hour and minute.
    pub fn clock(self, wall_ms: i64) -> String {
        self.at(wall_ms).strftime("%H:%M").to_string()
    }

    /// Wall time to the second.
    pub fn clock_seconds(self, wall_ms: i64) -> String {
        self.at(wall_ms).strftime("%H:%M:%S").to_string()
    }

    /// Its short name at that time: `UTC`, `CEST`.
    pub fn name(self, wall_ms: i64) -> String {
        crate::text::clean_line(&self.at(wall_ms).strftime("%Z").to_string(), 6)
    }
}

/// The end of an id: `…k3f9qa`.
pub fn short_id(id: &str) -> &str {
    id.rsplit('_').next().unwrap_or(id)
}

/// So many of what is named: `1 agent`, `2 agents`.
pub fn so_many(n: u64, one: &str, more: &str) -> String {
    format!("{} {}", count(n), if n == 1 { one } else { more })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_fixed_forms() {
        assert_eq!(
            (micros(110), micros(12_400), micros(1_400_000)),
            ("0.11 ms".into(), "12 ms".into(), "1.4 s".into())
        );
        assert_eq!(
            (count(7), count(4_218), count(1_000_000)),
            ("7".into(), "4,218".into(), "1,000,000".into())
        );
        assert_eq!(
            (uptime(720_000), uptime(15_120_000), uptime(532_800_000)),
            ("12 min".into(), "4 h 12 min".into(), "6 d 4 h".into())
        );
        assert_eq!(
            (seconds(3_140), seconds(900_000)),
            ("3.1 s".into(), "15 min".into())
        );
        assert_eq!(short_id("job_1_k3f9qa"), "k3f9qa");
        assert_eq!(
            (secs(50), secs(940), secs(21_400)),
            ("0.05 s".into(), "0.9 s".into(), "21 s".into())
        );
        assert_eq!((age(12_000), age(540_000)), ("12s".into(), "9m".into()));
        assert_eq!(
            (compact(21), compact(12_400)),
            ("21".into(), "12.4k".into())
        );
    }
}
