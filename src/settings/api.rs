//! The HTTP face: where it listens, whom it answers, how much of whom at once.

use serde::{Deserialize, Serialize};

use super::NamedToken;

/// So many requests a client in a window; 0: as many as they like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct RateLimit {
    /// Requests.
    pub max: u64,
    /// The window, milliseconds.
    pub window_ms: u64,
}

impl Default for RateLimit {
    fn default() -> Self {
        Self {
            max: 100,
            window_ms: 900_000,
        }
    }
}

/// The HTTP face.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct ApiSettings {
    /// Where `bsm serve` listens.
    pub listen: String,
    /// The variable that holds the admin token.
    pub admin_token_env: String,
    /// Names that this server may be called by, beside localhost and addresses.
    pub hosts: Vec<String>,
    /// Origins of pages that may ask.
    pub cors: Vec<String>,
    /// On `/api/`, for each client.
    pub rate_limit: RateLimit,
    /// Only the local network is answered.
    pub lan_only: bool,
    /// Nothing is started, stopped or controlled.
    pub mobile_mode: bool,
    /// Longest input to an agent, characters.
    pub max_agent_input: usize,
    /// Programs that may use the gateway, and nothing else; none of them sees another's cached answers.
    pub gateway_tokens: Vec<NamedToken>,
    /// Proxies (addresses, or networks as 10.0.0.0/8) whose word on a client's address counts.
    pub trusted_proxies: Vec<String>,
    /// Connections at once, over TCP and over the socket each.
    pub max_connections: usize,
    /// A connection that says nothing for this long (milliseconds) is closed: no header, no more of a body.
    pub idle_ms: u64,
}

impl Default for ApiSettings {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:3000".into(),
            admin_token_env: "ADMIN_TOKEN".into(),
            hosts: Vec::new(),
            cors: Vec::new(),
            rate_limit: RateLimit::default(),
            lan_only: false,
            mobile_mode: false,
            max_agent_input: 4_000,
            gateway_tokens: Vec::new(),
            trusted_proxies: Vec::new(),
            max_connections: 1_024,
            idle_ms: 15_000,
        }
    }
}
