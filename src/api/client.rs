//! An engine somewhere else, behind the same trait: over its socket, or over HTTP.
//!
//! Why the picture is kept here: a console asks for the newest picture many times a second; it is brought
//! up to date by the stream's changes. A link that is cut is said in the picture itself, and tried again
//! with growing waits until the console leaves.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _};
use reqwest::{Client, StatusCode};
use serde::Deserialize as _;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;
use url::Url;

use super::patch;
use super::routes::{CONSOLE, SEAM};
use crate::engine::Operator;
use crate::engine::types::command::{Command, Envelope, Refused, Reply};
use crate::engine::types::event::{Event, EventStream};
use crate::engine::types::query::{Answer, Capabilities, Query, QueryError};
use crate::engine::types::snapshot::{Health, Snapshot};
use crate::model::wire::sse;
use crate::text::clean_line;

/// Where an engine is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// Its socket on this machine.
    Socket(PathBuf),
    /// Its address, and the admin token where there is one.
    Http {
        /// The base.
        url: Url,
        /// Sent as `x-admin-token`.
        token: Option<String>,
    },
}

impl Address {
    /// Reads `unix:PATH`, or an http or https address.
    ///
    /// # Errors
    /// A sentence.
    pub fn read(text: &str, token: Option<String>) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            return Ok(Self::Socket(PathBuf::from(path)));
        }
        let url = Url::parse(text).map_err(|e| format!("'{}': {e}", clean_line(text, 80)))?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err("want http://HOST:PORT, https://HOST or unix:PATH".into());
        }
        let local = crate::outbound::egress::is_loopback(&url);
        if url.scheme() == "http" && !local && token.is_some() {
            return Err(
                "a token is sent over https only, or to this machine (use an SSH tunnel)".into(),
            );
        }
        Ok(Self::Http { url, token })
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Socket(path) => write!(f, "unix:{}", path.display()),
            Self::Http { url, .. } => f.write_str(url.as_str().trim_end_matches('/')),
        }
    }
}

/// Why an engine cannot be reached.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nobody answers.
    #[error("no engine answers at {at}: {reason}")]
    Nobody {
        /// Where.
        at: String,
        /// What the system said.
        reason: String,
    },
    /// It answers something else.
    #[error("{at} answered {status}: {message}")]
    Refused {
        /// Where.
        at: String,
        /// The status.
        status: u16,
        /// What it said.
        message: String,
    },
    /// It is another version.
    #[error("the engine at {at} is bsm {theirs} (seam {seam}), this is bsm {} (seam {SEAM}); use the same version on both sides", env!("CARGO_PKG_VERSION"))]
    Version {
        /// Where.
        at: String,
        /// Its version.
        theirs: String,
        /// Its seam's number.
        seam: u64,
    },
}

/// Whose console this is, for the others: user and machine.
pub fn whoami() -> String {
    let user = std::env::var("USER").unwrap_or_else(|_| "somebody".into());
    let machine = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned();
    let name = clean_line(&format!("{user}@{machine}"), 40);
    name.chars().filter(char::is_ascii_graphic).collect()
}

struct Shared {
    address: Address,
    base: String,
    /// For the stream, which has no end.
    long: Client,
    capabilities: Capabilities,
    events: broadcast::Sender<Event>,
    stopping: CancellationToken,
}

/// An engine somewhere else.
#[derive(Clone)]
pub struct Remote {
    shared: Arc<Shared>,
    pictures: watch::Receiver<Arc<Snapshot>>,
    _alive: Arc<tokio_util::sync::DropGuard>,
    /// Whoever holds it only looks, whatever the engine would take.
    reads_only: bool,
    on: tokio::runtime::Handle,
}

/// Longest wait for an answer that needs no model.
const SOON: Duration = Duration::from_secs(15);
/// A stream that says nothing for longer is cut: two keep-alives were missed.
const SILENT: Duration = Duration::from_secs(12);
/// A command without an answer for so long is spoken of.
const PATIENT: Duration = Duration::from_secs(3);
/// Longest wait between two tries.
const LONGEST: Duration = Duration::from_secs(10);
/// Largest answer, bytes.
const LARGEST: usize = 64 << 20;

impl Remote {
    /// Connects, and waits for the first picture. Must run inside tokio.
    ///
    /// # Errors
    /// When nobody answers, or somebody else does.
    pub async fn connect(address: Address) -> Result<Self, ConnectError> {
        let mut builder = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("bsm/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(Duration::from_secs(5));
        let base = match &address {
            Address::Socket(path) => {
                builder = builder.no_proxy().unix_socket(path.clone());
                // The name is nobody's: the socket is the address.
                "http://localhost".to_owned()
            }
            Address::Http { url, .. } => {
                if crate::outbound::egress::is_loopback(url) {
                    builder = builder.no_proxy();
                }
                url.as_str().trim_end_matches('/').to_owned()
            }
        };
        let at = address.to_string();
        let nobody = |reason: String| ConnectError::Nobody {
            at: at.clone(),
            reason: clean_line(&reason, 200),
        };
        let long = builder.build().map_err(|e| nobody(e.to_string()))?;
        let hello: Value = get(&long, &address, &base, "/api/seam/hello")
            .await
            .map_err(|e| e.at(&at))?;
        let seam = hello["seam"].as_u64().unwrap_or(0);
        if seam != u64::from(SEAM) {
            return Err(ConnectError::Version {
                at,
                theirs: clean_line(hello["version"].as_str().unwrap_or("?"), 20),
                seam,
            });
        }
        let capabilities = serde_json::from_value(hello["capabilities"].clone())
            .map_err(|e| nobody(e.to_string()))?;
        let (events, _) = broadcast::channel(4_096);
        let stopping = CancellationToken::new();
        let shared = Arc::new(Shared {
            address,
            base,
            long,
            capabilities,
            events,
            stopping: stopping.clone(),
        });
        let mut link = Link::open(&shared, None).await.map_err(|e| e.at(&at))?;
        let first = loop {
            match link.next().await {
                Ok(Some(picture)) => break picture,
                Ok(None) => {}
                Err(reason) => return Err(nobody(reason)),
            }
        };
        let (sender, pictures) = watch::channel(first);
        tokio::spawn(follow(Arc::clone(&shared), link, sender));
        Ok(Self {
            shared,
            pictures,
            _alive: Arc::new(stopping.drop_guard()),
            reads_only: false,
            on: tokio::runtime::Handle::current(),
        })
    }

    /// The same, and it sends no command.
    #[must_use]
    pub fn reading_only(self) -> Self {
        Self {
            reads_only: true,
            ..self
        }
    }

    /// Waits for an answer, and says so where it takes long: an engine that hangs looks like one at rest.
    async fn spoken_of<T>(&self, command: &Command, answer: impl Future<Output = T>) -> T {
        let mut answer = std::pin::pin!(answer);
        if !matches!(command, Command::Ask(_)) {
            tokio::select! {
                answer = &mut answer => return answer,
                () = tokio::time::sleep(PATIENT) => {}
            }
            let _ = self.shared.events.send(Event::Notice {
                bad: true,
                text: format!("{}: sent, and no answer yet", command.name()),
            });
        }
        answer.await
    }

    async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl serde::Serialize,
        time: Duration,
    ) -> Result<T, Unsaid> {
        let shared = &self.shared;
        let request = with_token(
            shared.long.post(format!("{}{path}", shared.base)),
            &shared.address,
        );
        let sent = request.json(body).timeout(time).send().await;
        let response = sent.map_err(|e| Unsaid::Lost(reason(&e)))?;
        let status = response.status();
        let bytes = bounded(response).await.map_err(Unsaid::Lost)?;
        if !status.is_success() {
            let said: Value = serde_json::from_slice(&bytes).unwrap_or_default();
            let message = clean_line(said["error"].as_str().unwrap_or_default(), 200);
            let help = if status == StatusCode::UNAUTHORIZED {
                "; set BSM_TOKEN, or give --token-file"
            } else {
                ""
            };
            let said = format!("the engine answered {}: {message}{help}", status.as_u16());
            return Err(if status.is_client_error() {
                Unsaid::Refused(said)
            } else {
                Unsaid::Lost(said)
            });
        }
        serde_json::from_slice(&bytes).map_err(|e| Unsaid::Lost(clean_line(&e.to_string(), 200)))
    }
}

/// Why there is no answer of the engine's own.
enum Unsaid {
    /// The face in front of it refused the question: nothing was done.
    Refused(String),
    /// Asked perhaps, and the answer lost.
    Lost(String),
}

impl Unsaid {
    fn reason(self) -> String {
        match self {
            Self::Refused(reason) | Self::Lost(reason) => reason,
        }
    }
}

/// A failed request, before it is known whose it is.
enum Failed {
    Nobody(String),
    Status(u16, String),
}

impl Failed {
    fn at(self, at: &str) -> ConnectError {
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
fn reason(error: &reqwest::Error) -> String {
    let mut source: &dyn std::error::Error = error;
    while let Some(inner) = source.source() {
        source = inner;
    }
    clean_line(&source.to_string(), 200)
}

fn with_token(request: reqwest::RequestBuilder, address: &Address) -> reqwest::RequestBuilder {
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

async fn get(client: &Client, address: &Address, base: &str, path: &str) -> Result<Value, Failed> {
    let request = with_token(client.get(format!("{base}{path}")), address).timeout(SOON);
    let response = request
        .send()
        .await
        .map_err(|e| Failed::Nobody(reason(&e)))?;
    let status = response.status();
    let bytes = bounded(response).await.map_err(Failed::Nobody)?;
    let value: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    if status.is_success() {
        Ok(value)
    } else {
        let message = clean_line(value["error"].as_str().unwrap_or_default(), 200);
        Err(Failed::Status(status.as_u16(), message))
    }
}

/// One opened stream.
struct Link {
    shared: Arc<Shared>,
    body: futures_util::stream::BoxStream<'static, reqwest::Result<hyper::body::Bytes>>,
    parser: sse::Parser,
    picture: Value,
    last_event: Option<u64>,
}

impl Link {
    async fn open(shared: &Arc<Shared>, after: Option<u64>) -> Result<Self, Failed> {
        let request = shared.long.get(format!("{}/api/stream", shared.base));
        let mut request = with_token(request, &shared.address).header(CONSOLE, whoami());
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
    async fn next(&mut self) -> Result<Option<Arc<Snapshot>>, String> {
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
                    patch::apply(&mut self.picture, change);
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
async fn follow(shared: Arc<Shared>, mut link: Link, sender: watch::Sender<Arc<Snapshot>>) {
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
        say_lost(&shared, &sender, &why);
        link = loop {
            let wait = Duration::from_millis(250 << waits.min(6)).min(LONGEST);
            waits += 1;
            tokio::select! {
                () = shared.stopping.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
            match Link::open(&shared, after).await {
                Ok(link) => break link,
                Err(error) => say_lost(&shared, &sender, &error.to_string()),
            }
        };
        let _ = shared.events.send(Event::Notice {
            bad: false,
            text: format!("the engine at {} answers again", shared.address),
        });
    }
}

/// The last picture stays, with the word that it is old.
fn say_lost(shared: &Shared, sender: &watch::Sender<Arc<Snapshot>>, why: &str) {
    let text = format!("no link to {}: {}", shared.address, clean_line(why, 120));
    let news = sender.send_if_modified(|old| {
        if old.reasons.first() == Some(&text) {
            return false;
        }
        let mut picture = (**old).clone();
        picture.reasons.retain(|r| !r.starts_with("no link to "));
        picture.reasons.insert(0, text.clone());
        picture.health = Health::Unhealthy;
        *old = Arc::new(picture);
        true
    });
    if news {
        let _ = shared.events.send(Event::Notice { bad: true, text });
    }
}

impl Operator for Remote {
    fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.pictures.clone()
    }

    fn events(&self) -> EventStream {
        EventStream::new(self.shared.events.subscribe())
    }

    fn send(&self, envelope: Envelope) -> BoxFuture<'_, Result<Reply, Refused>> {
        let remote = self.clone();
        async move {
            if remote.reads_only {
                return Err(Refused::ReadOnly);
            }
            let on = remote.on.clone();
            let work = on.spawn(async move {
                // A person's question waits for a model.
                let time = Duration::from_secs(180);
                let answer = remote.post("/api/seam/command", &envelope, time);
                let answer: Result<Result<Reply, Refused>, Unsaid> =
                    remote.spoken_of(&envelope.command, answer).await;
                answer.unwrap_or_else(|unsaid| {
                    Err(match unsaid {
                        Unsaid::Refused(reason) => Refused::Forbidden { reason },
                        Unsaid::Lost(reason) => Refused::Unanswered {
                            reason: format!("{reason}; whether it was done is not known"),
                        },
                    })
                })
            });
            work.await.unwrap_or(Err(Refused::Stopping))
        }
        .boxed()
    }

    fn query(&self, query: Query) -> BoxFuture<'_, Result<Answer, QueryError>> {
        let remote = self.clone();
        async move {
            let on = remote.on.clone();
            let work = on.spawn(async move {
                let answer: Result<Result<Answer, QueryError>, Unsaid> =
                    remote.post("/api/seam/query", &query, SOON).await;
                answer.unwrap_or_else(|unsaid| {
                    Err(QueryError::Unavailable {
                        reason: unsaid.reason(),
                    })
                })
            });
            work.await.unwrap_or_else(|_| {
                Err(QueryError::Unavailable {
                    reason: "the console stops".into(),
                })
            })
        }
        .boxed()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            read_only: self.shared.capabilities.read_only || self.reads_only,
            ..self.shared.capabilities
        }
    }
}
