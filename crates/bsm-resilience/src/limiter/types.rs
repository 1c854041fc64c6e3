//! Settings and figures of a rate limiter.

use serde::Deserialize;
use serde::Serialize;

/// Quotas of one upstream; absent means unlimited. A minute's quota may be used at once; each part of it
/// comes back a minute after it was used, so that no minute holds more than the quota.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct RateSettings {
    /// Requests a minute.
    pub requests_per_minute: Option<u32>,
    /// Tokens a minute, prompt and answer together.
    pub tokens_per_minute: Option<u32>,
}

/// A limiter's section of the snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RateStats {
    /// The upstream's name.
    pub name: String,
    /// Its quotas.
    #[serde(flatten)]
    pub settings: RateSettings,
    /// Requests available now.
    pub requests_left: Option<u32>,
    /// Tokens available now; below zero after a call that used more than was set aside.
    pub tokens_left: Option<i64>,
    /// Seconds until the upstream's own limit is over, after a 429.
    pub paused_s: Option<u64>,
    /// Calls that hold a reservation now.
    pub reserved: u32,
    /// Tokens set aside for them.
    pub reserved_tokens: u64,
    /// Calls that wait for their turn now.
    pub waiting: u32,
    /// Requests that count towards the quota, since start.
    pub admitted: u64,
    /// Calls that had to wait, since start.
    pub delayed: u64,
    /// Calls refused, since start.
    pub rejected: u64,
}
