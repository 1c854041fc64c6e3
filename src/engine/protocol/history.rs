//! What was recorded: single pictures to rewind to, and series over a span to see where it goes.

use serde::{Deserialize, Serialize};

use crate::engine::protocol::snapshot::Snapshot;
use crate::resilience::breaker::BreakerState;

/// A recorded picture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SnapshotAt {
    /// When, wall time in milliseconds.
    pub at_ms: i64,
    /// The picture.
    pub picture: Box<Snapshot>,
    /// The oldest time recorded.
    pub oldest_ms: i64,
    /// When the engine of this picture had started, wall time in milliseconds: another time is another life, and
    /// its counts since the start begin anew.
    #[serde(default)]
    pub engine_ms: i64,
    /// It is of the life of the engine that answers. False in a recording of an older version.
    #[serde(default)]
    pub this_life: bool,
}

/// One point of the series.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Point {
    /// When, wall time in milliseconds.
    pub at_ms: i64,
    /// Gateway overhead, microseconds.
    pub p50_us: Option<u64>,
    /// Gateway overhead, microseconds.
    pub p95_us: Option<u64>,
    /// Gateway overhead, microseconds.
    pub p99_us: Option<u64>,
    /// Calls a second.
    pub calls: f64,
    /// Share of gets answered by the caches, 0 to 1.
    pub hit_rate: Option<f64>,
    /// When the engine of this picture had started: between two engines nothing is known.
    pub engine_ms: i64,
    /// Each breaker's state, in the order of [`Trends::breakers`]; `None`: it was not there.
    pub breakers: Vec<Option<BreakerState>>,
    /// Each pool's places in use as a share of what is allowed, in the order of [`Trends::pools`].
    pub pools: Vec<f64>,
    /// Attempts a second over the last minute by outcome, in the order of `CallOutcome::ALL`; `None`: an older
    /// version recorded the picture and did not count them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcomes: Option<[f64; 5]>,
    /// Median of answered calls, milliseconds; `None`: fewer than 20, or not recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered_p50_ms: Option<u64>,
    /// 99th percentile of answered calls, milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered_p99_ms: Option<u64>,
}

/// An alert that was raised within a span.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AlertMark {
    /// When, wall time in milliseconds.
    pub at_ms: i64,
    /// What kind of thing; see [`Alert::code`](super::alert::Alert::code).
    pub code: String,
    /// A sentence, harmless: as it was recorded last.
    pub text: String,
}

/// Series over a span.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Trends {
    /// From, wall time in milliseconds.
    pub from_ms: i64,
    /// To.
    pub to_ms: i64,
    /// Oldest first.
    pub points: Vec<Point>,
    /// Names of breakers.
    pub breakers: Vec<String>,
    /// Names of pools.
    pub pools: Vec<String>,
    /// Times at which the workspace or its settings changed.
    pub marks: Vec<i64>,
    /// Bad alerts that were raised, drills left out; oldest first.
    #[serde(default)]
    pub alerts: Vec<AlertMark>,
}
