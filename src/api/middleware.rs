//! Around every route: a correlation id, the guards that need no route, one shape for errors, and headers.

use crate::api::gateway_paths::wire_of;
use bsm_wire::error::{self, ErrorKind};
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use futures_util::FutureExt as _;
use serde_json::json;

use super::error::Failure;
use super::extract::{is_known, shown_token};
use super::routes::is_webhook;
use crate::api::guesses;
use crate::api::paths::asks_health;
use crate::api::rate_limit::Left;
use crate::api::request::{Correlation, OwnShape, Peer, Use};
use crate::api::state::Api;
use crate::engine::protocol::correlation::{is_correlation, new_correlation};
use crate::settings::ApiSettings;

/// So many that a table of headers seldom grows.
const MOST_HEADERS: usize = 16;
const CORRELATION: HeaderName = HeaderName::from_static("x-correlation-id");

/// The outermost layer.
pub(super) async fn around(
    State(api): State<Arc<Api>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    mut request: Request,
    next: Next,
) -> Response {
    let began = Instant::now();
    let peer = api.trusted.client(peer, request.headers());
    request.extensions_mut().insert(ConnectInfo(peer));
    let sent = request.headers().get(&CORRELATION);
    let id = sent
        .and_then(|v| v.to_str().ok())
        .filter(|v| is_correlation(v))
        .map_or_else(new_correlation, str::to_owned);
    request.extensions_mut().insert(Correlation(id.clone()));
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let origin = request.headers().get(header::ORIGIN).cloned();
    let mut left = None;
    let reserved = request.extensions().get::<Use>() == Some(&Use::Reserved);
    let mut response = match admit(&api, peer, &request, &mut left) {
        Err(failure) => failure.into_response(),
        Ok(()) if method == Method::OPTIONS && origin.is_some() => {
            StatusCode::NO_CONTENT.into_response()
        }
        Ok(()) => match AssertUnwindSafe(next.run(request)).catch_unwind().await {
            Ok(response) => response,
            Err(_) => {
                tracing::error!(corr = id, path, "a route panicked");
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
        },
    };
    let status = response.status();
    let own = response.extensions().get::<OwnShape>().is_some();
    if !own && (status.is_client_error() || status.is_server_error()) {
        response = shaped(response, &path, &id);
    }
    let headers = response.headers_mut();
    if status == StatusCode::PAYLOAD_TOO_LARGE {
        // Its rest is not read: nothing more can be asked on this connection.
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    fixed(headers);
    cors(headers, &api.settings, origin.as_ref());
    if let Some(left) = left {
        limits(headers, left);
    }
    if reserved && status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    if let Ok(value) = HeaderValue::from_str(&id) {
        if wire_of(&path).is_some() {
            headers.insert(HeaderName::from_static("x-request-id"), value.clone());
        }
        headers.insert(CORRELATION, value);
    }
    tracing::debug!(
        corr = id,
        %method,
        path = crate::text::clean_line(&path, 200),
        status = status.as_u16(),
        ms = began.elapsed().as_millis() as u64,
        "request"
    );
    response
}

/// An error in its shape, with what its own response had said in headers.
fn shaped(response: Response, path: &str, id: &str) -> Response {
    let status = response.status();
    let failure = response.extensions().get::<Failure>().cloned();
    let allow = response.headers().get(header::ALLOW).cloned();
    let failure = failure.unwrap_or_else(|| Failure::of_status(status));
    let mut shaped = if let Some(wire) = wire_of(path) {
        // A client of the gateway reads its own protocol's errors alone.
        let kind = ErrorKind::of_status(status.as_u16());
        let body = error::body(wire, kind, status.as_u16(), failure.code, &failure.message);
        let json = [(header::CONTENT_TYPE, "application/json")];
        (status, json, body).into_response()
    } else {
        let body = json!({"error": failure.message, "code": failure.code, "correlationId": id});
        (status, Json(body)).into_response()
    };
    if let Some(allow) = allow {
        shaped.headers_mut().insert(header::ALLOW, allow);
    }
    shaped
}

/// What is checked before any route.
fn admit(api: &Api, peer: Peer, request: &Request, left: &mut Option<Left>) -> Result<(), Failure> {
    let settings = &api.settings;
    let path = request.uri().path();
    if request.extensions().get::<Use>() == Some(&Use::Reserved)
        && !asks_health(path)
        && !is_webhook(path)
    {
        return Err(Failure::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "RATE_LIMITED",
            "all connections are taken (api.maxConnections), or this client has its share; health and webhooks \
             are still answered",
        ));
    }
    if peer == Peer::Stranger {
        return Err(Failure::new(
            StatusCode::FORBIDDEN,
            "UNAUTHORIZED",
            "this socket is its owner's",
        ));
    }
    let Some(ip) = peer.ip() else {
        return Ok(()); // The owner.
    };
    let headers = request.headers();
    if !host_is_ours(headers, settings, api.port) {
        return Err(Failure::new(
            StatusCode::FORBIDDEN,
            "INVALID_INPUT",
            "the Host header names another server; allow its name under api.hosts",
        ));
    }
    if settings.lan_only && (!is_lan(ip) || matches!(peer, Peer::Hidden(_))) {
        return Err(Failure::new(
            StatusCode::FORBIDDEN,
            "LAN_ONLY_VIOLATION",
            "only the local network is answered",
        ));
    }
    // Neither looks at a token: health answers everybody, a webhook has its signature.
    if !asks_health(path) && !is_webhook(path) {
        count_guess(api, ip, headers, left)?;
    }
    if settings.mobile_mode && is_blocked_on_mobile(path, request.method()) {
        return Err(Failure::new(
            StatusCode::FORBIDDEN,
            "MOBILE_MODE_RESTRICTION",
            "mobile mode: this is not to be had",
        ));
    }
    let writes = !matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS
    );
    if writes && !origin_is_ours(headers, settings) {
        return Err(Failure::new(
            StatusCode::FORBIDDEN,
            "INVALID_INPUT",
            "a page of another site may not do this; allow its origin under api.cors",
        ));
    }
    let counted = path.starts_with("/api/") || wire_of(path).is_some();
    // Not limited: a monitor needs the answer most when there are many requests.
    if counted && !asks_health(path) && !is_webhook(path) && !is_known(headers, api) {
        *left = api.limits.count(ip, Instant::now());
        if left.is_some_and(|l| l.refused) {
            return Err(Failure::of_status(StatusCode::TOO_MANY_REQUESTS));
        }
    }
    Ok(())
}

/// A wrong token counts; who showed too many is refused with the right one as well.
fn count_guess(
    api: &Api,
    ip: IpAddr,
    headers: &HeaderMap,
    left: &mut Option<Left>,
) -> Result<(), Failure> {
    let Some(right) = shown_token(headers, api) else {
        return Ok(());
    };
    api.guesses.judge(ip, right, Instant::now()).map_err(|wait| {
        *left = Some(Left {
            limit: guesses::EACH.into(),
            remaining: 0,
            reset_s: wait.as_secs() + 1,
            refused: true,
        });
        Failure::new(
            StatusCode::TOO_MANY_REQUESTS,
            "RATE_LIMITED",
            "too many wrong tokens came from here, or from everywhere; try again when Retry-After is over",
        )
    })
}

/// The name that a browser was told: a page whose name turns to this machine is not let in by it.
fn host_is_ours(headers: &HeaderMap, settings: &ApiSettings, port: Option<u16>) -> bool {
    let Some(host) = headers.get(header::HOST) else {
        return true; // HTTP/1.0 and the like: no browser.
    };
    let Ok(host) = host.to_str() else {
        return false;
    };
    let (name, its_port) = match host.rsplit_once(':') {
        Some((name, digits)) if digits.bytes().all(|b| b.is_ascii_digit()) => {
            (name, digits.parse::<u16>().ok())
        }
        _ => (host, None),
    };
    let name = name.trim_matches(['[', ']']).to_ascii_lowercase();
    if settings.hosts.iter().any(|h| h.eq_ignore_ascii_case(&name)) {
        return true;
    }
    let ours = its_port.is_none() || its_port == port;
    ours && (name == "localhost" || name.parse::<IpAddr>().is_ok())
}

fn origin_is_ours(headers: &HeaderMap, settings: &ApiSettings) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else {
        return true;
    };
    let Ok(origin) = origin.to_str() else {
        return false;
    };
    let same = headers
        .get(header::HOST)
        .and_then(|h| h.to_str().ok())
        .is_some_and(|host| {
            origin == format!("http://{host}") || origin == format!("https://{host}")
        });
    same || settings.cors.iter().any(|allowed| allowed == origin)
}

/// Loopback, private and link-local addresses.
pub(super) fn is_lan(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_private() || v4.is_link_local(),
        IpAddr::V6(v6) => {
            let first = v6.segments()[0];
            v6.is_loopback() || (first & 0xfe00) == 0xfc00 || (first & 0xffc0) == 0xfe80
        }
    }
}

/// Compared without regard to case: a path in capitals is no way around it.
fn is_blocked_on_mobile(path: &str, method: &Method) -> bool {
    let path = path.to_ascii_lowercase();
    let reads = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    [
        "/api/agents/run",
        "/api/agents/start",
        "/api/agents/stop",
        "/api/emergency",
        "/api/control",
    ]
    .iter()
    .any(|p| path.starts_with(p))
        || (!reads && (path.starts_with("/api/orchestrator") || path.starts_with("/api/seam")))
}

fn fixed(headers: &mut HeaderMap) {
    headers.reserve(MOST_HEADERS);
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
        (
            "content-security-policy",
            "default-src 'none'; frame-ancestors 'none'",
        ),
        ("cross-origin-resource-policy", "same-origin"),
    ] {
        headers.insert(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        );
    }
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
}

fn cors(headers: &mut HeaderMap, settings: &ApiSettings, origin: Option<&HeaderValue>) {
    let Some(origin) = origin else { return };
    let known = |o: &str| settings.cors.iter().any(|allowed| allowed == o);
    if !origin.to_str().is_ok_and(known) {
        return;
    }
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    headers.insert(header::VARY, HeaderValue::from_static("origin"));
    for (name, value) in [
        ("access-control-allow-methods", "GET, POST, DELETE, OPTIONS"),
        (
            "access-control-allow-headers",
            "content-type, content-encoding, accept, authorization, x-admin-token, x-correlation-id, \
             x-api-key, api-key, x-goog-api-key, anthropic-version, anthropic-beta, openai-beta, \
             anthropic-dangerous-direct-browser-access, traceparent, tracestate, x-bsm-session, \
             x-bsm-fallback, x-bsm-timeout-ms, x-stainless-arch, x-stainless-lang, x-stainless-os, \
             x-stainless-package-version, x-stainless-retry-count, x-stainless-runtime, \
             x-stainless-runtime-version, x-stainless-timeout, x-stainless-helper-method",
        ),
        (
            "access-control-expose-headers",
            "x-request-id, x-bsm-model, x-bsm-provider, x-bsm-attempts, x-bsm-lost, retry-after",
        ),
        ("access-control-max-age", "600"),
    ] {
        headers.insert(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        );
    }
    headers.insert(
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("cross-origin"),
    );
}

fn limits(headers: &mut HeaderMap, left: Left) {
    headers.insert(
        HeaderName::from_static("ratelimit-limit"),
        left.limit.into(),
    );
    headers.insert(
        HeaderName::from_static("ratelimit-remaining"),
        left.remaining.into(),
    );
    headers.insert(
        HeaderName::from_static("ratelimit-reset"),
        left.reset_s.into(),
    );
    if left.refused {
        headers.insert(header::RETRY_AFTER, left.reset_s.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(k, v)| (HeaderName::from_static(k), HeaderValue::from_static(v)))
            .collect()
    }

    #[test]
    fn a_name_that_turns_to_this_machine_is_not_let_in() {
        let settings = ApiSettings {
            hosts: vec!["bsm.intern".into()],
            ..ApiSettings::default()
        };
        let ours = |host| host_is_ours(&headers(&[("host", host)]), &settings, Some(3000));
        for ok in [
            "localhost:3000",
            "127.0.0.1:3000",
            "[::1]:3000",
            "bsm.intern",
            "bsm.intern:443",
            "localhost",
        ] {
            assert!(ours(ok), "{ok}");
        }
        for bad in [
            "evil.example",
            "evil.example:3000",
            "localhost.evil.example:3000",
            "localhost:3001",
            "",
        ] {
            assert!(!ours(bad), "{bad}");
        }
    }

    #[test]
    fn a_page_of_another_site_does_nothing() {
        let settings = ApiSettings {
            cors: vec!["https://board.example".into()],
            ..ApiSettings::default()
        };
        let ours = |origin| {
            origin_is_ours(
                &headers(&[("host", "127.0.0.1:3000"), ("origin", origin)]),
                &settings,
            )
        };
        assert!(ours("http://127.0.0.1:3000") && ours("https://board.example"));
        assert!(!ours("https://evil.example") && !ours("null"));
    }

    #[test]
    fn capitals_are_no_way_around_mobile_mode_and_lan_is_lan() {
        for (path, method) in [
            ("/api/agents/run", Method::POST),
            ("/API/Agents/RUN", Method::POST),
            ("/api/seam/command", Method::POST),
            ("/api/orchestrator/run", Method::POST),
        ] {
            assert!(is_blocked_on_mobile(path, &method), "{path}");
        }
        assert!(!is_blocked_on_mobile(
            "/api/orchestrator/config",
            &Method::GET
        ));
        for ip in [
            "127.0.0.1",
            "10.1.1.1",
            "172.31.0.1",
            "192.168.0.9",
            "169.254.0.1",
            "fc00::1",
            "fe80::1",
            "::ffff:10.0.0.1",
        ] {
            assert!(is_lan(ip.parse().unwrap()), "{ip}");
        }
        for ip in ["8.8.8.8", "172.32.0.1", "2001:db8::1", "::ffff:8.8.8.8"] {
            assert!(!is_lan(ip.parse().unwrap()), "{ip}");
        }
    }
}
