//! The gateway: OpenAI's, Anthropic's and Gemini's protocols for any program that speaks one of them. A
//! request goes on as it came, behind limits, breakers and written fallbacks; its calls show in the console
//! like any other.
//!
//! Errors have the shape that the client's protocol knows.

mod call;
mod errors;
mod response;

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::{Extension, Json};
use bsm_wire::Wire;
use serde_json::{Value, json};

use self::call::{Incoming, request};
use crate::api::error::Failure;
use crate::api::extract::{Reader, Tenant};
use crate::api::openapi::{Routes, boolean, doc, list, text};
use crate::api::request::Correlation;
use crate::api::routes::gateway::errors::failed;
use crate::api::routes::shared::{ask, odd};
use crate::api::state::Api;
use crate::engine::protocol::query::{Answer, Query};

/// Largest request that any setting may allow, bytes.
const LARGEST: usize = 256 << 20;

pub(super) fn routes() -> Routes {
    let asks = |summary: &'static str, needed: &[&str]| {
        doc(summary)
            .admin()
            .largest(LARGEST)
            .body(needed, json!({"model": text(), "stream": boolean()}))
            .sends("text/event-stream")
    };
    Routes::new()
        .get(
            "/v1/models",
            models,
            doc("The models that can be named.")
                .reader()
                .answers(200, json!({"object": text(), "data": list()})),
        )
        .get(
            "/v1/models/{*call}",
            model,
            doc("One model.")
                .reader()
                .answers(200, json!({"id": text(), "object": text()})),
        )
        .post(
            "/v1/chat/completions",
            async |i: Incoming| forward(Wire::Chat, i).await,
            asks("An OpenAI chat completion, whole or streamed.", &["model"]),
        )
        .post(
            "/v1/completions",
            async |i: Incoming| forward(Wire::Completions, i).await,
            asks("An OpenAI text completion, whole or streamed.", &["model"]),
        )
        .post(
            "/v1/embeddings",
            async |i: Incoming| forward(Wire::Embeddings, i).await,
            asks("Embeddings.", &["model"]),
        )
        .post(
            "/v1/responses",
            async |i: Incoming| forward(Wire::Responses, i).await,
            asks("An OpenAI response, whole or streamed.", &["model"]),
        )
        .post(
            "/v1/messages",
            async |i: Incoming| forward(Wire::Messages, i).await,
            asks("An Anthropic message, whole or streamed.", &["model"]),
        )
        .post(
            "/v1/messages/count_tokens",
            async |i: Incoming| forward(Wire::CountTokens, i).await,
            asks("The tokens of an Anthropic message.", &["model"]),
        )
        .post(
            "/v1/models/{*call}",
            async |i: Incoming| forward(Wire::Gemini, i).await,
            asks("Gemini's generateContent under its version 1.", &[]),
        )
        .post(
            "/v1beta/models/{*call}",
            async |i: Incoming| forward(Wire::Gemini, i).await,
            asks(
                "Gemini's generateContent, streamGenerateContent and countTokens.",
                &[],
            ),
        )
}

async fn known(api: &Api) -> Result<Vec<(String, String)>, Failure> {
    match ask(api, Query::Models).await? {
        Answer::Models { models } => Ok(models),
        _ => Err(odd()),
    }
}

/// In OpenAI's form and Anthropic's at once: their clients read different fields of it.
fn described((name, provider): &(String, String)) -> Value {
    json!({
        "id": name, "object": "model", "created": 0, "owned_by": provider,
        "type": "model", "display_name": name, "created_at": "1970-01-01T00:00:00Z",
    })
}

async fn models(_: Reader, State(api): State<Arc<Api>>) -> Result<Json<Value>, Failure> {
    let all = known(&api).await?;
    let data: Vec<Value> = all.iter().map(described).collect();
    let (first, last) = (all.first(), all.last());
    Ok(Json(json!({
        "object": "list", "data": data, "has_more": false,
        "first_id": first.map(|m| &m.0), "last_id": last.map(|m| &m.0),
    })))
}

async fn model(
    _: Reader,
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Failure> {
    let all = known(&api).await?;
    let found = all.iter().find(|(name, _)| *name == id);
    found.map(|m| Json(described(m))).ok_or_else(|| {
        let message = format!("there is no model {id}; GET /v1/models lists the names");
        Failure::new(StatusCode::NOT_FOUND, "model_not_found", message)
    })
}

async fn forward(wire: Wire, incoming: Incoming) -> Response {
    let Incoming {
        api,
        tenant: Tenant(tenant),
        correlation: Extension(Correlation(id)),
        parts,
        body,
    } = incoming;
    let settings = api.operator.gateway_settings();
    let wanted = match request(wire, &parts, body, &settings, tenant, &id) {
        Ok(wanted) => wanted,
        Err(error) => return failed(wire, &error),
    };
    let wire = wanted.wire;
    match api.operator.forward(wanted).await {
        Ok(reply) => response::of(reply, &settings),
        Err(error) => failed(wire, &error),
    }
}
