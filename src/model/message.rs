//! What is said to a model and by it, tools included: no provider's form, so that every one can be asked.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::model::tokens::estimate_tokens;

/// Who says something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The one who asks.
    User,
    /// The model.
    Assistant,
    /// A tool that the model wanted used. Only the gateway passes such messages on.
    #[serde(skip_deserializing)]
    Tool,
}

impl Role {
    /// Its word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::Tool => "tool",
        }
    }
}

/// One thing said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// By whom.
    pub role: Role,
    /// What.
    #[serde(alias = "content")]
    pub text: String,
    /// Tools that the model wanted used.
    #[serde(skip)]
    pub calls: Vec<ToolCall>,
    /// The call that a tool's message answers.
    #[serde(skip)]
    pub answers: String,
    /// Who of several in this role said it; empty: nobody asks.
    #[serde(skip)]
    pub name: String,
}

impl Message {
    /// Words, and nothing else.
    pub fn new(role: Role, text: impl Into<String>) -> Self {
        Self {
            role,
            text: text.into(),
            calls: Vec::new(),
            answers: String::new(),
            name: String::new(),
        }
    }

    /// Its tokens, estimated.
    pub fn tokens(&self) -> u32 {
        let calls = self.calls.iter();
        calls
            .map(|c| estimate_tokens(&c.name).saturating_add(estimate_tokens(&c.arguments)))
            .fold(estimate_tokens(&self.text), u32::saturating_add)
    }
}

/// A tool that a model wants used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ToolCall {
    /// By which the tool's answer names it.
    pub id: String,
    /// The tool.
    pub name: String,
    /// JSON, as the model wrote it.
    pub arguments: String,
}

impl ToolCall {
    /// Bytes of what was said.
    pub fn weight(&self) -> usize {
        self.id.len() + self.name.len() + self.arguments.len()
    }
}

/// A tool that a model may want used.
#[derive(Debug, Clone, PartialEq)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// When to use it.
    pub description: Option<String>,
    /// A JSON schema.
    pub parameters: Option<Value>,
    /// The model must keep to the schema.
    pub strict: Option<bool>,
}

/// Whether the model may choose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToolChoice {
    /// It may.
    Auto,
    /// No tool.
    None,
    /// Some tool.
    Required,
    /// This one.
    Named(String),
}

/// What another program asks for beyond words.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RequestOptions {
    /// Tools at hand.
    pub tools: Vec<Tool>,
    /// Which of them.
    pub choice: Option<ToolChoice>,
    /// Several calls in one answer are welcome.
    pub parallel: Option<bool>,
    /// Where the answer ends.
    pub stop: Vec<String>,
    /// Share of likely words that are drawn from, 0 to 1.
    pub top_p: Option<f64>,
    /// Fields of chat completions that other kinds of providers do not know, and are asked without.
    pub chat: Map<String, Value>,
    /// Another program asks: its form is passed on as it is, what is refused of it says nothing of the model,
    /// and an answer that was cut off at its longest is one.
    pub passed_on: bool,
}

impl RequestOptions {
    /// None, which costs nothing.
    pub fn none() -> Arc<Self> {
        static NONE: std::sync::LazyLock<Arc<RequestOptions>> =
            std::sync::LazyLock::new(Arc::default);
        Arc::clone(&NONE)
    }

    /// Tokens of the tools, estimated.
    pub fn tokens(&self) -> u32 {
        let tools = self.tools.iter();
        let of = |tool: &Tool| {
            let parameters = tool.parameters.as_ref().map(Value::to_string);
            [
                Some(tool.name.as_str()),
                tool.description.as_deref(),
                parameters.as_deref(),
            ]
            .into_iter()
            .flatten()
            .map(estimate_tokens)
            .fold(0, u32::saturating_add)
        };
        tools.map(of).fold(0, u32::saturating_add)
    }
}
