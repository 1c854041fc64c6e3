//! The simulator's server: one question, one throw of the dice, one answer or one fault.
//!
//! Why not axum's server: a handler there always answers. Here a connection must also break.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::answers::{Shape, error};
use super::content::content;
use super::dice::dice;
use super::pieces::{BrokenOff, in_pieces, spoilt};
use super::state::Shared;
use super::{Fault, RetryAfter, Switch};
use crate::resilience::clock::lock;

/// Providers that are counted.
const PROVIDERS: usize = 1_000;
/// Largest question, bytes.
const LARGEST: usize = 16 << 20;

pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
        };
        let Ok((stream, _)) = accepted else {
            // Out of files for the moment: the client's to see.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let _ = stream.set_nodelay(true);
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            let service =
                hyper::service::service_fn(move |request| answer(Arc::clone(&shared), request));
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn answer(
    shared: Arc<Shared>,
    request: Request<Incoming>,
) -> Result<Response<Body>, BrokenOff> {
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(Body::new(body), LARGEST).await else {
        return Ok(json_of(
            StatusCode::PAYLOAD_TOO_LARGE,
            &json!({"error": "too large"}),
        ));
    };
    let path = parts.uri.path().trim_end_matches('/');
    let (provider, route) = match path.split_once("/v1") {
        Some((provider, route)) => (provider.trim_start_matches('/'), route),
        None => ("", path),
    };
    if parts.headers.contains_key(header::ORIGIN) {
        // A page in a browser has nothing to ask here.
        let error = json!({"error": {"message": "not for pages"}});
        return Ok(json_of(StatusCode::FORBIDDEN, &error));
    }
    match (&parts.method, route) {
        (&Method::GET, "/faults") => Ok(json_of(StatusCode::OK, &shared.told())),
        (&Method::PUT | &Method::POST, "/faults") => Ok(switched(&shared, &body)),
        (&Method::GET, "/models") => {
            let models =
                json!({"object": "list", "data": [{"id": "simulated", "object": "model"}]});
            Ok(json_of(StatusCode::OK, &models))
        }
        (&Method::POST, "/chat/completions") => {
            converse(&shared, provider, Shape::Chat, &body).await
        }
        (&Method::POST, "/messages") => converse(&shared, provider, Shape::Messages, &body).await,
        _ => Ok(json_of(
            StatusCode::NOT_FOUND,
            &json!({"error": {"message": "try POST /v1/chat/completions, POST /v1/messages, GET or PUT /faults"}}),
        )),
    }
}

fn switched(shared: &Shared, body: &[u8]) -> Response<Body> {
    let switch = serde_json::from_slice::<Switch>(body).map_err(|e| e.to_string());
    match switch.and_then(|s| shared.switch(&s)) {
        Ok(()) => json_of(StatusCode::OK, &shared.told().behaviour),
        Err(reason) => json_of(
            StatusCode::BAD_REQUEST,
            &json!({"error": {"message": crate::text::clean_line(&reason, 400)}}),
        ),
    }
}

fn json_of(status: StatusCode, body: &impl serde::Serialize) -> Response<Body> {
    let text = serde_json::to_vec(body).unwrap_or_default();
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static("application/json"),
    );
    response
}

/// Counts a question as under way until it is dropped.
struct UnderWay {
    shared: Arc<Shared>,
    provider: String,
}

impl UnderWay {
    fn begin(shared: &Arc<Shared>, provider: &str) -> Self {
        let mut inner = lock(&shared.inner);
        // Whoever makes names up fills no memory.
        if inner.told.asked.len() >= PROVIDERS && !inner.told.asked.contains_key(provider) {
            inner.told.asked.clear();
        }
        let asked = inner.told.asked.entry(provider.to_owned()).or_default();
        asked.asked += 1;
        asked.under_way += 1;
        asked.most_under_way = asked.most_under_way.max(asked.under_way);
        Self {
            shared: Arc::clone(shared),
            provider: provider.to_owned(),
        }
    }

    /// What is going to become of it.
    fn ends(&self, fault: Option<&Fault>) {
        let mut inner = lock(&self.shared.inner);
        let asked = inner.told.asked.entry(self.provider.clone()).or_default();
        match fault {
            None | Some(Fault::NoEnd | Fault::Bytewise) => asked.answered += 1,
            Some(fault) => *asked.faults.entry(name(fault)).or_default() += 1,
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut inner = lock(&self.shared.inner);
        if let Some(asked) = inner.told.asked.get_mut(&self.provider) {
            asked.under_way = asked.under_way.saturating_sub(1);
        }
    }
}

fn name(fault: &Fault) -> String {
    match fault {
        Fault::Status { status, .. } => format!("status{status}"),
        other => serde_json::to_value(other)
            .ok()
            .and_then(|v| v["fault"].as_str().map(str::to_owned))
            .unwrap_or_default(),
    }
}

async fn converse(
    shared: &Arc<Shared>,
    provider: &str,
    shape: Shape,
    body: &[u8],
) -> Result<Response<Body>, BrokenOff> {
    let under_way = UnderWay::begin(shared, provider);
    let Ok(request) = serde_json::from_slice::<Value>(body) else {
        let body = error(shape, 400, Some("invalid_json"), "the request is not JSON");
        return Ok(json_of(StatusCode::BAD_REQUEST, &body));
    };
    let mut dice = dice(shared, provider, body);
    let faults = lock(&shared.inner).told.behaviour.of(provider).clone();
    let wait = faults.latency.draw(dice.throw(), dice.throw());
    let fault = faults.pick(dice.throw() * 100.0).cloned();
    under_way.ends(fault.as_ref());
    if wait > 0 {
        tokio::time::sleep(Duration::from_millis(wait)).await;
    }
    let mut content = content(shape, &request, &mut dice);
    match &fault {
        Some(Fault::Status {
            status,
            code,
            retry_after,
        }) => {
            return Ok(refusal(shape, *status, code.as_deref(), *retry_after));
        }
        Some(Fault::Quota) => return Ok(refusal(shape, 429, Some("insufficient_quota"), None)),
        Some(Fault::Page) => {
            let mut page = Response::new(Body::from(
                "<html><body><h1>502 Bad Gateway</h1></body></html>",
            ));
            *page.status_mut() = StatusCode::BAD_GATEWAY;
            return Ok(page);
        }
        Some(Fault::Stall) => std::future::pending::<()>().await,
        Some(Fault::Reset) => return Err(BrokenOff),
        Some(Fault::CutOff) => {
            let half = content.text.floor_char_boundary(content.text.len() / 2);
            content.text.truncate(half);
            content.finish = "length";
        }
        Some(Fault::Refuse) => {
            content.finish = "refusal";
            content.tool = None;
            content.text = "I cannot help with this.".into();
        }
        Some(Fault::Empty) => {
            content.tool = None;
            content.text.clear();
        }
        Some(Fault::Prose) => {
            content.tool = None;
            content.text = "It looks fine to me; I would approve it.".into();
        }
        _ => {}
    }
    let streams = request["stream"] == true;
    let pieces = if streams {
        content.events()
    } else {
        vec![content.whole().to_string()]
    };
    let pieces = spoilt(pieces, fault.as_ref(), &content, streams, &mut dice);
    let kind = if streams {
        "text/event-stream"
    } else {
        "application/json"
    };
    Ok(in_pieces(pieces, kind, &faults, under_way))
}

fn refusal(
    shape: Shape,
    status: u16,
    code: Option<&str>,
    after: Option<RetryAfter>,
) -> Response<Body> {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = json_of(status, &error(shape, status.as_u16(), code, "simulated"));
    if let Some(after) = after {
        set_retry_after(response.headers_mut(), after);
    }
    response
}

fn set_retry_after(headers: &mut HeaderMap, after: RetryAfter) {
    let (name, value) = match after {
        RetryAfter::Millis { ms } => ("retry-after-ms", ms.to_string()),
        RetryAfter::Seconds { ms } => ("retry-after", ms.div_ceil(1_000).to_string()),
        RetryAfter::Fraction { ms } => ("retry-after", format!("{:.3}", ms as f64 / 1_000.0)),
        RetryAfter::Date { ms } => {
            const DAY: u64 = 86_400_000;
            let at = jiff::Timestamp::now() + Duration::from_millis(ms.min(DAY));
            let date = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&at);
            ("retry-after", date.unwrap_or_default())
        }
        RetryAfter::Never => ("x-should-retry", "false".into()),
    };
    if let Ok(value) = header::HeaderValue::from_str(&value) {
        headers.insert(name, value);
    }
}
