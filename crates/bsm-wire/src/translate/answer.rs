//! An answer in no wire's form: its pieces as they come, and what they amount to.

use super::types::AnswerContext;
use crate::error::WireError;
use crate::read::{End, Usage};

/// A piece of an answer.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Piece {
    /// The model that it says it is of.
    Model(String),
    Text(String),
    Refusal(String),
    /// Thought before the answer.
    Reasoning(String),
    /// What seals the thought, so that its provider takes it back.
    Signature(String),
    /// A tool is wanted; `index` is its number in this answer.
    Tool {
        index: u64,
        id: String,
        name: String,
    },
    Arguments {
        index: u64,
        text: String,
    },
    Usage(Usage),
    End(End),
    Error(WireError),
}

/// Turns the tool that stands for a form into the text that was asked for.
#[derive(Debug, Default)]
pub(super) struct FormAsText {
    index: Option<u64>,
}

impl FormAsText {
    pub(super) fn adapt(&mut self, piece: Piece, context: &AnswerContext) -> Option<Piece> {
        let Some(form) = &context.form else {
            return Some(piece);
        };
        match piece {
            Piece::Tool { index, name, .. } if name == *form => {
                self.index = Some(index);
                None
            }
            Piece::Arguments { index, text } if self.index == Some(index) => {
                Some(Piece::Text(text))
            }
            Piece::End(End::ToolCalls) if self.index.is_some() => Some(Piece::End(End::Stop)),
            other => Some(other),
        }
    }
}

/// A part of a whole answer.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Block {
    Text(String),
    Refusal(String),
    Reasoning {
        text: String,
        signature: String,
    },
    Tool {
        index: u64,
        id: String,
        name: String,
        arguments: String,
    },
}

/// A whole answer.
#[derive(Debug, Default)]
pub(super) struct Whole {
    pub(super) model: String,
    pub(super) blocks: Vec<Block>,
    pub(super) end: Option<End>,
    pub(super) usage: Option<Usage>,
}

impl Whole {
    pub(super) fn of(pieces: Vec<Piece>, context: &AnswerContext) -> Self {
        let (mut whole, mut form) = (Self::default(), FormAsText::default());
        for piece in pieces {
            if let Some(piece) = form.adapt(piece, context) {
                whole.add(piece);
            }
        }
        whole
    }

    pub(super) fn add(&mut self, piece: Piece) {
        match (piece, self.blocks.last_mut()) {
            (Piece::Model(model), _) => self.model = model,
            (Piece::Usage(usage), _) => self.usage = Some(usage),
            (Piece::End(end), _) => self.end = Some(end),
            (Piece::Error(_), _) => {}
            (Piece::Text(text), Some(Block::Text(said))) => said.push_str(&text),
            (Piece::Text(text), _) => self.blocks.push(Block::Text(text)),
            (Piece::Refusal(text), Some(Block::Refusal(said))) => said.push_str(&text),
            (Piece::Refusal(text), _) => self.blocks.push(Block::Refusal(text)),
            (Piece::Reasoning(more), Some(Block::Reasoning { text, signature }))
                if signature.is_empty() =>
            {
                text.push_str(&more);
            }
            (Piece::Reasoning(text), _) => self.blocks.push(Block::Reasoning {
                text,
                signature: String::new(),
            }),
            (Piece::Signature(more), Some(Block::Reasoning { signature, .. })) => {
                signature.push_str(&more);
            }
            (Piece::Signature(_), _) => {}
            (Piece::Tool { index, id, name }, _) => self.blocks.push(Block::Tool {
                index,
                id,
                name,
                arguments: String::new(),
            }),
            (Piece::Arguments { index: of, text }, _) => {
                let tool = self.blocks.iter_mut().rev().find_map(|block| match block {
                    Block::Tool {
                        index, arguments, ..
                    } if *index == of => Some(arguments),
                    _ => None,
                });
                if let Some(arguments) = tool {
                    arguments.push_str(&text);
                }
            }
        }
    }
}
