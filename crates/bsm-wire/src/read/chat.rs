//! Answers of OpenAI's chat completions, text completions and embeddings.

use serde::Deserialize;
use serde_json::Value;

use super::lenient::{is_error, lenient};
use super::seen::{Seen, Usage};
use crate::error::WireError;

#[derive(Deserialize)]
struct Chunk {
    #[serde(default, deserialize_with = "lenient")]
    model: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    choices: Vec<Choice>,
    #[serde(default, deserialize_with = "lenient")]
    usage: Option<Tokens>,
    #[serde(default, deserialize_with = "lenient")]
    error: Value,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Choice {
    #[serde(deserialize_with = "lenient")]
    delta: Option<Said>,
    #[serde(deserialize_with = "lenient")]
    message: Option<Said>,
    #[serde(deserialize_with = "lenient")]
    text: Option<String>,
    #[serde(deserialize_with = "lenient")]
    finish_reason: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Said {
    #[serde(deserialize_with = "lenient")]
    content: Content,
    #[serde(deserialize_with = "lenient")]
    refusal: Option<String>,
    #[serde(deserialize_with = "lenient")]
    reasoning_content: Option<String>,
    #[serde(deserialize_with = "lenient")]
    reasoning: Option<String>,
    #[serde(deserialize_with = "lenient")]
    tool_calls: Vec<Tool>,
    #[serde(deserialize_with = "lenient")]
    audio: Value,
}

#[derive(Default, Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<Part>),
    #[default]
    None,
}

#[derive(Deserialize)]
struct Part {
    #[serde(default)]
    text: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Tool {
    #[serde(deserialize_with = "lenient")]
    index: Option<u64>,
    #[serde(deserialize_with = "lenient")]
    id: Option<String>,
    #[serde(deserialize_with = "lenient")]
    function: Function,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Function {
    #[serde(deserialize_with = "lenient")]
    name: Option<String>,
    #[serde(deserialize_with = "lenient")]
    arguments: Option<String>,
}

#[expect(clippy::struct_field_names, reason = "the names of the wire")]
#[derive(Default, Deserialize)]
#[serde(default)]
struct Tokens {
    #[serde(deserialize_with = "lenient")]
    prompt_tokens: u64,
    #[serde(deserialize_with = "lenient")]
    completion_tokens: u64,
    #[serde(deserialize_with = "lenient")]
    prompt_tokens_details: PromptDetails,
    #[serde(deserialize_with = "lenient")]
    completion_tokens_details: CompletionDetails,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct PromptDetails {
    #[serde(deserialize_with = "lenient")]
    cached_tokens: u64,
    #[serde(deserialize_with = "lenient")]
    cache_creation_tokens: u64,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct CompletionDetails {
    #[serde(deserialize_with = "lenient")]
    reasoning_tokens: u64,
}

pub(super) fn event(data: &str, seen: &mut Seen) -> serde_json::Result<()> {
    take(serde_json::from_str(data)?, seen);
    Ok(())
}

pub(super) fn whole(body: &[u8], seen: &mut Seen) -> serde_json::Result<()> {
    take(serde_json::from_slice(body)?, seen);
    Ok(())
}

fn take(chunk: Chunk, seen: &mut Seen) {
    if is_error(&chunk.error) {
        seen.error = Some(WireError::of(&serde_json::json!({"error": chunk.error})));
    }
    seen.name_model(chunk.model);
    if let Some(tokens) = chunk.usage {
        seen.usage = Some(Usage {
            input: tokens.prompt_tokens,
            output: tokens.completion_tokens,
            cached_read: tokens.prompt_tokens_details.cached_tokens,
            cache_write: tokens.prompt_tokens_details.cache_creation_tokens,
            reasoning: tokens.completion_tokens_details.reasoning_tokens,
        });
    }
    for choice in chunk.choices {
        let said = choice.delta.or(choice.message).unwrap_or_default();
        match said.content {
            Content::Text(text) => seen.text(&text),
            Content::Parts(parts) => parts.iter().for_each(|p| seen.text(&p.text)),
            Content::None => {}
        }
        seen.text(choice.text.as_deref().unwrap_or_default());
        seen.text(said.refusal.as_deref().unwrap_or_default());
        // Some servers say it under both names.
        let thought = said.reasoning_content.filter(|t| !t.is_empty());
        seen.thought(&thought.or(said.reasoning).unwrap_or_default());
        seen.has_content |= said.audio.is_object();
        for (place, tool) in said.tool_calls.into_iter().enumerate() {
            tool_use(tool, place as u64, seen);
        }
        if let Some(word) = choice.finish_reason {
            if word == "error" && seen.error.is_none() {
                seen.error = Some(WireError {
                    message: "the answer ended with an error".into(),
                    ..WireError::default()
                });
            }
            seen.ended(&word);
        }
    }
}

/// A tool begins where it has an id or a name; some servers give no index, or 0 to all.
fn tool_use(tool: Tool, place: u64, seen: &mut Seen) {
    let name = tool.function.name.filter(|n| !n.is_empty());
    let begins =
        name.is_some() && (tool.id.is_some() || tool.index.is_none_or(|i| !seen.has_tool(i)));
    let index = tool.index.unwrap_or(place);
    if begins {
        seen.tool(index, name.as_deref().unwrap_or_default());
    }
    seen.arguments(
        index,
        tool.function.arguments.as_deref().unwrap_or_default(),
    );
}
