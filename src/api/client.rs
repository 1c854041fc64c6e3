//! An engine somewhere else, behind the same trait: over its socket, or over HTTP.
//!
//! Why the picture is kept here: a console asks for the newest picture many times a second; it is brought
//! up to date by the stream's changes. A link that is cut is said in the picture itself, and tried again
//! with growing waits until the console leaves.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use reqwest::Client;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;

pub use super::address::{Address, ConnectError, whoami};
use super::routes::SEAM;
use crate::api::snapshot_stream::{
    Failed, Link, SOON, Shared, answered, follow, get, reason, with_token,
};
use crate::engine::Operator;
use crate::engine::protocol::command::{Command, Envelope, Refused, Reply};
use crate::engine::protocol::event::{Event, EventStream};
use crate::engine::protocol::query::{Answer, Capabilities, Query, QueryError};
use crate::engine::protocol::snapshot::Snapshot;
use crate::text::clean_line;

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

/// A command without an answer for so long is spoken of.
const PATIENT: Duration = Duration::from_secs(3);

impl Remote {
    /// Connects, and waits for the first picture. Must run inside tokio.
    ///
    /// # Errors
    /// When nobody answers, or somebody else does.
    pub async fn connect(address: Address) -> Result<Self, ConnectError> {
        Self::open(address, false).await
    }

    /// The same for a console: the engine names its person among those who are attached.
    ///
    /// # Errors
    /// As [`Self::connect`].
    pub async fn connect_console(address: Address) -> Result<Self, ConnectError> {
        Self::open(address, true).await
    }

    async fn open(address: Address, is_console: bool) -> Result<Self, ConnectError> {
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
            is_console,
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
    ) -> Result<T, Failed> {
        let shared = &self.shared;
        let request = with_token(
            shared.long.post(format!("{}{path}", shared.base)),
            &shared.address,
        );
        let sent = request.json(body).timeout(time).send().await;
        let response = sent.map_err(|e| Failed::Nobody(reason(&e)))?;
        let bytes = answered(response).await?;
        serde_json::from_slice(&bytes).map_err(|e| Failed::Nobody(clean_line(&e.to_string(), 200)))
    }
}

/// Why there is no answer of the engine's own, in words.
fn told(failed: Failed) -> String {
    match failed {
        Failed::Nobody(reason) => reason,
        Failed::Status(status, message) => {
            let help = if status == 401 {
                "; set BSM_TOKEN, or give --token-file"
            } else {
                ""
            };
            format!("the engine answered {status}: {message}{help}")
        }
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
                let answer: Result<Result<Reply, Refused>, Failed> =
                    remote.spoken_of(&envelope.command, answer).await;
                answer.unwrap_or_else(|failed| {
                    Err(match failed {
                        // The face in front of the engine refused it: nothing was done.
                        Failed::Status(400..500, _) => Refused::Forbidden {
                            reason: told(failed),
                        },
                        lost => Refused::Unanswered {
                            reason: format!("{}; whether it was done is not known", told(lost)),
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
                let answer: Result<Result<Answer, QueryError>, Failed> =
                    remote.post("/api/seam/query", &query, SOON).await;
                answer.unwrap_or_else(|failed| {
                    Err(QueryError::Unavailable {
                        reason: told(failed),
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
