//! What a translation is told, and what comes of it.

use crate::Wire;

/// Why a request cannot be put into another wire.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TranslateError {
    /// There is no translation between the two.
    #[error("{} cannot be put into {}", .0.as_str(), .1.as_str())]
    Wires(Wire, Wire),
    /// The body is not what its wire says.
    #[error("{0}")]
    Malformed(String),
    /// The other wire cannot say it, and without it the request would mean something else.
    #[error("{0}")]
    Cannot(String),
}

/// What a translation needs to know beside the body.
#[derive(Debug, Clone, Default)]
pub struct Target {
    /// The model's name at the provider.
    pub model: String,
    /// Longest answer where the client does not say and the other wire must.
    pub default_max_tokens: u64,
    /// The provider takes `max_completion_tokens` and not `max_tokens`.
    pub newer_limit: bool,
}

/// A request in another wire.
#[derive(Debug, Clone, PartialEq)]
pub struct TranslatedRequest {
    /// Its body.
    pub body: Vec<u8>,
    /// Fields that the other wire does not have, in their order.
    pub lost: Vec<String>,
    /// What the translation of its answer must know.
    pub answer: AnswerContext,
}

/// What the translation of an answer must know of its request.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AnswerContext {
    /// The id that the answer is given.
    pub id: String,
    /// When, seconds since 1970.
    pub created: i64,
    /// The tool whose arguments are the answer's text: a form was asked for, and only tools have one.
    pub form: Option<String>,
    /// Tools of the kind `custom`: their arguments are one text.
    pub custom_tools: Vec<String>,
    /// A stream of chat completions reports its usage at the end.
    pub include_usage: bool,
}
