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
mod sequence;
mod stream;
mod to_chat;
mod to_messages;
mod to_responses;
mod types;

use serde_json::Value;

use crate::Wire;

pub use self::stream::StreamTranslator;
pub use self::types::{AnswerContext, Target, TranslateError, TranslatedRequest};

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
    let error = pieces.iter().find_map(|piece| match piece {
        answer::Piece::Error(error) => Some(error.message.clone()),
        _ => None,
    });
    if let Some(message) = error {
        return Err(TranslateError::Malformed(format!(
            "it is an error: {message}"
        )));
    }
    let whole = answer::Whole::of(pieces, context);
    if whole.end.is_none() && whole.blocks.is_empty() {
        return Err(TranslateError::Malformed("there is no answer in it".into()));
    }
    let translated = match client {
        Wire::Chat => to_chat::whole(&whole, context),
        Wire::Messages => to_messages::whole(&whole, context),
        Wire::Responses => to_responses::whole(&whole, context),
        other => return Err(TranslateError::Wires(provider, other)),
    };
    Ok(translated.to_string().into_bytes())
}

#[cfg(test)]
mod stream_tests;
#[cfg(test)]
mod tests;
