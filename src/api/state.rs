//! What every route of the API knows, and who asks.

use crate::api::event_buffer::Hub;
use crate::api::guesses::Guesses;
use crate::api::places::Places;
use crate::api::rate_limit::Limits;
use crate::api::trusted_proxies::Trusted;
use crate::engine::Operator;
use crate::settings::ApiSettings;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use tokio_util::sync::CancellationToken;

/// What the face is started with.
pub struct ApiConfig {
    /// Where to listen; `None`: not over TCP.
    pub listen: Option<SocketAddr>,
    /// The owner's socket; `None`: none.
    pub socket: Option<PathBuf>,
    /// The admin token.
    pub admin_token: Option<String>,
    /// Who may use the gateway beside the admin: name and token.
    pub gateway_tokens: Vec<(String, String)>,
    /// The webhooks' secrets, those of a rotation too; none: webhooks are refused.
    pub webhook_secrets: Vec<String>,
    /// Settings.
    pub settings: ApiSettings,
    /// Which variables hold a key: name, and whether it is set.
    pub keys: Vec<(String, bool)>,
}

/// What every route knows.
pub(crate) struct Api {
    pub(crate) operator: Arc<dyn Operator>,
    pub(crate) admin_token: Option<String>,
    pub(crate) gateway_tokens: Vec<(String, String)>,
    pub(crate) webhook_secrets: Vec<String>,
    /// Webhooks whose signature was missing or wrong.
    pub(crate) unsigned: AtomicU64,
    pub(crate) settings: ApiSettings,
    pub(crate) keys: Vec<(String, bool)>,
    pub(crate) hub: Arc<Hub>,
    pub(crate) limits: Limits,
    /// Wrong tokens.
    pub(crate) guesses: Guesses,
    /// Streams that are open, by client.
    pub(crate) streams: Arc<Places<String>>,
    pub(crate) trusted: Trusted,
    pub(crate) port: Option<u16>,
    pub(crate) stopping: CancellationToken,
}
