//! The routes, one file a subject. Paths match with their case.

mod agents;
mod approvals;
mod chat;
mod control;
mod gateway;
mod health;
mod memory;
mod metrics;
mod runs;
mod seam;
mod stream;
mod webhooks;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, Query as UrlQuery};
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use tower_http::timeout::{RequestBodyTimeoutLayer, TimeoutLayer};

pub(super) use seam::SEAM;
pub(super) use stream::CONSOLE;
pub(super) use webhooks::is_webhook;

use super::Api;
use super::catalog::openapi;
use super::error::Failure;
use super::guard::around;
use crate::engine::protocol::command::{Command, Reply};
use crate::engine::protocol::query::{Answer, Query};

/// Largest body, bytes; what carries a diff may be larger.
const BODY: usize = 1 << 20;
/// Largest body with a diff in it, bytes.
const DIFF: usize = 16 << 20;
/// A request that takes longer is given up; streams and models have their own clocks.
const TIME: Duration = Duration::from_secs(30);

pub(super) fn all(api: &Arc<Api>) -> Router {
    let (quick, mut docs) = health::routes()
        .and(agents::routes())
        .and(runs::routes())
        .and(control::routes())
        .and(metrics::routes())
        .and(seam::routes())
        .and(memory::routes())
        .and(webhooks::routes())
        .and(approvals::routes())
        .parts();
    let (slow, more) = chat::routes()
        .and(gateway::routes())
        .and(seam::slow_routes())
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

/// What stands behind the question mark.
type Wanted = UrlQuery<BTreeMap<String, String>>;

/// Entries in one list.
const MOST: u32 = 1_000;

/// How many entries are wanted: 50 where nothing is said.
fn limit(wanted: &BTreeMap<String, String>) -> Result<u32, Failure> {
    match wanted.get("limit").map(|l| l.parse::<u32>()) {
        None => Ok(50),
        Some(Ok(limit)) if (1..=MOST).contains(&limit) => Ok(limit),
        Some(_) => Err(Failure::input(format!(
            "limit is a number from 1 to {MOST}"
        ))),
    }
}

/// Has the engine do something; the sentence that says what it did.
async fn done(api: &Api, command: Command, correlation: &str) -> Result<String, Failure> {
    match api
        .operator
        .send(agents::envelope(command, correlation))
        .await?
    {
        Reply::Done { what } => Ok(what),
        _ => Err(odd()),
    }
}

/// A list of the engine's, as an answer.
async fn listing(
    api: &Api,
    wanted: &BTreeMap<String, String>,
    query: impl FnOnce(u32) -> Query,
) -> Result<Json<Value>, Failure> {
    let (name, list) = match ask(api, query(limit(wanted)?)).await? {
        Answer::Deliveries { deliveries } => ("deliveries", serde_json::to_value(deliveries)),
        Answer::Outbox { entries } => ("entries", serde_json::to_value(entries)),
        Answer::Approvals { approvals } => ("approvals", serde_json::to_value(approvals)),
        _ => return Err(odd()),
    };
    let list = list.map_err(|_| odd())?;
    Ok(Json(json!({name: list, "timestamp": now()})))
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
