//! A provider of any wire in the test's own process: it keeps what it was sent, byte for byte, and answers
//! as it is told.
#![allow(
    clippy::allow_attributes,
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    dead_code,
    reason = "each test uses a part of it"
)]

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Request, Response, StatusCode};
use serde_json::Value;
use tokio::sync::mpsc;

/// A request as it arrived.
#[derive(Clone)]
pub struct Received {
    pub path: String,
    pub query: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Received {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub fn model(&self) -> String {
        self.json()["model"].as_str().unwrap_or_default().to_owned()
    }
}

/// What it answers.
pub enum Say {
    /// A status, headers and a body.
    Json(u16, Vec<(&'static str, String)>, String),
    /// Events, all at once.
    Events(String),
    /// Events as they are put into this channel; the stream ends when its sender goes.
    Live(mpsc::UnboundedReceiver<Bytes>),
    /// Nothing, ever.
    Nothing,
}

impl Say {
    pub fn ok(body: &Value) -> Self {
        Self::Json(200, Vec::new(), body.to_string())
    }

    pub fn error(status: u16) -> Self {
        let body = serde_json::json!({"error": {
            "message": format!("scripted {status}"), "type": "x", "param": null, "code": "c",
        }});
        Self::Json(status, Vec::new(), body.to_string())
    }
}

type Script = Arc<dyn Fn(&Received) -> Say + Send + Sync>;

/// The provider.
pub struct ScriptedProvider {
    /// Its address, without a path.
    pub url: String,
    /// What came, in order.
    pub received: Arc<Mutex<Vec<Received>>>,
    script: Arc<Mutex<Script>>,
    /// Bodies of answers that were dropped before their end.
    pub left: Arc<Mutex<u32>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for ScriptedProvider {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Clone)]
struct Shared {
    received: Arc<Mutex<Vec<Received>>>,
    script: Arc<Mutex<Script>>,
    left: Arc<Mutex<u32>>,
}

impl ScriptedProvider {
    pub async fn start(script: impl Fn(&Received) -> Say + Send + Sync + 'static) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let script: Script = Arc::new(script);
        let shared = Shared {
            received: Arc::default(),
            script: Arc::new(Mutex::new(script)),
            left: Arc::default(),
        };
        let routes = Router::new().fallback(answer).with_state(shared.clone());
        let task = tokio::spawn(async move {
            axum::serve(listener, routes).await.unwrap();
        });
        Self {
            url,
            received: shared.received,
            script: shared.script,
            left: shared.left,
            task,
        }
    }

    /// Answers otherwise from now on.
    pub fn behave(&self, script: impl Fn(&Received) -> Say + Send + Sync + 'static) {
        *self.script.lock().unwrap() = Arc::new(script);
    }

    pub fn count(&self) -> usize {
        self.received.lock().unwrap().len()
    }

    pub fn last(&self) -> Received {
        self.received.lock().unwrap().last().unwrap().clone()
    }
}

/// Counts an answer that was dropped before its end.
struct Unread(Arc<Mutex<u32>>, bool);

impl Drop for Unread {
    fn drop(&mut self) {
        if !self.1 {
            *self.0.lock().unwrap() += 1;
        }
    }
}

async fn answer(State(shared): State<Shared>, request: Request<Body>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 64 << 20).await.unwrap();
    let received = Received {
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts.headers,
        body,
    };
    let script = Arc::clone(&*shared.script.lock().unwrap());
    let say = script(&received);
    shared.received.lock().unwrap().push(received);
    let events = Response::builder().header("content-type", "text/event-stream; charset=utf-8");
    match say {
        Say::Json(status, headers, body) => {
            let mut response = Response::builder()
                .status(StatusCode::from_u16(status).unwrap())
                .header("content-type", "application/json");
            for (name, value) in headers {
                response = response.header(name, value);
            }
            response.body(Body::from(body)).unwrap()
        }
        Say::Events(text) => events.body(Body::from(text)).unwrap(),
        Say::Live(receiver) => {
            let state = (receiver, Unread(shared.left, false));
            let pieces = futures_util::stream::unfold(state, async |(mut receiver, mut unread)| {
                match receiver.recv().await {
                    Some(piece) => Some((Ok::<_, std::io::Error>(piece), (receiver, unread))),
                    None => {
                        unread.1 = true;
                        None
                    }
                }
            });
            events.body(Body::from_stream(pieces)).unwrap()
        }
        Say::Nothing => std::future::pending().await,
    }
}
