//! What a model is asked, in no provider's form.

use crate::model::message::RequestOptions;
use crate::model::prompt::Prompt;
use crate::workspace::models::Structured;
use crate::workspace::models::TokenParameter;
use std::borrow::Cow;
use std::sync::Arc;

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
    /// The model's name in the table.
    pub model: String,
    /// The name by which its provider knows it.
    pub upstream_name: String,
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
    pub extras: Arc<RequestOptions>,
}

impl Request {
    /// Another program's form or tools go with it.
    pub(crate) fn has_own_form(&self) -> bool {
        let extras = &self.extras;
        extras.passed_on && (!extras.tools.is_empty() || self.format != Format::Text)
    }
}
