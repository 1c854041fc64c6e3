//! The gateway: chat completions for any program that speaks them, through router, limits, cache, breaker
//! and budget. Its calls show in the console like any other.
//!
//! Errors here have the shape that those programs read: `{"error": {message, type, code}}`.

mod errors;
mod request;
mod response;

use std::sync::Arc;

use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::response::Response;
use axum::{Extension, Json};
use serde_json::{Value, json};

use self::request::Asked;
use crate::api::error::Failure;
use crate::api::extract::{Reader, Tenant};
use crate::api::openapi::{Routes, doc, list, text};
use crate::api::request::Correlation;
use crate::api::routes::gateway::errors::{failed, invalid, refused};
use crate::api::routes::shared::{DIFF, ask, no_stream_left, odd};
use crate::api::state::Api;
use crate::engine::protocol::query::{Answer, Query};

pub(super) fn routes() -> Routes {
    Routes::new()
        .get(
            "/v1/models",
            models,
            doc("The models that can be named.")
                .reader()
                .answers(200, json!({"object": text(), "data": list()})),
        )
        .post(
            "/v1/chat/completions",
            complete,
            doc("A chat completion, whole or streamed.")
                .admin()
                .largest(DIFF)
                .body(&["model", "messages"], request::body())
                .answers(200, request::answer())
                .sends("text/event-stream"),
        )
}

async fn models(_: Reader, State(api): State<Arc<Api>>) -> Result<Json<Value>, Failure> {
    let Answer::Models { models } = ask(&api, Query::Models).await? else {
        return Err(odd());
    };
    let data: Vec<Value> = models
        .iter()
        .map(|(name, provider)| {
            json!({"id": name, "object": "model", "created": 0, "owned_by": provider})
        })
        .collect();
    Ok(Json(json!({"object": "list", "data": data})))
}

async fn complete(
    tenant: Result<Tenant, Failure>,
    State(api): State<Arc<Api>>,
    Extension(Correlation(id)): Extension<Correlation>,
    body: Result<axum::body::Bytes, BytesRejection>,
) -> Response {
    let Tenant(tenant) = match tenant {
        Ok(tenant) => tenant,
        Err(failure) => {
            let kind = "authentication_error";
            return refused(failure.status, kind, failure.code, &failure.message);
        }
    };
    let body = match body {
        Ok(body) => body,
        Err(error) => {
            let failure = Failure::of_status(error.status());
            return refused(
                failure.status,
                "invalid_request_error",
                failure.code,
                &failure.message,
            );
        }
    };
    let Some(place) = api.streams.take(tenant.clone()) else {
        let failure = no_stream_left();
        return refused(
            failure.status,
            "rate_limit_error",
            failure.code,
            &failure.message,
        );
    };
    let asked: Asked = match serde_json::from_slice(&body) {
        Ok(asked) => asked,
        Err(error) => return invalid(&error.to_string()),
    };
    let (streams, usage) = (asked.streams(), asked.wants_usage());
    let wanted = match asked.completion(tenant, &id) {
        Ok(wanted) => wanted,
        Err(message) => return invalid(&message),
    };
    if streams {
        return response::streamed(api, wanted, usage, id, place).await;
    }
    match api.operator.complete(wanted, None).await {
        Err(error) => failed(&error),
        Ok(done) => response::whole(&done, &id),
    }
}
