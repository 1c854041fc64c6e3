//! A request of Anthropic Messages as a chat completion's.

use serde_json::{Value, json};

use super::fields::{Fields, cannot, note, parts};
use super::types::{Target, TranslateError};

/// The request, without its model.
pub(super) fn request(
    body: Value,
    target: &Target,
    lost: &mut Vec<String>,
) -> Result<Value, TranslateError> {
    let mut from = Fields::of(body, "the request")?;
    let mut to = json!({});
    from.take("model");
    let mut messages = Vec::new();
    if let Some(system) = system(from.take("system"), lost)? {
        messages.push(json!({"role": "system", "content": system}));
    }
    for message in from.list("messages") {
        let mut message = Fields::of(message, "a message")?;
        let role = message.text("role").unwrap_or_default();
        let blocks = parts(message.take("content"));
        message.lose("messages.", lost);
        match role.as_str() {
            "user" => user(blocks, &mut messages, lost)?,
            "assistant" => messages.push(assistant(blocks, lost)?),
            "system" => {
                let text = system(Some(Value::Array(blocks)), lost)?.unwrap_or_default();
                messages.push(json!({"role": "system", "content": text}));
            }
            other => return cannot(format!("messages of role {other}")),
        }
    }
    to["messages"] = Value::Array(messages);
    let limit = if target.newer_limit {
        "max_completion_tokens"
    } else {
        "max_tokens"
    };
    from.pass("max_tokens", &mut to, limit);
    from.pass("temperature", &mut to, "temperature");
    from.pass("top_p", &mut to, "top_p");
    from.pass("stop_sequences", &mut to, "stop");
    if from.take("stream") == Some(json!(true)) {
        to["stream"] = json!(true);
        to["stream_options"] = json!({"include_usage": true});
    }
    tools(&mut from, &mut to, lost)?;
    form(&mut from, &mut to, lost);
    let metadata = from.take("metadata").unwrap_or_default();
    if let Some(user) = metadata["user_id"].as_str() {
        to["user"] = user.into();
    }
    from.lose("", lost);
    Ok(to)
}

fn system(system: Option<Value>, lost: &mut Vec<String>) -> Result<Option<String>, TranslateError> {
    let mut texts = Vec::new();
    for block in parts(system) {
        let mut block = Fields::of(block, "a block of system")?;
        block.take("type");
        texts.extend(block.text("text"));
        block.lose("system.", lost);
    }
    Ok((!texts.is_empty()).then(|| texts.join("\n")))
}

/// A user's message: results of tools are messages of their own, and stand first.
fn user(
    blocks: Vec<Value>,
    messages: &mut Vec<Value>,
    lost: &mut Vec<String>,
) -> Result<(), TranslateError> {
    let mut said = Vec::new();
    let mut shown = Vec::new();
    for block in blocks {
        if block["type"] != "tool_result" {
            said.extend(part(block, lost)?);
            continue;
        }
        let mut result = Fields::of(block, "a tool result")?;
        result.take("type");
        let id = result.text("tool_use_id").unwrap_or_default();
        let mut texts = Vec::new();
        for inner in parts(result.take("content")) {
            match part(inner, lost)? {
                Some(text) if text["type"] == "text" => {
                    texts.push(text["text"].as_str().unwrap_or_default().to_owned());
                }
                // A tool's message has text alone; what else it showed follows as the user's.
                Some(other) => shown.push(other),
                None => {}
            }
        }
        result.lose("messages.tool_result.", lost);
        messages.push(json!({"role": "tool", "tool_call_id": id, "content": texts.join("\n")}));
    }
    shown.append(&mut said);
    if shown.is_empty() {
        return Ok(());
    }
    let content = match &shown[..] {
        [one] if one["type"] == "text" => one["text"].clone(),
        _ => Value::Array(shown),
    };
    messages.push(json!({"role": "user", "content": content}));
    Ok(())
}

/// A block as a part; none: it is lost.
fn part(block: Value, lost: &mut Vec<String>) -> Result<Option<Value>, TranslateError> {
    let mut from = Fields::of(block, "a block")?;
    let kind = from.text("type").unwrap_or_default();
    let part = match kind.as_str() {
        "text" => json!({"type": "text", "text": from.take("text").unwrap_or_default()}),
        "image" => {
            let source = from.take("source").unwrap_or_default();
            json!({"type": "image_url", "image_url": {"url": address(&source, "an image")?}})
        }
        "document" => {
            let source = from.take("source").unwrap_or_default();
            let title = from.text("title");
            match source["type"].as_str() {
                Some("text") => json!({"type": "text", "text": source["data"]}),
                Some("base64") => {
                    let mut file = json!({"file_data": address(&source, "a document")?});
                    file["filename"] = title.unwrap_or_else(|| "document.pdf".into()).into();
                    json!({"type": "file", "file": file})
                }
                _ => return cannot("a document that is not sent with the request"),
            }
        }
        "thinking" | "redacted_thinking" => {
            note(lost, "messages.thinking");
            return Ok(None);
        }
        "" => return Err(TranslateError::Malformed("a block without a type".into())),
        other => {
            note(lost, &format!("messages.{other}"));
            return Ok(None);
        }
    };
    from.lose("messages.content.", lost);
    Ok(Some(part))
}

fn address(source: &Value, what: &str) -> Result<String, TranslateError> {
    let text = |name: &str| source[name].as_str().unwrap_or_default();
    match source["type"].as_str() {
        Some("base64") => Ok(format!(
            "data:{};base64,{}",
            text("media_type"),
            text("data")
        )),
        Some("url") => Ok(text("url").to_owned()),
        _ => cannot(format!("{what} that its provider keeps")),
    }
}

fn assistant(blocks: Vec<Value>, lost: &mut Vec<String>) -> Result<Value, TranslateError> {
    let (mut texts, mut calls) = (Vec::new(), Vec::new());
    for block in blocks {
        if block["type"] == "tool_use" {
            let mut call = Fields::of(block, "a tool use")?;
            call.take("type");
            calls.push(json!({
                "id": call.take("id").unwrap_or_default(),
                "type": "function",
                "function": {
                    "name": call.take("name").unwrap_or_default(),
                    "arguments": call.take("input").unwrap_or_else(|| json!({})).to_string(),
                },
            }));
            call.lose("messages.tool_use.", lost);
        } else if let Some(text) = part(block, lost)?.filter(|p| p["type"] == "text") {
            texts.push(text["text"].as_str().unwrap_or_default().to_owned());
        }
    }
    let mut message = json!({"role": "assistant"});
    message["content"] = if texts.is_empty() && !calls.is_empty() {
        Value::Null
    } else {
        texts.concat().into()
    };
    if !calls.is_empty() {
        message["tool_calls"] = Value::Array(calls);
    }
    Ok(message)
}

fn tools(from: &mut Fields, to: &mut Value, lost: &mut Vec<String>) -> Result<(), TranslateError> {
    let mut tools = Vec::new();
    for tool in from.list("tools") {
        let mut tool = Fields::of(tool, "a tool")?;
        let kind = tool.text("type").unwrap_or_else(|| "custom".into());
        let name = tool.text("name").unwrap_or_default();
        if kind != "custom" {
            // A tool that its provider runs itself; the model is not offered it.
            note(lost, &format!("tools.{kind}"));
            continue;
        }
        let mut function = json!({"name": name});
        tool.pass("description", &mut function, "description");
        tool.pass("input_schema", &mut function, "parameters");
        tool.pass("strict", &mut function, "strict");
        tool.lose("tools.", lost);
        tools.push(json!({"type": "function", "function": function}));
    }
    let choice = from.take("tool_choice").unwrap_or_default();
    if tools.is_empty() {
        return Ok(());
    }
    to["tools"] = Value::Array(tools);
    match choice["type"].as_str() {
        Some("auto") => to["tool_choice"] = json!("auto"),
        Some("any") => to["tool_choice"] = json!("required"),
        Some("none") => to["tool_choice"] = json!("none"),
        Some("tool") => {
            to["tool_choice"] = json!({"type": "function", "function": {"name": choice["name"]}});
        }
        _ => {}
    }
    if choice["disable_parallel_tool_use"] == json!(true) {
        to["parallel_tool_calls"] = json!(false);
    }
    Ok(())
}

/// The form of the answer, by either of its names.
fn form(from: &mut Fields, to: &mut Value, lost: &mut Vec<String>) {
    let older = from.take("output_format");
    let mut config = from.take("output_config").unwrap_or_default();
    let format = config
        .as_object_mut()
        .and_then(|c| c.shift_remove("format"))
        .or(older)
        .unwrap_or_default();
    if format["type"] == "json_schema" {
        to["response_format"] = json!({"type": "json_schema", "json_schema": {
            "name": "answer", "schema": format["schema"], "strict": true,
        }});
    }
    for name in config.as_object().into_iter().flat_map(|c| c.keys()) {
        note(lost, &format!("output_config.{name}"));
    }
}
