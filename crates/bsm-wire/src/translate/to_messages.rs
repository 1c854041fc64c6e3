//! Writes an answer as one of Anthropic Messages, whole or streamed.

use serde_json::{Value, json};

use super::answer::{Block, Piece, Whole};
use super::types::AnswerContext;
use crate::read::{End, Usage};

fn stop_reason(end: Option<&End>) -> &'static str {
    match end {
        Some(End::Length) => "max_tokens",
        Some(End::ToolCalls) => "tool_use",
        Some(End::ContentFilter | End::Refusal) => "refusal",
        _ => "end_turn",
    }
}

fn usage_of(usage: Usage) -> Value {
    json!({
        "input_tokens": usage.input.saturating_sub(usage.cached_read.saturating_add(usage.cache_write)),
        "cache_creation_input_tokens": usage.cache_write,
        "cache_read_input_tokens": usage.cached_read,
        "output_tokens": usage.output,
    })
}

fn message(model: &str, context: &AnswerContext, content: Value, usage: Usage) -> Value {
    json!({
        "id": format!("msg_{}", context.id), "type": "message", "role": "assistant", "model": model,
        "content": content, "stop_reason": null, "stop_sequence": null, "usage": usage_of(usage),
    })
}

/// Arguments as an object; what is not one is kept as the text that it is.
fn input(arguments: &str) -> Value {
    if arguments.trim().is_empty() {
        return json!({});
    }
    serde_json::from_str(arguments).unwrap_or_else(|_| json!({"arguments": arguments}))
}

pub(super) fn whole(answer: &Whole, context: &AnswerContext) -> Value {
    let content = answer.blocks.iter().map(|block| match block {
        Block::Text(text) | Block::Refusal(text) => json!({"type": "text", "text": text}),
        Block::Reasoning { text, signature } => {
            json!({"type": "thinking", "thinking": text, "signature": signature})
        }
        Block::Tool {
            id,
            name,
            arguments,
            ..
        } => json!({"type": "tool_use", "id": id, "name": name, "input": input(arguments)}),
    });
    let content: Vec<Value> = content.collect();
    let usage = answer.usage.unwrap_or_default();
    let mut body = message(&answer.model, context, content.into(), usage);
    body["stop_reason"] = stop_reason(answer.end.as_ref()).into();
    body
}

/// What kind of block is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    Text,
    Thinking,
    Tool(u64),
}

/// Writes a stream.
#[derive(Default)]
pub(super) struct Writer {
    model: String,
    begun: bool,
    open: Option<Open>,
    /// The number of the block that is open, or of the next one.
    block: u64,
    end: Option<End>,
    usage: Usage,
}

impl Writer {
    fn event(kind: &str, mut data: Value, out: &mut Vec<u8>) {
        data["type"] = kind.into();
        out.extend_from_slice(format!("event: {kind}\ndata: {data}\n\n").as_bytes());
    }

    fn begin(&mut self, context: &AnswerContext, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.begun, true) {
            let start = message(&self.model, context, json!([]), self.usage);
            Self::event("message_start", json!({"message": start}), out);
        }
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        if self.open.take().is_some() {
            Self::event("content_block_stop", json!({"index": self.block}), out);
            self.block += 1;
        }
    }

    /// Opens a block, unless it is open.
    fn enter(&mut self, kind: Open, block: Value, context: &AnswerContext, out: &mut Vec<u8>) {
        self.begin(context, out);
        if self.open == Some(kind) {
            return;
        }
        self.close(out);
        self.open = Some(kind);
        let start = json!({"index": self.block, "content_block": block});
        Self::event("content_block_start", start, out);
    }

    fn delta(&self, delta: Value, out: &mut Vec<u8>) {
        let delta = json!({"index": self.block, "delta": delta});
        Self::event("content_block_delta", delta, out);
    }

    pub(super) fn piece(&mut self, piece: Piece, context: &AnswerContext, out: &mut Vec<u8>) {
        match piece {
            Piece::Model(model) => self.model = model,
            Piece::Text(text) | Piece::Refusal(text) => {
                let empty = json!({"type": "text", "text": ""});
                self.enter(Open::Text, empty, context, out);
                self.delta(json!({"type": "text_delta", "text": text}), out);
            }
            Piece::Reasoning(text) => {
                let empty = json!({"type": "thinking", "thinking": "", "signature": ""});
                self.enter(Open::Thinking, empty, context, out);
                self.delta(json!({"type": "thinking_delta", "thinking": text}), out);
            }
            Piece::Signature(text) if self.open == Some(Open::Thinking) => {
                self.delta(json!({"type": "signature_delta", "signature": text}), out);
            }
            Piece::Tool { index, id, name } => {
                let empty = json!({"type": "tool_use", "id": id, "name": name, "input": {}});
                self.enter(Open::Tool(index), empty, context, out);
            }
            // Blocks follow one another: what comes for one that is closed has no place.
            Piece::Arguments { index, text } if self.open == Some(Open::Tool(index)) => {
                self.delta(
                    json!({"type": "input_json_delta", "partial_json": text}),
                    out,
                );
            }
            Piece::Usage(usage) => self.usage = usage,
            Piece::End(end) => self.end = Some(end),
            Piece::Signature(_) | Piece::Arguments { .. } | Piece::Error(_) => {}
        }
    }

    pub(super) fn finish(&mut self, context: &AnswerContext, out: &mut Vec<u8>) {
        self.begin(context, out);
        self.close(out);
        let delta = json!({
            "delta": {"stop_reason": stop_reason(self.end.as_ref()), "stop_sequence": null},
            "usage": usage_of(self.usage),
        });
        Self::event("message_delta", delta, out);
        Self::event("message_stop", json!({}), out);
    }
}
