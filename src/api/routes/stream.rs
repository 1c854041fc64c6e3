//! The picture as it changes, and what happens, as server-sent events.
//!
//! First a `snapshot`, then a `change` (a merge patch on the last picture) with each new one, and `event`s
//! with numbers as ids: who sends `Last-Event-ID` gets those it missed, as far as they are kept. A reader
//! that is too slow misses events and is told how many (`missed`); nobody waits for it.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::{ConnectInfo, State};
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::stream::{self, Stream};
use serde_json::Value;
use tokio::sync::{broadcast, watch};

use crate::api::error::Failure;
use crate::api::event_buffer::Numbered;
use crate::api::extract::Reader;
use crate::api::merge_patch::diff;
use crate::api::openapi::{Routes, doc};
use crate::api::places::Place;
use crate::api::request::Peer;
use crate::api::routes::shared::no_stream_left;
use crate::api::state::Api;
use crate::engine::Attachment;
use crate::engine::protocol::snapshot::Snapshot;

pub(super) fn routes() -> Routes {
    Routes::new().get(
        "/api/stream",
        open,
        doc("The picture as it changes, and what happens, as server-sent events.")
            .reader()
            .sends("text/event-stream"),
    )
}

/// Whose console it is.
pub(in crate::api) const CONSOLE: &str = "x-bsm-console";

/// Between two pictures at least.
const PACE: Duration = Duration::from_millis(100);

struct Reading {
    api: Arc<Api>,
    pictures: watch::Receiver<Arc<Snapshot>>,
    last: Value,
    events: broadcast::Receiver<Numbered>,
    waiting: VecDeque<Event>,
    /// A console is named in the picture while it looks.
    _presence: Option<Attachment>,
    /// One of the client's places for streams.
    _place: Place<String>,
}

async fn open(
    _: Reader,
    State(api): State<Arc<Api>>,
    Extension(ConnectInfo(peer)): Extension<ConnectInfo<Peer>>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Failure> {
    let place = api.streams.take(peer.stream_client());
    let place = place.ok_or_else(no_stream_left)?;
    let after = headers
        .get("last-event-id")
        .and_then(|v| v.to_str().ok())
        .and_then(|v| v.parse::<u64>().ok());
    let name = headers.get(CONSOLE).and_then(|v| v.to_str().ok());
    let presence = name.map(|name| api.operator.attach(name.to_owned()));
    let (missed, events) = api.hub.from(after);
    let mut pictures = api.operator.snapshots();
    let first = pictures.borrow_and_update().clone();
    let last = serde_json::to_value(&*first).unwrap_or_default();
    let mut waiting = VecDeque::from([Event::default().event("snapshot").data(last.to_string())]);
    waiting.extend(missed.iter().map(happened));
    let reading = Reading {
        api,
        pictures,
        last,
        events,
        waiting,
        _presence: presence,
        _place: place,
    };
    let stream = stream::unfold(reading, |mut reading| async move {
        let event = reading.next().await?;
        Some((Ok(event), reading))
    });
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(Duration::from_secs(5))))
}

fn happened(event: &Numbered) -> Event {
    Event::default()
        .event("event")
        .id(event.number.to_string())
        .data(&*event.json)
}

impl Reading {
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return Some(event);
            }
            tokio::select! {
                () = self.api.stopping.cancelled() => return None,
                event = self.events.recv() => match event {
                    Ok(event) => return Some(happened(&event)),
                    Err(broadcast::error::RecvError::Lagged(count)) => {
                        return Some(Event::default().event("missed").data(count.to_string()));
                    }
                    Err(broadcast::error::RecvError::Closed) => return None,
                },
                changed = self.pictures.changed() => {
                    changed.ok()?;
                    let picture = self.pictures.borrow_and_update().clone();
                    let value = serde_json::to_value(&*picture).unwrap_or_default();
                    if let Some(patch) = diff(&self.last, &value) {
                        self.last = value;
                        self.waiting.push_back(Event::default().event("change").data(patch.to_string()));
                        tokio::time::sleep(PACE).await;
                    }
                }
            }
        }
    }
}
