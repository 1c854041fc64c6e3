//! A request as it came over HTTP, made ready to be forwarded.

use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, header};
use axum::response::{IntoResponse as _, Response};
use bsm_wire::Wire;
use bsm_wire::envelope::Envelope;
use bsm_wire::error::ErrorKind;
use flate2::read::GzDecoder;
use xxhash_rust::xxh3::Xxh3;

use crate::api::extract::Tenant;
use crate::api::gateway_paths::gemini_call;
use crate::api::request::Correlation;
use crate::api::state::Api;
use crate::engine::protocol::forward::{ForwardError, ForwardRequest};
use crate::settings::GatewaySettings;

/// What a route of the gateway takes: who asks is known before the body is read.
pub(super) struct Incoming {
    pub(super) api: Arc<Api>,
    pub(super) tenant: Tenant,
    pub(super) correlation: Extension<Correlation>,
    pub(super) parts: Parts,
    pub(super) body: Bytes,
}

impl FromRequest<Arc<Api>> for Incoming {
    type Rejection = Response;

    async fn from_request(incoming: Request, api: &Arc<Api>) -> Result<Self, Response> {
        let (mut parts, body) = incoming.into_parts();
        let tenant = Tenant::from_request_parts(&mut parts, api)
            .await
            .map_err(axum::response::IntoResponse::into_response)?;
        let correlation = Extension::<Correlation>::from_request_parts(&mut parts, api)
            .await
            .map_err(axum::response::IntoResponse::into_response)?;
        let whole = Request::from_parts(parts.clone(), body);
        let body = Bytes::from_request(whole, api)
            .await
            .map_err(|e| crate::api::error::Failure::of_status(e.status()).into_response())?;
        Ok(Self {
            api: Arc::clone(api),
            tenant,
            correlation,
            parts,
            body,
        })
    }
}

/// Headers of a client that its provider may see. Nothing else of them leaves.
const PASSED: &[&str] = &[
    "anthropic-beta",
    "anthropic-version",
    "openai-beta",
    "traceparent",
    "tracestate",
];

/// The request to forward.
pub(super) fn request(
    wire: Wire,
    parts: &Parts,
    body: Bytes,
    settings: &GatewaySettings,
    caller: String,
    id: &str,
) -> Result<ForwardRequest, ForwardError> {
    let headers = &parts.headers;
    let body = plain(headers, body, settings.largest_request)?;
    let (wire, named, streams) = of_path(wire, parts.uri.path())?;
    let envelope = Envelope::read(wire, &body)
        .map_err(|e| ForwardError::invalid(ErrorKind::InvalidRequest, &e.to_string()))?;
    let model = named.or_else(|| envelope.model.clone());
    Ok(ForwardRequest {
        wire,
        streams: wire.streams() && (streams || (envelope.stream && wire != Wire::Gemini)),
        query: query(parts.uri.query()),
        headers: passed(headers),
        fall_back: text(headers, "x-bsm-fallback") != Some("false"),
        conversation: conversation(headers, &caller, &body),
        total: total(headers, settings),
        retries_of_client: number(headers, "x-stainless-retry-count").unwrap_or(0),
        needs_usage: false,
        model: model.filter(|name| name != "auto"),
        caller,
        correlation: id.to_owned(),
        envelope,
        body,
    })
}

/// What a path of Gemini's must look like.
const VERBS: &str = "the path ends with :generateContent, :streamGenerateContent or :countTokens";

/// Gemini names the model and what is wanted of it in the path.
fn of_path(wire: Wire, path: &str) -> Result<(Wire, Option<String>, bool), ForwardError> {
    let Some(call) = gemini_call(path) else {
        if wire == Wire::Gemini {
            return Err(ForwardError::invalid(ErrorKind::NotFound, VERBS));
        }
        return Ok((wire, None, false));
    };
    let (model, verb) = call.rsplit_once(':').unwrap_or((call, ""));
    let (wire, streams) = match verb {
        "generateContent" => (Wire::Gemini, false),
        "streamGenerateContent" => (Wire::Gemini, true),
        "countTokens" => (Wire::GeminiCount, false),
        _ => return Err(ForwardError::invalid(ErrorKind::NotFound, VERBS)),
    };
    Ok((wire, Some(model.to_owned()), streams))
}

/// The body, unpacked where it came packed.
fn plain(headers: &HeaderMap, body: Bytes, most: usize) -> Result<Bytes, ForwardError> {
    let too_large = || {
        let message = format!("the request is larger than {most} bytes (gateway.largestRequest)");
        ForwardError::invalid(ErrorKind::TooLarge, &message)
    };
    let plain = match text(headers, "content-encoding").map(str::trim) {
        None | Some("" | "identity") => body,
        Some("gzip" | "x-gzip") => {
            let mut all = Vec::new();
            let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
            let read = GzDecoder::new(&body[..]).take(limit).read_to_end(&mut all);
            read.map_err(|_| {
                let message = "the body is not the gzip that content-encoding says it is";
                ForwardError::invalid(ErrorKind::InvalidRequest, message)
            })?;
            Bytes::from(all)
        }
        Some(_) => {
            let message = "content-encoding is gzip or absent";
            return Err(ForwardError::invalid(ErrorKind::InvalidRequest, message));
        }
    };
    if plain.len() > most {
        return Err(too_large());
    }
    Ok(plain)
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

fn number(headers: &HeaderMap, name: &str) -> Option<u32> {
    text(headers, name)?.trim().parse().ok()
}

fn passed(headers: &HeaderMap) -> HeaderMap {
    let mut passed = HeaderMap::new();
    for name in PASSED {
        for value in headers.get_all(*name) {
            passed.append(HeaderName::from_static(name), value.clone());
        }
    }
    if let Some(accept) = headers.get(header::ACCEPT) {
        passed.insert(header::ACCEPT, accept.clone());
    }
    passed
}

/// What of the query is passed on: `beta` and `alt`, and never a key.
fn query(query: Option<&str>) -> Option<String> {
    let kept = url::form_urlencoded::parse(query?.as_bytes())
        .filter(|(name, _)| name == "beta" || name == "alt");
    let kept = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(kept)
        .finish();
    (!kept.is_empty()).then_some(kept)
}

fn total(headers: &HeaderMap, settings: &GatewaySettings) -> Option<Duration> {
    let asked = number(headers, "x-bsm-timeout-ms").map(u64::from);
    let set = (settings.total_ms > 0).then_some(settings.total_ms);
    let least = asked.into_iter().chain(set).min();
    least.map(Duration::from_millis)
}

fn hash(caller: &str, of: &[u8]) -> u64 {
    let mut hash = Xxh3::new();
    hash.update(&(caller.len() as u64).to_le_bytes());
    hash.update(caller.as_bytes());
    hash.update(of);
    hash.digest()
}

/// What tells one conversation of a caller from another: the session that it names, else how it begins.
fn conversation(headers: &HeaderMap, caller: &str, body: &[u8]) -> u64 {
    const BEGINNING: usize = 2_048;
    let named = ["x-bsm-session", "x-claude-code-session-id", "session_id"]
        .iter()
        .find_map(|name| text(headers, name));
    match named {
        Some(session) => hash(caller, session.as_bytes()),
        None => hash(caller, &body[..body.len().min(BEGINNING)]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn parts(path: &str, headers: &[(&'static str, &'static str)]) -> Parts {
        let mut request = Request::new(());
        *request.uri_mut() = path.parse().unwrap();
        for (name, value) in headers {
            let name = HeaderName::from_static(name);
            request
                .headers_mut()
                .insert(name, HeaderValue::from_static(value));
        }
        request.into_parts().0
    }

    fn read(path: &str, headers: &[(&'static str, &'static str)], body: &[u8]) -> ForwardRequest {
        let settings = GatewaySettings::default();
        let parts = parts(path, headers);
        let body = Bytes::copy_from_slice(body);
        request(Wire::Chat, &parts, body, &settings, "t".into(), "id").unwrap()
    }

    #[test]
    fn only_listed_headers_and_queries_are_passed_on() {
        let wanted = read(
            "/v1/chat/completions?beta=true&key=secret&alt=sse",
            &[
                ("authorization", "Bearer x"),
                ("anthropic-beta", "a,b"),
                ("cookie", "c"),
            ],
            br#"{"model":"auto","stream":true}"#,
        );
        assert_eq!(wanted.query.as_deref(), Some("beta=true&alt=sse"));
        let names: Vec<&str> = wanted.headers.keys().map(HeaderName::as_str).collect();
        assert_eq!(names, ["anthropic-beta"]);
        assert!(wanted.model.is_none() && wanted.streams && wanted.fall_back);
    }

    #[test]
    fn gemini_is_read_from_its_path() {
        let wanted = read(
            "/v1beta/models/g-1:streamGenerateContent?alt=sse",
            &[],
            b"{}",
        );
        assert_eq!((wanted.wire, wanted.streams), (Wire::Gemini, true));
        assert_eq!(wanted.model.as_deref(), Some("g-1"));
        let parts = parts("/v1beta/models/g-1:tune", &[]);
        let settings = GatewaySettings::default();
        let body = Bytes::from_static(b"{}");
        assert!(request(Wire::Gemini, &parts, body, &settings, "t".into(), "i").is_err());
    }

    #[test]
    fn packed_body_is_unpacked_within_its_bound() {
        use std::io::Write as _;
        let pack = |text: &[u8]| {
            let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            packed.write_all(text).unwrap();
            Bytes::from(packed.finish().unwrap())
        };
        let gzip = parts("/v1/chat/completions", &[("content-encoding", "gzip")]);
        let text = br#"{"model":"m"}"#;
        assert_eq!(plain(&gzip.headers, pack(text), 100).unwrap(), &text[..]);
        let error = plain(&gzip.headers, pack(&[b' '; 101]), 100).unwrap_err();
        assert_eq!(error.status, 413);
        let error = plain(&gzip.headers, Bytes::from_static(b"{}"), 100).unwrap_err();
        assert_eq!(error.status, 400);
    }

    #[test]
    fn conversation_is_the_callers_and_the_sessions() {
        let of = |headers: &[(&'static str, &'static str)], body: &[u8]| {
            conversation(&parts("/v1/messages", headers).headers, "t", body)
        };
        let a = [("x-bsm-session", "a")];
        assert_eq!(of(&a, b"1"), of(&a, b"2"));
        assert_ne!(of(&a, b"1"), of(&[("x-bsm-session", "b")], b"1"));
        let long = [b"x".repeat(2_048), b"1".to_vec()].concat();
        let longer = [b"x".repeat(2_048), b"2".to_vec()].concat();
        assert_eq!(of(&[], &long), of(&[], &longer));
    }
}
