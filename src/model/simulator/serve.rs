//! The simulator's server: one question, one throw of the dice, one answer or one fault.
//!
//! Why not axum's server: a handler there always answers. Here a connection must also break.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, Response, StatusCode, header};
use futures_util::{StreamExt as _, stream};
use hyper::body::{Bytes, Incoming};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::answers::{Content, Shape, error};
use super::{Fault, Faults, RetryAfter, Switch};
use crate::model::simulator::state::{Inner, REMEMBERED, Shared};
use crate::resilience::clock::lock;

/// Providers that are counted.
const PROVIDERS: usize = 1_000;
/// Largest question, bytes.
const LARGEST: usize = 16 << 20;

/// The connection is to break off.
#[derive(Debug, thiserror::Error)]
#[error("broken off on purpose")]
struct BrokenOff;

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

/// One throw of the dice for each question and its repetition.
struct Dice(Sha256, u64);

impl Dice {
    /// Evenly from 0 to 1.
    fn throw(&mut self) -> f64 {
        self.1 += 1;
        let digest = self.0.clone().chain_update(self.1.to_le_bytes()).finalize();
        let bits = u64::from_le_bytes(digest[..8].try_into().unwrap_or_default());
        (bits >> 11) as f64 / (1_u64 << 53) as f64
    }
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

fn dice(shared: &Shared, provider: &str, body: &[u8]) -> Dice {
    let hash = Sha256::new()
        .chain_update(shared.seed.to_le_bytes())
        .chain_update(provider)
        .chain_update([0])
        .chain_update(body);
    let digest = hash.clone().finalize();
    let question = u64::from_le_bytes(digest[..8].try_into().unwrap_or_default());
    let mut guard = lock(&shared.inner);
    let Inner { seen, .. } = &mut *guard;
    if seen.len() >= REMEMBERED {
        seen.clear();
    }
    let times = seen.entry(question).or_default();
    *times += 1;
    Dice(hash.chain_update(times.to_le_bytes()), 0)
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

/// What is sent.
enum Piece {
    /// These bytes.
    Bytes(Bytes),
    /// Nothing, and nothing after it.
    Nothing,
    /// The connection breaks.
    Break,
    /// The same again and again.
    Forever(Bytes),
    /// A keep-alive every tenth of a second.
    KeepAlives,
}

fn spoilt(
    pieces: Vec<String>,
    fault: Option<&Fault>,
    content: &Content,
    streams: bool,
    dice: &mut Dice,
) -> Vec<Piece> {
    let bytes = |text: &str| Piece::Bytes(Bytes::copy_from_slice(text.as_bytes()));
    let half = || -> Vec<Piece> {
        match pieces.as_slice() {
            [whole] => vec![bytes(&whole[..whole.floor_char_boundary(whole.len() / 2)])],
            many => many[..many.len() / 2].iter().map(|p| bytes(p)).collect(),
        }
    };
    let half_and = |last: Piece| {
        let mut half = half();
        half.push(last);
        half
    };
    match fault {
        Some(Fault::StallMidway) => half_and(Piece::Nothing),
        Some(Fault::Truncate) => half(),
        Some(Fault::BreakMidway) => half_and(Piece::Break),
        Some(Fault::ErrorInside) if streams => half_and(bytes(&content.error_event())),
        Some(Fault::ErrorInside) => vec![bytes(
            &error(content.shape, 529, None, "overloaded").to_string(),
        )],
        Some(Fault::KeepAlive) => vec![Piece::KeepAlives],
        Some(Fault::Garbage) => {
            let rubbish: Vec<u8> = (0..512).map(|_| (dice.throw() * 256.0) as u8).collect();
            let before: &[u8] = if streams { b"data: " } else { b"" };
            vec![Piece::Bytes(Bytes::from(
                [before, &rubbish, b"\n\n"].concat(),
            ))]
        }
        Some(Fault::Huge) => {
            let text = "x".repeat(32 << 10);
            if streams {
                let long = Content {
                    text: text.clone(),
                    id: content.id.clone(),
                    model: content.model.clone(),
                    tool: content.tool.clone(),
                    ..*content
                };
                let events = long.events();
                vec![Piece::Forever(Bytes::from(
                    events[1..events.len().saturating_sub(4)].concat(),
                ))]
            } else {
                vec![
                    bytes(r#"{"choices":[{"message":{"content":""#),
                    Piece::Forever(Bytes::from(text)),
                ]
            }
        }
        Some(Fault::NoEnd) if streams => pieces[..pieces.len() - 1]
            .iter()
            .map(|p| bytes(p))
            .collect(),
        Some(Fault::Bytewise) => pieces
            .concat()
            .bytes()
            .map(|b| Piece::Bytes(Bytes::copy_from_slice(&[b])))
            .collect(),
        _ => pieces.iter().map(|p| bytes(p)).collect(),
    }
}

/// The pieces, one after another, at their pace. `under_way` lasts as long as the body.
fn in_pieces(
    pieces: Vec<Piece>,
    kind: &'static str,
    faults: &Faults,
    under_way: UnderWay,
) -> Response<Body> {
    let pause = Duration::from_millis(faults.piece_ms);
    // With no pause between them they are one: a system call for each would be the simulator's own cost.
    let mut joined: Vec<Piece> = Vec::new();
    let bytewise = pieces.len() > 1
        && pieces
            .iter()
            .all(|p| matches!(p, Piece::Bytes(b) if b.len() == 1));
    for piece in pieces {
        match (joined.last_mut(), piece) {
            (Some(Piece::Bytes(before)), Piece::Bytes(more)) if pause.is_zero() && !bytewise => {
                *before = Bytes::from([before.as_ref(), more.as_ref()].concat());
            }
            (_, piece) => joined.push(piece),
        }
    }
    let state = (joined.into_iter(), under_way, true);
    let body = stream::unfold(state, move |(mut pieces, under_way, first)| async move {
        let piece = pieces.next()?;
        if !first && !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        Some((piece, (pieces, under_way, false)))
    })
    .flat_map(
        |piece| -> stream::BoxStream<'static, Result<Bytes, BrokenOff>> {
            match piece {
                Piece::Bytes(bytes) => stream::once(async { Ok(bytes) }).boxed(),
                Piece::Nothing => stream::pending().boxed(),
                Piece::Break => stream::once(async {
                    // What was said before is on its way first.
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    Err(BrokenOff)
                })
                .boxed(),
                Piece::Forever(bytes) => stream::repeat_with(move || Ok(bytes.clone())).boxed(),
                Piece::KeepAlives => stream::unfold((), |()| async {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    Some((Ok(Bytes::from_static(b": keep-alive\n\n")), ()))
                })
                .boxed(),
            }
        },
    );
    let mut response = Response::new(Body::from_stream(body));
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    response
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

/// A verdict where one is asked for, else prose; both say that they are simulated.
fn content(shape: Shape, request: &Value, dice: &mut Dice) -> Content {
    let messages = request["messages"].as_array();
    let said: Vec<&str> = messages
        .into_iter()
        .flatten()
        .filter_map(|m| m["content"].as_str())
        .chain(request["system"].as_str())
        .collect();
    let tool = wanted_tool(shape, request);
    let verdict = tool.as_ref().map_or_else(
        || !request["response_format"].is_null() || said.iter().any(|s| s.contains("\"decision\"")),
        |(name, _)| name == "verdict",
    );
    let text = if verdict {
        let answer = json!({
            "decision": "approve",
            "score": 80 + (dice.throw() * 20.0) as u64,
            "comments": ["Simulated answer: no model has looked at this."],
        });
        // With blanks, as models write it.
        serde_json::to_string_pretty(&answer).unwrap_or_default()
    } else if let Some((_, schema)) = &tool {
        made_up(schema, 0).to_string()
    } else {
        let asked = messages
            .and_then(|m| m.last())
            .and_then(|m| m["content"].as_str())
            .unwrap_or_default();
        format!(
            "Simulated answer: no model has looked at this. You asked: {}",
            crate::text::cut(asked, 200)
        )
    };
    let read: usize = said.iter().map(|s| s.len()).sum();
    Content {
        shape,
        id: format!("sim-{:08x}", (dice.throw() * f64::from(u32::MAX)) as u32),
        model: request["model"].as_str().unwrap_or("simulated").to_owned(),
        text,
        finish: "stop",
        prompt_tokens: read.div_ceil(4) as u64,
        tool: tool.map(|(name, _)| name),
    }
}

/// The tool that is used, and its schema: the one that must be, else the first, and none to answer a tool.
fn wanted_tool(shape: Shape, request: &Value) -> Option<(String, Value)> {
    let last = request["messages"].as_array()?.last()?;
    let choice = &request["tool_choice"];
    let answers_a_tool = last["role"] == "tool" || last["content"][0]["type"] == "tool_result";
    if answers_a_tool || *choice == "none" || choice["type"] == "none" {
        return None;
    }
    let (named, key) = match shape {
        Shape::Chat => (&choice["function"]["name"], "parameters"),
        Shape::Messages => (&choice["name"], "input_schema"),
    };
    let tools = request["tools"].as_array()?.iter();
    let mut tools = tools.map(|tool| match shape {
        Shape::Chat => &tool["function"],
        Shape::Messages => tool,
    });
    let tool = tools.find(|tool| named.is_null() || tool["name"] == *named)?;
    Some((tool["name"].as_str()?.to_owned(), tool[key].clone()))
}

/// Something of the schema: what is required, and of the right type.
fn made_up(schema: &Value, depth: u32) -> Value {
    if let Some(first) = schema["enum"].as_array().and_then(|values| values.first()) {
        return first.clone();
    }
    match schema["type"].as_str() {
        Some("string") => "simulated".into(),
        Some("integer" | "number") => 1.into(),
        Some("boolean") => true.into(),
        Some("array") => json!([]),
        Some("null") => Value::Null,
        _ if depth > 8 => json!({}),
        _ => {
            let required = |name: &str| {
                let names = schema["required"].as_array();
                names.is_some_and(|names| names.iter().any(|n| n == name))
            };
            let properties = schema["properties"].as_object().into_iter().flatten();
            let fields = properties
                .filter(|(name, _)| required(name))
                .map(|(name, field)| (name.clone(), made_up(field, depth + 1)));
            Value::Object(fields.collect())
        }
    }
}
