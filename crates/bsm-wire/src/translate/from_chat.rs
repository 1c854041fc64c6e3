//! The pieces of a chat completion, whole or streamed.

use serde_json::Value;

use super::answer::Piece;
use crate::error::WireError;
use crate::read::{End, Usage};

/// The tools of a stream, by the index and the id that the server gave them.
#[derive(Debug, Default)]
pub(super) struct Tools(Vec<(Option<u64>, String)>);

impl Tools {
    /// The tool that a delta belongs to, and whether it begins with it. Some servers give no index, some
    /// give 0 to all, some repeat the id with every piece.
    fn place(&mut self, index: Option<u64>, id: &str, name: &str) -> Option<(u64, bool)> {
        let by_id = |(_, known): &(Option<u64>, String)| !id.is_empty() && known == id;
        if let Some(at) = self.0.iter().rposition(by_id) {
            return Some((at as u64, false));
        }
        let by_index = |(known, _): &(Option<u64>, String)| index.is_none() || *known == index;
        let at = self.0.iter().rposition(by_index);
        let begins = !id.is_empty() || (!name.is_empty() && (at.is_none() || index.is_none()));
        if begins {
            self.0.push((index, id.to_owned()));
            return Some((self.0.len() as u64 - 1, true));
        }
        at.map(|at| (at as u64, false))
    }
}

pub(super) fn whole(body: &Value) -> Vec<Piece> {
    event(body, &mut Tools::default())
}

/// A chunk, or a whole answer: they differ in a name alone.
pub(super) fn event(chunk: &Value, tools: &mut Tools) -> Vec<Piece> {
    let mut pieces = Vec::new();
    if !chunk["error"].is_null() {
        return vec![Piece::Error(WireError::of(chunk))];
    }
    if let Some(model) = chunk["model"].as_str().filter(|m| !m.is_empty()) {
        pieces.push(Piece::Model(model.to_owned()));
    }
    let first = chunk["choices"].as_array().and_then(|all| {
        let is_first = |c: &&Value| c["index"].as_u64().unwrap_or(0) == 0;
        all.iter().find(is_first)
    });
    if let Some(choice) = first {
        let said = match &choice["delta"] {
            Value::Null => &choice["message"],
            delta => delta,
        };
        said_pieces(said, tools, &mut pieces);
        match choice["finish_reason"].as_str() {
            None | Some("") => {}
            Some("error") => pieces.push(Piece::Error(WireError {
                message: "the answer ended with an error".into(),
                ..WireError::default()
            })),
            Some(word) => pieces.push(Piece::End(End::of(word))),
        }
    }
    if chunk["usage"].is_object() {
        pieces.push(Piece::Usage(usage(&chunk["usage"])));
    }
    pieces
}

fn said_pieces(said: &Value, tools: &mut Tools, pieces: &mut Vec<Piece>) {
    let text = |value: &Value| value.as_str().filter(|t| !t.is_empty()).map(str::to_owned);
    let thought = text(&said["reasoning_content"]).or_else(|| text(&said["reasoning"]));
    pieces.extend(thought.map(Piece::Reasoning));
    match &said["content"] {
        Value::Array(parts) => {
            let texts = parts.iter().filter_map(|p| text(&p["text"]));
            pieces.extend(texts.map(Piece::Text));
        }
        content => pieces.extend(text(content).map(Piece::Text)),
    }
    pieces.extend(text(&said["refusal"]).map(Piece::Refusal));
    for call in said["tool_calls"].as_array().into_iter().flatten() {
        let id = call["id"].as_str().unwrap_or_default();
        let name = call["function"]["name"].as_str().unwrap_or_default();
        let Some((index, begins)) = tools.place(call["index"].as_u64(), id, name) else {
            continue;
        };
        if begins {
            pieces.push(Piece::Tool {
                index,
                id: id.to_owned(),
                name: name.to_owned(),
            });
        }
        if let Some(text) = text(&call["function"]["arguments"]) {
            pieces.push(Piece::Arguments { index, text });
        }
    }
}

fn usage(usage: &Value) -> Usage {
    let number = |value: &Value| value.as_u64().unwrap_or(0);
    let prompt = &usage["prompt_tokens_details"];
    Usage {
        input: number(&usage["prompt_tokens"]),
        output: number(&usage["completion_tokens"]),
        cached_read: number(&prompt["cached_tokens"]),
        cache_write: number(&prompt["cache_creation_tokens"]),
        reasoning: number(&usage["completion_tokens_details"]["reasoning_tokens"]),
    }
}
