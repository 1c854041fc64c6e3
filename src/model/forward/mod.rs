//! Another program's request, passed on as it came and answered as its provider answers: the gateway's way
//! to the models.
//!
//! Why beside `service::ask`: an agent's question is ours to word, to cut and to judge. A program's request
//! is its own. Its body is not touched but for the model's name; usage, errors and the end are read on the
//! side; and it is answered by the model that it names, or by what somebody wrote down as its fallback.

mod attempt;
mod book;
mod context;
mod failure;
mod output;
mod reply;
mod run;
mod targets;

use std::time::Duration;

use axum::http::HeaderMap;
use bsm_wire::Wire;
use bsm_wire::envelope::Envelope;
use bytes::Bytes;

pub use self::failure::ForwardError;
pub use self::reply::{ForwardBody, ForwardReply, Pieces, Served};

/// A request of another program.
#[derive(Debug, Clone)]
pub struct ForwardRequest {
    /// The protocol that it came in, and that its answer goes out in.
    pub wire: Wire,
    /// As it came.
    pub body: Bytes,
    /// The fields of it that decide where it goes.
    pub envelope: Envelope,
    /// The model that is asked for; none: `auto`, the routes choose.
    pub model: Option<String>,
    /// The answer is wanted as a stream.
    pub streams: bool,
    /// Of the query, what is passed on (`beta=true`).
    pub query: Option<String>,
    /// Of the headers, what is passed on.
    pub headers: HeaderMap,
    /// Whose it is; for the records.
    pub caller: String,
    /// Correlation id.
    pub correlation: String,
    /// Written fallbacks may be used.
    pub fall_back: bool,
    /// What tells one conversation from another, for groups whose members are sticky.
    pub conversation: u64,
    /// Longest time for all of it, where the caller or the settings say so.
    pub total: Option<Duration>,
    /// How often the client has asked the same before: its retries and ours are not multiplied.
    pub retries_of_client: u32,
    /// A stream's usage must be known: where the client does not ask for it, it is asked for.
    pub needs_usage: bool,
}

/// Longest wait for a rate limit or a `Retry-After` where nobody else can answer. What is longer is the
/// caller's to wait for.
pub const LONGEST_WAIT: Duration = Duration::from_secs(5);
