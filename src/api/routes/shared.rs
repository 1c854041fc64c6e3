//! What several routes use: lists, commands and their answers, times.

use crate::api::error::Failure;
use crate::api::request::OwnShape;
use crate::api::state::Api;
use crate::engine::protocol::command::Command;
use crate::engine::protocol::command::Envelope;
use crate::engine::protocol::command::Reply;
use crate::engine::protocol::query::Answer;
use crate::engine::protocol::query::Query;
use axum::Json;
use axum::extract::Query as UrlQuery;
use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use axum::response::Response;
use serde_json::Value;
use serde_json::json;
use std::collections::BTreeMap;

/// Largest body, bytes; what carries a diff may be larger.
pub(crate) const BODY: usize = 1 << 20;

/// Largest body with a diff in it, bytes.
pub(crate) const DIFF: usize = 16 << 20;

/// What stands behind the question mark.
pub(crate) type Wanted = UrlQuery<BTreeMap<String, String>>;

/// Entries in one list.
pub(crate) const MOST: u32 = 1_000;

/// How many entries are wanted: 50 where nothing is said.
pub(crate) fn limit(wanted: &BTreeMap<String, String>) -> Result<u32, Failure> {
    match wanted.get("limit").map(|l| l.parse::<u32>()) {
        None => Ok(50),
        Some(Ok(limit)) if (1..=MOST).contains(&limit) => Ok(limit),
        Some(_) => Err(Failure::input(format!(
            "limit is a number from 1 to {MOST}"
        ))),
    }
}

/// A response whose body stays as it is, though its status is that of an error.
pub(crate) fn own_shape(status: StatusCode, body: Value) -> Response {
    let mut response = (status, Json(body)).into_response();
    response.extensions_mut().insert(OwnShape);
    response
}

/// Has the engine do something; the sentence that says what it did.
pub(crate) async fn done(
    api: &Api,
    command: Command,
    correlation: &str,
) -> Result<String, Failure> {
    match api.operator.send(envelope(command, correlation)).await? {
        Reply::Done { what } => Ok(what),
        _ => Err(odd()),
    }
}

/// A list of the engine's, as an answer.
pub(crate) async fn listing(
    api: &Api,
    wanted: &BTreeMap<String, String>,
    query: impl FnOnce(u32) -> Query,
) -> Result<Json<Value>, Failure> {
    let (name, list) = match ask(api, query(limit(wanted)?)).await? {
        Answer::Deliveries { deliveries } => ("deliveries", serde_json::to_value(deliveries)),
        Answer::Outbox { entries } => ("entries", serde_json::to_value(entries)),
        Answer::Approvals { approvals } => ("approvals", serde_json::to_value(approvals)),
        Answer::Dismissals { dismissals } => ("dismissals", serde_json::to_value(dismissals)),
        _ => return Err(odd()),
    };
    let list = list.map_err(|_| odd())?;
    Ok(Json(json!({name: list, "timestamp": now()})))
}

/// Asks the engine.
pub(crate) async fn ask(api: &Api, query: Query) -> Result<Answer, Failure> {
    Ok(api.operator.query(query).await?)
}

/// An answer of a kind that was not asked for: a defect.
pub(crate) fn odd() -> Failure {
    Failure::of_status(StatusCode::INTERNAL_SERVER_ERROR)
}

/// Wall time as RFC 3339.
pub(crate) fn time(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms)
        .unwrap_or_default()
        .to_string()
}

/// Now, as RFC 3339.
pub(crate) fn now() -> String {
    jiff::Timestamp::now().to_string()
}

/// A command with this request's correlation id.
pub(crate) fn envelope(command: Command, correlation: &str) -> Envelope {
    Envelope {
        command,
        actor: "api".into(),
        correlation: Some(correlation.to_owned()),
    }
}

/// A client has as many streams as it may have, or all are taken.
pub(crate) fn no_stream_left() -> Failure {
    Failure::new(
        axum::http::StatusCode::TOO_MANY_REQUESTS,
        "RATE_LIMITED",
        "too many streams are open: one client may have a quarter of api.maxConnections, all together half; close one",
    )
}
