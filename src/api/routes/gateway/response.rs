//! The answer to a forwarded request: whole, or the events of a stream as they come.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;

use crate::api::request::OwnShape;
use crate::engine::protocol::forward::{ForwardBody, ForwardReply, Pieces, Served};
use crate::settings::GatewaySettings;

/// As an HTTP response.
pub(super) fn of(reply: ForwardReply, settings: &GatewaySettings) -> Response {
    let mut headers = reply.headers;
    describe(&mut headers, &reply.served);
    let body = match reply.body {
        ForwardBody::Whole(bytes) => Body::from(bytes),
        ForwardBody::Stream(pieces) => {
            // Between proxies too nothing of it may be kept back.
            for (name, value) in [("cache-control", "no-cache"), ("x-accel-buffering", "no")] {
                headers.insert(
                    HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                );
            }
            headers
                .entry(header::CONTENT_TYPE)
                .or_insert(HeaderValue::from_static("text/event-stream"));
            Body::from_stream(events(pieces, settings.keep_alive_ms))
        }
    };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::OK);
    *response.headers_mut() = headers;
    response.extensions_mut().insert(OwnShape);
    response
}

/// The events, and a comment where they are silent for long.
fn events(
    pieces: Pieces,
    keep_alive_ms: u64,
) -> impl futures_util::Stream<Item = Result<Bytes, Infallible>> {
    let every = Duration::from_millis(keep_alive_ms.max(100));
    stream::unfold(pieces, move |mut pieces| async move {
        let piece = match tokio::time::timeout(every, pieces.next()).await {
            Ok(piece) => piece?,
            // Pieces are whole events: a comment between two of them is at its place.
            Err(_) => Bytes::from_static(b": keep-alive\n\n"),
        };
        Some((Ok(piece), pieces))
    })
}

/// Who answered and what it took, in headers.
fn describe(headers: &mut HeaderMap, served: &Served) {
    let added = served.added.as_secs_f64() * 1e3;
    let mut all = vec![
        ("x-bsm-attempts", served.attempts.to_string()),
        ("x-bsm-added-latency-ms", format!("{added:.3}")),
        (
            "x-bsm-cache",
            if served.cached { "cache" } else { "loaded" }.to_owned(),
        ),
    ];
    if !served.model.is_empty() {
        all.push(("x-bsm-model", served.model.clone()));
        all.push(("x-bsm-provider", served.provider.clone()));
    }
    if !served.lost.is_empty() {
        all.push(("x-bsm-lost", served.lost.join(", ")));
    }
    for (name, value) in all {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
}
