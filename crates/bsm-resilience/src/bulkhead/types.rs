//! Settings, lanes and figures of a pool.

use serde::Deserialize;
use serde::Serialize;

/// Size of a pool and of its queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct PoolSettings {
    /// Calls at once.
    pub limit: u32,
    /// Callers that may wait.
    pub queue: u32,
    /// Longest wait in milliseconds.
    pub wait_ms: u64,
}

impl Default for PoolSettings {
    fn default() -> Self {
        Self {
            limit: 10,
            queue: 1_000,
            wait_ms: 30_000,
        }
    }
}

/// How urgent a call is; the order is the order of service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// A person waits for it.
    Interactive,
    /// A run waits for it.
    Run,
    /// A cached value is refreshed in the background.
    Refresh,
}

/// Callers waiting, by lane.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Queued {
    /// For a person.
    pub interactive: u32,
    /// For a run.
    pub run: u32,
    /// For a refresh.
    pub refresh: u32,
}

/// A pool's section of the snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PoolStats {
    /// The pool's name.
    pub name: String,
    /// Calls running.
    pub in_use: u32,
    /// Calls allowed at once, as set.
    pub limit: u32,
    /// Calls allowed at once now: fewer after the upstream answered 429.
    pub allowed: u32,
    /// Calls running above what is allowed; retired as they return.
    pub debt: u32,
    /// Callers waiting.
    pub queued: u32,
    /// The same by lane.
    pub lanes: Queued,
    /// Callers that may wait.
    pub queue_limit: u32,
    /// Places given since start.
    pub admitted: u64,
    /// Of those, after a wait.
    pub waited: u64,
    /// Refused since start: pool and queue full.
    pub rejected: u64,
    /// Gave up waiting since start.
    pub timed_out: u64,
    /// Times that the upstream's complaint made it smaller, since start.
    pub shrunk: u64,
}
