//! Answers of Anthropic Messages.

use serde::Deserialize;
use serde_json::Value;

use super::lenient::{is_error, lenient};
use super::seen::{Seen, Usage};
use crate::error::WireError;

#[derive(Default, Deserialize)]
#[serde(default)]
struct Event {
    #[serde(rename = "type", deserialize_with = "lenient")]
    kind: String,
    #[serde(deserialize_with = "lenient")]
    index: u64,
    #[serde(deserialize_with = "lenient")]
    message: Option<Message>,
    #[serde(deserialize_with = "lenient")]
    content_block: Block,
    #[serde(deserialize_with = "lenient")]
    delta: Delta,
    #[serde(deserialize_with = "lenient")]
    usage: Option<Tokens>,
    #[serde(deserialize_with = "lenient")]
    error: Value,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Message {
    #[serde(deserialize_with = "lenient")]
    model: Option<String>,
    #[serde(deserialize_with = "lenient")]
    content: Vec<Block>,
    #[serde(deserialize_with = "lenient")]
    stop_reason: Option<String>,
    #[serde(deserialize_with = "lenient")]
    usage: Option<Tokens>,
    #[serde(deserialize_with = "lenient")]
    error: Value,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Block {
    #[serde(rename = "type", deserialize_with = "lenient")]
    kind: String,
    #[serde(deserialize_with = "lenient")]
    text: String,
    #[serde(deserialize_with = "lenient")]
    thinking: String,
    #[serde(deserialize_with = "lenient")]
    name: String,
    #[serde(deserialize_with = "lenient")]
    input: Value,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Delta {
    #[serde(deserialize_with = "lenient")]
    text: String,
    #[serde(deserialize_with = "lenient")]
    thinking: String,
    #[serde(deserialize_with = "lenient")]
    partial_json: String,
    #[serde(deserialize_with = "lenient")]
    stop_reason: Option<String>,
}

#[expect(clippy::struct_field_names, reason = "the names of the wire")]
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(default)]
struct Tokens {
    #[serde(deserialize_with = "lenient")]
    input_tokens: Option<u64>,
    #[serde(deserialize_with = "lenient")]
    output_tokens: Option<u64>,
    #[serde(deserialize_with = "lenient")]
    cache_creation_input_tokens: Option<u64>,
    #[serde(deserialize_with = "lenient")]
    cache_read_input_tokens: Option<u64>,
}

/// The beginning of a stream reports the prompt, its end the answer; what the end repeats, it corrects.
fn count(tokens: Tokens, seen: &mut Seen) {
    let old = seen.usage.unwrap_or_default();
    let read = tokens.cache_read_input_tokens.unwrap_or(old.cached_read);
    let write = tokens
        .cache_creation_input_tokens
        .unwrap_or(old.cache_write);
    let cached = old.cached_read.saturating_add(old.cache_write);
    let plain = old.input.saturating_sub(cached);
    seen.usage = Some(Usage {
        input: tokens
            .input_tokens
            .unwrap_or(plain)
            .saturating_add(read)
            .saturating_add(write),
        output: tokens.output_tokens.unwrap_or(old.output),
        cached_read: read,
        cache_write: write,
        reasoning: 0,
    });
}

pub(super) fn event(data: &str, seen: &mut Seen) -> serde_json::Result<()> {
    let event: Event = serde_json::from_str(data)?;
    if is_error(&event.error) {
        seen.error = Some(WireError::of(&serde_json::json!({"error": event.error})));
        return Ok(());
    }
    match event.kind.as_str() {
        "message_start" => {
            let message = event.message.unwrap_or_default();
            seen.name_model(message.model);
            if let Some(tokens) = message.usage {
                count(tokens, seen);
            }
        }
        "content_block_start" => block(event.index, &event.content_block, seen),
        "content_block_delta" => {
            seen.text(&event.delta.text);
            seen.thought(&event.delta.thinking);
            seen.arguments(event.index, &event.delta.partial_json);
        }
        "message_delta" => {
            if let Some(word) = &event.delta.stop_reason {
                seen.ended(word);
            }
            if let Some(tokens) = event.usage {
                count(tokens, seen);
            }
        }
        "message_stop" => seen.is_complete = true,
        _ => {}
    }
    Ok(())
}

/// A block of a whole answer, or the beginning of one in a stream.
fn block(index: u64, block: &Block, seen: &mut Seen) {
    seen.text(&block.text);
    seen.thought(&block.thinking);
    // `tool_use`, and the tools that the provider runs itself.
    if block.kind.ends_with("tool_use") {
        seen.tool(index, &block.name);
        let given = block.input.as_object().is_some_and(|o| !o.is_empty());
        if given {
            seen.arguments(index, &block.input.to_string());
        }
    }
}

pub(super) fn whole(body: &[u8], seen: &mut Seen) -> serde_json::Result<()> {
    let message: Message = serde_json::from_slice(body)?;
    if is_error(&message.error) {
        seen.error = Some(WireError::of(&serde_json::json!({"error": message.error})));
    }
    seen.name_model(message.model);
    for (index, one) in message.content.iter().enumerate() {
        block(index as u64, one, seen);
    }
    if let Some(word) = &message.stop_reason {
        seen.ended(word);
    }
    if let Some(tokens) = message.usage {
        count(tokens, seen);
    }
    Ok(())
}
