//! The wire forms: how a question is put to a kind of provider and how its answer is read.
//!
//! Why a draft: an answer comes whole or in pieces, and every provider cuts it differently. A wire form
//! only adds what it reads to the [`AnswerBuilder`]; what the draft then amounts to (complete, cut off, refused,
//! broken) is decided once, for all of them. A kind is one file here and one line in [`KINDS`].

mod anthropic;
mod chat;
mod form;
mod perplexity;
mod quirks;
pub mod sse;

pub use self::form::{AnswerBuilder, Fault, FinishReason, Wire};
pub use self::quirks::ProviderQuirks;

/// Every kind there is, by its word in `models.yaml`.
pub static KINDS: &[(&str, &dyn Wire)] = &[
    ("chat", &chat::Chat),
    ("perplexity", &perplexity::Perplexity),
    ("anthropic", &anthropic::Anthropic),
];

/// The wire form of a kind.
pub fn of(kind: &str) -> Option<&'static dyn Wire> {
    KINDS.iter().find(|(k, _)| *k == kind).map(|(_, w)| *w)
}

#[cfg(test)]
mod tests;
