//! Errors in the form that the client's protocol knows, with what they say of asking again.

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use bsm_wire::{Wire, error};

use crate::api::request::OwnShape;
use crate::engine::protocol::forward::ForwardError;

/// An error answer: the provider's own where it can be passed on as it is, else one of ours.
pub(crate) fn failed(wire: Wire, failure: &ForwardError) -> Response {
    let status = StatusCode::from_u16(failure.status).unwrap_or(StatusCode::BAD_GATEWAY);
    let (mut headers, body) = match &failure.raw {
        Some(raw) => (raw.0.clone(), raw.1.clone()),
        None => {
            let status = status.as_u16();
            let body = error::body(wire, failure.kind, status, &failure.code, &failure.message);
            (axum::http::HeaderMap::new(), body.into())
        }
    };
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    if let Some(after) = failure.retry_after {
        // Whole seconds, as every client reads them; never less than was asked for.
        let seconds = after.as_millis().div_ceil(1_000) as u64;
        headers
            .entry(header::RETRY_AFTER)
            .or_insert(HeaderValue::from(seconds));
    }
    if let Some(should) = failure.should_retry {
        let word = if should { "true" } else { "false" };
        headers.insert(
            HeaderName::from_static("x-should-retry"),
            HeaderValue::from_static(word),
        );
    }
    headers.insert(
        HeaderName::from_static("x-bsm-attempts"),
        HeaderValue::from(failure.attempts),
    );
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response.extensions_mut().insert(OwnShape);
    response
}
