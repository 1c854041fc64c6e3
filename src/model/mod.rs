//! Calling a language model: request, answer, errors, providers, and the service that puts the
//! resilience stack and the response cache in front of them.
//!
//! Why providers are entries: a provider kind is one file and one line in [`wire`]; what may be
//! asked, in which order and with which key is data (`agents/models.yaml`).

mod answer;
mod classify;
mod completion_load;
mod credentials;
pub mod error;
pub mod forward;
pub mod http;
mod identity;
pub mod keys;
mod message;
pub mod meters;
mod outcome;
pub mod phase;
pub mod prompt;
pub mod provider;
mod provider_call;
mod provider_request;
pub mod request;
pub mod retry_hints;
mod router;
pub mod service;
pub mod simulator;
pub mod spend;
pub mod stream_fanout;
mod tokens;
pub mod wire;

pub use self::answer::{Answer, Citation};
pub use self::provider_request::{Format, Request};
pub use self::tokens::{Tokens, estimate_tokens};
pub use message::{Message, RequestOptions, Role, Tool, ToolCall, ToolChoice};

#[cfg(test)]
mod order_tests;
#[cfg(test)]
mod provider_tests;
