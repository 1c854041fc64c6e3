//! The wire formats of language-model APIs, for programs that stand between a client and a provider.
//!
//! Why: a proxy that parses a request into its own types and writes it again loses every field that it
//! does not know. Here a request is passed through as it came but for the model's name ([`envelope`]),
//! its answer is read on the side ([`read`]), and only where the two ends speak different protocols is
//! anything translated, and what that loses is named.
//!
//! ```
//! use bsm_wire::{Wire, envelope::Envelope};
//! let body = br#"{"model":"fast","messages":[],"vendor_field":{"a":1}}"#;
//! let envelope = Envelope::read(Wire::Chat, body).unwrap();
//! assert_eq!(envelope.model.as_deref(), Some("fast"));
//! let sent = envelope.with_model(&body[..], "qwen-7b");
//! assert_eq!(&sent[..], br#"{"model":"qwen-7b","messages":[],"vendor_field":{"a":1}}"#);
//! ```

pub mod envelope;
pub mod error;
pub mod read;
pub mod sse;
pub mod stream;
pub mod translate;

use serde::{Deserialize, Serialize};

/// A protocol that a client or a provider speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wire {
    /// OpenAI chat completions.
    Chat,
    /// OpenAI text completions.
    Completions,
    /// OpenAI embeddings.
    Embeddings,
    /// OpenAI Responses.
    Responses,
    /// Anthropic Messages.
    Messages,
    /// Anthropic's counting of a request's tokens.
    CountTokens,
    /// Gemini's `generateContent` and `streamGenerateContent`.
    Gemini,
    /// Gemini's `countTokens`.
    GeminiCount,
}

impl Wire {
    /// Its name in logs and messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat completions",
            Self::Completions => "completions",
            Self::Embeddings => "embeddings",
            Self::Responses => "responses",
            Self::Messages => "messages",
            Self::CountTokens => "count_tokens",
            Self::Gemini => "generateContent",
            Self::GeminiCount => "countTokens",
        }
    }

    /// True where answers may come as a stream of events.
    pub const fn streams(self) -> bool {
        matches!(
            self,
            Self::Chat | Self::Completions | Self::Responses | Self::Messages | Self::Gemini
        )
    }

    /// The family whose shape errors have.
    pub const fn family(self) -> Family {
        match self {
            Self::Chat | Self::Completions | Self::Embeddings | Self::Responses => Family::OpenAi,
            Self::Messages | Self::CountTokens => Family::Anthropic,
            Self::Gemini | Self::GeminiCount => Family::Gemini,
        }
    }
}

/// Whose protocol it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// OpenAI, and the many that answer as it does.
    OpenAi,
    /// Anthropic.
    Anthropic,
    /// Google.
    Gemini,
}
