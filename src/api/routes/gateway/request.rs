//! A chat completion as programs ask for it, read into a question that any provider can be asked.
//!
//! What is known to change the answer and cannot be passed on is refused by name; fields that say nothing
//! about the answer (`user`, `metadata`, `store`, …), or that nobody here knows, are left out.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::api::openapi::{boolean, list, text};
use crate::engine::protocol::completion::Completion;
use crate::model::{Format, Message, RequestOptions, Role, Tool, ToolCall, ToolChoice};

/// The body.
#[derive(Deserialize)]
pub(super) struct Asked {
    model: String,
    messages: Vec<Said>,
    #[serde(default)]
    stream: Option<bool>,
    #[serde(default)]
    stream_options: Option<StreamOptions>,
    #[serde(default)]
    max_tokens: Option<u32>,
    #[serde(default)]
    max_completion_tokens: Option<u32>,
    #[serde(default)]
    temperature: Option<f64>,
    #[serde(default)]
    top_p: Option<f64>,
    #[serde(default)]
    stop: Option<Stop>,
    #[serde(default)]
    tools: Option<Vec<Offered>>,
    #[serde(default)]
    tool_choice: Option<Value>,
    #[serde(default)]
    parallel_tool_calls: Option<bool>,
    #[serde(default)]
    response_format: Option<Form>,
    #[serde(flatten)]
    others: Map<String, Value>,
}

#[derive(Deserialize)]
struct StreamOptions {
    #[serde(default)]
    include_usage: bool,
}

#[derive(Deserialize)]
struct Said {
    role: String,
    #[serde(default)]
    content: Option<Content>,
    #[serde(default)]
    tool_calls: Option<Vec<Called>>,
    #[serde(default)]
    tool_call_id: Option<String>,
    #[serde(default)]
    name: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<Part>),
}

#[derive(Deserialize)]
struct Part {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    text: Option<String>,
}

#[derive(Deserialize)]
struct Called {
    id: String,
    function: CalledFunction,
}

#[derive(Deserialize)]
struct CalledFunction {
    name: String,
    arguments: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Stop {
    One(String),
    Many(Vec<String>),
}

#[derive(Deserialize)]
struct Offered {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    function: Option<Function>,
}

#[derive(Deserialize)]
struct Function {
    name: String,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    parameters: Option<Value>,
    #[serde(default)]
    strict: Option<bool>,
}

#[derive(Deserialize)]
struct Form {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    json_schema: Option<JsonSchema>,
}

#[derive(Deserialize)]
struct JsonSchema {
    name: String,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    schema: Option<Value>,
    #[serde(default)]
    strict: Option<bool>,
}

/// The longest answer where the asker does not say.
const LONGEST: u32 = 4_096;

/// Passed on as they are to whom knows chat completions: OpenAI's, and what local servers add. No others:
/// some providers read other models, prices or addresses from fields of their own.
const PASSED: &[&str] = &[
    "chat_template_kwargs",
    "frequency_penalty",
    "guided_choice",
    "guided_grammar",
    "guided_json",
    "guided_regex",
    "logit_bias",
    "min_p",
    "presence_penalty",
    "reasoning_effort",
    "repetition_penalty",
    "seed",
    "top_k",
    "verbosity",
];

/// Would change the answer, and are not passed on.
const REFUSED: &[&str] = &[
    "audio",
    "function_call",
    "functions",
    "logprobs",
    "modalities",
    "n",
    "prediction",
    "top_logprobs",
    "web_search_options",
];

/// The body for `/openapi.json`.
pub(super) fn body() -> Value {
    let part = json!({"type": "object", "required": ["type", "text"], "properties": {
        "type": {"const": "text"}, "text": text(),
    }});
    let content = json!({"oneOf": [
        {"type": "string"}, {"type": "null"}, {"type": "array", "items": part},
    ]});
    let object = |required: &[&str], properties: Value| json!({"type": "object", "required": required, "properties": properties});
    let name = json!({"type": "string", "pattern": "^[a-zA-Z0-9_-]{1,64}$"});
    let called = object(
        &["name", "arguments"],
        json!({"name": text(), "arguments": text()}),
    );
    let called = object(
        &["id", "type", "function"],
        json!({"id": text(), "type": {"const": "function"}, "function": called}),
    );
    let function = object(
        &["name"],
        json!({
            "name": name,
            "description": text(),
            "parameters": {"type": "object"},
            "strict": {"type": ["boolean", "null"]},
        }),
    );
    let offered = object(
        &["type", "function"],
        json!({"type": {"const": "function"}, "function": function}),
    );
    let message = object(
        &["role"],
        json!({
            "role": {"enum": ["system", "developer", "user", "assistant", "tool"]},
            "content": content,
            "tool_calls": {"type": "array", "items": called},
            "tool_call_id": text(),
        }),
    );
    let range =
        |least: i32, most: i32| json!({"type": "number", "minimum": least, "maximum": most});
    let share = |most: i32| range(0, most);
    let count = json!({"type": "integer", "minimum": 1});
    json!({
        "model": text(),
        "messages": {"type": "array", "minItems": 1, "items": message},
        "stream": {"type": ["boolean", "null"]},
        "stream_options": object(&[], json!({"include_usage": boolean()})),
        "temperature": share(2),
        "top_p": share(1),
        "max_tokens": count,
        "max_completion_tokens": count,
        "stop": {"oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
        "tools": {"type": "array", "items": offered},
        "tool_choice": {"oneOf": [
            {"enum": ["none", "auto", "required"]},
            object(&["type", "function"], json!({
                "type": {"const": "function"},
                "function": object(&["name"], json!({"name": text()})),
            })),
        ]},
        "parallel_tool_calls": boolean(),
        "seed": {"type": "integer"},
        "frequency_penalty": range(-2, 2),
        "presence_penalty": range(-2, 2),
        "logit_bias": {"type": "object"},
        "reasoning_effort": text(),
        "verbosity": text(),
        "response_format": object(&["type"], json!({
            "type": {"enum": ["text", "json_object", "json_schema"]},
            "json_schema": object(&["name", "schema"], json!({
                "name": name,
                "schema": {"type": "object"},
                "strict": {"type": ["boolean", "null"]},
            })),
        })),
    })
}

/// What is said of the answer of a completion, for `/openapi.json`.
pub(super) fn answer() -> Value {
    json!({"id": text(), "object": text(), "model": text(), "choices": list()})
}

impl Asked {
    /// The asker wants it in pieces.
    pub(super) fn streams(&self) -> bool {
        self.stream == Some(true)
    }

    /// The asker wants to know what its stream used.
    pub(super) fn wants_usage(&self) -> bool {
        self.stream_options
            .as_ref()
            .is_some_and(|o| o.include_usage)
    }

    /// As a question; what is wrong with it in words.
    pub(super) fn completion(self, tenant: String, id: &str) -> Result<Completion, String> {
        let mut chat = self.others;
        for name in REFUSED {
            let said = chat
                .get(*name)
                .filter(|v| !v.is_null() && **v != json!(false));
            if said.is_some_and(|value| *name != "n" || *value != json!(1)) {
                return Err(format!("{name} is not passed on"));
            }
        }
        chat.retain(|name, value| PASSED.contains(&name.as_str()) && !value.is_null());
        let within =
            |value: Option<f64>, most: f64| value.is_none_or(|v| (0.0..=most).contains(&v));
        if !within(self.temperature, 2.0) {
            return Err("temperature is a number from 0 to 2".into());
        }
        if !within(self.top_p, 1.0) {
            return Err("top_p is a number from 0 to 1".into());
        }
        let (system, messages) = said(self.messages)?;
        let tools = self.tools.into_iter().flatten();
        let tools = tools.map(tool).collect::<Result<Vec<Tool>, String>>()?;
        let choice = self.tool_choice.filter(|c| !c.is_null());
        Ok(Completion {
            tenant,
            model: (self.model != "auto").then_some(self.model),
            system,
            messages,
            format: self.response_format.map_or(Ok(Format::Text), format)?,
            extras: RequestOptions {
                choice: choice.map(|c| tool_choice(&c, &tools)).transpose()?,
                tools,
                parallel: self.parallel_tool_calls,
                stop: match self.stop {
                    None => Vec::new(),
                    Some(Stop::One(one)) => vec![one],
                    Some(Stop::Many(many)) => many,
                },
                top_p: self.top_p,
                chat,
                passed_on: true,
            },
            max_output_tokens: self
                .max_completion_tokens
                .or(self.max_tokens)
                .unwrap_or(LONGEST)
                .max(1),
            temperature: self.temperature,
            correlation: id.to_owned(),
        })
    }
}

/// Who the model is, and what was said.
fn said(all: Vec<Said>) -> Result<(String, Vec<Message>), String> {
    let (mut system, mut messages) = (String::new(), Vec::new());
    for said in all {
        let role = match said.role.as_str() {
            "system" | "developer" => {
                if !system.is_empty() {
                    system.push('\n');
                }
                system.push_str(&text_of(said.content)?);
                continue;
            }
            "user" => Role::User,
            "assistant" => Role::Assistant,
            "tool" => Role::Tool,
            _ => return Err("role is one of system, developer, user, assistant, tool".into()),
        };
        let answers = said.tool_call_id.unwrap_or_default();
        if (role == Role::Tool) == answers.is_empty() {
            return Err("tool_call_id names the call that a message of role tool answers".into());
        }
        let calls = said.tool_calls.into_iter().flatten().map(|call| ToolCall {
            id: call.id,
            name: call.function.name,
            arguments: call.function.arguments,
        });
        let calls: Vec<ToolCall> = calls.collect();
        if !calls.is_empty() && role != Role::Assistant {
            return Err("tool_calls are the assistant's".into());
        }
        messages.push(Message {
            calls,
            answers,
            name: said.name.unwrap_or_default(),
            ..Message::new(role, text_of(said.content)?)
        });
    }
    let last = messages.last().map(|m| m.role);
    if !matches!(last, Some(Role::User | Role::Tool)) {
        return Err("the last message must be the user's or a tool's".into());
    }
    Ok((system, messages))
}

fn text_of(content: Option<Content>) -> Result<String, String> {
    match content {
        None => Ok(String::new()),
        Some(Content::Text(text)) => Ok(text),
        Some(Content::Parts(parts)) => parts
            .into_iter()
            .map(|part| match (part.kind.as_str(), part.text) {
                ("text", Some(text)) => Ok(text),
                _ => Err("only parts of type text are passed on".to_owned()),
            })
            .collect(),
    }
}

/// As providers take names of tools and schemas.
fn is_name(name: &str) -> bool {
    let part = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    (1..=64).contains(&name.len()) && name.bytes().all(part)
}

fn tool(offered: Offered) -> Result<Tool, String> {
    let function = offered.function.filter(|_| offered.kind == "function");
    let function = function.ok_or("tools are of type function")?;
    if !is_name(&function.name) {
        return Err("a tool's name has 1 to 64 letters, digits, _ and -".into());
    }
    if function.parameters.as_ref().is_some_and(|p| !p.is_object()) {
        return Err(format!(
            "the parameters of {} are no JSON schema",
            function.name
        ));
    }
    Ok(Tool {
        name: function.name,
        description: function.description,
        parameters: function.parameters,
        strict: function.strict,
    })
}

fn tool_choice(choice: &Value, tools: &[Tool]) -> Result<ToolChoice, String> {
    let named = choice["function"]["name"].as_str();
    match (choice.as_str(), named) {
        (Some("none"), _) => Ok(ToolChoice::None),
        (Some("auto"), _) => Ok(ToolChoice::Auto),
        _ if tools.is_empty() => Err("tool_choice without tools".into()),
        (Some("required"), _) => Ok(ToolChoice::Required),
        (None, Some(name)) if tools.iter().any(|t| t.name == name) => {
            Ok(ToolChoice::Named(name.to_owned()))
        }
        _ => Err("tool_choice is none, auto, required or a function among tools".into()),
    }
}

fn format(form: Form) -> Result<Format, String> {
    match (form.kind.as_str(), form.json_schema) {
        ("text", _) => Ok(Format::Text),
        ("json_object", _) => Ok(Format::Object),
        ("json_schema", Some(form)) => {
            let (name, schema) = (form.name, form.schema.filter(Value::is_object));
            let schema = schema.ok_or("response_format: json_schema.schema is no JSON schema")?;
            if !is_name(&name) {
                return Err("a schema's name has 1 to 64 letters, digits, _ and -".into());
            }
            Ok(Format::Json {
                name: name.into(),
                description: form.description.map(Into::into),
                schema: schema.into(),
                strict: form.strict.unwrap_or(false),
            })
        }
        _ => Err("response_format is text, json_object, or json_schema with its schema".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_fields_are_passed_on_and_others_left_out() {
        let body = json!({
            "model": "auto",
            "messages": [{"role": "system", "content": "s"}, {"role": "user", "name": "ann", "content": "q"}],
            "seed": 7, "top_k": 3, "n": 1, "logprobs": false, "stop": "END",
            "user": "u", "models": ["another"], "api_base": "http://elsewhere",
        });
        let asked: Asked = serde_json::from_value(body).unwrap();
        let wanted = asked.completion("t".into(), "id").unwrap();
        let chat: Vec<&str> = wanted.extras.chat.keys().map(String::as_str).collect();
        assert_eq!(chat, ["seed", "top_k"]);
        assert_eq!((wanted.model, wanted.system.as_str()), (None, "s"));
        assert_eq!(wanted.extras.stop, ["END"]);
        assert_eq!(wanted.messages[0].name, "ann");
        assert!(wanted.extras.passed_on && wanted.temperature.is_none());
    }
}
