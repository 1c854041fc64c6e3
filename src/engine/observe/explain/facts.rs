//! What explanations are made from, and the words that they share.

use std::collections::BTreeMap;

use crate::engine::protocol::call::CallView;
use crate::engine::protocol::provider_row::ProviderRow;
use crate::engine::protocol::snapshot::Snapshot;
use crate::engine::protocol::why::Help;
use crate::text::clean_line;

/// What an explanation is made from.
pub struct Seen<'a> {
    /// The snapshot of now.
    pub snapshot: &'a Snapshot,
    /// The newest attempts, newest first.
    pub calls: &'a [CallView],
    /// Wall time, milliseconds.
    pub now_ms: i64,
}

/// An action that helps, and why.
pub fn help(action: &str, why: impl Into<String>) -> Help {
    Help {
        action: action.to_owned(),
        why: why.into(),
    }
}

/// The page that says more.
pub fn runbook(page: &str) -> Option<String> {
    Some(format!("docs/runbooks/{page}.md"))
}

/// `5 × http_529, 2 × timeout`, most frequent first.
pub fn tally<'a>(outcomes: impl Iterator<Item = &'a str>) -> String {
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    for outcome in outcomes {
        *counts.entry(outcome).or_default() += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(name, n)| (std::cmp::Reverse(*n), *name));
    let parts: Vec<String> = counts
        .iter()
        .take(4)
        .map(|(name, n)| format!("{n} × {}", clean_line(name, 40)))
        .collect();
    parts.join(", ")
}

/// `0.9 s`, `41 s`, `12 min`, `3 h`.
pub fn ago(ms: i64) -> String {
    match ms.max(0) / 1_000 {
        s if s < 10 => format!("{:.1} s", ms.max(0) as f64 / 1_000.0),
        s if s < 120 => format!("{s} s"),
        s if s < 7_200 => format!("{} min", s / 60),
        s => format!("{} h", s / 3_600),
    }
}

/// The middle value.
pub fn median(mut values: Vec<u64>) -> Option<u64> {
    values.sort_unstable();
    (!values.is_empty()).then(|| values[values.len() / 2])
}

/// What is present, milliseconds: older attempts explain nothing about now.
const PRESENT_MS: i64 = 300_000;

impl Seen<'_> {
    /// Attempts of the last five minutes, newest first.
    pub fn recent(&self) -> impl Iterator<Item = &CallView> {
        let from = self.now_ms - PRESENT_MS;
        self.calls.iter().filter(move |c| c.at_ms >= from)
    }

    /// Rows of the providers that share a pool.
    pub fn rows_of_pool<'a>(&'a self, pool: &'a str) -> impl Iterator<Item = &'a ProviderRow> {
        self.snapshot
            .provider_rows
            .iter()
            .filter(move |r| r.pool == pool)
    }

    /// The row of one provider.
    pub fn row(&self, provider: &str) -> Option<&ProviderRow> {
        self.snapshot
            .provider_rows
            .iter()
            .find(|r| r.name == provider)
    }

    /// Attempts at one provider.
    pub fn of<'a>(&'a self, provider: &'a str) -> impl Iterator<Item = &'a CallView> {
        self.calls.iter().filter(move |c| c.provider == provider)
    }
}
