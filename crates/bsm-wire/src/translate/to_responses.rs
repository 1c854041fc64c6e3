//! Writes an answer as one of OpenAI Responses, whole or streamed.

use serde_json::{Value, json};

use super::answer::{Block, Piece, Whole};
use super::types::AnswerContext;
use crate::read::{End, Usage};

fn usage_of(usage: Usage) -> Value {
    json!({
        "input_tokens": usage.input,
        "input_tokens_details": {"cached_tokens": usage.cached_read},
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.input.saturating_add(usage.output),
    })
}

/// The text of a custom tool's one argument.
fn custom_input(arguments: &str) -> String {
    let value: Value = serde_json::from_str(arguments).unwrap_or_default();
    value["input"].as_str().unwrap_or(arguments).to_owned()
}

/// An item of the output; `done`: as it is when it is complete.
fn item(block: &Block, at: usize, context: &AnswerContext, done: bool) -> Value {
    let status = if done { "completed" } else { "in_progress" };
    let id = &context.id;
    match block {
        Block::Text(text) => json!({
            "id": format!("msg_{id}_{at}"), "type": "message", "role": "assistant", "status": status,
            "content": if done { json!([text_part(text)]) } else { json!([]) },
        }),
        Block::Refusal(text) => json!({
            "id": format!("msg_{id}_{at}"), "type": "message", "role": "assistant", "status": status,
            "content": if done { json!([{"type": "refusal", "refusal": text}]) } else { json!([]) },
        }),
        Block::Reasoning { text, .. } => json!({
            "id": format!("rs_{id}_{at}"), "type": "reasoning", "status": status,
            "summary": if done { json!([{"type": "summary_text", "text": text}]) } else { json!([]) },
        }),
        Block::Tool {
            id: call,
            name,
            arguments,
            ..
        } if context.custom_tools.contains(name) => json!({
            "id": format!("ctc_{id}_{at}"), "type": "custom_tool_call", "status": status,
            "call_id": call, "name": name,
            "input": if done { custom_input(arguments) } else { String::new() },
        }),
        Block::Tool {
            id: call,
            name,
            arguments,
            ..
        } => json!({
            "id": format!("fc_{id}_{at}"), "type": "function_call", "status": status,
            "call_id": call, "name": name,
            "arguments": match (done, arguments.is_empty()) {
                (false, _) => "",
                (true, true) => "{}",
                (true, false) => arguments,
            },
        }),
    }
}

fn text_part(text: &str) -> Value {
    json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []})
}

fn response(answer: &Whole, context: &AnswerContext, done: bool) -> Value {
    let output = answer.blocks.iter().enumerate();
    let output: Vec<Value> = output
        .map(|(at, block)| item(block, at, context, true))
        .collect();
    let (status, reason) = match (done, &answer.end) {
        (false, _) => ("in_progress", None),
        (_, Some(End::Length)) => ("incomplete", Some("max_output_tokens")),
        (_, Some(End::ContentFilter)) => ("incomplete", Some("content_filter")),
        _ => ("completed", None),
    };
    json!({
        "id": format!("resp_{}", context.id), "object": "response", "created_at": context.created,
        "status": status, "error": null,
        "incomplete_details": reason.map(|reason| json!({"reason": reason})),
        "model": answer.model, "output": output,
        "usage": answer.usage.map(usage_of),
        "parallel_tool_calls": true, "tool_choice": "auto", "tools": [],
    })
}

pub(super) fn whole(answer: &Whole, context: &AnswerContext) -> Value {
    response(answer, context, true)
}

/// Writes a stream.
#[derive(Default)]
pub(super) struct Writer {
    answer: Whole,
    begun: bool,
    /// The item that is open stands last in the answer.
    open: bool,
    sequence: u64,
}

impl Writer {
    fn event(&mut self, kind: &str, mut data: Value, out: &mut Vec<u8>) {
        data["type"] = kind.into();
        data["sequence_number"] = self.sequence.into();
        self.sequence += 1;
        out.extend_from_slice(format!("event: {kind}\ndata: {data}\n\n").as_bytes());
    }

    /// The number that the next event will have.
    pub(super) fn sequence(&self) -> u64 {
        self.sequence
    }

    fn begin(&mut self, context: &AnswerContext, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.begun, true) {
            let begun = response(&self.answer, context, false);
            self.event("response.created", json!({"response": begun}), out);
            self.event("response.in_progress", json!({"response": begun}), out);
        }
    }

    fn last(&self) -> usize {
        self.answer.blocks.len().saturating_sub(1)
    }

    fn id(&self, context: &AnswerContext) -> Value {
        let block = self.answer.blocks.last();
        block.map_or(Value::Null, |b| {
            item(b, self.last(), context, false)["id"].clone()
        })
    }

    /// Ends the item that is open.
    fn close(&mut self, context: &AnswerContext, out: &mut Vec<u8>) {
        let Some(block) = self.answer.blocks.last().cloned().filter(|_| self.open) else {
            return;
        };
        self.open = false;
        let (at, id) = (self.last(), self.id(context));
        let done = item(&block, at, context, true);
        let place = |mut data: Value| {
            data["item_id"] = id.clone();
            data["output_index"] = at.into();
            data
        };
        match &block {
            Block::Text(text) => {
                let said = json!({"content_index": 0, "text": text, "logprobs": []});
                self.event("response.output_text.done", place(said), out);
                let part = json!({"content_index": 0, "part": done["content"][0]});
                self.event("response.content_part.done", place(part), out);
            }
            Block::Refusal(text) => {
                let said = json!({"content_index": 0, "refusal": text});
                self.event("response.refusal.done", place(said), out);
                let part = json!({"content_index": 0, "part": done["content"][0]});
                self.event("response.content_part.done", place(part), out);
            }
            Block::Reasoning { text, .. } => {
                let said = json!({"summary_index": 0, "text": text});
                self.event("response.reasoning_summary_text.done", place(said), out);
                let part = json!({"summary_index": 0, "part": done["summary"][0]});
                self.event("response.reasoning_summary_part.done", place(part), out);
            }
            Block::Tool { .. } if done["type"] == "custom_tool_call" => {
                let input = json!({"input": done["input"]});
                // Its input is known when it is whole: the arguments around it are the provider's.
                let whole = json!({"delta": done["input"]});
                self.event("response.custom_tool_call_input.delta", place(whole), out);
                self.event("response.custom_tool_call_input.done", place(input), out);
            }
            Block::Tool { name, .. } => {
                let said = json!({"arguments": done["arguments"], "name": name});
                self.event("response.function_call_arguments.done", place(said), out);
            }
        }
        let end = json!({"output_index": at, "item": done});
        self.event("response.output_item.done", end, out);
    }

    /// The item that was begun by the last piece.
    fn enter(&mut self, context: &AnswerContext, out: &mut Vec<u8>) {
        self.open = true;
        let at = self.last();
        let Some(block) = self.answer.blocks.last() else {
            return;
        };
        let added = item(block, at, context, false);
        let id = added["id"].clone();
        let (part, index) = match block {
            Block::Text(_) => (text_part(""), "content_index"),
            Block::Refusal(_) => (json!({"type": "refusal", "refusal": ""}), "content_index"),
            Block::Reasoning { .. } => {
                (json!({"type": "summary_text", "text": ""}), "summary_index")
            }
            Block::Tool { .. } => (Value::Null, ""),
        };
        let begins = json!({"output_index": at, "item": added});
        self.event("response.output_item.added", begins, out);
        if !part.is_null() {
            let kind = if index == "summary_index" {
                "response.reasoning_summary_part.added"
            } else {
                "response.content_part.added"
            };
            let begins = json!({"item_id": id, "output_index": at, index: 0, "part": part});
            self.event(kind, begins, out);
        }
    }

    pub(super) fn piece(&mut self, piece: Piece, context: &AnswerContext, out: &mut Vec<u8>) {
        let (kind, text, index) = match &piece {
            Piece::Text(text) => ("response.output_text.delta", text.clone(), "content_index"),
            Piece::Refusal(text) => ("response.refusal.delta", text.clone(), "content_index"),
            Piece::Reasoning(text) => (
                "response.reasoning_summary_text.delta",
                text.clone(),
                "summary_index",
            ),
            Piece::Tool { .. } => ("", String::new(), ""),
            Piece::Arguments { index, text } => {
                let is_open = matches!(self.answer.blocks.last(),
                    Some(Block::Tool { index: open, .. }) if open == index && self.open);
                let is_custom = matches!(self.answer.blocks.last(),
                    Some(Block::Tool { name, .. }) if context.custom_tools.contains(name));
                let kind = if is_open && !is_custom {
                    "response.function_call_arguments.delta"
                } else {
                    ""
                };
                (kind, text.clone(), "")
            }
            _ => {
                self.answer.add(piece);
                return;
            }
        };
        self.begin(context, out);
        let blocks = self.answer.blocks.len();
        // The end of the item before is written before the answer grows by another one.
        let mut next = Whole::default();
        next.blocks.extend(self.answer.blocks.last().cloned());
        next.add(piece.clone());
        let begins = next.blocks.len() > usize::from(blocks > 0);
        if begins {
            self.close(context, out);
        }
        self.answer.add(piece);
        if begins {
            self.enter(context, out);
        }
        if kind.is_empty() {
            return;
        }
        let mut data = json!({
            "item_id": self.id(context), "output_index": self.last(), "delta": text,
        });
        if !index.is_empty() {
            data[index] = json!(0);
        }
        if kind == "response.output_text.delta" {
            data["logprobs"] = json!([]);
        }
        self.event(kind, data, out);
    }

    pub(super) fn finish(&mut self, context: &AnswerContext, out: &mut Vec<u8>) {
        self.begin(context, out);
        self.close(context, out);
        let whole = response(&self.answer, context, true);
        let kind = if whole["status"] == "incomplete" {
            "response.incomplete"
        } else {
            "response.completed"
        };
        self.event(kind, json!({"response": whole}), out);
    }
}
