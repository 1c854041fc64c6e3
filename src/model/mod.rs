//! Calling a language model: request, answer, errors, providers, and the service that puts the
//! resilience stack and the response cache in front of them.
//!
//! Why providers are entries: a provider kind is one file and one line in [`wire`]; what may be
//! asked, in which order and with which key is data (`agents/models.yaml`).

pub mod ask;
pub mod error;
mod exchange;
pub mod hearing;
pub mod http;
mod identity;
pub mod keys;
mod load;
mod meaning;
mod message;
pub mod provider;
mod router;
pub mod service;
pub mod simulator;
pub mod spend;
pub mod wire;
pub mod wish;

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use self::ask::Prompt;
use crate::text::Untrusted;
use crate::workspace::models::{Structured, TokenParameter};

pub use message::{Extras, Message, Role, Tool, ToolCall, ToolChoice};

/// The form an answer must have.
#[derive(Debug, Clone, PartialEq)]
pub enum Format {
    /// Any.
    Text,
    /// A JSON object, any.
    Object,
    /// JSON of this schema.
    Json {
        /// Its name, `[a-zA-Z0-9_-]+`.
        name: Cow<'static, str>,
        /// What it is for.
        description: Option<Arc<str>>,
        /// The schema; strict modes want every property required, and no others.
        schema: Arc<serde_json::Value>,
        /// The model must keep to it.
        strict: bool,
    },
}

/// What a model is asked.
#[derive(Debug, Clone)]
pub struct Request {
    /// The model's name on the wire.
    pub model: String,
    /// What is said to it.
    pub prompt: Arc<Prompt>,
    /// Longest answer, tokens.
    pub max_output_tokens: u32,
    /// Randomness, 0 to 2; none: the model's own.
    pub temperature: Option<f64>,
    /// Name of the token limit on the wire.
    pub parameter: TokenParameter,
    /// The form wanted.
    pub format: Format,
    /// How far the model can be held to it.
    pub structured: Structured,
    /// The answer may come in pieces.
    pub stream: bool,
    /// How new what is looked up must be: `day`, `week`, `month`.
    pub recency: Option<&'static str>,
    /// What is asked for beyond words.
    pub extras: Arc<Extras>,
}

impl Request {
    /// Another program's form or tools go with it.
    fn has_own_form(&self) -> bool {
        let extras = &self.extras;
        extras.passed_on && (!extras.tools.is_empty() || self.format != Format::Text)
    }
}

/// Tokens of one call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tokens {
    /// Read.
    pub prompt: u64,
    /// Written.
    pub completion: u64,
}

impl Tokens {
    /// Both.
    pub fn sum(self) -> u64 {
        self.prompt.saturating_add(self.completion)
    }
}

/// Where a model says it has something from; outside text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Citation {
    /// The address.
    pub url: Untrusted,
    /// Its title.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<Untrusted>,
}

/// A complete answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// Its text; outside text.
    pub text: Untrusted,
    /// Tools that it wants used; outside text.
    pub calls: Vec<ToolCall>,
    /// It was cut off at its longest.
    pub cut_off: bool,
    /// The model that was asked.
    pub model: String,
    /// The model that the answer names, where that is another one; outside text.
    pub other_model: Option<Untrusted>,
    /// Its provider.
    pub provider: String,
    /// As the provider counted them, else estimated.
    pub tokens: Tokens,
    /// US dollars by the table's prices.
    pub cost_usd: f64,
    /// The provider's id of the request, for its support.
    pub request_id: Option<String>,
    /// Where it says it has it from.
    pub citations: Vec<Citation>,
    /// What did not fit into the prompt that it answers.
    pub left_out: Vec<Untrusted>,
    /// From the question's sending to the first piece of the answer, milliseconds.
    pub first_token_ms: u64,
}

impl Answer {
    /// It was cut off before its first word.
    pub(crate) fn says_nothing(&self) -> bool {
        self.text.raw().is_empty() && self.calls.is_empty()
    }

    /// Bytes of what was said.
    pub(crate) fn weight(&self) -> u64 {
        let calls = self.calls.iter();
        let calls: usize = calls.map(|c| size_of::<ToolCall>() + c.weight()).sum();
        (self.text.raw().len() + calls) as u64
    }
}

/// Tokens of a text, estimated on the safe side: three and a half ASCII characters each (prose has
/// four, code three), one and a half of any other script. No model's own table is at hand, and no two agree.
pub fn estimate_tokens(text: &str) -> u32 {
    let ascii = text.bytes().filter(u8::is_ascii).count();
    let other = if ascii == text.len() {
        0
    } else {
        text.chars().filter(|c| !c.is_ascii()).count()
    };
    u32::try_from((ascii * 2).div_ceil(7) + (other * 2).div_ceil(3)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod order_tests;
