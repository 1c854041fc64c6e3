//! What a command would do, said from live figures before it is done, and what became of it a minute
//! later.

use std::time::{Duration, Instant};

use crate::cache::CacheStats;
use crate::console::format::{count, percent, so_many};
use crate::console::message::Now;
use crate::engine::protocol::command::Command;
use crate::engine::protocol::snapshot::Snapshot;
use crate::resilience::breaker::{BreakerState, BreakerStats};

/// A command whose consequence is looked at again.
#[derive(Debug, Clone)]
pub struct FollowUp {
    /// When.
    pub at: Instant,
    command: Command,
    before: Before,
}

#[derive(Debug, Clone, Default)]
struct Before {
    successes: u64,
    failures: u64,
    trips: u64,
    gets: u64,
    served: u64,
    loads: u64,
}

const LATER: Duration = Duration::from_secs(60);

fn caches<'a>(s: &'a Snapshot, name: Option<&'a str>) -> impl Iterator<Item = &'a CacheStats> {
    s.caches
        .iter()
        .filter(move |c| name.is_none_or(|n| n == c.name))
}

fn breakers<'a>(s: &'a Snapshot, name: Option<&'a str>) -> impl Iterator<Item = &'a BreakerStats> {
    s.breakers
        .iter()
        .filter(move |b| name.is_none_or(|n| n == b.name))
}

impl Before {
    fn of(s: &Snapshot, command: &Command) -> Option<Self> {
        let mut before = Self::default();
        match command {
            Command::ClearCache { cache, .. } => {
                for c in caches(s, cache.as_deref()) {
                    before.gets += c.served() + c.misses;
                    before.served += c.served();
                    before.loads += c.loads;
                }
            }
            Command::ResetBreaker { breaker } => before.add(breakers(s, breaker.as_deref())),
            Command::CloseBreaker { breaker } | Command::IsolateBreaker { breaker } => {
                before.add(breakers(s, Some(breaker)));
            }
            _ => return None,
        }
        Some(before)
    }

    fn add<'a>(&mut self, all: impl Iterator<Item = &'a BreakerStats>) {
        for b in all {
            self.successes += b.successes;
            self.failures += b.failures;
            self.trips += b.trips;
        }
    }
}

impl FollowUp {
    /// Of a command that was just carried out; `None` where there is nothing to look at again.
    pub fn of(command: &Command, snapshot: &Snapshot, now: Now) -> Option<Self> {
        Some(Self {
            at: now.at + LATER,
            command: command.clone(),
            before: Before::of(snapshot, command)?,
        })
    }

    /// What happened since, in a sentence; true: it is bad.
    pub fn summary(&self, snapshot: &Snapshot) -> Option<(String, bool)> {
        let now = Before::of(snapshot, &self.command)?;
        let old = &self.before;
        let text = match &self.command {
            Command::ClearCache { cache, .. } => {
                let (gets, served) = (
                    now.gets.saturating_sub(old.gets),
                    now.served.saturating_sub(old.served),
                );
                let rate = if gets == 0 {
                    "nobody asked".to_owned()
                } else {
                    format!(
                        "hit rate {} of {gets} gets",
                        percent(served as f64 / gets as f64)
                    )
                };
                let name = cache.as_deref().unwrap_or("all caches");
                format!(
                    "a minute after clearing {name}: {} loaded again, {rate}",
                    now.loads.saturating_sub(old.loads)
                )
            }
            Command::ResetBreaker { breaker } => {
                Self::breaker(breaker.as_deref(), "resetting", old, &now, snapshot)
            }
            Command::CloseBreaker { breaker } => {
                Self::breaker(Some(breaker), "closing", old, &now, snapshot)
            }
            Command::IsolateBreaker { breaker } => {
                Self::breaker(Some(breaker), "isolating", old, &now, snapshot)
            }
            _ => return None,
        };
        Some((text, now.trips > old.trips))
    }

    fn breaker(
        name: Option<&str>,
        verb: &str,
        old: &Before,
        now: &Before,
        snapshot: &Snapshot,
    ) -> String {
        let state = match name.and_then(|n| breakers(snapshot, Some(n)).next()) {
            Some(b) => b.state.as_str().to_owned(),
            None => {
                let closed = snapshot
                    .breakers
                    .iter()
                    .filter(|b| b.state == BreakerState::Closed)
                    .count();
                format!("{closed} of {} closed", snapshot.breakers.len())
            }
        };
        let again = match now.trips.saturating_sub(old.trips) {
            0 => String::new(),
            n => format!(", opened {n} times again"),
        };
        format!(
            "a minute after {verb} {}: {state}, {} calls answered, {} failed{again}",
            name.unwrap_or("all breakers"),
            count(now.successes.saturating_sub(old.successes)),
            count(now.failures.saturating_sub(old.failures)),
        )
    }
}

/// What clearing a cache costs.
pub fn clearing(s: &Snapshot, name: Option<&str>) -> String {
    let mut entries = 0;
    let (mut gets, mut served, mut load_ms) = (0, 0, 0);
    for c in caches(s, name) {
        entries += c.entries;
        gets += c.served() + c.misses;
        served += c.served();
        load_ms += c.entries * c.last_load_ms.unwrap_or(0);
    }
    let mut text = format!(
        "{}: {}",
        name.unwrap_or("all of them"),
        so_many(entries, "entry", "entries")
    );
    let answers = caches(s, name).find(|c| c.name == "responses");
    if let Some(c) = answers.filter(|c| c.loads > 0 && s.cost_usd > 0.0) {
        let each = s.cost_usd / c.loads as f64;
        text.push_str(&format!(", ${:.2} to ask again", each * c.entries as f64));
    }
    if load_ms > 0 {
        text.push_str(&format!(
            ", {} to load",
            crate::console::format::seconds(load_ms)
        ));
    }
    if gets >= crate::telemetry::latency::ENOUGH {
        let rate = percent(served as f64 / gets as f64);
        text.push_str(&format!(", hit rate so far {rate}"));
    }
    text
}

/// What the last trials of a breaker say about letting calls pass.
pub fn resetting(b: &BreakerStats) -> String {
    let tried = |to: BreakerState| {
        b.transitions
            .iter()
            .filter(|t| t.from == BreakerState::HalfOpen && t.to == to)
            .count()
    };
    let (failed, well) = (tried(BreakerState::Open), tried(BreakerState::Closed));
    let mut text = format!("{}, {}", b.name, b.state.as_str());
    if failed + well > 0 {
        text.push_str(&format!(
            ": {failed} of the last {} trials failed",
            failed + well
        ));
    }
    match b.retry_in_s {
        Some(0) => text.push_str(", half-open on the next call anyway"),
        Some(s) => text.push_str(&format!(", next trial in {s} s anyway")),
        None => {}
    }
    text
}
