//! What a wire form does, and the answer that it builds up.

use crate::model::ToolCall;
use crate::model::answer::Citation;
use crate::model::error::ModelError;
use crate::model::provider_request::Format;
use crate::model::provider_request::Request;
use crate::model::retry_hints::RetryHints;
use crate::model::tokens::Tokens;
use crate::model::tokens::estimate_tokens;
use crate::model::wire::quirks::ProviderQuirks;
use crate::model::wire::sse;
use crate::text::clean_line;
use crate::workspace::models::Structured;
use serde_json::Value;

/// Most tools that one answer may want used.
pub(crate) const MOST_CALLS: usize = 256;

/// How an answer ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FinishReason {
    /// The model had said all.
    Stop,
    /// At its length.
    Length,
    /// It waits for tools.
    LoadContext,
    /// By a filter or a refusal; the provider's words.
    Refused(String),
    /// By a word that is not known; outside text, as it is.
    Other(String),
}

/// An answer as far as it has been read.
#[derive(Debug, Default)]
pub struct AnswerBuilder {
    /// Its text.
    pub text: String,
    /// Tools that the model wants used, each with the number of its piece of the answer.
    calls: Vec<(u64, ToolCall)>,
    /// The tool whose arguments are the text: where a form is wanted and only tools have one.
    pub(crate) form: Option<String>,
    /// Pieces of any kind that the model has made: text, reasoning, arguments. What the clocks look at.
    pub pieces: u64,
    /// How it ended, once it has.
    pub finish: Option<FinishReason>,
    /// The model that it says it is of; outside text, as it is.
    pub model: Option<String>,
    /// Another answer came beside it.
    pub is_one_of_several: bool,
    /// The provider said that nothing more will come.
    pub done: bool,
    /// As the provider counts.
    pub tokens: Option<Tokens>,
    /// Where the model says it has it from.
    pub citations: Vec<Citation>,
}

impl AnswerBuilder {
    /// Nothing yet. `form`: the tool whose arguments will be the text.
    pub fn of(form: Option<String>) -> Self {
        Self {
            form,
            ..Self::default()
        }
    }

    /// Takes the answer's name for its model.
    pub fn name_model(&mut self, name: Option<&str>) {
        if let Some(name) = name.filter(|n| !n.trim().is_empty()) {
            self.model = Some(name.to_owned());
        }
    }

    /// The text is a tool's arguments.
    pub fn is_form(&self) -> bool {
        self.form.is_some()
    }

    /// Text of the answer.
    pub fn say(&mut self, text: &str) {
        if !text.is_empty() {
            self.text.push_str(text);
            self.pieces += 1;
        }
    }

    /// Tools that the model wants used.
    pub fn calls(&self) -> impl Iterator<Item = &ToolCall> {
        self.calls.iter().map(|(_, call)| call)
    }

    /// Tokens of what was said so far, estimated.
    pub fn estimate(&self) -> u64 {
        let calls = self
            .calls()
            .map(|c| u64::from(estimate_tokens(&c.arguments)));
        u64::from(estimate_tokens(&self.text)) + calls.sum::<u64>()
    }

    /// Bytes of what was said so far.
    pub fn weight(&self) -> usize {
        self.text.len() + self.calls().map(ToolCall::weight).sum::<usize>()
    }

    /// The tool that more may come of: the latest with this number, or of all.
    pub(crate) fn call_of(&self, piece: Option<u64>) -> Option<&ToolCall> {
        let mut calls = self.calls.iter().rev();
        let call = calls.find(|(n, _)| piece.is_none_or(|piece| piece == *n));
        call.map(|(_, call)| call)
    }

    /// The number of the last tool, or of a new one.
    pub(crate) fn call_number(&self, new: bool) -> u64 {
        let last = self.calls.iter().map(|(n, _)| *n).max();
        last.map_or(0, |n| n.saturating_add(u64::from(new)))
    }

    /// A tool is wanted. `piece`: the number by which what follows belongs to it.
    pub(crate) fn call(&mut self, piece: u64, id: &str, name: &str) -> Result<(), Fault> {
        if self.calls.len() >= MOST_CALLS {
            let what = format!("it wants more than {MOST_CALLS} tools used");
            return Err(Fault::Malformed(what));
        }
        self.pieces += 1;
        let call = ToolCall {
            id: id.to_owned(),
            name: name.to_owned(),
            arguments: String::new(),
        };
        self.calls.push((piece, call));
        Ok(())
    }

    /// More of a tool's arguments; false: no tool has this number.
    pub(crate) fn arguments(&mut self, piece: u64, text: &str) -> bool {
        let call = self.calls.iter_mut().rev().find(|(n, _)| *n == piece);
        let Some((_, call)) = call else { return false };
        self.pieces += u64::from(!text.is_empty());
        call.arguments.push_str(text);
        true
    }

    /// Puts everything said through `clean`.
    pub fn scrub(&mut self, clean: impl Fn(&str) -> String) {
        self.text = clean(&self.text);
        self.model = self.model.take().map(|name| clean(&name));
        if let Some(FinishReason::Other(word)) = &mut self.finish {
            *word = clean(word);
        }
        for (_, call) in &mut self.calls {
            call.arguments = clean(&call.arguments);
        }
    }

    /// A tool without arguments has none of nothing: an empty object.
    pub(crate) fn close_calls(&mut self) {
        let empty = self.calls.iter_mut().map(|(_, call)| &mut call.arguments);
        empty
            .filter(|arguments| arguments.is_empty())
            .for_each(|arguments| arguments.push_str("{}"));
    }

    /// Thought, and not part of the answer.
    pub fn think(&mut self, text: &str) {
        self.pieces += u64::from(!text.is_empty());
    }
}

/// What is wrong with a piece of an answer, before it is known whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It is not what the protocol says.
    Malformed(String),
    /// The provider reports an error inside an answer that had begun well.
    Reported {
        /// As a status would say it.
        status: u16,
        /// The provider's JSON.
        body: String,
    },
}

impl Fault {
    /// With the provider's name.
    pub fn of(self, provider: &str) -> ModelError {
        match self {
            Self::Malformed(message) => ModelError::Malformed {
                provider: provider.to_owned(),
                message,
            },
            Self::Reported { status, body } => {
                ModelError::from_answer(provider, status, &body, RetryHints::default())
            }
        }
    }
}

/// A serde error as a fault.
pub(crate) fn malformed(error: &serde_json::Error) -> Fault {
    let error = clean_line(&error.to_string(), 120);
    Fault::Malformed(format!("its body is not the JSON expected ({error})"))
}

/// A kind of provider.
pub trait Wire: Send + Sync {
    /// What is appended to the base address.
    fn route(&self) -> &'static str;

    /// The header that carries the key: name, and what stands before the key in it.
    fn key_header(&self) -> (&'static str, &'static str) {
        ("authorization", "Bearer ")
    }

    /// Headers that every question has.
    fn headers(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }

    /// How far its models can be held to a form, where their entry does not say.
    fn structured(&self) -> Structured;

    /// The tool whose arguments will be the answer's text, where a form is wanted that way.
    fn form(&self, _: &Request, _: ProviderQuirks) -> Option<String> {
        None
    }

    /// Its models can be held to this form; `tools`: beside tools.
    fn has_form(&self, format: &Format, structured: Structured, _tools: bool) -> bool {
        *format == Format::Text || structured != Structured::None
    }

    /// Its models can be offered tools.
    fn tools(&self) -> bool {
        true
    }

    /// Its models look things up: their answers age fast.
    fn searches(&self) -> bool {
        false
    }

    /// The question.
    fn body(&self, request: &Request, habits: ProviderQuirks) -> Value;

    /// Takes a whole answer in.
    ///
    /// # Errors
    /// When it is none.
    fn whole(&self, bytes: &[u8], draft: &mut AnswerBuilder) -> Result<(), Fault>;

    /// Takes one event of a stream in.
    ///
    /// # Errors
    /// When it is broken, or reports an error.
    fn event(&self, event: &sse::Event, draft: &mut AnswerBuilder) -> Result<(), Fault>;
}
