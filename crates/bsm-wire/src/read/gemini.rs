//! Answers of Gemini's `generateContent`, whole or streamed.

use serde::Deserialize;
use serde_json::Value;

use super::lenient::{is_error, lenient};
use super::seen::{Seen, Usage};
use crate::error::WireError;

#[derive(Default, Deserialize)]
#[serde(default)]
struct Chunk {
    #[serde(deserialize_with = "lenient")]
    candidates: Vec<Candidate>,
    #[serde(rename = "modelVersion", deserialize_with = "lenient")]
    model_version: Option<String>,
    #[serde(rename = "usageMetadata", deserialize_with = "lenient")]
    usage: Option<Tokens>,
    #[serde(rename = "promptFeedback", deserialize_with = "lenient")]
    feedback: Feedback,
    #[serde(deserialize_with = "lenient")]
    error: Value,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Candidate {
    #[serde(deserialize_with = "lenient")]
    content: Content,
    #[serde(rename = "finishReason", deserialize_with = "lenient")]
    finish_reason: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Content {
    #[serde(deserialize_with = "lenient")]
    parts: Vec<Part>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Part {
    #[serde(deserialize_with = "lenient")]
    text: String,
    #[serde(deserialize_with = "lenient")]
    thought: bool,
    #[serde(rename = "functionCall", deserialize_with = "lenient")]
    call: Option<Call>,
    #[serde(rename = "inlineData", deserialize_with = "lenient")]
    data: Value,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Call {
    #[serde(deserialize_with = "lenient")]
    name: String,
    #[serde(deserialize_with = "lenient")]
    args: Value,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Feedback {
    #[serde(rename = "blockReason", deserialize_with = "lenient")]
    block: Option<String>,
}

#[expect(clippy::struct_field_names, reason = "the names of the wire")]
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Tokens {
    #[serde(deserialize_with = "lenient")]
    prompt_token_count: u64,
    #[serde(deserialize_with = "lenient")]
    candidates_token_count: u64,
    #[serde(deserialize_with = "lenient")]
    thoughts_token_count: u64,
    #[serde(deserialize_with = "lenient")]
    cached_content_token_count: u64,
    #[serde(deserialize_with = "lenient")]
    tool_use_prompt_token_count: u64,
}

pub(super) fn event(data: &str, seen: &mut Seen) -> serde_json::Result<()> {
    take(serde_json::from_str(data)?, seen);
    Ok(())
}

/// One object, or the list that a stream is where no events were asked for.
pub(super) fn whole(body: &[u8], seen: &mut Seen) -> serde_json::Result<()> {
    let first = body.iter().find(|b| !b.is_ascii_whitespace());
    if first == Some(&b'[') {
        let all: Vec<Chunk> = serde_json::from_slice(body)?;
        for chunk in all {
            take(chunk, seen);
        }
        return Ok(());
    }
    take(serde_json::from_slice(body)?, seen);
    Ok(())
}

fn take(chunk: Chunk, seen: &mut Seen) {
    if is_error(&chunk.error) {
        seen.error = Some(WireError::of(&serde_json::json!({"error": chunk.error})));
    }
    seen.name_model(chunk.model_version);
    if let Some(tokens) = chunk.usage {
        seen.usage = Some(Usage {
            input: tokens
                .prompt_token_count
                .saturating_add(tokens.tool_use_prompt_token_count),
            output: tokens
                .candidates_token_count
                .saturating_add(tokens.thoughts_token_count),
            cached_read: tokens.cached_content_token_count,
            cache_write: 0,
            reasoning: tokens.thoughts_token_count,
        });
    }
    if let Some(reason) = chunk.feedback.block {
        seen.ended(&reason);
        seen.is_complete = true;
    }
    for candidate in chunk.candidates {
        for part in candidate.content.parts {
            if part.thought {
                seen.thought(&part.text);
            } else {
                seen.text(&part.text);
            }
            seen.has_content |= part.data.is_object();
            if let Some(call) = part.call {
                let index = seen.tool_count();
                seen.tool(index, &call.name);
                seen.arguments(index, &call.args.to_string());
            }
        }
        if let Some(word) = candidate.finish_reason {
            seen.ended(&word);
            // Gemini has no other mark of an end.
            seen.is_complete = true;
        }
    }
}
