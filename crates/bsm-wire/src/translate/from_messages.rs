//! The pieces of an answer of Anthropic Messages, whole or streamed.

use serde_json::Value;

use super::answer::Piece;
use crate::error::WireError;
use crate::read::{End, Usage};

pub(super) fn whole(body: &Value) -> Vec<Piece> {
    if body["type"] == "error" || !body["error"].is_null() {
        return vec![Piece::Error(WireError::of(body))];
    }
    let mut pieces = model(body);
    for (index, one) in body["content"].as_array().into_iter().flatten().enumerate() {
        pieces.extend(block(index as u64, one));
    }
    pieces.extend(body["stop_reason"].as_str().map(|w| Piece::End(End::of(w))));
    let mut tokens = Tokens::default();
    pieces.extend(tokens.take(&body["usage"]).map(Piece::Usage));
    pieces
}

fn model(message: &Value) -> Vec<Piece> {
    let name = message["model"].as_str().filter(|m| !m.is_empty());
    name.map(|m| Piece::Model(m.to_owned()))
        .into_iter()
        .collect()
}

/// The tokens of a stream: its beginning reports the prompt, its end the answer.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    plain: u64,
    usage: Usage,
}

impl Tokens {
    fn take(&mut self, reported: &Value) -> Option<Usage> {
        if !reported.is_object() {
            return None;
        }
        let number = |name: &str| reported[name].as_u64();
        let (usage, plain) = (&mut self.usage, &mut self.plain);
        *plain = number("input_tokens").unwrap_or(*plain);
        usage.cached_read = number("cache_read_input_tokens").unwrap_or(usage.cached_read);
        usage.cache_write = number("cache_creation_input_tokens").unwrap_or(usage.cache_write);
        usage.output = number("output_tokens").unwrap_or(usage.output);
        usage.input = plain
            .saturating_add(usage.cached_read)
            .saturating_add(usage.cache_write);
        Some(*usage)
    }
}

fn block(index: u64, block: &Value) -> Vec<Piece> {
    let text = |name: &str| {
        let text = block[name].as_str().unwrap_or_default();
        (!text.is_empty()).then(|| text.to_owned())
    };
    match block["type"].as_str() {
        Some("text") => text("text").map(Piece::Text).into_iter().collect(),
        Some("thinking") => {
            let thought = text("thinking").map(Piece::Reasoning);
            let seal = text("signature").map(Piece::Signature);
            thought.into_iter().chain(seal).collect()
        }
        Some("tool_use") => {
            let mut pieces = vec![Piece::Tool {
                index,
                id: text("id").unwrap_or_default(),
                name: text("name").unwrap_or_default(),
            }];
            if block["input"].as_object().is_some_and(|o| !o.is_empty()) {
                pieces.push(Piece::Arguments {
                    index,
                    text: block["input"].to_string(),
                });
            }
            pieces
        }
        _ => Vec::new(),
    }
}

pub(super) fn event(event: &Value, tokens: &mut Tokens) -> Vec<Piece> {
    let index = event["index"].as_u64().unwrap_or(0);
    match event["type"].as_str() {
        Some("error") => vec![Piece::Error(WireError::of(event))],
        Some("message_start") => {
            let message = &event["message"];
            let mut pieces = model(message);
            pieces.extend(tokens.take(&message["usage"]).map(Piece::Usage));
            pieces
        }
        Some("content_block_start") => block(index, &event["content_block"]),
        Some("content_block_delta") => {
            let text = |name: &str| {
                let text = event["delta"][name].as_str().unwrap_or_default();
                (!text.is_empty()).then(|| text.to_owned())
            };
            let said = [
                text("text").map(Piece::Text),
                text("thinking").map(Piece::Reasoning),
                text("signature").map(Piece::Signature),
                text("partial_json").map(|text| Piece::Arguments { index, text }),
            ];
            said.into_iter().flatten().collect()
        }
        Some("message_delta") => {
            let end = event["delta"]["stop_reason"].as_str();
            let mut pieces: Vec<Piece> = end.map(|w| Piece::End(End::of(w))).into_iter().collect();
            pieces.extend(tokens.take(&event["usage"]).map(Piece::Usage));
            pieces
        }
        _ => Vec::new(),
    }
}
