//! What whoever watches sees and is woken by: targets, alerts, the console's looks.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What the documents promise; a figure beyond its target is marked.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Targets {
    /// Median, milliseconds.
    pub p50_ms: f64,
    /// 99th percentile, milliseconds.
    pub p99_ms: f64,
    /// Share of runs that fail.
    pub error_rate: f64,
    /// Share of gets answered by a cache.
    pub cache_hit_rate: f64,
    /// Calls a second.
    pub throughput: f64,
}

impl Default for Targets {
    fn default() -> Self {
        Self {
            p50_ms: 100.0,
            p99_ms: 300.0,
            error_rate: 0.001,
            cache_hit_rate: 0.95,
            throughput: 100.0,
        }
    }
}

/// When a missed target becomes an alert. What the targets are is in `targets`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct AlertSettings {
    /// Seconds in a row that it must be missed.
    pub raise_after_s: u32,
    /// Seconds in a row that it must be met before it is over.
    pub clear_after_s: u32,
    /// A file cache whose load took longer (milliseconds) is one; 0: never.
    pub slow_load_ms: u64,
    /// The caches' hit rate is watched too.
    pub hit_rate: bool,
    /// The terminal's bell rings for a bad one.
    pub bell: bool,
}

impl Default for AlertSettings {
    fn default() -> Self {
        Self {
            raise_after_s: 3,
            clear_after_s: 10,
            slow_load_ms: 1_000,
            hit_rate: false,
            bell: false,
        }
    }
}

/// How the console looks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct ConsoleSettings {
    /// Frames a second at most; 0: 30, or 10 over SSH.
    pub fps: u32,
    /// Only ASCII characters.
    pub ascii: bool,
    /// terminal, light, high-contrast, color-blind or mono.
    pub theme: String,
    /// Show times in UTC.
    pub utc: bool,
    /// auto (on, but not over SSH), on or off.
    pub mouse: String,
    /// Keys of your own: the action's name → its key.
    pub keys: BTreeMap<String, String>,
}

impl Default for ConsoleSettings {
    fn default() -> Self {
        Self {
            fps: 0,
            ascii: false,
            theme: "terminal".into(),
            utc: false,
            mouse: "auto".into(),
            keys: BTreeMap::new(),
        }
    }
}
