//! The gateway: chat completions for any program that speaks them, through router, limits, cache, breaker
//! and budget. Its calls show in the console like any other.
//!
//! Errors here have the shape that those programs read: `{"error": {message, type, code}}`.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use futures_util::stream;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::{DIFF, ask, odd};
use crate::api::Api;
use crate::api::catalog::{Routes, boolean, doc, list, text};
use crate::api::error::Failure;
use crate::api::extract::{Reader, Tenant};
use crate::api::guard::Correlation;
use crate::engine::types::command::Refused;
use crate::engine::types::completion::{Completed, Completion};
use crate::engine::types::query::{Answer, Query};
use crate::model::{Message, Role};

pub(super) fn routes() -> Routes {
    let part = json!({"type": "object", "required": ["type", "text"], "properties": {
        "type": {"const": "text"}, "text": text(),
    }});
    let message = json!({"type": "object", "required": ["role", "content"], "properties": {
        "role": {"enum": ["system", "developer", "user", "assistant"]},
        "content": {"oneOf": [{"type": "string"}, {"type": "array", "items": part}]},
    }});
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
                .body(
                    &["model", "messages"],
                    json!({
                        "model": text(),
                        "messages": {"type": "array", "minItems": 1, "items": message},
                        "stream": boolean(),
                        "temperature": {"type": "number", "minimum": 0, "maximum": 2},
                        "max_tokens": {"type": "integer", "minimum": 1},
                        "max_completion_tokens": {"type": "integer", "minimum": 1},
                    }),
                )
                .answers(
                    200,
                    json!({"id": text(), "object": text(), "model": text(), "choices": list()}),
                )
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

#[derive(Deserialize)]
struct Asked {
    model: String,
    messages: Vec<Said>,
    #[serde(default)]
    stream: bool,
    #[serde(default)]
    stream_options: Option<StreamOptions>,
    #[serde(default)]
    max_tokens: Option<u32>,
    #[serde(default)]
    max_completion_tokens: Option<u32>,
    #[serde(default)]
    temperature: Option<f64>,
    #[serde(default)]
    n: Option<u32>,
    #[serde(default)]
    tools: Option<Value>,
    #[serde(default)]
    response_format: Option<Value>,
}

#[derive(Deserialize)]
struct StreamOptions {
    #[serde(default)]
    include_usage: bool,
}

#[derive(Deserialize)]
struct Said {
    role: String,
    content: Content,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<Part>),
}

#[derive(Deserialize)]
struct Part {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    text: Option<String>,
}

/// The longest answer where the asker does not say.
const LONGEST: u32 = 4_096;

/// A refusal in these programs' own shape; the id is added by the outermost layer's header.
fn refused(status: StatusCode, kind: &str, code: &str, message: &str) -> Response {
    let message = crate::text::clean_line(message, 400);
    let body = json!({"error": {"message": message, "type": kind, "param": null, "code": code}});
    let mut response = (status, Json(body)).into_response();
    response
        .extensions_mut()
        .insert(crate::api::guard::OwnShape);
    response
}

fn invalid(message: &str) -> Response {
    refused(
        StatusCode::BAD_REQUEST,
        "invalid_request_error",
        "invalid_request",
        message,
    )
}

fn text_of(content: Content) -> Result<String, &'static str> {
    match content {
        Content::Text(text) => Ok(text),
        Content::Parts(parts) => parts
            .into_iter()
            .map(|part| match (part.kind.as_str(), part.text) {
                ("text", Some(text)) => Ok(text),
                _ => Err("only parts of type text are passed on"),
            })
            .collect(),
    }
}

fn completion(asked: Asked, tenant: String, id: &str) -> Result<Completion, &'static str> {
    if asked.tools.as_ref().is_some_and(|t| !t.is_null()) || asked.n.is_some_and(|n| n != 1) {
        return Err("tools and n are not passed on");
    }
    let form = asked.response_format.as_ref().map(|f| &f["type"]);
    if form.is_some_and(|f| f != "text") {
        return Err("response_format: only text is passed on");
    }
    if asked.temperature.is_some_and(|t| !(0.0..=2.0).contains(&t)) {
        return Err("temperature is a number from 0 to 2");
    }
    let (mut system, mut messages) = (String::new(), Vec::new());
    for said in asked.messages {
        let role = match said.role.as_str() {
            "system" | "developer" => {
                if !system.is_empty() {
                    system.push('\n');
                }
                system.push_str(&text_of(said.content)?);
                continue;
            }
            "user" => Role::User,
            "assistant" => Role::Assistant,
            _ => return Err("role is one of system, developer, user, assistant"),
        };
        let text = text_of(said.content)?;
        messages.push(Message { role, text });
    }
    if messages.last().is_none_or(|m| m.role != Role::User) {
        return Err("the last message must be the user's");
    }
    Ok(Completion {
        tenant,
        model: (asked.model != "auto").then_some(asked.model),
        system,
        messages,
        max_output_tokens: asked
            .max_completion_tokens
            .or(asked.max_tokens)
            .unwrap_or(LONGEST)
            .max(1),
        temperature: asked.temperature,
        correlation: id.to_owned(),
    })
}

fn failed(error: &Refused) -> Response {
    match error {
        Refused::NotFound { .. } => refused(
            StatusCode::NOT_FOUND,
            "invalid_request_error",
            "model_not_found",
            &format!("{error}; GET /v1/models lists them, auto lets the routes choose"),
        ),
        Refused::Unanswered { reason } => refused(
            StatusCode::SERVICE_UNAVAILABLE,
            "api_error",
            "ALL_MODELS_FAILED",
            reason,
        ),
        other => refused(
            StatusCode::FORBIDDEN,
            "api_error",
            "ORCHESTRATION_FAILED",
            &other.to_string(),
        ),
    }
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
    let asked: Asked = match serde_json::from_slice(&body) {
        Ok(asked) => asked,
        Err(error) => return invalid(&error.to_string()),
    };
    let (streams, usage) = (
        asked.stream,
        asked
            .stream_options
            .as_ref()
            .is_some_and(|o| o.include_usage),
    );
    let wanted = match completion(asked, tenant, &id) {
        Ok(wanted) => wanted,
        Err(message) => return invalid(message),
    };
    if streams {
        return streamed(api, wanted, usage, id).await;
    }
    match api.operator.complete(wanted, None).await {
        Err(error) => failed(&error),
        Ok(done) => {
            let mut response = Json(json!({
                "id": format!("chatcmpl-{id}"),
                "object": "chat.completion",
                "created": seconds(),
                "model": done.model,
                "choices": [{
                    "index": 0,
                    "message": {"role": "assistant", "content": done.text, "refusal": null},
                    "logprobs": null,
                    "finish_reason": "stop",
                }],
                "usage": usage_of(&done),
            }))
            .into_response();
            describe(&mut response, &done);
            response
        }
    }
}

fn seconds() -> i64 {
    jiff::Timestamp::now().as_second()
}

fn usage_of(done: &Completed) -> Value {
    json!({
        "prompt_tokens": done.tokens.prompt,
        "completion_tokens": done.tokens.completion,
        "total_tokens": done.tokens.sum(),
    })
}

/// What it took, in headers.
fn describe(response: &mut Response, done: &Completed) {
    for (name, value) in [
        ("x-bsm-model", done.model.clone()),
        ("x-bsm-provider", done.provider.clone()),
        ("x-bsm-cache", done.source.clone()),
        ("x-bsm-attempts", done.attempts.to_string()),
        (
            "x-bsm-added-latency-ms",
            format!("{:.3}", done.added_us as f64 / 1e3),
        ),
    ] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response
                .headers_mut()
                .insert(HeaderName::from_static(name), value);
        }
    }
}

/// What a stream goes through.
enum Stage {
    /// Pieces come.
    Pieces,
    /// The end is known; these events are left.
    Last(std::vec::IntoIter<String>),
}

/// An answer in pieces. A failure before the first piece is a status; after it, an error in the stream.
async fn streamed(api: Arc<Api>, wanted: Completion, usage: bool, id: String) -> Response {
    let (sender, mut pieces) = mpsc::unbounded_channel();
    let model = wanted.model.clone().unwrap_or_else(|| "auto".into());
    let mut work = tokio::spawn(async move { api.operator.complete(wanted, Some(sender)).await });
    let gone = AbortOnDrop(work.abort_handle());
    let first = tokio::select! {
        biased;
        piece = pieces.recv() => piece,
        ended = &mut work => return at_once(ended, &id, usage),
    };
    let Some(first) = first else {
        // The sender went without a word: the end says why.
        return at_once(work.await, &id, usage);
    };
    let chunk = {
        let (id, created) = (id.clone(), seconds());
        move |delta: Value, finish: Value| chunk(&id, created, &model, delta, finish)
    };
    let begin = [
        chunk(json!({"role": "assistant", "content": ""}), Value::Null),
        chunk(json!({"content": first}), Value::Null),
    ];
    let state = (pieces, work, Stage::Pieces, gone);
    let rest = stream::unfold(state, move |(mut pieces, mut work, mut stage, gone)| {
        let chunk = chunk.clone();
        let id = id.clone();
        async move {
            loop {
                match &mut stage {
                    Stage::Pieces => match pieces.recv().await {
                        Some(text) => {
                            let text = chunk(json!({"content": text}), Value::Null);
                            return Some((text, (pieces, work, stage, gone)));
                        }
                        None => {
                            let last = match (&mut work).await {
                                Ok(Ok(done)) => {
                                    let mut last = vec![chunk(json!({}), json!("stop"))];
                                    if usage {
                                        last.push(usage_chunk(&id, &done));
                                    }
                                    last.push("[DONE]".into());
                                    last
                                }
                                Ok(Err(error)) => vec![broken(&error.to_string())],
                                Err(_) => vec![broken("the engine stops")],
                            };
                            stage = Stage::Last(last.into_iter());
                        }
                    },
                    Stage::Last(left) => {
                        let text = left.next()?;
                        return Some((text, (pieces, work, stage, gone)));
                    }
                }
            }
        }
    });
    let begin = stream::iter(begin);
    let events = futures_util::StreamExt::map(futures_util::StreamExt::chain(begin, rest), event);
    Sse::new(events).into_response()
}

/// The reader left: what nobody reads need not come.
struct AbortOnDrop(tokio::task::AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn event(data: String) -> Result<Event, Infallible> {
    Ok(Event::default().data(data))
}

fn broken(message: &str) -> String {
    let message = crate::text::clean_line(message, 400);
    json!({"error": {"message": message, "type": "api_error", "code": "ALL_MODELS_FAILED"}})
        .to_string()
}

fn usage_chunk(id: &str, done: &Completed) -> String {
    json!({
        "id": format!("chatcmpl-{id}"),
        "object": "chat.completion.chunk",
        "created": seconds(),
        "model": done.model,
        "choices": [],
        "usage": usage_of(done),
    })
    .to_string()
}

/// One chunk of a stream.
fn chunk(id: &str, created: i64, model: &str, delta: Value, finish: Value) -> String {
    json!({
        "id": format!("chatcmpl-{id}"),
        "object": "chat.completion.chunk",
        "created": created,
        "model": model,
        "choices": [{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish}],
    })
    .to_string()
}

/// An end that came before any piece: an answer that was there at once, or why there is none.
fn at_once(
    ended: Result<Result<Completed, Refused>, tokio::task::JoinError>,
    id: &str,
    usage: bool,
) -> Response {
    let done = match ended {
        Ok(Ok(done)) => done,
        Ok(Err(error)) => return failed(&error),
        Err(_) => return failed(&Refused::Stopping),
    };
    let (created, model) = (seconds(), &done.model);
    let said = json!({"role": "assistant", "content": done.text});
    let mut events = vec![
        chunk(id, created, model, said, Value::Null),
        chunk(id, created, model, json!({}), json!("stop")),
    ];
    if usage {
        events.push(usage_chunk(id, &done));
    }
    events.push("[DONE]".into());
    Sse::new(stream::iter(events.into_iter().map(event))).into_response()
}
