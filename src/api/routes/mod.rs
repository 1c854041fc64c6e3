//! The routes, one file a subject. Paths match with their case.

mod agents;
mod alerts;
mod approvals;
mod chat;
mod control;
mod dismissals;
mod gateway;
mod health;
mod memory;
mod metrics;
mod operator_rpc;
mod runs;
mod shared;
mod stream;
mod webhooks;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use axum::{Json, Router};
use tower_http::timeout::{RequestBodyTimeoutLayer, TimeoutLayer};

pub(super) use crate::api::paths::is_webhook;
pub(super) use operator_rpc::SEAM;
pub(super) use stream::CONSOLE;

use super::error::Failure;
use crate::api::middleware::around;
use crate::api::openapi::openapi;
use crate::api::routes::shared::BODY;
use crate::api::state::Api;

/// A request that takes longer is given up; streams and models have their own clocks.
const TIME: Duration = Duration::from_secs(30);

pub(super) fn all(api: &Arc<Api>) -> Router {
    let (quick, mut docs) = health::routes()
        .and(agents::routes())
        .and(runs::routes())
        .and(control::routes())
        .and(metrics::routes())
        .and(operator_rpc::routes())
        .and(memory::routes())
        .and(webhooks::routes())
        .and(approvals::routes())
        .and(dismissals::routes())
        .and(alerts::routes())
        .parts();
    let (slow, more) = chat::routes()
        .and(gateway::routes())
        .and(operator_rpc::slow_routes())
        .and(stream::routes())
        .parts();
    docs.extend(more);
    // Made anew for the few who ask: half a megabyte that nobody else needs.
    let docs = Arc::new(docs);
    quick
        .layer(TimeoutLayer::with_status_code(
            StatusCode::GATEWAY_TIMEOUT,
            TIME,
        ))
        .merge(slow)
        .route(
            "/openapi.json",
            get(move || async move { Json(openapi(&docs)) }),
        )
        .fallback(|| async { Failure::of_status(StatusCode::NOT_FOUND) })
        .method_not_allowed_fallback(|| async {
            Failure::of_status(StatusCode::METHOD_NOT_ALLOWED)
        })
        .layer(DefaultBodyLimit::max(BODY))
        .layer(RequestBodyTimeoutLayer::new(Duration::from_millis(
            api.settings.idle_ms.max(1),
        )))
        .layer(from_fn_with_state(Arc::clone(api), around))
        .with_state(Arc::clone(api))
}
