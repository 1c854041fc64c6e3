//! Calling a language model: request, answer, errors, providers, and the service that puts the
//! resilience stack and the response cache in front of them.
//!
//! Why providers are entries: a provider kind is one file and one line in [`wire`]; what may be
//! asked, in which order and with which key is data (`agents/models.yaml`).

mod answer;
pub mod ask;
mod credentials;
pub mod error;
mod exchange;
pub mod hearing;
pub mod http;
mod identity;
pub mod keys;
mod load;
mod meaning;
mod message;
pub mod meters;
mod outcome;
pub mod prompt;
pub mod provider;
mod request;
mod router;
pub mod service;
pub mod simulator;
pub mod spend;
mod tokens;
pub mod wire;
pub mod wish;

pub use self::answer::{Answer, Citation};
pub use self::request::{Format, Request};
pub use self::tokens::{Tokens, estimate_tokens};
pub use message::{Extras, Message, Role, Tool, ToolCall, ToolChoice};

#[cfg(test)]
mod order_tests;
#[cfg(test)]
mod provider_tests;
