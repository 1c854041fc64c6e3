//! The simulator's answers in the form of each kind of provider: whole, in pieces, and as errors.

use serde_json::{Value, json};

/// Whose form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// Chat completions.
    Chat,
    /// Anthropic's Messages.
    Messages,
}

/// What is answered.
pub(super) struct Content {
    pub(super) shape: Shape,
    pub(super) id: String,
    pub(super) model: String,
    pub(super) text: String,
    /// How it ends, as chat completions say it.
    pub(super) finish: &'static str,
    /// Read.
    pub(super) prompt_tokens: u64,
    /// The tool whose arguments the text is.
    pub(super) tool: Option<String>,
}

impl Content {
    fn completion_tokens(&self) -> u64 {
        self.text.len().div_ceil(4) as u64
    }

    /// As one JSON object.
    pub(super) fn whole(&self) -> Value {
        let (read, written) = (self.prompt_tokens, self.completion_tokens());
        match self.shape {
            Shape::Chat => {
                let mut message =
                    json!({"role": "assistant", "content": self.text, "refusal": null});
                if self.finish == "refusal" {
                    (message["content"], message["refusal"]) = (Value::Null, json!(self.text));
                } else if let Some(name) = &self.tool {
                    message["content"] = Value::Null;
                    message["tool_calls"] = json!([call(name, &self.text)]);
                }
                json!({
                    "id": self.id,
                    "object": "chat.completion",
                    "model": self.model,
                    "choices": [{
                        "index": 0,
                        "message": message,
                        "finish_reason": chat_reason(self.finish, self.tool.is_some()),
                    }],
                    "usage": {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written},
                })
            }
            Shape::Messages => {
                let block = if let Some(name) = &self.tool {
                    let input: Value = serde_json::from_str(&self.text).unwrap_or_default();
                    json!({"type": "tool_use", "id": "toolu_sim", "name": name, "input": input})
                } else {
                    json!({"type": "text", "text": self.text})
                };
                json!({
                    "id": self.id,
                    "type": "message",
                    "role": "assistant",
                    "model": self.model,
                    "content": [block],
                    "stop_reason": messages_reason(self.finish, self.tool.is_some()),
                    "usage": {"input_tokens": read, "output_tokens": written},
                })
            }
        }
    }

    /// As the events of a stream, each with its empty line. The last one is the mark of the end.
    pub(super) fn events(&self) -> Vec<String> {
        match self.shape {
            Shape::Chat => self.chunks(),
            Shape::Messages => self.blocks(),
        }
    }

    fn chunks(&self) -> Vec<String> {
        let chunk = |choices: Value, usage: Value| {
            let body = json!({"id": self.id, "object": "chat.completion.chunk", "model": self.model, "choices": choices, "usage": usage});
            format!("data: {body}\n\n")
        };
        let delta = |delta: Value, finish: Value| {
            chunk(
                json!([{"index": 0, "delta": delta, "finish_reason": finish}]),
                Value::Null,
            )
        };
        let piece = |text: &str| match &self.tool {
            Some(_) => json!({"tool_calls": [{"index": 0, "function": {"arguments": text}}]}),
            None if self.finish == "refusal" => json!({"refusal": text}),
            None => json!({"content": text}),
        };
        let mut events = vec![delta(
            json!({"role": "assistant", "content": ""}),
            Value::Null,
        )];
        if let Some(name) = &self.tool {
            let mut call = call(name, "");
            call["index"] = 0.into();
            events.push(delta(json!({"tool_calls": [call]}), Value::Null));
        }
        events.extend(pieces(&self.text).map(|p| delta(piece(p), Value::Null)));
        let reason = chat_reason(self.finish, self.tool.is_some());
        events.push(delta(json!({}), json!(reason)));
        let (read, written) = (self.prompt_tokens, self.completion_tokens());
        events.push(chunk(
            json!([]),
            json!({"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}),
        ));
        events.push("data: [DONE]\n\n".into());
        events
    }

    fn blocks(&self) -> Vec<String> {
        let event = |body: Value| {
            let name = body["type"].as_str().unwrap_or_default();
            format!("event: {name}\ndata: {body}\n\n")
        };
        let (kind, field, block) = if let Some(name) = &self.tool {
            (
                "input_json_delta",
                "partial_json",
                json!({"type": "tool_use", "id": "toolu_sim", "name": name, "input": {}}),
            )
        } else {
            ("text_delta", "text", json!({"type": "text", "text": ""}))
        };
        let mut events = vec![
            event(
                json!({"type": "message_start", "message": {"id": self.id, "type": "message", "role": "assistant", "model": self.model, "content": [], "stop_reason": null, "usage": {"input_tokens": self.prompt_tokens, "output_tokens": 1}}}),
            ),
            event(json!({"type": "content_block_start", "index": 0, "content_block": block})),
            event(json!({"type": "ping"})),
        ];
        events.extend(
            pieces(&self.text)
                .map(|p| event(json!({"type": "content_block_delta", "index": 0, "delta": {"type": kind, field: p}}))),
        );
        events.push(event(json!({"type": "content_block_stop", "index": 0})));
        events.push(event(json!({"type": "message_delta", "delta": {"stop_reason": messages_reason(self.finish, self.tool.is_some())}, "usage": {"output_tokens": self.completion_tokens()}})));
        events.push(event(json!({"type": "message_stop"})));
        events
    }

    /// The event of an error inside a stream.
    pub(super) fn error_event(&self) -> String {
        let body = error(self.shape, 529, None, "overloaded");
        match self.shape {
            Shape::Chat => format!("data: {body}\n\n"),
            Shape::Messages => format!("event: error\ndata: {body}\n\n"),
        }
    }
}

fn call(name: &str, arguments: &str) -> Value {
    json!({"id": "call_sim", "type": "function", "function": {"name": name, "arguments": arguments}})
}

fn chat_reason(finish: &'static str, as_tool: bool) -> &'static str {
    match finish {
        "refusal" => "stop",
        "stop" if as_tool => "tool_calls",
        other => other,
    }
}

fn messages_reason(finish: &str, as_tool: bool) -> &'static str {
    match finish {
        "length" => "max_tokens",
        "refusal" => "refusal",
        _ if as_tool => "tool_use",
        _ => "end_turn",
    }
}

/// Some characters each, as model servers cut them.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (piece, left) = rest.split_at(rest.ceil_char_boundary(rest.len().min(6)));
        rest = left;
        Some(piece)
    })
}

/// An error's body.
pub(super) fn error(shape: Shape, status: u16, code: Option<&str>, message: &str) -> Value {
    let kind = match status {
        400 | 422 => "invalid_request_error",
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        429 => "rate_limit_error",
        529 => "overloaded_error",
        _ => "api_error",
    };
    match shape {
        Shape::Chat => {
            let code = code.map_or_else(|| json!(status), |c| json!(c));
            json!({"error": {"message": message, "type": kind, "param": null, "code": code}})
        }
        Shape::Messages => {
            json!({"type": "error", "error": {"type": code.unwrap_or(kind), "message": message}})
        }
    }
}
