//! Writes an answer as a chat completion, whole or streamed.

use serde_json::{Value, json};

use super::answer::{Block, Piece, Whole};
use super::types::AnswerContext;
use crate::read::{End, Usage};

fn finish(end: Option<&End>) -> &'static str {
    match end {
        Some(End::Length) => "length",
        Some(End::ToolCalls) => "tool_calls",
        Some(End::ContentFilter | End::Refusal) => "content_filter",
        _ => "stop",
    }
}

fn usage_of(usage: Usage) -> Value {
    json!({
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.input.saturating_add(usage.output),
        "prompt_tokens_details": {"cached_tokens": usage.cached_read},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning},
    })
}

fn arguments_of(arguments: &str) -> &str {
    if arguments.is_empty() {
        "{}"
    } else {
        arguments
    }
}

pub(super) fn whole(answer: &Whole, context: &AnswerContext) -> Value {
    let (mut text, mut reasoning, mut refusal) = (String::new(), String::new(), String::new());
    let mut calls = Vec::new();
    for block in &answer.blocks {
        match block {
            Block::Text(said) => text.push_str(said),
            Block::Refusal(said) => refusal.push_str(said),
            Block::Reasoning { text, .. } => reasoning.push_str(text),
            Block::Tool {
                id,
                name,
                arguments,
                ..
            } => calls.push(json!({
                "id": id, "type": "function",
                "function": {"name": name, "arguments": arguments_of(arguments)},
            })),
        }
    }
    let mut message = json!({"role": "assistant", "content": text, "refusal": null});
    if text.is_empty() && !calls.is_empty() {
        message["content"] = Value::Null;
    }
    if !refusal.is_empty() {
        message["refusal"] = refusal.into();
    }
    if !reasoning.is_empty() {
        message["reasoning_content"] = reasoning.into();
    }
    if !calls.is_empty() {
        message["tool_calls"] = Value::Array(calls);
    }
    let mut body = json!({
        "id": format!("chatcmpl-{}", context.id),
        "object": "chat.completion",
        "created": context.created,
        "model": answer.model,
        "choices": [{
            "index": 0, "message": message, "logprobs": null,
            "finish_reason": finish(answer.end.as_ref()),
        }],
    });
    if let Some(usage) = answer.usage {
        body["usage"] = usage_of(usage);
    }
    body
}

/// Writes a stream.
#[derive(Default)]
pub(super) struct Writer {
    model: String,
    begun: bool,
    /// The indexes of the tools, in the order in which they came.
    tools: Vec<u64>,
    end: Option<End>,
    usage: Option<Usage>,
}

impl Writer {
    fn chunk(&self, context: &AnswerContext, choices: Value) -> Value {
        json!({
            "id": format!("chatcmpl-{}", context.id),
            "object": "chat.completion.chunk",
            "created": context.created,
            "model": self.model,
            "choices": choices,
        })
    }

    fn delta(&mut self, context: &AnswerContext, delta: Value, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.begun, true) {
            let role = json!({"role": "assistant", "content": ""});
            self.put(context, role, Value::Null, out);
        }
        self.put(context, delta, Value::Null, out);
    }

    fn put(&self, context: &AnswerContext, delta: Value, finish: Value, out: &mut Vec<u8>) {
        let choice =
            json!([{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish}]);
        data(&self.chunk(context, choice), out);
    }

    pub(super) fn piece(&mut self, piece: Piece, context: &AnswerContext, out: &mut Vec<u8>) {
        match piece {
            Piece::Model(model) => self.model = model,
            Piece::Text(text) => self.delta(context, json!({"content": text}), out),
            Piece::Refusal(text) => self.delta(context, json!({"refusal": text}), out),
            Piece::Reasoning(text) => self.delta(context, json!({"reasoning_content": text}), out),
            Piece::Tool { index, id, name } => {
                self.tools.push(index);
                let at = self.tools.len() - 1;
                let call = json!({
                    "index": at, "id": id, "type": "function",
                    "function": {"name": name, "arguments": ""},
                });
                self.delta(context, json!({"tool_calls": [call]}), out);
            }
            Piece::Arguments { index, text } => {
                if let Some(at) = self.tools.iter().rposition(|i| *i == index) {
                    let call = json!({"index": at, "function": {"arguments": text}});
                    self.delta(context, json!({"tool_calls": [call]}), out);
                }
            }
            Piece::Usage(usage) => self.usage = Some(usage),
            Piece::End(end) => self.end = Some(end),
            Piece::Signature(_) | Piece::Error(_) => {}
        }
    }

    pub(super) fn finish(&mut self, context: &AnswerContext, out: &mut Vec<u8>) {
        let word = finish(self.end.as_ref());
        self.put(context, json!({}), word.into(), out);
        if let Some(usage) = self.usage.filter(|_| context.include_usage) {
            let mut last = self.chunk(context, json!([]));
            last["usage"] = usage_of(usage);
            data(&last, out);
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
    }
}

fn data(value: &Value, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("data: {value}\n\n").as_bytes());
}
