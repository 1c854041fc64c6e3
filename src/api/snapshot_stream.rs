//! The stream of a running engine, kept up over as many connections as it takes.
//!
//! Why a limit on silence: an engine that hangs keeps its connections, and would look like one at rest.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use reqwest::Client;
use serde::Deserialize as _;
use serde_json::Value;
use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;

use super::address::{Address, ConnectError, whoami};
use super::routes::CONSOLE;
use crate::api::merge_patch;
use crate::engine::protocol::event::Event;
use crate::engine::protocol::health::{Level, Reason};
use crate::engine::protocol::query::Capabilities;
use crate::engine::protocol::snapshot::{Disconnected, Health, Snapshot};
use crate::model::wire::sse;
use crate::text::clean_line;

/// Longest wait for an answer that needs no model.
pub(super) const SOON: Duration = Duration::from_secs(15);
/// A stream that says nothing for longer is cut: two keep-alives were missed.
const SILENT: Duration = Duration::from_secs(12);
/// Longest wait between two tries.
const LONGEST: Duration = Duration::from_secs(10);
/// Largest answer, bytes.
const LARGEST: usize = 64 << 20;

/// What all parts of a client share.
pub(super) struct Shared {
    pub(super) address: Address,
    pub(super) base: String,
    /// For the stream, which has no end.
    pub(super) long: Client,
    pub(super) capabilities: Capabilities,
    /// A person looks through it: the engine counts them as present.
    pub(super) is_console: bool,
    pub(super) events: broadcast::Sender<Event>,
    pub(super) stopping: CancellationToken,
}

/// A failed request, before it is known whose it is.
pub(super) enum Failed {
    Nobody(String),
    Status(u16, String),
}

impl Failed {
    pub(super) fn at(self, at: &str) -> ConnectError {
        match self {
            Self::Nobody(reason) => ConnectError::Nobody {
                at: at.to_owned(),
                reason,
            },
            Self::Status(status, message) => ConnectError::Refused {
                at: at.to_owned(),
                status,
                message,
            },
        }
    }
}

impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Nobody(reason) => f.write_str(reason),
            Self::Status(status, message) => write!(f, "it answered {status}: {message}"),
        }
    }
}

/// The innermost reason: what the system said.
pub(super) fn reason(error: &reqwest::Error) -> String {
    let mut source: &dyn std::error::Error = error;
    while let Some(inner) = source.source() {
        source = inner;
    }
    clean_line(&source.to_string(), 200)
}

pub(super) fn with_token(
    request: reqwest::RequestBuilder,
    address: &Address,
) -> reqwest::RequestBuilder {
    match address {
        Address::Http {
            token: Some(token), ..
        } => request.header("x-admin-token", token),
        _ => request,
    }
}

async fn bounded(mut response: reqwest::Response) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|e| reason(&e))? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > LARGEST {
            return Err("its answer does not end".into());
        }
    }
    Ok(bytes)
}

pub(super) async fn get(
    client: &Client,
    address: &Address,
    base: &str,
    path: &str,
) -> Result<Value, Failed> {
    let request = with_token(client.get(format!("{base}{path}")), address).timeout(SOON);
    let response = request
        .send()
        .await
        .map_err(|e| Failed::Nobody(reason(&e)))?;
    let bytes = answered(response).await?;
    Ok(serde_json::from_slice(&bytes).unwrap_or_default())
}

/// What was answered, or what its error says.
pub(super) async fn answered(response: reqwest::Response) -> Result<Vec<u8>, Failed> {
    let status = response.status();
    let bytes = bounded(response).await.map_err(Failed::Nobody)?;
    if status.is_success() {
        return Ok(bytes);
    }
    let said: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let message = clean_line(said["error"].as_str().unwrap_or_default(), 200);
    Err(Failed::Status(status.as_u16(), message))
}

/// One opened stream.
pub(super) struct Link {
    shared: Arc<Shared>,
    body: futures_util::stream::BoxStream<'static, reqwest::Result<hyper::body::Bytes>>,
    parser: sse::Parser,
    picture: Value,
    last_event: Option<u64>,
}

impl Link {
    pub(super) async fn open(shared: &Arc<Shared>, after: Option<u64>) -> Result<Self, Failed> {
        let request = shared.long.get(format!("{}/api/stream", shared.base));
        let mut request = with_token(request, &shared.address);
        if shared.is_console {
            request = request.header(CONSOLE, whoami());
        }
        if let Some(after) = after {
            request = request.header("last-event-id", after);
        }
        let sent = tokio::time::timeout(SOON, request.send()).await;
        let response = match sent {
            Err(_) => return Err(Failed::Nobody("it does not answer".into())),
            Ok(Err(error)) => return Err(Failed::Nobody(reason(&error))),
            Ok(Ok(response)) => response,
        };
        if !response.status().is_success() {
            let status = response.status().as_u16();
            return Err(Failed::Status(status, "the stream is refused".into()));
        }
        Ok(Self {
            shared: Arc::clone(shared),
            body: response.bytes_stream().boxed(),
            parser: sse::Parser::default(),
            picture: Value::Null,
            last_event: after,
        })
    }

    /// Reads on; a new picture if what was read brought one.
    pub(super) async fn next(&mut self) -> Result<Option<Arc<Snapshot>>, String> {
        let chunk = match tokio::time::timeout(SILENT, self.body.next()).await {
            Err(_) => return Err("it has gone silent".into()),
            Ok(None) => return Err("it ended the stream".into()),
            Ok(Some(Err(error))) => return Err(reason(&error)),
            Ok(Some(Ok(chunk))) => chunk,
        };
        let mut came = Vec::new();
        let read = self.parser.push(&chunk, |event| came.push(event));
        read.map_err(|_| "an event of it does not end".to_owned())?;
        let mut changed = false;
        for event in came {
            match event.name.as_str() {
                "snapshot" => {
                    self.picture = serde_json::from_str(&event.data).map_err(|e| e.to_string())?;
                    changed = true;
                }
                "change" => {
                    let change = serde_json::from_str(&event.data).map_err(|e| e.to_string())?;
                    merge_patch::apply(&mut self.picture, change);
                    changed = true;
                }
                "event" => {
                    self.last_event = event.id.parse().ok().or(self.last_event);
                    if let Ok(happened) = serde_json::from_str::<Event>(&event.data) {
                        let _ = self.shared.events.send(happened);
                    }
                }
                _ => {}
            }
        }
        if !changed {
            return Ok(None);
        }
        Snapshot::deserialize(&self.picture)
            .map(|s| Some(Arc::new(s)))
            .map_err(|e| clean_line(&e.to_string(), 200))
    }
}

/// Keeps the picture up to date, over as many links as it takes.
pub(super) async fn follow(
    shared: Arc<Shared>,
    mut link: Link,
    sender: watch::Sender<Arc<Snapshot>>,
) {
    let mut waits = 0_u32;
    loop {
        let why = loop {
            tokio::select! {
                () = shared.stopping.cancelled() => return,
                next = link.next() => match next {
                    Ok(Some(picture)) => {
                        waits = 0;
                        sender.send_replace(picture);
                    }
                    Ok(None) => {}
                    Err(why) => break why,
                }
            }
        };
        let after = link.last_event;
        let mut why = why;
        link = loop {
            let wait = Duration::from_millis(250 << waits.min(6)).min(LONGEST);
            waits += 1;
            say_lost(&shared, &sender, &why, wait);
            tokio::select! {
                () = shared.stopping.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
            match Link::open(&shared, after).await {
                Ok(link) => break link,
                Err(error) => why = error.to_string(),
            }
        };
        let _ = shared.events.send(Event::Notice {
            bad: false,
            text: format!("the engine at {} answers again", shared.address),
        });
    }
}

/// The code of the reason that this side adds.
const DISCONNECTED: &str = "disconnected";

/// The last picture stays, with the word that it is old.
fn say_lost(shared: &Shared, sender: &watch::Sender<Arc<Snapshot>>, why: &str, next_try: Duration) {
    let why = clean_line(why, 120);
    let text = format!("disconnected from {}: {why}", shared.address);
    let now_ms = jiff::Timestamp::now().as_millisecond();
    let mut news = false;
    sender.send_modify(|old| {
        news = old.reasons.first().is_none_or(|r| r.message != text);
        let mut picture = (**old).clone();
        let before = picture.reasons.iter().find(|r| r.code == DISCONNECTED);
        let since_ms = before.map_or(now_ms, |reason| reason.since_ms);
        picture.reasons.retain(|r| r.code != DISCONNECTED);
        let reason = Reason {
            code: DISCONNECTED.into(),
            check: "connection".into(),
            level: Level::Fail,
            message: text.clone(),
            since_ms,
            runbook: "docs/runbooks/engine-down.md".into(),
        };
        picture.reasons.insert(0, reason);
        picture.health = Health::Unhealthy;
        picture.disconnected = Some(Disconnected {
            since_ms,
            next_try_ms: now_ms + i64::try_from(next_try.as_millis()).unwrap_or(i64::MAX),
            address: shared.address.to_string(),
            reason: why.clone(),
        });
        *old = Arc::new(picture);
    });
    if news {
        let _ = shared.events.send(Event::Notice { bad: true, text });
    }
}
