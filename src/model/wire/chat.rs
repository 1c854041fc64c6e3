//! Chat completions: OpenAI's wire form, and that of everything compatible with it (Gemini's endpoint,
//! Ollama, llama.cpp, vLLM, LM Studio).
//!
//! Source: OpenAI's API reference, "Chat", and what the servers named above really send.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use super::sse;
use crate::model::provider_request::{Format, Request};
use crate::model::tokens::Tokens;
use crate::model::wire::form::{AnswerBuilder, Fault, FinishReason, Wire, malformed};
use crate::model::wire::quirks::ProviderQuirks;
use crate::model::{Message, Tool, ToolChoice};
use crate::text::clean_line;
use crate::workspace::models::{Structured, TokenParameter};

/// The kind `chat`.
pub struct Chat;

#[derive(Deserialize)]
pub(super) struct Completion {
    #[serde(default)]
    choices: Vec<Choice>,
    #[serde(default)]
    model: Option<Value>,
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
    #[serde(default)]
    index: Option<i64>,
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
    #[serde(default)]
    tool_calls: Option<Vec<Called>>,
}

/// A tool that is wanted; of a stream a piece of it.
#[derive(Deserialize)]
struct Called {
    #[serde(default)]
    index: Option<i64>,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    function: Option<Function>,
}

#[derive(Default, Deserialize)]
struct Function {
    #[serde(default)]
    name: Option<String>,
    /// A text; some servers send the JSON itself.
    #[serde(default)]
    arguments: Option<Value>,
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

    fn body(&self, request: &Request, habits: ProviderQuirks) -> Value {
        question(request, habits)
    }

    fn whole(&self, bytes: &[u8], draft: &mut AnswerBuilder) -> Result<(), Fault> {
        let completion: Completion = serde_json::from_slice(bytes).map_err(|e| malformed(&e))?;
        take(completion, bytes, draft, false)?;
        draft.done = true;
        Ok(())
    }

    fn event(&self, event: &sse::Event, draft: &mut AnswerBuilder) -> Result<(), Fault> {
        piece(event, draft)
    }
}

/// The question as chat completions have it.
pub(super) fn question(request: &Request, habits: ProviderQuirks) -> Value {
    let system = (!request.prompt.system.is_empty())
        .then(|| json!({"role": "system", "content": request.prompt.system}));
    let said = request.prompt.messages.iter().map(message);
    let messages: Vec<Value> = system.into_iter().chain(said).collect();
    let mut body = json!({"model": request.upstream_name, "messages": messages});
    let newer = request.parameter == TokenParameter::MaxCompletionTokens;
    let limit = if newer == habits.other_limit {
        "max_tokens"
    } else {
        "max_completion_tokens"
    };
    body[limit] = request.max_output_tokens.into();
    if let Some(temperature) = request.temperature.filter(|_| !habits.no_temperature) {
        body["temperature"] = temperature.into();
    }
    extras(&mut body, request);
    let schema = match request.structured {
        // What is passed on is not asked of who knows no form; the rest is as its asker wrote it.
        _ if request.extras.passed_on => true,
        Structured::Schema => !habits.no_schema,
        Structured::Object | Structured::None => false,
    };
    match &request.format {
        Format::Text => {}
        Format::Json { .. } | Format::Object if habits.no_format && !request.extras.passed_on => {}
        Format::Json {
            name,
            description,
            schema: form,
            strict,
        } if schema => {
            body["response_format"] = json!({
                "type": "json_schema",
                "json_schema": {"name": name, "strict": strict, "schema": form},
            });
            if let Some(description) = description {
                body["response_format"]["json_schema"]["description"] = json!(description);
            }
        }
        Format::Json { .. } if request.structured == Structured::None => {}
        Format::Json { .. } | Format::Object => {
            body["response_format"] = json!({"type": "json_object"});
        }
    }
    if request.stream && !habits.no_stream {
        body["stream"] = true.into();
        if !habits.no_stream_options {
            body["stream_options"] = json!({"include_usage": true});
        }
    }
    body
}

/// What is asked for beyond words.
fn extras(body: &mut Value, request: &Request) {
    let extras = &request.extras;
    if !extras.tools.is_empty() {
        body["tools"] = extras.tools.iter().map(tool).collect();
        if let Some(choice) = &extras.choice {
            body["tool_choice"] = match choice {
                ToolChoice::Auto => "auto".into(),
                ToolChoice::None => "none".into(),
                ToolChoice::Required => "required".into(),
                ToolChoice::Named(name) => json!({"type": "function", "function": {"name": name}}),
            };
        }
        if let Some(parallel) = extras.parallel {
            body["parallel_tool_calls"] = parallel.into();
        }
    }
    if !extras.stop.is_empty() {
        body["stop"] = json!(extras.stop);
    }
    if let Some(share) = extras.top_p {
        body["top_p"] = share.into();
    }
    for (name, value) in &extras.chat {
        body[name] = value.clone();
    }
}

fn tool(tool: &Tool) -> Value {
    let mut function = json!({"name": tool.name});
    if let Some(description) = &tool.description {
        function["description"] = json!(description);
    }
    if let Some(parameters) = &tool.parameters {
        function["parameters"] = parameters.clone();
    }
    if let Some(strict) = tool.strict {
        function["strict"] = strict.into();
    }
    json!({"type": "function", "function": function})
}

fn message(message: &Message) -> Value {
    let mut said = json!({"role": message.role.as_str(), "content": message.text});
    if !message.name.is_empty() {
        said["name"] = json!(message.name);
    }
    if !message.answers.is_empty() {
        said["tool_call_id"] = json!(message.answers);
    }
    if !message.calls.is_empty() {
        if message.text.is_empty() {
            said["content"] = Value::Null;
        }
        let calls = message.calls.iter().map(|call| {
            json!({
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            })
        });
        said["tool_calls"] = calls.collect();
    }
    said
}

/// One event.
pub(super) fn piece(event: &sse::Event, draft: &mut AnswerBuilder) -> Result<(), Fault> {
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
fn take(
    completion: Completion,
    bytes: &[u8],
    draft: &mut AnswerBuilder,
    piece: bool,
) -> Result<(), Fault> {
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
    draft.name_model(completion.model.as_ref().and_then(Value::as_str));
    let other = |choice: &Choice| choice.index.is_some_and(|i| i > 0);
    draft.is_one_of_several |= completion.choices.len() > 1 || completion.choices.iter().any(other);
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
    for called in said.tool_calls.into_iter().flatten() {
        take_call(called, draft, piece)?;
    }
    if let Some(refusal) = said.refusal.filter(|r| !r.is_empty()) {
        // A refusal may come in pieces; its first words are enough to know.
        if !matches!(draft.finish, Some(FinishReason::Refused(_))) {
            draft.finish = Some(FinishReason::Refused(clean_line(&refusal, 160)));
        }
        draft.pieces += 1;
    }
    match choice.finish_reason.as_deref() {
        _ if matches!(draft.finish, Some(FinishReason::Refused(_))) => {}
        None | Some("") => {}
        Some("length") => draft.finish = Some(FinishReason::Length),
        Some("content_filter") => {
            draft.finish = Some(FinishReason::Refused("content filter".into()));
        }
        // What servers say that are like it.
        Some("stop" | "STOP" | "eos" | "eos_token" | "end_turn" | "stop_sequence") => {
            draft.finish = Some(FinishReason::Stop);
        }
        Some("max_tokens" | "MAX_TOKENS") => draft.finish = Some(FinishReason::Length),
        Some("tool_calls" | "function_call") => draft.finish = Some(FinishReason::LoadContext),
        Some(other) => draft.finish = Some(FinishReason::Other(other.to_owned())),
    }
    Ok(())
}

/// Takes a wanted tool in, or with `piece` perhaps more of one. Not every server numbers them, or does so
/// rightly: another id is another call, whatever its number, and so is a name after complete arguments.
fn take_call(called: Called, draft: &mut AnswerBuilder, piece: bool) -> Result<(), Fault> {
    let function = called.function.unwrap_or_default();
    let name = function.name.unwrap_or_default();
    let id = called.id.unwrap_or_default();
    let number = called.index.and_then(|index| u64::try_from(index).ok());
    let follows = piece
        && draft.call_of(number).is_some_and(|call| {
            let same = id.is_empty() || id == call.id;
            let complete = serde_json::from_str::<IgnoredAny>(&call.arguments).is_ok();
            same && (name.is_empty() || (name == call.name && !complete))
        });
    let number = number.unwrap_or_else(|| draft.call_number(!follows));
    if !follows {
        // The tool's answer must be able to name it, in all of a conversation.
        let id = if id.is_empty() {
            format!("call_{:016x}", fastrand::u64(..))
        } else {
            id
        };
        draft.call(number, &id, &name)?;
    }
    match function.arguments {
        None | Some(Value::Null) => {}
        Some(Value::String(text)) => _ = draft.arguments(number, &text),
        Some(other) => _ = draft.arguments(number, &other.to_string()),
    }
    Ok(())
}
