//! The gateway: how long it waits for answers, and how much it takes.

use serde::{Deserialize, Serialize};

/// The gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct GatewaySettings {
    /// Until the first content of a streamed answer (milliseconds), where the provider's entry does not say:
    /// models that think say nothing for minutes.
    pub first_token_ms: u64,
    /// Longest silence in a streamed answer (milliseconds), where the provider's entry does not say.
    pub idle_ms: u64,
    /// Longest time for an answer that is not streamed (milliseconds).
    pub whole_answer_ms: u64,
    /// Longest time for a whole call, all attempts together (milliseconds); 0: none. An answer that still
    /// flows is cut by nothing else.
    pub total_ms: u64,
    /// Largest request, bytes.
    pub largest_request: usize,
    /// A silent stream says `: keep-alive` this often (milliseconds).
    pub keep_alive_ms: u64,
}

impl Default for GatewaySettings {
    fn default() -> Self {
        Self {
            first_token_ms: 300_000,
            idle_ms: 120_000,
            whole_answer_ms: 600_000,
            total_ms: 0,
            largest_request: 32 << 20,
            keep_alive_ms: 10_000,
        }
    }
}
