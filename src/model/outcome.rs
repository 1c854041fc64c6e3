//! What an answer that was read amounts to: its text or an error, and the tokens that it used.

use super::error::ModelError;
use super::wire::{AnswerBuilder, FinishReason};
use crate::model::provider_request::Request;
use crate::model::tokens::{Tokens, estimate_tokens};
use crate::text::clean_line;

/// What a complete answer amounts to.
pub(super) fn judge(
    provider: &str,
    request: &Request,
    draft: &AnswerBuilder,
) -> Result<String, ModelError> {
    match &draft.finish {
        Some(FinishReason::Length) if !request.extras.passed_on => {
            return Err(ModelError::CutOff("length".into()));
        }
        Some(FinishReason::Refused(why)) => return Err(ModelError::Refused(why.clone())),
        _ => {}
    }
    if !request.extras.passed_on
        && let Some(message) = not_whole(draft)
    {
        return Err(ModelError::Malformed {
            provider: provider.to_owned(),
            message,
        });
    }
    // Who was offered no tool and wants one has said nothing.
    let wants = !request.extras.tools.is_empty() && draft.calls().next().is_some();
    let said_nothing = draft.text.is_empty() && !wants;
    // What thinks may be cut off before its first word.
    if said_nothing && draft.finish != Some(FinishReason::Length) {
        return Err(ModelError::Empty(provider.to_owned()));
    }
    let read = draft.tokens.map_or(0, |t| t.prompt);
    if read > 0 && read < fewest_tokens(request) {
        return Err(ModelError::CutPrompt {
            provider: provider.to_owned(),
            read,
            sent: estimate(request),
        });
    }
    Ok(draft.text.clone())
}

/// Why a draft is not known to be one whole answer. What another program asked for is that program's to judge.
fn not_whole(draft: &AnswerBuilder) -> Option<String> {
    if draft.is_one_of_several {
        return Some("there are several answers in it".into());
    }
    match &draft.finish {
        Some(FinishReason::Stop | FinishReason::Length) if draft.calls().next().is_none() => None,
        Some(FinishReason::LoadContext) if draft.is_form() && draft.calls().next().is_none() => {
            None
        }
        Some(
            FinishReason::Stop
            | FinishReason::Length
            | FinishReason::LoadContext
            | FinishReason::Refused(_),
        ) => Some("it wants a tool used, and was offered none".into()),
        Some(FinishReason::Other(word)) => Some(format!(
            "it does not say that it is complete (it ended with “{}”)",
            clean_line(word, 40)
        )),
        None => Some("it does not say that it is complete (finish_reason is missing)".into()),
    }
}

fn texts(request: &Request) -> impl Iterator<Item = &str> {
    std::iter::once(request.prompt.system.as_str())
        .chain(request.prompt.messages.iter().map(|m| m.text.as_str()))
}

fn estimate(request: &Request) -> u64 {
    let said = request
        .prompt
        .messages
        .iter()
        .map(|m| u64::from(m.tokens()));
    let rest = estimate_tokens(&request.prompt.system).saturating_add(request.extras.tokens());
    said.sum::<u64>() + u64::from(rest)
}

/// Fewer tokens than this no model makes of the prompt: less was read than was sent. Short prompts say
/// nothing.
fn fewest_tokens(request: &Request) -> u64 {
    let chars: u64 = texts(request).map(|t| t.chars().count() as u64).sum();
    if chars < 8_000 { 0 } else { chars / 7 }
}

/// Tokens by the provider's count; else estimated, as soon as there was any answer.
pub(super) fn used(request: &Request, draft: &AnswerBuilder, complete: bool) -> Tokens {
    match draft.tokens {
        // What a stream says at its beginning of its end is not what came.
        Some(tokens) if !complete => Tokens {
            completion: tokens.completion.max(draft.estimate()),
            ..tokens
        },
        Some(tokens) => tokens,
        None if complete || draft.pieces > 0 => Tokens {
            prompt: estimate(request),
            completion: draft.estimate(),
        },
        None => Tokens::default(),
    }
}
