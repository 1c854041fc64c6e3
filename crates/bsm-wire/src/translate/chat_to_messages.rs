//! A chat completion's request as one of Anthropic Messages.

use serde_json::{Value, json};

use super::fields::{Fields, cannot, data_url, note, parts};
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
    let (system, messages) = conversation(from.list("messages"), lost)?;
    if !system.is_empty() {
        to["system"] = match &system[..] {
            [one] if one.get("cache_control").is_none() => one["text"].clone(),
            _ => Value::Array(system),
        };
    }
    to["messages"] = Value::Array(messages);
    let older = from.take("max_tokens");
    to["max_tokens"] = from
        .take("max_completion_tokens")
        .or(older)
        .unwrap_or_else(|| target.default_max_tokens.max(1).into());
    if from.take("n").is_some_and(|n| n != json!(1)) {
        return cannot("n: this provider gives one answer");
    }
    if let Some(value) = from.take("temperature") {
        let above = value.as_f64().is_some_and(|t| t > 1.0);
        to["temperature"] = if above { json!(1.0) } else { value };
        if above {
            note(lost, "temperature above 1");
        }
    }
    from.pass("top_p", &mut to, "top_p");
    from.pass("top_k", &mut to, "top_k");
    match from.take("stop") {
        Some(Value::String(one)) => to["stop_sequences"] = json!([one]),
        Some(many) => to["stop_sequences"] = many,
        None => {}
    }
    let stream = from.take("stream").unwrap_or(Value::Bool(false));
    if stream == json!(true) {
        to["stream"] = stream;
    }
    let options = from.take("stream_options").unwrap_or_default();
    answer.include_usage = options["include_usage"] == json!(true);
    tools(&mut from, &mut to, lost)?;
    form(&mut from, &mut to, lost, answer)?;
    if let Some(user) = from.text("user") {
        to["metadata"] = json!({"user_id": user});
    }
    let modalities = from.list("modalities");
    if modalities.iter().any(|m| m != "text") {
        return cannot("modalities: this provider answers with text");
    }
    from.lose("", lost);
    Ok(to)
}

type Conversation = (Vec<Value>, Vec<Value>);

/// System blocks, and the messages with neighbours of one role joined.
fn conversation(all: Vec<Value>, lost: &mut Vec<String>) -> Result<Conversation, TranslateError> {
    let (mut system, mut messages): (Vec<Value>, Vec<Value>) = (Vec::new(), Vec::new());
    for message in all {
        let mut from = Fields::of(message, "a message")?;
        let role = from.text("role").unwrap_or_default();
        let content = from.take("content");
        let (role, blocks) = match role.as_str() {
            "system" | "developer" => {
                for part in parts(content) {
                    system.push(block(part, lost)?);
                }
                continue;
            }
            "user" => ("user", blocks(content, lost)?),
            "assistant" => {
                let mut said = blocks(content, lost)?;
                if let Some(text) = from.text("refusal") {
                    said.push(json!({"type": "text", "text": text}));
                }
                for call in from.list("tool_calls") {
                    said.push(tool_use(call)?);
                }
                ("assistant", said)
            }
            "tool" => {
                let id = from.text("tool_call_id").unwrap_or_default();
                let said = blocks(content, lost)?;
                let result = json!({"type": "tool_result", "tool_use_id": id, "content": said});
                ("user", vec![result])
            }
            other => return cannot(format!("messages of role {other}")),
        };
        from.lose("messages.", lost);
        let last = messages.last_mut().filter(|m| m["role"] == role);
        match last.and_then(|m| m["content"].as_array_mut()) {
            Some(before) => before.extend(blocks),
            None => messages.push(json!({"role": role, "content": blocks})),
        }
    }
    messages.retain(|m| m["content"].as_array().is_some_and(|c| !c.is_empty()));
    Ok((system, messages))
}

fn blocks(content: Option<Value>, lost: &mut Vec<String>) -> Result<Vec<Value>, TranslateError> {
    parts(content)
        .into_iter()
        .map(|part| block(part, lost))
        .collect()
}

fn block(part: Value, lost: &mut Vec<String>) -> Result<Value, TranslateError> {
    let mut from = Fields::of(part, "a part of a message")?;
    let kind = from.text("type").unwrap_or_default();
    let mut block = match kind.as_str() {
        "text" | "refusal" => {
            let text = from.take("text").or_else(|| from.take("refusal"));
            json!({"type": "text", "text": text.unwrap_or_default()})
        }
        "image_url" => {
            let mut image = Fields::of(from.take("image_url").unwrap_or_default(), "image_url")?;
            let url = image.text("url").unwrap_or_default();
            image.lose("messages.image_url.", lost);
            json!({"type": "image", "source": source(&url)})
        }
        "file" => {
            let mut file = Fields::of(from.take("file").unwrap_or_default(), "file")?;
            let Some(data) = file.text("file_data") else {
                return cannot("a file by its id: it is kept at another provider");
            };
            let mut document = json!({"type": "document", "source": source(&data)});
            file.pass("filename", &mut document, "title");
            file.lose("messages.file.", lost);
            document
        }
        other => return cannot(format!("a part of type {other}")),
    };
    // Some clients write it into chat completions as well.
    from.pass("cache_control", &mut block, "cache_control");
    from.lose("messages.content.", lost);
    Ok(block)
}

fn source(url: &str) -> Value {
    match data_url(url) {
        Some((kind, data)) => json!({"type": "base64", "media_type": kind, "data": data}),
        None => json!({"type": "url", "url": url}),
    }
}

fn tool_use(call: Value) -> Result<Value, TranslateError> {
    let mut from = Fields::of(call, "a tool call")?;
    let id = from.text("id").unwrap_or_default();
    let mut function = Fields::of(from.take("function").unwrap_or_default(), "a tool call")?;
    let name = function.text("name").unwrap_or_default();
    let arguments = function.text("arguments").unwrap_or_default();
    let input: Value = if arguments.trim().is_empty() {
        json!({})
    } else {
        serde_json::from_str(&arguments).unwrap_or_default()
    };
    if !input.is_object() {
        return cannot(format!("arguments of {name} that are not a JSON object"));
    }
    Ok(json!({"type": "tool_use", "id": id, "name": name, "input": input}))
}

fn tools(from: &mut Fields, to: &mut Value, lost: &mut Vec<String>) -> Result<(), TranslateError> {
    let mut tools = Vec::new();
    for tool in from.list("tools") {
        let mut tool = Fields::of(tool, "a tool")?;
        let kind = tool.text("type").unwrap_or_default();
        if kind != "function" {
            return cannot(format!("a tool of type {kind}"));
        }
        let mut function = Fields::of(tool.take("function").unwrap_or_default(), "a tool")?;
        let mut made = json!({"name": function.text("name").unwrap_or_default()});
        function.pass("description", &mut made, "description");
        made["input_schema"] = function
            .take("parameters")
            .unwrap_or_else(|| json!({"type": "object", "properties": {}}));
        tool.pass("cache_control", &mut made, "cache_control");
        function.lose("tools.", lost);
        tools.push(made);
    }
    let parallel = from.take("parallel_tool_calls");
    let choice = from.take("tool_choice");
    if tools.is_empty() {
        return Ok(());
    }
    to["tools"] = Value::Array(tools);
    let mut chosen = match choice {
        None => Value::Null,
        Some(Value::String(word)) => match word.as_str() {
            "none" => json!({"type": "none"}),
            "required" => json!({"type": "any"}),
            _ => json!({"type": "auto"}),
        },
        Some(named) if named["function"]["name"].is_string() => {
            json!({"type": "tool", "name": named["function"]["name"]})
        }
        Some(_) => return cannot("tool_choice of another kind than a function"),
    };
    if parallel == Some(json!(false)) {
        if chosen.is_null() {
            chosen = json!({"type": "auto"});
        }
        chosen["disable_parallel_tool_use"] = json!(true);
    }
    if !chosen.is_null() {
        to["tool_choice"] = chosen;
    }
    Ok(())
}

/// A form is asked for by a tool that must be used; its arguments are the answer.
fn form(
    from: &mut Fields,
    to: &mut Value,
    lost: &mut Vec<String>,
    answer: &mut AnswerContext,
) -> Result<(), TranslateError> {
    let Some(format) = from.take("response_format") else {
        return Ok(());
    };
    let schema = &format["json_schema"];
    let (name, of) = match format["type"].as_str() {
        Some("text") => return Ok(()),
        Some("json_object") => ("answer", json!({"type": "object"})),
        Some("json_schema") => (
            schema["name"].as_str().unwrap_or("answer"),
            schema["schema"].clone(),
        ),
        _ => return cannot("response_format of another type"),
    };
    if to.get("tools").is_some() {
        return cannot("response_format beside tools");
    }
    if schema["strict"] == json!(true) {
        note(lost, "response_format.strict");
    }
    let mut tool = json!({"name": name, "input_schema": of});
    if let Some(description) = schema["description"].as_str() {
        tool["description"] = description.into();
    }
    to["tools"] = json!([tool]);
    to["tool_choice"] = json!({"type": "tool", "name": name});
    answer.form = Some(name.to_owned());
    Ok(())
}
