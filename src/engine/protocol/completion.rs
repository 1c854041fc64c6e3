//! A question of another program and its answer, as the gateway passes them on.

use tokio::sync::mpsc;

use crate::model::{Format, Message, RequestOptions, Tokens, ToolCall};

/// Hears an answer while it comes. An answer is bounded, and so is what waits in here.
pub type Pieces = mpsc::UnboundedSender<String>;

/// A question.
#[derive(Debug, Clone)]
pub struct Completion {
    /// Whose: answers are never shared between tenants.
    pub tenant: String,
    /// The model; none: as the routes say.
    pub model: Option<String>,
    /// Who the model is.
    pub system: String,
    /// What is said, oldest first.
    pub messages: Vec<Message>,
    /// The form of the answer.
    pub format: Format,
    /// What is asked for beyond words.
    pub extras: RequestOptions,
    /// Longest answer, tokens.
    pub max_output_tokens: u32,
    /// Randomness, 0 to 2.
    pub temperature: Option<f64>,
    /// Correlation id.
    pub correlation: String,
}

/// Its answer. Not redacted: it is the asker's.
#[derive(Debug, Clone)]
pub struct Completed {
    /// All of it.
    pub text: String,
    /// Tools that it wants used.
    pub calls: Vec<ToolCall>,
    /// It was cut off at its longest.
    pub cut_off: bool,
    /// The model that answered.
    pub model: String,
    /// Its provider.
    pub provider: String,
    /// `loaded`, `cache`, `shared`, `stale`.
    pub source: String,
    /// Of the answer.
    pub tokens: Tokens,
    /// Attempts sent for it.
    pub attempts: u32,
    /// Microseconds in it that were not the provider's.
    pub added_us: u64,
}
