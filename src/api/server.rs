//! Opens the API: listens over TCP and at the owner's socket, and closes both.

use crate::api::event_buffer::Hub;
use crate::api::guesses::Guesses;
use crate::api::listen::Listener;
use crate::api::listen::serve;
use crate::api::owner_socket::{OwnerSocket, bind_private};
use crate::api::places::Places;
use crate::api::rate_limit::Limits;
use crate::api::routes;
use crate::api::state::Api;
use crate::api::state::ApiConfig;
use crate::api::trusted_proxies::Trusted;
use crate::engine::Operator;
use axum::Router;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Why the face cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// An address or a path.
    #[error("cannot listen at {at}: {source}")]
    Listen {
        /// Where.
        at: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A setting that cannot be used.
    #[error("{0}")]
    Setting(String),
    /// Nobody could be kept out.
    #[error("{0} can be reached from other machines, and there is no admin token")]
    Open(SocketAddr),
    /// The token could be guessed.
    #[error(
        "{0} can be reached from other machines, and the admin token has fewer than 16 characters"
    )]
    Guessable(SocketAddr),
}

/// Characters that a token has at least where other machines can try it.
const SHORTEST_TOKEN: usize = 16;

/// A face that is open; it closes when dropped.
pub struct Face {
    address: Option<SocketAddr>,
    socket: Option<PathBuf>,
    operator: Arc<dyn Operator>,
    stopping: CancellationToken,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Face {
    /// Opens the face over an engine. Must run inside tokio.
    ///
    /// # Errors
    /// When an address or the socket cannot be had, or an address would be open to everybody.
    pub async fn open(operator: Arc<dyn Operator>, config: ApiConfig) -> Result<Self, ApiError> {
        let listener = match config.listen {
            Some(at) => {
                if !at.ip().is_loopback() {
                    let token = config.admin_token.as_deref();
                    let token = token.ok_or(ApiError::Open(at))?;
                    if token.chars().count() < SHORTEST_TOKEN {
                        return Err(ApiError::Guessable(at));
                    }
                }
                let bound = TcpListener::bind(at).await;
                Some(bound.map_err(|source| ApiError::Listen {
                    at: at.to_string(),
                    source,
                })?)
            }
            None => None,
        };
        let address = listener.as_ref().and_then(|l| l.local_addr().ok());
        let unix = match &config.socket {
            Some(path) => Some(bind_private(path).map_err(|source| ApiError::Listen {
                at: path.display().to_string(),
                source,
            })?),
            None => None,
        };
        let stopping = CancellationToken::new();
        let hub = Hub::new(operator.events(), stopping.clone());
        let owner = Arc::clone(&operator);
        let api = Arc::new(Api {
            operator,
            admin_token: config.admin_token,
            gateway_tokens: config.gateway_tokens,
            webhook_secrets: config.webhook_secrets,
            unsigned: AtomicU64::new(0),
            limits: Limits::new(config.settings.rate_limit),
            guesses: Guesses::default(),
            // Half of the places stay for requests that end soon.
            streams: Places::new(
                config.settings.max_connections / 2,
                config.settings.max_connections / 4,
            ),
            trusted: Trusted::read(&config.settings.trusted_proxies).map_err(ApiError::Setting)?,
            settings: config.settings,
            keys: config.keys,
            hub,
            port: address.map(|a| a.port()),
            stopping: stopping.clone(),
        });
        let routes: Router = routes::all(&api);
        let mut tasks = Vec::new();
        let idle = Duration::from_millis(api.settings.idle_ms.max(1));
        let bounds = (api.settings.max_connections, idle);
        // Each has places of its own: a full network does not keep the owner out.
        if let Some(listener) = listener {
            let until = stopping.clone();
            let listener = Listener::Tcp(listener);
            tasks.push(tokio::spawn(serve(listener, routes.clone(), bounds, until)));
        }
        if let (Some(listener), Some(path)) = (unix, config.socket.clone()) {
            let socket = OwnerSocket {
                path,
                operator: Arc::clone(&owner),
                routes,
                bounds,
                stopping: stopping.clone(),
            };
            tasks.push(tokio::spawn(socket.keep(listener)));
        }
        Ok(Self {
            address,
            socket: config.socket,
            operator: owner,
            stopping,
            tasks,
        })
    }

    /// Its address over TCP.
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Takes no more requests and lets those under way end, for at most `limit`.
    pub async fn close(mut self, limit: Duration) {
        self.stopping.cancel();
        let tasks = std::mem::take(&mut self.tasks);
        let aborts: Vec<_> = tasks
            .iter()
            .map(tokio::task::JoinHandle::abort_handle)
            .collect();
        let all = futures_util::future::join_all(tasks);
        if tokio::time::timeout(limit, all).await.is_err() {
            aborts.iter().for_each(tokio::task::AbortHandle::abort);
        }
    }
}

impl Drop for Face {
    fn drop(&mut self) {
        self.stopping.cancel();
        self.tasks.iter().for_each(tokio::task::JoinHandle::abort);
        if let Some(path) = &self.socket {
            self.operator.forget_file(path);
            // The lock of the state directory is still held: it is ours.
            let _ = std::fs::remove_file(path);
        }
    }
}
