//! Answers of OpenAI Responses.

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
    response: Response,
    #[serde(deserialize_with = "lenient")]
    output_index: u64,
    #[serde(deserialize_with = "lenient")]
    item: Item,
    #[serde(deserialize_with = "lenient")]
    delta: Option<String>,
    #[serde(deserialize_with = "lenient")]
    code: Value,
    #[serde(deserialize_with = "lenient")]
    message: Value,
    #[serde(deserialize_with = "lenient")]
    error: Value,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Response {
    #[serde(deserialize_with = "lenient")]
    model: Option<String>,
    #[serde(deserialize_with = "lenient")]
    status: String,
    #[serde(deserialize_with = "lenient")]
    output: Vec<Item>,
    #[serde(deserialize_with = "lenient")]
    usage: Option<Tokens>,
    #[serde(deserialize_with = "lenient")]
    incomplete_details: Incomplete,
    #[serde(deserialize_with = "lenient")]
    error: Value,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Incomplete {
    #[serde(deserialize_with = "lenient")]
    reason: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Item {
    #[serde(rename = "type", deserialize_with = "lenient")]
    kind: String,
    #[serde(deserialize_with = "lenient")]
    name: String,
    #[serde(deserialize_with = "lenient")]
    arguments: String,
    #[serde(deserialize_with = "lenient")]
    input: String,
    #[serde(deserialize_with = "lenient")]
    content: Vec<Part>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Part {
    #[serde(deserialize_with = "lenient")]
    text: String,
    #[serde(deserialize_with = "lenient")]
    refusal: String,
}

#[expect(clippy::struct_field_names, reason = "the names of the wire")]
#[derive(Default, Deserialize)]
#[serde(default)]
struct Tokens {
    #[serde(deserialize_with = "lenient")]
    input_tokens: u64,
    #[serde(deserialize_with = "lenient")]
    output_tokens: u64,
    #[serde(deserialize_with = "lenient")]
    input_tokens_details: InputDetails,
    #[serde(deserialize_with = "lenient")]
    output_tokens_details: OutputDetails,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct InputDetails {
    #[serde(deserialize_with = "lenient")]
    cached_tokens: u64,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct OutputDetails {
    #[serde(deserialize_with = "lenient")]
    reasoning_tokens: u64,
}

fn is_tool(kind: &str) -> bool {
    kind.ends_with("_call")
}

pub(super) fn event(data: &str, seen: &mut Seen) -> serde_json::Result<()> {
    let event: Event = serde_json::from_str(data)?;
    match event.kind.as_str() {
        "response.created" | "response.in_progress" | "response.queued" => {
            seen.name_model(event.response.model);
        }
        "response.output_item.added" if is_tool(&event.item.kind) => {
            seen.tool(event.output_index, &event.item.name);
        }
        "response.output_text.delta" | "response.refusal.delta" => {
            seen.text(event.delta.as_deref().unwrap_or_default());
        }
        "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta" => {
            seen.arguments(
                event.output_index,
                event.delta.as_deref().unwrap_or_default(),
            );
        }
        "response.completed" | "response.incomplete" | "response.failed" | "response.done" => {
            end(event.response, seen);
            seen.is_complete = true;
        }
        "error" => {
            let error = if is_error(&event.error) {
                serde_json::json!({"error": event.error})
            } else {
                serde_json::json!({"code": event.code, "message": event.message})
            };
            seen.error = Some(WireError::of(&error));
        }
        kind if kind.ends_with(".delta") => {
            seen.thought(event.delta.as_deref().unwrap_or_default());
        }
        _ => {}
    }
    Ok(())
}

/// What the end of an answer says beside its text.
fn end(response: Response, seen: &mut Seen) {
    if is_error(&response.error) {
        seen.error = Some(WireError::of(&serde_json::json!({"error": response.error})));
    }
    seen.name_model(response.model);
    match response.status.as_str() {
        "" => {}
        "incomplete" => seen.ended(&response.incomplete_details.reason),
        "completed" if response.output.iter().any(|i| i.kind == "function_call") => {
            seen.ended("tool_calls");
        }
        status => seen.ended(status),
    }
    if let Some(tokens) = response.usage {
        seen.usage = Some(Usage {
            input: tokens.input_tokens,
            output: tokens.output_tokens,
            cached_read: tokens.input_tokens_details.cached_tokens,
            cache_write: 0,
            reasoning: tokens.output_tokens_details.reasoning_tokens,
        });
    }
}

pub(super) fn whole(body: &[u8], seen: &mut Seen) -> serde_json::Result<()> {
    let response: Response = serde_json::from_slice(body)?;
    for (index, item) in response.output.iter().enumerate() {
        let index = index as u64;
        for part in &item.content {
            seen.text(&part.text);
            seen.text(&part.refusal);
        }
        if is_tool(&item.kind) {
            seen.tool(index, &item.name);
            seen.arguments(index, &item.arguments);
            seen.arguments(index, &item.input);
        }
    }
    end(response, seen);
    Ok(())
}
