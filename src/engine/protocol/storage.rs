//! What takes how much of the disk, what its bound is, what goes next, and when it is full at the present rate: data
//! of the seam. What is not known is `None`.

use serde::{Deserialize, Serialize};

use crate::engine::protocol::retention::Store;

/// How much of one store is kept. Of several bounds the first one reached counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Bound {
    /// Of what.
    pub store: Store,
    /// Older ones go, days.
    pub days: Option<u64>,
    /// The first to go do so until no more bytes are taken.
    pub bytes: Option<u64>,
    /// All but so many go.
    pub items: Option<u64>,
    /// The settings that say so; empty: fixed.
    pub settings: Vec<String>,
    /// What goes first.
    pub first_to_go: String,
}

impl Bound {
    /// In words: `90 days, 1.0 GiB`.
    pub fn summary(&self) -> String {
        let mut parts = Vec::new();
        if let Some(days) = self.days {
            parts.push(format!("{days} {}", if days == 1 { "day" } else { "days" }));
        }
        if let Some(items) = self.items {
            parts.push(format!("{items} items"));
        }
        if let Some(bytes) = self.bytes {
            parts.push(human_bytes(bytes));
        }
        if parts.is_empty() {
            return "none".into();
        }
        parts.join(", ")
    }
}

/// Bytes in the largest unit that leaves at least 1.
pub fn human_bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 {
        format!("{bytes} B")
    } else {
        format!("{value:.1} {}", UNITS[unit])
    }
}

/// When a part reaches its bound at the present rate.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "when", content = "days")]
pub enum Full {
    /// It has reached it: from now on the first to go do go.
    Now,
    /// In so many days.
    Days(f64),
    /// Never by its size or number: its age comes first, or it does not grow.
    ByAge,
    /// The rate is not known.
    Unknown,
    /// It has no bound.
    NoBound,
}

impl Full {
    /// In words: `12 days`, `goes by age`, `unknown`.
    pub fn words(self) -> String {
        match self {
            Self::Now => "at bound".into(),
            Self::Days(days) => span_days(days),
            Self::ByAge => "goes by age".into(),
            Self::Unknown => "unknown".into(),
            Self::NoBound => "-".into(),
        }
    }
}

/// `3 days`, `2 years`; more than a hundred years are said so.
pub fn span_days(days: f64) -> String {
    if days < 1.0 {
        format!("{} hours", (days * 24.0).floor())
    } else if days < 1_000.0 {
        format!("{} days", days.floor())
    } else if days < 36_500.0 {
        format!("{} years", (days / 365.0).floor())
    } else {
        "> 100 years".into()
    }
}

/// One part of what is on disk.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Part {
    /// What it is.
    pub name: String,
    /// Bytes.
    pub bytes: u64,
    /// Rows or files.
    pub items: Option<u64>,
    /// The oldest one's time, wall time in milliseconds.
    pub oldest_ms: Option<i64>,
    /// How much is kept.
    pub bound: Option<Bound>,
    /// What goes next.
    pub next: Option<String>,
    /// Bytes that came a day, newest week.
    pub bytes_per_day: Option<f64>,
    /// Rows or files that came a day, newest week.
    pub items_per_day: Option<f64>,
    /// When it is full.
    pub full: Full,
}

/// All of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Usage {
    /// The state directory.
    pub state: String,
    /// Where reports are.
    pub reports: String,
    /// When this was measured, wall time in milliseconds.
    pub at_ms: i64,
    /// Bytes of all parts; parts of the journal are within its files.
    pub total_bytes: u64,
    /// Bytes left on the state directory's file system.
    pub disk_free_bytes: Option<u64>,
    /// Days until the disk is full at the present rate; none where that is not known or nothing grows.
    pub disk_full_days: Option<f64>,
    /// Files: the journal, its log, reports, logs and so on.
    pub files: Vec<Part>,
    /// What the journal holds, within its file.
    pub journal: Vec<Part>,
    /// What could not be measured.
    pub problems: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_said_in_one_unit() {
        for (days, said) in [
            (0.5, "12 hours"),
            (3.9, "3 days"),
            (1_100.0, "3 years"),
            (1e9, "> 100 years"),
        ] {
            assert_eq!(span_days(days), said);
        }
    }
}
