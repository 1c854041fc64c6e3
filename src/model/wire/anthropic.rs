//! Anthropic's Messages.
//!
//! Why a tool where a form is wanted: every model since Claude 3 can be held to a tool's schema, and its
//! arguments come as pieces of JSON like text does. Source: Anthropic's API reference, "Messages" and
//! "Streaming messages".

use serde_json::{Value, json};

use super::{Draft, Fault, Finish, Habits, Wire, malformed, sse};
use crate::model::{Format, Request, Tokens};
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

    fn body(&self, request: &Request, habits: Habits) -> Value {
        let messages: Vec<Value> = request
            .messages
            .iter()
            .map(|m| json!({"role": m.role.word(), "content": m.text}))
            .collect();
        let mut body = json!({
            "model": request.model,
            "max_tokens": request.max_output_tokens,
            "system": request.system,
            "messages": messages,
        });
        if !habits.no_temperature {
            // Anthropic's scale ends at 1.
            body["temperature"] = request.temperature.min(1.0).into();
        }
        if let (Format::Json { name, schema }, Structured::Schema, false) =
            (&request.format, request.structured, habits.no_schema)
        {
            body["tools"] =
                json!([{"name": name, "description": "The answer.", "input_schema": schema}]);
            body["tool_choice"] = json!({"type": "tool", "name": name});
        }
        if request.stream && !habits.no_stream {
            body["stream"] = true.into();
        }
        body
    }

    fn whole(&self, bytes: &[u8], draft: &mut Draft) -> Result<(), Fault> {
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
                Some("tool_use") => draft.say(&block["input"].to_string()),
                Some("thinking") => draft.think(block["thinking"].as_str().unwrap_or_default()),
                _ => {}
            }
        }
        usage(&value["usage"], draft);
        ended(&value["stop_reason"], draft);
        draft.done = true;
        Ok(())
    }

    fn event(&self, event: &sse::Event, draft: &mut Draft) -> Result<(), Fault> {
        if event.data.trim().is_empty() {
            return Ok(());
        }
        let value: Value = serde_json::from_str(&event.data).map_err(|e| malformed(&e))?;
        match value["type"].as_str() {
            Some("message_start") => usage(&value["message"]["usage"], draft),
            Some("content_block_delta") => {
                let delta = &value["delta"];
                let text = |key: &str| delta[key].as_str().unwrap_or_default().to_owned();
                match delta["type"].as_str() {
                    Some("text_delta") => draft.say(&text("text")),
                    Some("input_json_delta") => draft.say(&text("partial_json")),
                    Some("thinking_delta") => draft.think(&text("thinking")),
                    _ => {}
                }
            }
            Some("message_delta") => {
                usage(&value["usage"], draft);
                ended(&value["delta"]["stop_reason"], draft);
            }
            Some("message_stop") => draft.done = true,
            Some("error") => return Err(reported(&value)),
            // `ping`, the beginnings and ends of blocks, and whatever comes to be.
            _ => {}
        }
        Ok(())
    }
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
fn usage(value: &Value, draft: &mut Draft) {
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

fn ended(reason: &Value, draft: &mut Draft) {
    draft.finish = match reason.as_str() {
        None => return,
        Some("max_tokens" | "model_context_window_exceeded") => Some(Finish::Length),
        Some("refusal") => Some(Finish::Refused("refusal".into())),
        Some(_) => Some(Finish::Stop),
    };
}
