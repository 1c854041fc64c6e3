//! Chat completions: OpenAI's wire form, and that of everything compatible with it (Gemini's endpoint,
//! Ollama, llama.cpp, vLLM, LM Studio).
//!
//! Source: OpenAI's API reference, "Chat", and what the servers named above really send.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Draft, Fault, Finish, Habits, Wire, malformed, sse};
use crate::model::{Format, Request, Tokens};
use crate::text::clean_line;
use crate::workspace::models::{Structured, TokenParameter};

/// The kind `chat`.
pub struct Chat;

#[derive(Deserialize)]
pub(super) struct Completion {
    #[serde(default)]
    choices: Vec<Choice>,
    #[serde(default)]
    usage: Option<Usage>,
    #[serde(default)]
    error: Option<Value>,
    /// `error`, where it stands for itself.
    #[serde(default)]
    object: Option<String>,
    #[serde(default)]
    message: Option<Value>,
    #[serde(default)]
    code: Option<Value>,
}

#[derive(Deserialize)]
struct Choice {
    /// Of a whole answer.
    #[serde(default)]
    message: Option<Said>,
    /// Of a stream's piece.
    #[serde(default)]
    delta: Option<Said>,
    #[serde(default)]
    finish_reason: Option<String>,
}

#[derive(Default, Deserialize)]
struct Said {
    #[serde(default)]
    content: Option<String>,
    #[serde(default)]
    refusal: Option<String>,
    /// Reasoning models' thoughts, by the names that servers give them.
    #[serde(default, alias = "reasoning")]
    reasoning_content: Option<String>,
}

#[derive(Deserialize)]
struct Usage {
    #[serde(default)]
    prompt_tokens: u64,
    #[serde(default)]
    completion_tokens: u64,
}

impl Wire for Chat {
    fn route(&self) -> &'static str {
        "chat/completions"
    }

    fn structured(&self) -> Structured {
        Structured::Object
    }

    fn body(&self, request: &Request, habits: Habits) -> Value {
        question(request, habits)
    }

    fn whole(&self, bytes: &[u8], draft: &mut Draft) -> Result<(), Fault> {
        let completion: Completion = serde_json::from_slice(bytes).map_err(|e| malformed(&e))?;
        take(completion, bytes, draft, false)?;
        draft.done = true;
        Ok(())
    }

    fn event(&self, event: &sse::Event, draft: &mut Draft) -> Result<(), Fault> {
        piece(event, draft)
    }
}

/// The question as chat completions have it.
pub(super) fn question(request: &Request, habits: Habits) -> Value {
    let mut messages = vec![json!({"role": "system", "content": request.system})];
    messages.extend(
        request
            .messages
            .iter()
            .map(|m| json!({"role": m.role.word(), "content": m.text})),
    );
    let mut body = json!({"model": request.model, "messages": messages});
    let newer = request.parameter == TokenParameter::MaxCompletionTokens;
    let limit = if newer == habits.other_limit {
        "max_tokens"
    } else {
        "max_completion_tokens"
    };
    body[limit] = request.max_output_tokens.into();
    if !habits.no_temperature {
        body["temperature"] = request.temperature.into();
    }
    match (&request.format, request.structured) {
        (Format::Json { .. }, _) if habits.no_format => {}
        (Format::Json { name, schema }, Structured::Schema) if !habits.no_schema => {
            body["response_format"] = json!({
                "type": "json_schema",
                "json_schema": {"name": name, "strict": true, "schema": schema},
            });
        }
        (Format::Json { .. }, Structured::Schema | Structured::Object) => {
            body["response_format"] = json!({"type": "json_object"});
        }
        (Format::Json { .. }, Structured::None) | (Format::Text, _) => {}
    }
    if request.stream && !habits.no_stream {
        body["stream"] = true.into();
        if !habits.no_stream_options {
            body["stream_options"] = json!({"include_usage": true});
        }
    }
    body
}

/// One event.
pub(super) fn piece(event: &sse::Event, draft: &mut Draft) -> Result<(), Fault> {
    let data = event.data.trim();
    if data == "[DONE]" {
        draft.done = true;
        return Ok(());
    }
    // Some proxies send an empty event to keep the connection alive.
    if data.is_empty() || draft.done {
        return Ok(());
    }
    let completion: Completion = serde_json::from_str(data).map_err(|e| malformed(&e))?;
    take(completion, data.as_bytes(), draft, true)
}

/// Takes a whole answer in, or with `piece` a piece of a stream. Perplexity sends both fields in either.
fn take(completion: Completion, bytes: &[u8], draft: &mut Draft, piece: bool) -> Result<(), Fault> {
    let bare = completion.object.as_deref() == Some("error")
        || (completion.choices.is_empty()
            && completion.message.as_ref().is_some_and(Value::is_string));
    let bare = bare.then(|| json!({"code": completion.code}));
    if let Some(error) = completion.error.filter(|e| !e.is_null()).or(bare) {
        // The status was sent before the error was known; some servers put it into the code.
        let status = ["code", "status"]
            .iter()
            .find_map(|k| error[*k].as_u64())
            .and_then(|s| u16::try_from(s).ok())
            .filter(|s| (400..600).contains(s))
            .unwrap_or(500);
        let body = String::from_utf8_lossy(bytes).into_owned();
        return Err(Fault::Reported { status, body });
    }
    if let Some(usage) = completion.usage {
        draft.tokens = Some(Tokens {
            prompt: usage.prompt_tokens,
            completion: usage.completion_tokens,
        });
    }
    let Some(choice) = completion.choices.into_iter().next() else {
        return Ok(());
    };
    let said = if piece {
        choice.delta.or(choice.message)
    } else {
        choice.message.or(choice.delta)
    };
    let said = said.unwrap_or_default();
    draft.think(said.reasoning_content.as_deref().unwrap_or_default());
    draft.say(said.content.as_deref().unwrap_or_default());
    if let Some(refusal) = said.refusal.filter(|r| !r.is_empty()) {
        // A refusal may come in pieces; its first words are enough to know.
        if !matches!(draft.finish, Some(Finish::Refused(_))) {
            draft.finish = Some(Finish::Refused(clean_line(&refusal, 160)));
        }
        draft.pieces += 1;
    }
    match choice.finish_reason.as_deref() {
        _ if matches!(draft.finish, Some(Finish::Refused(_))) => {}
        None | Some("") => {}
        Some("length") => draft.finish = Some(Finish::Length),
        Some("content_filter") => draft.finish = Some(Finish::Refused("content filter".into())),
        Some(_) => draft.finish = Some(Finish::Stop),
    }
    Ok(())
}
