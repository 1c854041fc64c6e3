//! The routes, one file a subject. Paths match with their case.

mod agents;
mod chat;
mod control;
mod gateway;
mod health;
mod metrics;
mod runs;
mod seam;
mod stream;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use tower_http::timeout::TimeoutLayer;

pub(super) use seam::SEAM;

use super::Api;
use super::error::Failure;
use super::guard::around;
use crate::engine::types::query::{Answer, Query};

/// Largest body, bytes; what carries a diff may be larger.
const BODY: usize = 1 << 20;
/// Largest body with a diff in it, bytes.
const DIFF: usize = 16 << 20;
/// A request that takes longer is given up; streams and models have their own clocks.
const TIME: Duration = Duration::from_secs(30);

pub(super) fn all(api: &Arc<Api>) -> Router {
    let quick = Router::new()
        .merge(health::routes())
        .merge(agents::routes())
        .merge(runs::routes())
        .merge(control::routes())
        .merge(metrics::routes())
        .merge(seam::routes())
        .layer(TimeoutLayer::with_status_code(
            StatusCode::GATEWAY_TIMEOUT,
            TIME,
        ));
    let slow = Router::new()
        .merge(chat::routes())
        .merge(gateway::routes())
        .merge(seam::slow_routes())
        .merge(stream::routes());
    quick
        .merge(slow)
        .fallback(|| async { Failure::of_status(StatusCode::NOT_FOUND) })
        .method_not_allowed_fallback(|| async {
            Failure::of_status(StatusCode::METHOD_NOT_ALLOWED)
        })
        .layer(DefaultBodyLimit::max(BODY))
        .layer(from_fn_with_state(Arc::clone(api), around))
        .with_state(Arc::clone(api))
}

/// Asks the engine.
async fn ask(api: &Api, query: Query) -> Result<Answer, Failure> {
    Ok(api.operator.query(query).await?)
}

/// An answer of a kind that was not asked for: a defect.
fn odd() -> Failure {
    Failure::of_status(StatusCode::INTERNAL_SERVER_ERROR)
}

/// Wall time as RFC 3339.
fn time(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms)
        .unwrap_or_default()
        .to_string()
}

/// Now, as RFC 3339.
fn now() -> String {
    jiff::Timestamp::now().to_string()
}
