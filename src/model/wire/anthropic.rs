//! Anthropic's Messages.
//!
//! Why a tool where a form is wanted: every model since Claude 3 can be held to a tool's schema, and its
//! arguments come as pieces of JSON like text does. Source: Anthropic's API reference, "Messages" and
//! "Streaming messages".

use serde_json::{Value, json};

use super::sse;
use crate::model::provider_request::{Format, Request};
use crate::model::tokens::Tokens;
use crate::model::wire::form::{AnswerBuilder, Fault, FinishReason, Wire, malformed};
use crate::model::wire::quirks::ProviderQuirks;
use crate::model::{Message, Role, ToolChoice};
use crate::workspace::models::Structured;

/// The kind `anthropic`.
pub struct Anthropic;

impl Wire for Anthropic {
    fn route(&self) -> &'static str {
        "messages"
    }

    fn key_header(&self) -> (&'static str, &'static str) {
        ("x-api-key", "")
    }

    fn headers(&self) -> &'static [(&'static str, &'static str)] {
        &[("anthropic-version", "2023-06-01")]
    }

    fn structured(&self) -> Structured {
        Structured::Schema
    }

    fn has_form(&self, format: &Format, structured: Structured, tools: bool) -> bool {
        match format {
            Format::Text => true,
            Format::Object => false,
            Format::Json { .. } => structured == Structured::Schema && !tools,
        }
    }

    fn form(&self, request: &Request, habits: ProviderQuirks) -> Option<String> {
        form_of(request, habits).map(|(name, ..)| name.to_owned())
    }

    fn body(&self, request: &Request, habits: ProviderQuirks) -> Value {
        let mut body = json!({
            "model": request.upstream_name,
            "max_tokens": request.max_output_tokens,
            "messages": messages(&request.prompt.messages),
        });
        if !request.prompt.system.is_empty() {
            body["system"] = json!(request.prompt.system);
        }
        if let Some(temperature) = request.temperature.filter(|_| !habits.no_temperature) {
            // Anthropic's scale ends at 1.
            body["temperature"] = temperature.min(1.0).into();
        }
        extras(&mut body, request);
        if let Some((name, description, schema)) = form_of(request, habits) {
            let description = description.unwrap_or("The answer.");
            body["tools"] = json!([{"name": name, "description": description, "input_schema": an_object(schema)}]);
            body["tool_choice"] = json!({"type": "tool", "name": name});
        }
        if request.stream && !habits.no_stream {
            body["stream"] = true.into();
        }
        body
    }

    fn whole(&self, bytes: &[u8], draft: &mut AnswerBuilder) -> Result<(), Fault> {
        let value: Value = serde_json::from_slice(bytes).map_err(|e| malformed(&e))?;
        if value["type"] == "error" {
            return Err(reported(&value));
        }
        let Some(content) = value["content"].as_array() else {
            return Err(Fault::Malformed("no content".into()));
        };
        for block in content {
            match block["type"].as_str() {
                Some("text") => draft.say(block["text"].as_str().unwrap_or_default()),
                Some("tool_use") => {
                    let input = block["input"].to_string();
                    if begin_call(u64::MAX, block, draft)? {
                        draft.arguments(u64::MAX, &input);
                    } else {
                        draft.say(&input);
                    }
                }
                Some("thinking") => draft.think(block["thinking"].as_str().unwrap_or_default()),
                _ => {}
            }
        }
        usage(&value["usage"], draft);
        draft.name_model(value["model"].as_str());
        ended(&value["stop_reason"], draft);
        draft.done = true;
        Ok(())
    }

    fn event(&self, event: &sse::Event, draft: &mut AnswerBuilder) -> Result<(), Fault> {
        if event.data.trim().is_empty() {
            return Ok(());
        }
        let value: Value = serde_json::from_str(&event.data).map_err(|e| malformed(&e))?;
        match value["type"].as_str() {
            Some("message_start") => {
                draft.name_model(value["message"]["model"].as_str());
                usage(&value["message"]["usage"], draft);
            }
            Some("content_block_start") => {
                let block = &value["content_block"];
                if block["type"] == "tool_use" {
                    begin_call(value["index"].as_u64().unwrap_or(0), block, draft)?;
                }
            }
            Some("content_block_delta") => {
                let delta = &value["delta"];
                let text = |key: &str| delta[key].as_str().unwrap_or_default().to_owned();
                match delta["type"].as_str() {
                    Some("text_delta") => draft.say(&text("text")),
                    Some("input_json_delta") => {
                        let (index, more) = (value["index"].as_u64(), text("partial_json"));
                        if !draft.arguments(index.unwrap_or(0), &more) {
                            draft.say(&more);
                        }
                    }
                    Some("thinking_delta") => draft.think(&text("thinking")),
                    _ => {}
                }
            }
            Some("message_delta") => {
                usage(&value["usage"], draft);
                ended(&value["delta"]["stop_reason"], draft);
            }
            Some("message_stop") => {
                draft.close_calls();
                draft.done = true;
            }
            Some("error") => return Err(reported(&value)),
            // `ping`, the beginnings and ends of blocks, and whatever comes to be.
            _ => {}
        }
        Ok(())
    }
}

/// The tool by which a question's form is wanted of a model that has forms for tools only.
fn form_of(request: &Request, habits: ProviderQuirks) -> Option<(&str, Option<&str>, &Value)> {
    // Beside tools of the asker's own the model could not choose.
    let extras = &request.extras;
    let free = extras.tools.is_empty() && (extras.passed_on || !habits.no_schema);
    match (&request.format, request.structured) {
        (
            Format::Json {
                name,
                description,
                schema,
                ..
            },
            Structured::Schema,
        ) if free => Some((name, description.as_deref(), schema)),
        _ => None,
    }
}

/// A tool is wanted; false: it is the one whose arguments are the text.
fn begin_call(piece: u64, block: &Value, draft: &mut AnswerBuilder) -> Result<bool, Fault> {
    let text = |key: &str| block[key].as_str().unwrap_or_default();
    let (id, name) = (text("id"), text("name"));
    let is_call = draft.form.as_deref() != Some(name);
    if is_call {
        draft.call(piece, id, name)?;
    }
    Ok(is_call)
}

/// A schema here says of itself that it is of an object.
fn an_object(schema: &Value) -> Value {
    let mut schema = schema.clone();
    if let Value::Object(fields) = &mut schema
        && !fields.contains_key("type")
    {
        fields.insert("type".to_owned(), "object".into());
    }
    schema
}

/// What is asked for beyond words. Fields that only chat completions know are left out.
fn extras(body: &mut Value, request: &Request) {
    let extras = &request.extras;
    if !extras.tools.is_empty() {
        let tools = extras.tools.iter().map(|tool| {
            let mut told = json!({
                "name": tool.name,
                // Every tool has a schema here, be it of nothing.
                "input_schema": an_object(tool.parameters.as_ref().unwrap_or(&json!({}))),
            });
            if let Some(description) = &tool.description {
                told["description"] = json!(description);
            }
            told
        });
        body["tools"] = tools.collect();
        let mut choice = match &extras.choice {
            None | Some(ToolChoice::Auto) => json!({"type": "auto"}),
            Some(ToolChoice::None) => json!({"type": "none"}),
            Some(ToolChoice::Required) => json!({"type": "any"}),
            Some(ToolChoice::Named(name)) => json!({"type": "tool", "name": name}),
        };
        if extras.parallel == Some(false) && extras.choice != Some(ToolChoice::None) {
            choice["disable_parallel_tool_use"] = true.into();
        }
        body["tool_choice"] = choice;
    } else if let Some(known) = used_before(&request.prompt.messages) {
        // Tools that were used must be known, also where none may be used any more.
        body["tools"] = known;
        body["tool_choice"] = json!({"type": "none"});
    }
    let stop: Vec<&String> = extras
        .stop
        .iter()
        .filter(|s| !s.trim().is_empty())
        .collect();
    if !stop.is_empty() {
        body["stop_sequences"] = json!(stop);
    }
    // Newer models take one of the two.
    if let Some(share) = extras.top_p.filter(|_| request.temperature.is_none()) {
        body["top_p"] = share.into();
    }
}

/// The tools of a conversation, by their names alone.
fn used_before(messages: &[Message]) -> Option<Value> {
    let calls = messages.iter().flat_map(|m| &m.calls);
    let names: std::collections::BTreeSet<&str> = calls.map(|c| c.name.as_str()).collect();
    let tools = names
        .iter()
        .map(|name| json!({"name": name, "input_schema": {"type": "object"}}));
    let tools: Vec<Value> = tools.collect();
    (!tools.is_empty()).then_some(Value::Array(tools))
}

/// What was said, in blocks where tools are in it. The answers of tools that were wanted together are one
/// message, and the user's.
fn messages(said: &[Message]) -> Vec<Value> {
    let mut all: Vec<Value> = Vec::new();
    let mut after_tool = false;
    for message in said {
        let is_tool = message.role == Role::Tool;
        if is_tool {
            let result = json!({
                "type": "tool_result",
                "tool_use_id": message.answers,
                "content": message.text,
            });
            let together = all.last_mut().filter(|_| after_tool);
            match together.and_then(|last| last["content"].as_array_mut()) {
                Some(results) => results.push(result),
                None => all.push(json!({"role": "user", "content": [result]})),
            }
        } else if message.calls.is_empty() {
            if message.role == Role::Assistant && message.text.trim().is_empty() {
                continue; // It had said nothing, which nobody may repeat here.
            }
            all.push(json!({"role": message.role.as_str(), "content": message.text}));
        } else {
            // A block of no text is refused.
            let text = (!message.text.trim().is_empty())
                .then(|| json!({"type": "text", "text": message.text}));
            let calls = message.calls.iter().map(|call| {
                let input: Value = serde_json::from_str(&call.arguments).unwrap_or(Value::Null);
                let input = if input.is_object() { input } else { json!({}) };
                json!({"type": "tool_use", "id": call.id, "name": call.name, "input": input})
            });
            let blocks: Vec<Value> = text.into_iter().chain(calls).collect();
            all.push(json!({"role": "assistant", "content": blocks}));
        }
        after_tool = is_tool;
    }
    all
}

/// The status that an error's type has where it comes as a status.
fn reported(value: &Value) -> Fault {
    let status = match value["error"]["type"].as_str().unwrap_or_default() {
        "invalid_request_error" => 400,
        "authentication_error" => 401,
        "permission_error" => 403,
        "not_found_error" => 404,
        "rate_limit_error" => 429,
        "overloaded_error" => 529,
        _ => 500,
    };
    Fault::Reported {
        status,
        body: value.to_string(),
    }
}

/// What was read from a prompt cache was read all the same. Later events count the whole again.
fn usage(value: &Value, draft: &mut AnswerBuilder) {
    let Some(usage) = value.as_object() else {
        return;
    };
    let number = |key: &str| usage.get(key).and_then(Value::as_u64);
    let read: u64 = [
        "input_tokens",
        "cache_creation_input_tokens",
        "cache_read_input_tokens",
    ]
    .iter()
    .filter_map(|k| number(k))
    .sum();
    let tokens = draft.tokens.get_or_insert_with(Tokens::default);
    if read > 0 {
        tokens.prompt = read;
    }
    if let Some(written) = number("output_tokens") {
        tokens.completion = written;
    }
}

fn ended(reason: &Value, draft: &mut AnswerBuilder) {
    draft.finish = match reason.as_str() {
        None => return,
        Some("max_tokens" | "model_context_window_exceeded") => Some(FinishReason::Length),
        Some("refusal") => Some(FinishReason::Refused("refusal".into())),
        Some("end_turn" | "stop_sequence") => Some(FinishReason::Stop),
        Some("tool_use") => Some(FinishReason::LoadContext),
        Some(other) => Some(FinishReason::Other(other.to_owned())),
    };
}
