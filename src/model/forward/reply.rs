//! What a program gets: head, body, and who answered; sent while the answer still comes.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName};
use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use crate::resilience::clock::lock;

/// Who answered, and what it took.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Served {
    /// The model, by its name in the table; empty: not known yet, the stream says it.
    pub model: String,
    /// Its provider.
    pub provider: String,
    /// Attempts sent until then.
    pub attempts: u32,
    /// Time until then that was not the provider's.
    pub added: Duration,
    /// What the answer's wire could not say, where it was translated.
    pub lost: Vec<String>,
    /// It came from the response cache.
    pub cached: bool,
}

/// An answer.
#[derive(Debug)]
pub struct ForwardReply {
    /// Its status; 200 but for an answer that is an error of its own.
    pub status: u16,
    /// Of its headers, what is passed on.
    pub headers: HeaderMap,
    /// Who answered.
    pub served: Served,
    /// What it says.
    pub body: ForwardBody,
}

/// An answer's body.
#[derive(Debug)]
pub enum ForwardBody {
    /// All of it.
    Whole(Bytes),
    /// Whole events, as they come. It ends when the sender goes.
    Stream(Pieces),
}

/// The pieces of a streamed answer. Dropped, the call to the provider ends.
#[derive(Debug)]
pub struct Pieces {
    receiver: mpsc::Receiver<Bytes>,
    call: Option<CallGuard>,
}

impl Pieces {
    /// The next piece; none: the answer is over.
    pub async fn next(&mut self) -> Option<Bytes> {
        self.receiver.recv().await
    }

    /// The call lives as long as these pieces are read.
    pub(super) fn own(&mut self, call: CallGuard) {
        self.call = Some(call);
    }
}

/// Ends a call when nobody waits for it any more.
#[derive(Debug)]
pub(super) struct CallGuard(pub(super) tokio::task::AbortHandle);

impl Drop for CallGuard {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Pieces that wait for a slow reader; the provider is read no faster than that.
const WAITING: usize = 32;

/// The headers of a provider's answer that a program may see.
const PASSED: &[&str] = &[
    "content-type",
    "retry-after",
    "retry-after-ms",
    "x-should-retry",
    "anthropic-ratelimit-unified-status",
    "openai-processing-ms",
    "openai-version",
];

/// What of a provider's headers is passed on.
pub(super) fn passed_on(headers: &HeaderMap) -> HeaderMap {
    let mut passed = HeaderMap::new();
    for name in PASSED {
        if let Some(value) = headers.get(*name) {
            passed.insert(HeaderName::from_static(name), value.clone());
        }
    }
    let id = headers
        .get("x-request-id")
        .or_else(|| headers.get("request-id"));
    if let Some(id) = id {
        passed.insert(
            HeaderName::from_static("x-bsm-upstream-request-id"),
            id.clone(),
        );
    }
    passed
}

/// The other end of an answer: attempts write into it, one after another.
pub(super) struct Sink {
    head: Mutex<Option<oneshot::Sender<ForwardReply>>>,
    pieces: mpsc::Sender<Bytes>,
    receiver: Mutex<Option<mpsc::Receiver<Bytes>>>,
    content_sent: AtomicBool,
    /// The head went out before it was known who answers.
    anonymous: AtomicBool,
    /// The provider's own error was passed on: nothing more is to be said.
    error_sent: AtomicBool,
}

impl Sink {
    /// With the place where its head will arrive.
    pub(super) fn new() -> (Self, oneshot::Receiver<ForwardReply>) {
        let (head, arrives) = oneshot::channel();
        let (pieces, receiver) = mpsc::channel(WAITING);
        let sink = Self {
            head: Mutex::new(Some(head)),
            pieces,
            receiver: Mutex::new(Some(receiver)),
            content_sent: AtomicBool::new(false),
            anonymous: AtomicBool::new(false),
            error_sent: AtomicBool::new(false),
        };
        (sink, arrives)
    }

    /// The head is out.
    pub(super) fn is_open(&self) -> bool {
        lock(&self.head).is_none()
    }

    /// A part of an answer was passed on: it cannot be begun again.
    pub(super) fn has_content(&self) -> bool {
        self.content_sent.load(Relaxed)
    }

    /// An error event of the provider was passed on.
    pub(super) fn note_error(&self) {
        self.error_sent.store(true, Relaxed);
    }

    /// Whether one was.
    pub(super) fn has_error(&self) -> bool {
        self.error_sent.load(Relaxed)
    }

    /// Sends the head of a stream, unless it is out. `served` is empty where another may answer still.
    pub(super) fn open(&self, headers: HeaderMap, served: Served) {
        let head = lock(&self.head).take();
        let receiver = lock(&self.receiver).take();
        if let (Some(head), Some(receiver)) = (head, receiver) {
            self.anonymous.store(served.model.is_empty(), Relaxed);
            // The reader may have left; the next piece finds out.
            let _ = head.send(ForwardReply {
                status: 200,
                headers,
                served,
                body: ForwardBody::Stream(Pieces {
                    receiver,
                    call: None,
                }),
            });
        }
    }

    /// Sends a whole answer.
    pub(super) fn whole(&self, reply: ForwardReply) {
        if let Some(head) = lock(&self.head).take() {
            let _ = head.send(reply);
        }
    }

    /// Sends a piece of a stream; false: the reader left.
    pub(super) async fn send(&self, piece: Bytes) -> bool {
        self.pieces.send(piece).await.is_ok()
    }

    /// Content of this model is sent from now on; a comment names it where the head could not.
    pub(super) async fn begin_content(&self, model: &str) {
        self.content_sent.store(true, Relaxed);
        if self.anonymous.swap(false, Relaxed) {
            let name = crate::text::clean_line(model, 120);
            let comment = format!(": x-bsm-model: {name}\n\n");
            let _ = self.pieces.send(Bytes::from(comment)).await;
        }
    }
}
