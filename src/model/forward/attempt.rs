//! One request to one provider: sent as it came, its answer passed on while it is read on the side.

use std::sync::Mutex;
use std::time::Duration;

use axum::http::{HeaderName, HeaderValue};
use bsm_wire::Wire;
use bsm_wire::error::WireError;
use bsm_wire::read::Reader;
use bytes::Bytes;
use tokio::time::Instant;

use super::book::{Booking, Used};
use super::context::ForwardContext;
use super::failure::RawError;
use super::reply::{ForwardBody, ForwardReply, passed_on};
use super::targets::Deployed;
use crate::model::error::ModelError;
use crate::model::http;
use crate::model::keys::Key;
use crate::model::retry_hints::{RetryHints, wish};
use crate::resilience::clock::lock;
use crate::resilience::stream_timeouts::TimeoutKind;

/// Largest whole answer, bytes: images and audio come in it.
const LARGEST_WHOLE: usize = 64 << 20;
/// Largest error answer that is passed on, bytes.
const LARGEST_ERROR: usize = 256 << 10;
/// The head of a stream goes out after this long, whether its first content is there or not.
const HEAD_WITHIN: Duration = Duration::from_millis(250);

/// One attempt; how many tokens it used.
pub(super) async fn attempt(
    context: &ForwardContext,
    target: &Deployed,
    used: &Mutex<Used>,
) -> Result<((), u32), ModelError> {
    let endpoint = &target.endpoint;
    if context.leaves_machine(&endpoint.base_url) {
        return Err(ModelError::Forbidden(endpoint.name.clone()));
    }
    let mut booking = Booking {
        context,
        target,
        used,
        is_due: false,
        usage: None,
        content_bytes: 0,
    };
    let key = endpoint
        .keys
        .pick(&target.upstream_name, endpoint.clock.now());
    let mut result = exchange(context, target, key.as_ref(), &mut booking).await;
    if let Some(key) = &key {
        match &mut result {
            Ok(()) => endpoint.keys.accepted(key, &target.upstream_name),
            Err(error) => endpoint.learn_of_key(key, &target.upstream_name, error),
        }
    }
    let tokens = booking.figures();
    drop(booking);
    let sum = u32::try_from(tokens.input + tokens.output).unwrap_or(u32::MAX);
    match result {
        Ok(()) => Ok(((), sum)),
        // A part of it was passed on: nobody else can go on with it.
        Err(error) if context.sink.has_content() => Err(ModelError::Interrupted(error.into())),
        Err(error) => Err(error),
    }
}

/// The request as this provider gets it.
fn question(
    context: &ForwardContext,
    target: &Deployed,
    key: Option<&Key>,
) -> Result<reqwest::RequestBuilder, ModelError> {
    let (request, endpoint) = (&context.request, &target.endpoint);
    let mut headers = endpoint.headers.clone();
    for (name, value) in &request.headers {
        headers.insert(name.clone(), value.clone());
    }
    let json = HeaderValue::from_static("application/json");
    headers.insert(HeaderName::from_static("content-type"), json);
    if matches!(target.wire, Wire::Messages | Wire::CountTokens) {
        let version = HeaderName::from_static("anthropic-version");
        let standard = HeaderValue::from_static("2023-06-01");
        headers.entry(version).or_insert(standard);
    }
    let mut call = endpoint.client.post(target.route.clone());
    if let Some(key) = key {
        let (header, before) = match target.wire {
            Wire::Gemini | Wire::GeminiCount => ("x-goog-api-key", ""),
            _ => endpoint.wire.key_header(),
        };
        let value = key.header(before).ok_or_else(|| {
            let body = r#"{"error":{"message":"the key has characters that no header may have"}}"#;
            ModelError::from_answer(&endpoint.name, 401, body, RetryHints::default())
        })?;
        call = call.header(header, value);
    }
    Ok(call.headers(headers).body(body(context, target)?))
}

/// The client's body; another name for the model, and where its usage must be known, asked to report it.
/// Where the provider speaks another wire, it is put into that.
fn body(context: &ForwardContext, target: &Deployed) -> Result<Bytes, ModelError> {
    let request = &context.request;
    if target.wire != request.wire {
        return context.translate_request(target);
    }
    let named = request
        .envelope
        .with_model(request.body.clone(), &target.upstream_name);
    if request.needs_usage && request.envelope.hides_usage(request.wire) {
        // The brace that opens the object stands where it stood.
        return Ok(request.envelope.with_usage(&named));
    }
    Ok(named)
}

async fn exchange(
    context: &ForwardContext,
    target: &Deployed,
    key: Option<&Key>,
    booking: &mut Booking<'_>,
) -> Result<(), ModelError> {
    let endpoint = &target.endpoint;
    let call = question(context, target, key)?;
    let began = Instant::now();
    let pauses = endpoint.pauses.get().cloned().unwrap_or_default();
    let streams = context.request.streams;
    let until_head = if streams { target.first } else { target.whole };
    let stalled = |cut| ModelError::Stalled {
        provider: endpoint.name.clone(),
        cut,
    };
    let response = match pauses.timeout(until_head, call.send()).await {
        Err(_) => return Err(stalled(TimeoutKind::First(until_head))),
        Ok(Err(error)) => return Err(http::broken(&endpoint.name, &error)),
        Ok(Ok(response)) => response,
    };
    let header = |name: &str| {
        let value = response.headers().get(name)?;
        value.to_str().ok().map(str::to_owned)
    };
    let now = jiff::Timestamp::now();
    endpoint.apply_rate_limit_headers(&target.upstream_name, &header, now);
    let status = response.status().as_u16();
    let hints = wish(header, now);
    if !(200..300).contains(&status) {
        return Err(refusal(context, target, response, hints).await);
    }
    let kind = header("content-type").unwrap_or_default();
    booking.is_due = true;
    if streams && kind.contains("event-stream") {
        let clocks = Clocks {
            began,
            first: target.first,
            idle: target.idle,
        };
        return stream(context, target, response, clocks, booking).await;
    }
    whole(context, target, response, (began, target.whole), booking).await
}

/// An error answer: what it means, and as it came, without our key in it.
async fn refusal(
    context: &ForwardContext,
    target: &Deployed,
    response: reqwest::Response,
    hints: RetryHints,
) -> ModelError {
    let endpoint = &target.endpoint;
    let status = response.status().as_u16();
    let headers = passed_on(response.headers());
    let bytes = limited(&endpoint.name, response, LARGEST_ERROR).await;
    let text = String::from_utf8_lossy(bytes.as_deref().unwrap_or_default()).into_owned();
    let text = endpoint.keys.scrub(&text);
    let is_json = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
    *lock(&context.raw) = is_json.then(|| RawError {
        family: target.wire.family(),
        status,
        headers,
        body: Bytes::from(text.clone()),
    });
    ModelError::from_answer(&endpoint.name, status, &text, hints)
}

/// A body of at most so many bytes.
async fn limited(
    provider: &str,
    mut response: reqwest::Response,
    most: usize,
) -> Result<Vec<u8>, ModelError> {
    let mut bytes = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if bytes.len() + chunk.len() > most => {
                return Err(ModelError::Malformed {
                    provider: provider.to_owned(),
                    message: format!("more than {most} bytes"),
                });
            }
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
            Ok(None) => return Ok(bytes),
            Err(error) => return Err(http::broken(provider, &error)),
        }
    }
}

async fn whole(
    context: &ForwardContext,
    target: &Deployed,
    response: reqwest::Response,
    (began, most): (Instant, Duration),
    booking: &mut Booking<'_>,
) -> Result<(), ModelError> {
    let name = &target.endpoint.name;
    let status = response.status().as_u16();
    let headers = passed_on(response.headers());
    let left = most.saturating_sub(began.elapsed());
    let read = tokio::time::timeout(left, limited(name, response, LARGEST_WHOLE));
    let bytes = read.await.map_err(|_| ModelError::Stalled {
        provider: name.clone(),
        cut: TimeoutKind::First(most),
    })??;
    let mut reader = Reader::new(target.wire);
    reader.whole(&bytes);
    booking.note(&reader.seen);
    if let Some(error) = &reader.seen.error {
        return Err(reported(target, error));
    }
    if reader.seen.is_malformed {
        return Err(malformed(name));
    }
    let body = context.translate_whole(target, bytes.into())?;
    context.sink.whole(ForwardReply {
        status,
        headers,
        served: context.served(target),
        body: ForwardBody::Whole(body),
    });
    Ok(())
}

/// The clocks of a stream.
struct Clocks {
    began: Instant,
    first: Duration,
    idle: Duration,
}

async fn stream(
    context: &ForwardContext,
    target: &Deployed,
    mut response: reqwest::Response,
    clocks: Clocks,
    booking: &mut Booking<'_>,
) -> Result<(), ModelError> {
    let name = &target.endpoint.name;
    let headers = passed_on(response.headers());
    let pauses = target.endpoint.pauses.get().cloned().unwrap_or_default();
    let mut reader = Reader::new(target.wire);
    let mut out = context.output(target)?;
    // What came before the first content; nothing of it is sent while another model may still answer.
    let mut held: Vec<Bytes> = Vec::new();
    let (mut bytes, mut began) = (0_usize, false);
    let head_due = tokio::time::sleep_until(clocks.began + HEAD_WITHIN);
    tokio::pin!(head_due);
    loop {
        let limit = if reader.seen.has_content {
            clocks.idle
        } else {
            clocks.first.saturating_sub(clocks.began.elapsed())
        };
        let next = tokio::select! {
            biased;
            next = pauses.timeout(limit, response.chunk()) => next,
            () = &mut head_due, if !context.sink.is_open() => {
                context.open_early(headers.clone());
                continue;
            }
        };
        let chunk = match next {
            Ok(Ok(Some(chunk))) => chunk,
            Ok(Ok(None)) => break,
            // The connection broke, or was left open: with the last word said that is of no matter.
            _ if is_over(&reader) => break,
            Ok(Err(error)) => {
                return Err(match http::broken(name, &error) {
                    ModelError::Connect { .. } if bytes > 0 => truncated(name, bytes),
                    other => other,
                });
            }
            Err(_) => {
                let cut = if reader.seen.has_content {
                    TimeoutKind::Idle(clocks.idle)
                } else {
                    TimeoutKind::First(clocks.first)
                };
                return Err(ModelError::Stalled {
                    provider: name.clone(),
                    cut,
                });
            }
        };
        bytes += chunk.len();
        reader.push(&chunk);
        booking.note(&reader.seen);
        if !began && let Some(error) = reader.seen.error.take() {
            return Err(reported(target, &error));
        }
        if reader.seen.is_malformed && target.wire != context.request.wire {
            // A part that is not understood cannot be put into the client's wire, and must not be left out.
            return Err(malformed(name));
        }
        held.extend(out.push(chunk));
        if !began && (reader.seen.has_content || is_over(&reader)) {
            began = true;
            context.begin(target, headers.clone(), clocks.began).await;
        }
        if began && !pass(context, &mut held).await {
            return Ok(());
        }
        if let Some(error) = reader.seen.error.take() {
            if target.wire == context.request.wire {
                // The client has read it as it came.
                context.sink.note_error();
            }
            return Err(reported(target, &error));
        }
    }
    reader.finish();
    booking.note(&reader.seen);
    if !is_over(&reader) {
        return Err(truncated(name, bytes));
    }
    held.extend(out.finish());
    if !began {
        context.begin(target, headers, clocks.began).await;
    }
    pass(context, &mut held).await;
    Ok(())
}

/// An error that came inside an answer that had begun well.
fn reported(target: &Deployed, error: &WireError) -> ModelError {
    let body = serde_json::json!({"error": {
        "message": error.message, "type": error.kind, "code": error.code,
    }});
    let overloaded = error.kind.contains("overloaded");
    let status = error.code.parse().ok().filter(|s| (400..600).contains(s));
    let status = status.unwrap_or(if overloaded { 529 } else { 502 });
    let body = target.endpoint.keys.scrub(&body.to_string());
    ModelError::from_answer(&target.endpoint.name, status, &body, RetryHints::default())
}

/// Sends what is held; false: the reader left.
async fn pass(context: &ForwardContext, held: &mut Vec<Bytes>) -> bool {
    for piece in held.drain(..) {
        if !context.sink.send(piece).await {
            return false;
        }
    }
    true
}

/// The answer has its end: by its wire's own mark, or by the reason that a chat's last chunk gives.
fn is_over(reader: &Reader) -> bool {
    reader.seen.is_complete || reader.seen.end.is_some()
}

fn malformed(provider: &str) -> ModelError {
    ModelError::Malformed {
        provider: provider.to_owned(),
        message: "its answer is not the JSON that its wire promises".into(),
    }
}

fn truncated(provider: &str, bytes: usize) -> ModelError {
    ModelError::Truncated {
        provider: provider.to_owned(),
        bytes,
    }
}
