//! What a cache is set to, what it says about itself, and where a value came from.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How long values live and how much room they may take. All of it can be changed while running.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct CacheSettings {
    /// Fresh for this long, milliseconds. Zero switches the cache off.
    pub ttl_ms: u64,
    /// Each value's TTL is shortened at random by up to this many percent, so that what was loaded
    /// together does not expire together.
    pub jitter_percent: u32,
    /// For this much longer (milliseconds) served at once, marked stale, while one load runs.
    pub stale_ms: u64,
    /// Until this long after its TTL (milliseconds) served, marked stale, where a load fails. Beyond it a
    /// value is gone, whatever happens.
    pub stale_if_error_ms: u64,
    /// The loader's word that there is no such thing is kept for this long, milliseconds; 0: not at all.
    pub negative_ms: u64,
    /// Room for values, bytes.
    pub max_bytes: u64,
}

impl Default for CacheSettings {
    fn default() -> Self {
        Self {
            ttl_ms: 300_000,
            jitter_percent: 10,
            stale_ms: 3_600_000,
            stale_if_error_ms: 86_400_000,
            negative_ms: 1_000,
            max_bytes: 16 << 20,
        }
    }
}

/// A cache's section of the snapshot. Counters run since start, and they add up:
/// `gets = hits + stale_served + stampede_prevented + misses + negative_hits` and, while stampedes are
/// prevented, `misses + refreshes = loads + errors + abandoned + in_flight`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CacheStats {
    /// The cache's name.
    pub name: String,
    /// Values held.
    pub entries: u64,
    /// Bytes held, by the cache's own weights.
    pub bytes: u64,
    /// Room in bytes.
    pub max_bytes: u64,
    /// Settings: fresh for this long, milliseconds.
    pub ttl_ms: u64,
    /// When the youngest value was loaded, wall time in milliseconds (an age would change every second).
    pub loaded_ms: Option<i64>,
    /// True when the youngest value is still fresh.
    pub valid: bool,
    /// Answered fresh from the cache.
    pub hits: u64,
    /// Started a load and waited for it.
    pub misses: u64,
    /// Joined a load that was already running (coalesced loads).
    pub stampede_prevented: u64,
    /// Answered at once with a marked stale value.
    pub stale_served: u64,
    /// Of misses and joined loads: answered with a marked stale value because the load failed.
    pub stale_on_error: u64,
    /// Answered from the kept word that there is no such thing.
    pub negative_hits: u64,
    /// Loads in the background, started by a stale answer.
    pub refreshes: u64,
    /// Loads finished well.
    pub loads: u64,
    /// Loads that failed, panicked or timed out.
    pub errors: u64,
    /// Loads given up because nobody waited any more.
    pub abandoned: u64,
    /// Values that had to make room for others.
    pub evictions: u64,
    /// Loads running now.
    pub in_flight: u64,
    /// How long the last good load took, milliseconds.
    pub last_load_ms: Option<u64>,
    /// What the last failed load said.
    pub last_error: Option<String>,
}

impl CacheStats {
    /// Share of gets answered without a load of their own, 0 to 1; `None` before the first get.
    pub fn hit_rate(&self) -> Option<f64> {
        let gets = self.served() + self.misses;
        (gets > 0).then(|| self.served() as f64 / gets as f64)
    }

    /// Gets answered without a load of their own.
    pub fn served(&self) -> u64 {
        self.hits + self.stale_served + self.stampede_prevented + self.negative_hits
    }
}

/// Where a value came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Fresh from the cache, this old.
    Hit(Duration),
    /// Past its TTL, this old; a load is running or failed recently.
    Stale(Duration),
    /// Past its TTL, this old; the load that should have replaced it failed just now.
    StaleOnError(Duration),
    /// Loaded by another caller's flight.
    Shared,
    /// Loaded for this caller.
    Loaded,
}

/// What a loader may want to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loading {
    /// An old value will be served if this load fails: no need to go to great lengths.
    pub stale_at_hand: bool,
    /// Nobody waits for it.
    pub background: bool,
}

/// Why a load gave no value.
#[derive(Debug, thiserror::Error)]
pub enum LoadError<E> {
    /// The loader's own error, shared by all who waited.
    #[error("{0}")]
    Failed(Arc<E>),
    /// The loader panicked; the cache is unharmed.
    #[error("the load panicked")]
    Panicked,
    /// The loader took longer than its limit.
    #[error("the load took longer than {0:?}")]
    TimedOut(Duration),
}

impl<E> Clone for LoadError<E> {
    fn clone(&self) -> Self {
        match self {
            Self::Failed(e) => Self::Failed(Arc::clone(e)),
            Self::Panicked => Self::Panicked,
            Self::TimedOut(d) => Self::TimedOut(*d),
        }
    }
}

/// One thing that is held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CacheEntryInfo {
    /// Its key.
    pub key: String,
    /// What it is.
    pub label: String,
    /// Milliseconds since it was loaded.
    pub age_ms: u64,
    /// `fresh`, `stale`, `for need only`, `nothing`.
    pub state: String,
    /// Its weight.
    pub bytes: u64,
}
