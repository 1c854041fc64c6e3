//! An OpenAI-compatible server on loopback, for trying everything without a key.
//!
//! Why over HTTP: a simulated run takes the same path as a real one, through the real client, pools
//! and breakers. Its answers say that they are simulated, and so does every report made from them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;
use url::Url;

/// How the simulator behaves.
#[derive(Debug, Clone, Copy)]
pub struct SimulatorSettings {
    /// The same seed and request give the same answer and latency.
    pub seed: u64,
    /// Shortest and longest time to an answer, milliseconds.
    pub latency_ms: (u64, u64),
}

impl Default for SimulatorSettings {
    fn default() -> Self {
        Self {
            seed: 1,
            latency_ms: (300, 1_500),
        }
    }
}

/// A running simulator; it stops when dropped.
pub struct Simulator {
    url: Url,
    task: tokio::task::JoinHandle<()>,
}

impl Simulator {
    /// Starts on a free port of loopback. Must run inside tokio.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start(settings: SimulatorSettings) -> std::io::Result<Self> {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
        let port = listener.local_addr()?.port();
        let url =
            Url::parse(&format!("http://127.0.0.1:{port}/v1")).map_err(std::io::Error::other)?;
        let routes = Router::new()
            .route("/v1/chat/completions", post(complete))
            .route("/v1/models", get(models))
            .layer(DefaultBodyLimit::max(16 << 20))
            .with_state(Arc::new(settings));
        let task = tokio::spawn(async move {
            // It ends with the task; a failed accept is the client's to see.
            let _ = axum::serve(listener, routes).await;
        });
        Ok(Self { url, task })
    }

    /// Its base address.
    pub fn url(&self) -> &Url {
        &self.url
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn models() -> Json<Value> {
    Json(json!({"object": "list", "data": [{"id": "simulated", "object": "model"}]}))
}

async fn complete(
    State(settings): State<Arc<SimulatorSettings>>,
    body: axum::body::Bytes,
) -> Response {
    let Ok(request) = serde_json::from_slice::<Value>(&body) else {
        let error = json!({"error": {"message": "the request is not JSON", "type": "invalid_request_error", "code": "invalid_json"}});
        return (StatusCode::BAD_REQUEST, Json(error)).into_response();
    };
    let mut hash = Sha256::new();
    hash.update(settings.seed.to_le_bytes());
    hash.update(&body);
    let digest = hash.finalize();
    let dice = u64::from_le_bytes(digest[..8].try_into().unwrap_or_default());
    let (low, high) = settings.latency_ms;
    let wait = low + dice % (high.saturating_sub(low) + 1);
    tokio::time::sleep(Duration::from_millis(wait)).await;
    let score = 80 + dice % 20;
    let content = json!({
        "decision": "approve",
        "score": score,
        "comments": ["Simulated answer: no model has looked at this."],
    })
    .to_string();
    let prompt: usize = request["messages"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|m| m["content"].as_str())
        .map(str::len)
        .sum();
    Json(json!({
        "id": format!("sim-{}", crate::state::hex(&digest[..6])),
        "object": "chat.completion",
        "model": request["model"],
        "choices": [{"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": prompt.div_ceil(4), "completion_tokens": content.len().div_ceil(4), "total_tokens": (prompt + content.len()).div_ceil(4)},
    }))
    .into_response()
}
