//! What is known of an answer: figures, its end, its tools. Nothing of its text is kept.

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use crate::error::WireError;

/// Tokens that an answer used, as its provider counts them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Usage {
    /// All tokens of the prompt, those that came from or went into a cache included. OpenAI and Gemini
    /// count so; Anthropic's three figures are added up.
    pub input: u64,
    /// All tokens that were made, the reasoning included.
    pub output: u64,
    /// Of the input: read from the provider's cache.
    pub cached_read: u64,
    /// Of the input: written to the provider's cache.
    pub cache_write: u64,
    /// Of the output: reasoning.
    pub reasoning: u64,
}

/// How an answer ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The model had said all.
    Stop,
    /// At its length.
    Length,
    /// It waits for tools.
    ToolCalls,
    /// A content filter cut it.
    ContentFilter,
    /// The model refused.
    Refusal,
    /// By a word that is not known here.
    Other(String),
}

impl End {
    pub(crate) fn of(word: &str) -> Self {
        match word {
            "stop" | "end_turn" | "stop_sequence" | "completed" | "STOP" => Self::Stop,
            "length"
            | "max_tokens"
            | "max_output_tokens"
            | "MAX_TOKENS"
            | "model_context_window_exceeded" => Self::Length,
            "tool_calls" | "function_call" | "tool_use" => Self::ToolCalls,
            "content_filter" | "SAFETY" | "PROHIBITED_CONTENT" | "BLOCKLIST" | "SPII" => {
                Self::ContentFilter
            }
            "refusal" => Self::Refusal,
            other => Self::Other(other.chars().take(60).collect()),
        }
    }
}

/// A tool that the model wants used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolUse {
    /// Its name.
    pub name: String,
    /// Hash of its arguments: two calls that are alike have the same.
    pub arguments: u64,
}

/// Most tools that are noted of one answer.
const MOST_TOOLS: usize = 64;

/// What is known of an answer so far.
#[derive(Default)]
pub struct Seen {
    /// Tokens, once they are reported.
    pub usage: Option<Usage>,
    /// The model that it says it is of.
    pub model: Option<String>,
    /// The model has made something: text, reasoning, arguments of a tool.
    pub has_content: bool,
    /// How it ended, once that is known.
    pub end: Option<End>,
    /// The wire's own end mark came; nothing is missing.
    pub is_complete: bool,
    /// An error that came inside an answer that had begun well.
    pub error: Option<WireError>,
    /// An event or body that is not the JSON that the wire promises.
    pub is_malformed: bool,
    /// Bytes of text and arguments so far: from them tokens are estimated where none are reported.
    pub content_bytes: u64,
    tools: Vec<(u64, String, Xxh3)>,
    text: Xxh3,
}

impl Seen {
    pub(super) fn text(&mut self, text: &str) {
        if !text.is_empty() {
            self.has_content = true;
            self.content_bytes += text.len() as u64;
            self.text.update(text.as_bytes());
        }
    }

    pub(super) fn thought(&mut self, text: &str) {
        if !text.is_empty() {
            self.has_content = true;
            self.content_bytes += text.len() as u64;
        }
    }

    pub(super) fn tool(&mut self, index: u64, name: &str) {
        self.has_content = true;
        if self.tools.len() < MOST_TOOLS {
            let name = name.chars().take(120).collect();
            self.tools.push((index, name, Xxh3::new()));
        }
    }

    pub(super) fn arguments(&mut self, index: u64, text: &str) {
        if text.is_empty() {
            return;
        }
        self.has_content = true;
        self.content_bytes += text.len() as u64;
        let tool = self.tools.iter_mut().rev().find(|(i, ..)| *i == index);
        if let Some((_, _, hash)) = tool {
            hash.update(text.as_bytes());
        }
    }

    pub(super) fn has_tool(&self, index: u64) -> bool {
        self.tools.iter().any(|(i, ..)| *i == index)
    }

    pub(super) fn tool_count(&self) -> u64 {
        self.tools.len() as u64
    }

    pub(super) fn ended(&mut self, word: &str) {
        // An empty word is none: some servers send it with every chunk.
        if !word.is_empty() {
            self.end = Some(End::of(word));
        }
    }

    pub(super) fn name_model(&mut self, name: Option<String>) {
        if let Some(name) = name.filter(|n| !n.trim().is_empty()) {
            self.model.get_or_insert(name.chars().take(200).collect());
        }
    }

    /// The tools that the model wants used, in their order.
    pub fn tools(&self) -> Vec<ToolUse> {
        let all = self.tools.iter();
        all.map(|(_, name, hash)| ToolUse {
            name: name.clone(),
            arguments: hash.digest(),
        })
        .collect()
    }

    /// A hash of the text and the tools: two answers that say the same have the same.
    pub fn fingerprint(&self) -> u64 {
        let mut all = self.text.digest().to_le_bytes().to_vec();
        for (_, name, hash) in &self.tools {
            all.extend_from_slice(name.as_bytes());
            all.extend_from_slice(&hash.digest().to_le_bytes());
        }
        xxh3_64(&all)
    }
}
