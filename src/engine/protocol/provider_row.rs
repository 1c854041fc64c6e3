//! One provider in a row: breaker, pool, queue, key and figures, made once so that every face shows the same.

use serde::{Deserialize, Serialize};

use crate::resilience::breaker::BreakerState;
use crate::telemetry::provider_meter::ProviderFigures;

/// Whether a provider has a key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyState {
    /// It needs none, or the simulator stands in for it.
    #[default]
    NotNeeded,
    /// A key is set.
    Present,
    /// No key is set; [`ProviderRow::variables`] says which variable to set.
    Missing,
    /// Every key was refused.
    Refused,
}

/// A provider. Times are wall time in milliseconds, so that a face counts the seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProviderRow {
    /// Its name.
    pub name: String,
    /// It can be asked.
    pub ready: bool,
    /// Why not; harmless.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether it has a key.
    pub key: KeyState,
    /// Variables for its key, one of which is enough, while none is set.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub variables: Vec<String>,
    /// Its breaker.
    pub breaker: BreakerState,
    /// Its models whose own breaker lets no call through, though the provider's does.
    #[serde(default)]
    pub models_refused: u32,
    /// Since when it refuses: the first time that the breaker opened after it was last closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub down_since_ms: Option<i64>,
    /// When its cool-down ends, while it is open; when it ended, while it is half-open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_attempt_ms: Option<i64>,
    /// Failures in a row.
    pub failures: u32,
    /// Failures in a row that open it.
    pub failures_limit: u32,
    /// Failures in the breaker's window.
    pub window_failures: u32,
    /// Calls in the breaker's window.
    pub window_calls: u32,
    /// Trials under way, while half-open.
    pub trials: u32,
    /// Trials at once.
    pub trials_limit: u32,
    /// Its pool. Providers may share one: use and queue are the pool's then.
    pub pool: String,
    /// Calls in the pool now.
    pub in_use: u32,
    /// Calls at once now: fewer than the limit after 429s (adaptive limit).
    pub allowed: u32,
    /// Calls at once, as configured.
    pub limit: u32,
    /// Calls that wait now, for the pool and for the rate limit together.
    pub queued: u32,
    /// Since when the oldest of them waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest_ms: Option<i64>,
    /// Seconds that calls back off after a 429.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backoff_s: Option<u64>,
    /// What it did in the last minutes.
    #[serde(flatten)]
    pub figures: ProviderFigures,
}

impl ProviderRow {
    /// It refuses calls: its breaker is not closed, or every key was refused.
    pub fn is_down(&self) -> bool {
        let refuses = matches!(
            self.breaker,
            BreakerState::Open | BreakerState::HalfOpen | BreakerState::Isolated
        );
        refuses || self.key == KeyState::Refused
    }

    /// Somebody counts on it: it can be asked, or was set up and cannot.
    pub fn is_set_up(&self) -> bool {
        self.ready || matches!(self.key, KeyState::Present | KeyState::Refused)
    }
}
