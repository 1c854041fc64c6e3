//! What a model answered, in no provider's form.

use crate::model::message::ToolCall;
use crate::model::tokens::Tokens;
use crate::text::Untrusted;
use serde::Deserialize;
use serde::Serialize;

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
