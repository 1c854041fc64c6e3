//! The answer to a chat completion: whole, or in the pieces of a stream.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Json;
use axum::http::{HeaderName, HeaderValue};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::api::places::Place;
use crate::api::routes::gateway::errors::failed;
use crate::api::state::Api;
use crate::engine::protocol::command::Refused;
use crate::engine::protocol::completion::{Completed, Completion};

/// In one piece.
pub(super) fn whole(done: &Completed, id: &str) -> Response {
    let mut message = json!({"role": "assistant", "content": done.text, "refusal": null});
    if !done.calls.is_empty() {
        if done.text.is_empty() {
            message["content"] = Value::Null;
        }
        message["tool_calls"] = calls(done).collect();
    }
    let mut response = Json(json!({
        "id": format!("chatcmpl-{id}"),
        "object": "chat.completion",
        "created": seconds(),
        "model": done.model,
        "choices": [{
            "index": 0,
            "message": message,
            "logprobs": null,
            "finish_reason": finish(done),
        }],
        "usage": usage_of(done),
    }))
    .into_response();
    describe(&mut response, done);
    response
}

fn calls(done: &Completed) -> impl Iterator<Item = Value> {
    done.calls.iter().map(|call| {
        json!({
            "id": call.id,
            "type": "function",
            "function": {"name": call.name, "arguments": call.arguments},
        })
    })
}

/// The tools that are wanted, as a piece of a stream: each complete, and with its number.
fn calls_delta(done: &Completed) -> Value {
    let numbered = calls(done).enumerate().map(|(n, mut call)| {
        call["index"] = n.into();
        call
    });
    json!({"tool_calls": numbered.collect::<Vec<Value>>()})
}

fn finish(done: &Completed) -> &'static str {
    if done.cut_off {
        "length"
    } else if done.calls.is_empty() {
        "stop"
    } else {
        "tool_calls"
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
    /// Pieces come; what was sent of them.
    Pieces(String),
    /// The end is known; these events are left.
    Last(std::vec::IntoIter<String>),
}

/// An answer in pieces. A failure before the first piece is a status; after it, an error in the stream.
pub(super) async fn streamed(
    api: Arc<Api>,
    wanted: Completion,
    usage: bool,
    id: String,
    place: Place<String>,
) -> Response {
    let (sender, mut pieces) = mpsc::unbounded_channel();
    let model = wanted.model.clone().unwrap_or_else(|| "auto".into());
    let mut work = tokio::spawn(async move { api.operator.complete(wanted, Some(sender)).await });
    // Both end with the stream: the work, and its place.
    let gone = (AbortOnDrop(work.abort_handle()), place);
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
    let sent = first.clone();
    let begin = [
        chunk(json!({"role": "assistant", "content": ""}), Value::Null),
        chunk(json!({"content": first}), Value::Null),
    ];
    let state = (pieces, work, Stage::Pieces(sent), gone);
    let rest = stream::unfold(state, move |(mut pieces, mut work, mut stage, gone)| {
        let chunk = chunk.clone();
        let id = id.clone();
        async move {
            loop {
                match &mut stage {
                    Stage::Pieces(sent) => match pieces.recv().await {
                        Some(text) => {
                            sent.push_str(&text);
                            let text = chunk(json!({"content": text}), Value::Null);
                            return Some((text, (pieces, work, stage, gone)));
                        }
                        None => {
                            let last = match (&mut work).await {
                                Ok(Ok(done)) if !done.text.starts_with(sent.as_str()) => {
                                    vec![broken("the answer broke off, and another was at hand")]
                                }
                                Ok(Ok(done)) => {
                                    let mut last = Vec::new();
                                    let rest = &done.text[sent.len()..];
                                    if !rest.is_empty() {
                                        last.push(chunk(json!({"content": rest}), Value::Null));
                                    }
                                    if !done.calls.is_empty() {
                                        last.push(chunk(calls_delta(&done), Value::Null));
                                    }
                                    last.push(chunk(json!({}), json!(finish(&done))));
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
    let mut events = vec![chunk(id, created, model, said, Value::Null)];
    if !done.calls.is_empty() {
        events.push(chunk(id, created, model, calls_delta(&done), Value::Null));
    }
    events.push(chunk(id, created, model, json!({}), json!(finish(&done))));
    if usage {
        events.push(usage_chunk(id, &done));
    }
    events.push("[DONE]".into());
    Sse::new(stream::iter(events.into_iter().map(event))).into_response()
}
