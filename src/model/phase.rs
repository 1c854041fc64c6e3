//! Where a load stands with the provider that it asks: waiting for a place, for the rate limit, for the answer.
//!
//! Why beside the trace: an attempt is in the trace when it is over; a person who looks at a run at work wants
//! to know what it waits for now.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// What a load does at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PhaseKind {
    /// It waits for a place in the provider's pool.
    Queued,
    /// It waits for the provider's rate limit, ours or one that a 429 began.
    RateLimited,
    /// It was sent; nothing of the answer has come.
    Waiting,
    /// The answer comes.
    Streaming,
    /// An attempt failed; it waits before the next one.
    Retrying,
}

impl PhaseKind {
    /// The word, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::RateLimited => "rate_limited",
            Self::Waiting => "waiting",
            Self::Streaming => "streaming",
            Self::Retrying => "retrying",
        }
    }

    /// It waits for this engine's own layers, not for the provider.
    pub fn is_wait(self) -> bool {
        matches!(self, Self::Queued | Self::RateLimited | Self::Retrying)
    }
}

/// A load enters a phase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhaseChange {
    /// Which.
    pub kind: PhaseKind,
    /// The provider.
    pub provider: Arc<str>,
    /// The model.
    pub model: Arc<str>,
    /// Which attempt at this model, 1 first. While it waits to retry: the one that comes.
    pub attempt: u32,
    /// At most so many.
    pub of: u32,
    /// Why this is not the first attempt at the first model: what the last one said.
    pub reason: Option<Arc<str>>,
}
