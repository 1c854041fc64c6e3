//! Between two wires, where a provider does not speak the client's: requests one way, answers the other.
//!
//! What the other wire cannot say is named in `lost`. What would change the meaning of a request (several
//! answers, a conversation that the other provider does not keep) is an error and no loss. Nothing is made up.
//!
//! | client | provider |
//! |---|---|
//! | chat completions | Messages |
//! | Messages | chat completions |
//! | Responses | chat completions, Messages |

mod answer;
mod chat_to_messages;
mod fields;
mod from_chat;
mod from_messages;
mod messages_to_chat;
mod responses_to_chat;
mod stream;
mod to_chat;
mod to_messages;
mod to_responses;

use serde_json::Value;

use crate::Wire;

pub use self::stream::StreamTranslator;

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

/// A request of `client` in the wire of `provider`.
///
/// # Errors
/// [`TranslateError`].
pub fn request(
    client: Wire,
    provider: Wire,
    body: &[u8],
    target: &Target,
) -> Result<TranslatedRequest, TranslateError> {
    let value: Value =
        serde_json::from_slice(body).map_err(|e| TranslateError::Malformed(e.to_string()))?;
    let mut lost = Vec::new();
    let mut answer = AnswerContext::default();
    let mut translated = match (client, provider) {
        (Wire::Chat, Wire::Messages) => {
            chat_to_messages::request(value, target, &mut lost, &mut answer)?
        }
        (Wire::Messages, Wire::Chat) => messages_to_chat::request(value, target, &mut lost)?,
        (Wire::Responses, Wire::Chat) => {
            responses_to_chat::request(value, target, &mut lost, &mut answer)?
        }
        (Wire::Responses, Wire::Messages) => {
            let chat = responses_to_chat::request(value, target, &mut lost, &mut answer)?;
            chat_to_messages::request(chat, target, &mut lost, &mut answer)?
        }
        _ => return Err(TranslateError::Wires(client, provider)),
    };
    translated["model"] = target.model.clone().into();
    lost.dedup();
    Ok(TranslatedRequest {
        body: translated.to_string().into_bytes(),
        lost,
        answer,
    })
}

/// A whole answer of `provider` in the wire of `client`.
///
/// # Errors
/// [`TranslateError`].
pub fn answer(
    provider: Wire,
    client: Wire,
    body: &[u8],
    context: &AnswerContext,
) -> Result<Vec<u8>, TranslateError> {
    let value: Value =
        serde_json::from_slice(body).map_err(|e| TranslateError::Malformed(e.to_string()))?;
    let pieces = match provider {
        Wire::Chat => from_chat::whole(&value),
        Wire::Messages => from_messages::whole(&value),
        other => return Err(TranslateError::Wires(other, client)),
    };
    let whole = answer::Whole::of(pieces, context);
    let translated = match client {
        Wire::Chat => to_chat::whole(&whole, context),
        Wire::Messages => to_messages::whole(&whole, context),
        Wire::Responses => to_responses::whole(&whole, context),
        other => return Err(TranslateError::Wires(provider, other)),
    };
    Ok(translated.to_string().into_bytes())
}

#[cfg(test)]
mod tests;
