//! A request of OpenAI Responses as a chat completion's.

use serde_json::{Value, json};

use super::fields::{Fields, cannot, note, parts};
use super::types::{AnswerContext, Target, TranslateError};

/// The request, without its model.
pub(super) fn request(
    body: Value,
    target: &Target,
    lost: &mut Vec<String>,
    answer: &mut AnswerContext,
) -> Result<Value, TranslateError> {
    let mut from = Fields::of(body, "the request")?;
    let mut to = json!({});
    from.take("model");
    for kept in ["previous_response_id", "conversation", "prompt"] {
        if from.take(kept).is_some() {
            return cannot(format!("{kept}: it is kept at another provider"));
        }
    }
    if from.take("background") == Some(json!(true)) {
        return cannot("background: this provider answers at once");
    }
    let mut messages = Vec::new();
    if let Some(text) = from.text("instructions") {
        messages.push(json!({"role": "system", "content": text}));
    }
    match from.take("input") {
        Some(Value::String(text)) => messages.push(json!({"role": "user", "content": text})),
        Some(Value::Array(items)) => {
            for one in items {
                item(one, &mut messages, lost)?;
            }
        }
        _ => {}
    }
    to["messages"] = Value::Array(messages);
    let limit = if target.newer_limit {
        "max_completion_tokens"
    } else {
        "max_tokens"
    };
    from.pass("max_output_tokens", &mut to, limit);
    for same in ["temperature", "top_p", "user", "seed"] {
        from.pass(same, &mut to, same);
    }
    if from.take("stream") == Some(json!(true)) {
        to["stream"] = json!(true);
        to["stream_options"] = json!({"include_usage": true});
    }
    tools(&mut from, &mut to, lost, answer)?;
    if let Some(reasoning) = from.take("reasoning") {
        let mut reasoning = Fields::of(reasoning, "reasoning")?;
        reasoning.pass("effort", &mut to, "reasoning_effort");
        reasoning.lose("reasoning.", lost);
    }
    text(&mut from, &mut to, lost)?;
    // What it says is how this provider works in any case.
    if from.take("store").is_some_and(|s| s == json!(true)) {
        note(lost, "store");
    }
    if from.take("truncation").is_some_and(|t| t != "disabled") {
        note(lost, "truncation");
    }
    from.lose("", lost);
    Ok(to)
}

fn text(from: &mut Fields, to: &mut Value, lost: &mut Vec<String>) -> Result<(), TranslateError> {
    let Some(text) = from.take("text") else {
        return Ok(());
    };
    let mut text = Fields::of(text, "text")?;
    let format = text.take("format").unwrap_or_default();
    match format["type"].as_str() {
        Some("json_object") => to["response_format"] = json!({"type": "json_object"}),
        Some("json_schema") => {
            let mut schema = format.clone();
            if let Some(schema) = schema.as_object_mut() {
                schema.shift_remove("type");
            }
            to["response_format"] = json!({"type": "json_schema", "json_schema": schema});
        }
        _ => {}
    }
    text.lose("text.", lost);
    Ok(())
}

/// Adds one item of the input to the conversation.
fn item(
    item: Value,
    messages: &mut Vec<Value>,
    lost: &mut Vec<String>,
) -> Result<(), TranslateError> {
    let mut from = Fields::of(item, "an item of input")?;
    let kind = from.text("type").unwrap_or_else(|| "message".into());
    match kind.as_str() {
        "message" => {
            let role = from.text("role").unwrap_or_default();
            let mut content = Vec::new();
            for one in parts(from.take("content")) {
                content.push(part(one, lost)?);
            }
            let is_text = |p: &Value| p["type"] == "text";
            let content =
                if content.iter().all(is_text) && (content.len() == 1 || role == "assistant") {
                    let texts = content.iter().filter_map(|p| p["text"].as_str());
                    Value::String(texts.collect())
                } else {
                    Value::Array(content)
                };
            let role = if role == "developer" { "system" } else { &role };
            messages.push(json!({"role": role, "content": content}));
        }
        "function_call" | "custom_tool_call" => {
            let name = from.take("name").unwrap_or_default();
            let arguments = match from.take("input") {
                Some(input) if kind == "custom_tool_call" => json!({"input": input}).to_string(),
                _ => from.text("arguments").unwrap_or_default(),
            };
            let call = json!({
                "id": from.take("call_id").unwrap_or_default(),
                "type": "function",
                "function": {"name": name, "arguments": arguments},
            });
            let last = messages.last_mut().filter(|m| m["role"] == "assistant");
            match last {
                Some(said) => match said["tool_calls"].as_array_mut() {
                    Some(calls) => calls.push(call),
                    None => said["tool_calls"] = json!([call]),
                },
                None => messages
                    .push(json!({"role": "assistant", "content": null, "tool_calls": [call]})),
            }
        }
        "function_call_output" | "custom_tool_call_output" => {
            let id = from.take("call_id").unwrap_or_default();
            let mut texts = Vec::new();
            for one in parts(from.take("output")) {
                match part(one, lost)? {
                    text if text["type"] == "text" => {
                        texts.push(text["text"].as_str().unwrap_or_default().to_owned());
                    }
                    _ => note(lost, "input.output"),
                }
            }
            messages.push(json!({"role": "tool", "tool_call_id": id, "content": texts.join("\n")}));
        }
        "item_reference" => return cannot("an item that is kept at another provider"),
        // Reasoning is sealed for the provider that made it; other items are of tools that it ran.
        other => note(lost, &format!("input.{other}")),
    }
    Ok(())
}

fn part(part: Value, lost: &mut Vec<String>) -> Result<Value, TranslateError> {
    let mut from = Fields::of(part, "a part of input")?;
    let kind = from.text("type").unwrap_or_default();
    let part = match kind.as_str() {
        "input_text" | "output_text" | "text" | "summary_text" => {
            json!({"type": "text", "text": from.take("text").unwrap_or_default()})
        }
        "refusal" => json!({"type": "text", "text": from.take("refusal").unwrap_or_default()}),
        "input_image" => {
            let Some(url) = from.text("image_url") else {
                return cannot("an image by its id: it is kept at another provider");
            };
            let mut image = json!({"url": url});
            from.pass("detail", &mut image, "detail");
            json!({"type": "image_url", "image_url": image})
        }
        "input_file" => {
            let Some(data) = from.take("file_data") else {
                return cannot("a file by its id or address");
            };
            let mut file = json!({"file_data": data});
            from.pass("filename", &mut file, "filename");
            json!({"type": "file", "file": file})
        }
        other => return cannot(format!("a part of type {other}")),
    };
    // Where an answer had its words from says nothing to the next one.
    from.take("annotations");
    from.take("logprobs");
    from.lose("input.content.", lost);
    Ok(part)
}

fn tools(
    from: &mut Fields,
    to: &mut Value,
    lost: &mut Vec<String>,
    answer: &mut AnswerContext,
) -> Result<(), TranslateError> {
    let mut tools = Vec::new();
    for tool in from.list("tools") {
        let mut tool = Fields::of(tool, "a tool")?;
        let kind = tool.text("type").unwrap_or_default();
        let name = tool.text("name").unwrap_or_default();
        let mut function = json!({"name": name});
        tool.pass("description", &mut function, "description");
        match kind.as_str() {
            "function" => {
                tool.pass("parameters", &mut function, "parameters");
                tool.pass("strict", &mut function, "strict");
            }
            "custom" => {
                if tool.take("format").is_some_and(|f| f["type"] != "text") {
                    note(lost, "tools.format");
                }
                function["parameters"] = json!({
                    "type": "object", "required": ["input"],
                    "properties": {"input": {"type": "string"}},
                });
                answer.custom_tools.push(name);
            }
            other => {
                // A tool that its provider runs itself; the model is not offered it.
                note(lost, &format!("tools.{other}"));
                continue;
            }
        }
        tool.lose("tools.", lost);
        tools.push(json!({"type": "function", "function": function}));
    }
    let (choice, parallel) = (from.take("tool_choice"), from.take("parallel_tool_calls"));
    if tools.is_empty() {
        return Ok(());
    }
    to["tools"] = Value::Array(tools);
    match choice {
        Some(Value::String(word)) => to["tool_choice"] = word.into(),
        Some(named) if named["name"].is_string() => {
            to["tool_choice"] = json!({"type": "function", "function": {"name": named["name"]}});
        }
        Some(_) => note(lost, "tool_choice"),
        None => {}
    }
    if let Some(parallel) = parallel {
        to["parallel_tool_calls"] = parallel;
    }
    Ok(())
}
