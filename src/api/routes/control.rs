//! What an operator does from afar: clear caches, drain and open again; and what only they may read.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::error::Failure;
use crate::api::extract::{Admin, Json as Body};
use crate::api::openapi::{Routes, boolean, doc, list, number, text};
use crate::api::request::Correlation;
use crate::api::routes::shared::{ask, done, now, odd, own_shape};
use crate::api::state::Api;
use crate::engine::protocol::command::Command;
use crate::engine::protocol::query::{Answer, Query};

pub(super) fn routes() -> Routes {
    let answer = || json!({"success": boolean(), "message": text(), "timestamp": text(), "correlationId": text()});
    let documents = || {
        doc("What the workspace knows, redacted.").admin().answers(
            200,
            json!({"documents": list(), "total": number(), "correlationId": text()}),
        )
    };
    let cleared = json!({
        "success": boolean(), "message": text(), "cleared": list(), "timestamp": text(), "correlationId": text(),
    });
    Routes::new()
        .post(
            "/api/cache/clear",
            clear,
            doc("Forget what a cache holds.")
                .admin()
                .body(
                    &["cache"],
                    json!({"cache": {"enum": CACHES.into_iter().chain([ALL]).collect::<Vec<_>>()}}),
                )
                .answers(200, cleared),
        )
        .get("/api/knowledge", knowledge, documents())
        .get("/api/admin/knowledge", knowledge, documents())
        .post(
            "/api/emergency/shutdown",
            drain,
            doc("Stop every run and take no more.")
                .admin()
                .body(
                    &["reason"],
                    json!({"reason": {"type": "string", "minLength": 1}}),
                )
                .answers(200, answer()),
        )
        .post(
            "/api/emergency/resume",
            resume,
            doc("Take runs again after a shutdown.")
                .admin()
                .body(&[], json!({"reason": text()}))
                .answers(200, answer()),
        )
        .get(
            "/api/emergency/status",
            drained,
            doc("Whether runs are taken.").admin().answers(
                200,
                json!({"drained": boolean(), "active": number(), "timestamp": text()}),
            ),
        )
}

/// Caches that can be cleared by name.
const CACHES: [&str; 4] = ["agents", "knowledge", "registry", "responses"];
/// Every one of them.
const ALL: &str = "all";

#[derive(Deserialize)]
struct Clear {
    cache: String,
}

async fn clear(
    _: Admin,
    State(api): State<Arc<Api>>,
    Extension(Correlation(id)): Extension<Correlation>,
    Body(wanted): Body<Clear>,
) -> Result<Response, Failure> {
    let names: Vec<&str> = CACHES
        .into_iter()
        .filter(|name| wanted.cache == ALL || wanted.cache == *name)
        .collect();
    if names.is_empty() {
        let name = crate::text::clean_line(&wanted.cache, 60);
        let valid: Vec<&str> = CACHES.into_iter().chain([ALL]).collect();
        let body = json!({
            "error": format!("there is no cache '{name}'"),
            "code": "INVALID_INPUT",
            "valid": valid,
            "correlationId": id,
        });
        return Ok(own_shape(StatusCode::BAD_REQUEST, body));
    }
    let cache = (wanted.cache != ALL).then_some(wanted.cache);
    let message = done(&api, Command::ClearCache { cache, tag: None }, &id).await?;
    let body = json!({
        "success": true,
        "message": message,
        "cleared": names,
        "timestamp": now(),
        "correlationId": id,
    });
    Ok(Json(body).into_response())
}

async fn knowledge(
    _: Admin,
    State(api): State<Arc<Api>>,
    Extension(Correlation(id)): Extension<Correlation>,
) -> Result<Json<Value>, Failure> {
    match ask(&api, Query::Knowledge).await? {
        Answer::Knowledge { documents } => Ok(Json(json!({
            "documents": documents,
            "total": documents.len(),
            "correlationId": id,
        }))),
        _ => Err(odd()),
    }
}

#[derive(Deserialize)]
struct Drain {
    reason: String,
}

async fn drain(
    _: Admin,
    State(api): State<Arc<Api>>,
    Extension(Correlation(id)): Extension<Correlation>,
    Body(wanted): Body<Drain>,
) -> Result<Json<Value>, Failure> {
    let reason = crate::text::clean_line(&wanted.reason, 200);
    if reason.trim().is_empty() {
        return Err(Failure::input("say why: {\"reason\": \"…\"}"));
    }
    tracing::warn!(corr = id, reason, "drain asked for over the API");
    success(&api, Command::Drain, &id).await
}

#[derive(Deserialize)]
struct Resume {
    #[serde(default)]
    reason: String,
}

async fn resume(
    _: Admin,
    State(api): State<Arc<Api>>,
    Extension(Correlation(id)): Extension<Correlation>,
    Body(wanted): Body<Resume>,
) -> Result<Json<Value>, Failure> {
    let reason = crate::text::clean_line(&wanted.reason, 200);
    tracing::warn!(corr = id, reason, "opened again over the API");
    success(&api, Command::OpenIntake, &id).await
}

async fn drained(_: Admin, State(api): State<Arc<Api>>) -> Json<Value> {
    let snapshot = api.operator.snapshots().borrow().clone();
    Json(json!({
        "drained": snapshot.drained,
        "active": snapshot.counts.running + snapshot.counts.queued,
        "timestamp": now(),
    }))
}

async fn success(api: &Api, command: Command, id: &str) -> Result<Json<Value>, Failure> {
    let what = done(api, command, id).await?;
    Ok(Json(
        json!({"success": true, "message": what, "timestamp": now(), "correlationId": id}),
    ))
}
