//! A prompt: what a model reads, cut to what it can read.

use crate::model::Message;
use crate::model::tokens::estimate_tokens;
use crate::text::Untrusted;

/// A prompt of some size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    /// Who the model is and what it must do.
    pub system: String,
    /// What is said to it, oldest first.
    pub messages: Vec<Message>,
    /// What did not fit.
    pub left_out: Vec<Untrusted>,
}

impl Prompt {
    /// Its tokens, estimated.
    pub fn tokens(&self) -> u32 {
        self.messages
            .iter()
            .map(Message::tokens)
            .fold(estimate_tokens(&self.system), u32::saturating_add)
    }
}

impl Question for Prompt {
    fn fit(&self, _tokens: u32) -> Prompt {
        self.clone()
    }
}

/// What can be asked of models of different sizes.
pub trait Question: Send + Sync {
    /// The prompt for a model that can read so many tokens, or the smallest there is.
    fn fit(&self, tokens: u32) -> Prompt;
}
