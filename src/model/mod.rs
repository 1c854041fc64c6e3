//! Calling a language model: request, answer, errors, providers, and the service that puts the
//! resilience stack and the response cache in front of them.
//!
//! Why providers are entries: a provider kind is one file and one line in [`provider`]; what may be
//! asked, in which order and with which key is data (`agents/models.yaml`).

pub mod chat;
pub mod error;
pub mod http;
mod load;
pub mod provider;
pub mod service;
pub mod simulator;

use serde::{Deserialize, Serialize};

/// What a model is asked.
#[derive(Debug, Clone)]
pub struct Request {
    /// The model's name on the wire.
    pub model: String,
    /// Who it is and what it must do.
    pub system: String,
    /// What it looks at.
    pub user: String,
    /// Longest answer, tokens.
    pub max_output_tokens: u32,
    /// Randomness, 0 to 2.
    pub temperature: f64,
    /// Name of the token limit on the wire.
    pub parameter: crate::workspace::models::TokenParameter,
}

/// Tokens of one call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tokens {
    /// Read.
    pub prompt: u64,
    /// Written.
    pub completion: u64,
}

/// A complete answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// Its text; outside text.
    pub text: crate::text::Untrusted,
    /// The model that was asked.
    pub model: String,
    /// Its provider.
    pub provider: String,
    /// As the provider counted them, else estimated.
    pub tokens: Tokens,
    /// US dollars by the table's prices.
    pub cost_usd: f64,
    /// The provider's id of the request, for its support.
    pub request_id: Option<String>,
}

/// Tokens of a text, estimated: four characters each, as providers' own advice has it.
pub fn estimate_tokens(text: &str) -> u32 {
    u32::try_from(text.chars().count().div_ceil(4)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod order_tests;
