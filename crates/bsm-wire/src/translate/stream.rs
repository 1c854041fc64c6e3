//! A stream of one wire as a stream of another, piece by piece as they come.

use serde_json::Value;

use super::answer::{FormAsText, Piece};
use super::sequence::Sequence;
use super::types::{AnswerContext, TranslateError};
use super::{from_chat, from_messages, to_chat, to_messages, to_responses};
use crate::Wire;
use crate::read::LARGEST;
use crate::sse;

enum From {
    Chat(from_chat::Tools),
    Messages(from_messages::Tokens),
}

enum To {
    Chat(to_chat::Writer),
    Messages(to_messages::Writer),
    Responses(Box<to_responses::Writer>),
}

/// Translates one stream.
pub struct StreamTranslator {
    context: AnswerContext,
    parser: sse::Parser,
    form: FormAsText,
    sequence: Sequence,
    from: From,
    to: To,
    finished: bool,
}

impl StreamTranslator {
    /// From the provider's wire to the client's.
    ///
    /// # Errors
    /// There is no translation between the two.
    pub fn new(
        provider: Wire,
        client: Wire,
        context: AnswerContext,
    ) -> Result<Self, TranslateError> {
        let no = || TranslateError::Wires(provider, client);
        Ok(Self {
            context,
            parser: sse::Parser::up_to(LARGEST),
            form: FormAsText::default(),
            sequence: Sequence::default(),
            from: match provider {
                Wire::Chat => From::Chat(from_chat::Tools::default()),
                Wire::Messages => From::Messages(from_messages::Tokens::default()),
                _ => return Err(no()),
            },
            to: match client {
                Wire::Chat => To::Chat(to_chat::Writer::default()),
                Wire::Messages => To::Messages(to_messages::Writer::default()),
                Wire::Responses => To::Responses(Box::default()),
                _ => return Err(no()),
            },
            finished: false,
        })
    }

    /// Takes bytes of the provider's stream, cut anywhere; what they amount to is appended to `out`.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let mut events = Vec::new();
        // An event that is too large is one that is not understood.
        if self.parser.push(bytes, |e| events.push(e)).is_err() {
            self.parser = sse::Parser::up_to(LARGEST);
        }
        for event in events {
            self.event(&event, out);
        }
    }

    /// The provider's stream ended well: what closes the client's. Where it did not, the caller writes the
    /// error ([`crate::error::event`]) instead.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        let mut events = Vec::new();
        let _ = self.parser.finish(|e| events.push(e));
        for event in events {
            self.event(&event, out);
        }
        if std::mem::replace(&mut self.finished, true) {
            return;
        }
        for piece in self.sequence.finish() {
            self.write(piece, out);
        }
        match &mut self.to {
            To::Chat(writer) => writer.finish(&self.context, out),
            To::Messages(writer) => writer.finish(&self.context, out),
            To::Responses(writer) => writer.finish(&self.context, out),
        }
    }

    /// The number of the client's next event, where its wire numbers them.
    pub fn sequence(&self) -> u64 {
        match &self.to {
            To::Responses(writer) => writer.sequence(),
            _ => 0,
        }
    }

    fn event(&mut self, event: &sse::Event, out: &mut Vec<u8>) {
        let Ok(value) = serde_json::from_str::<Value>(&event.data) else {
            return;
        };
        let pieces = match &mut self.from {
            From::Chat(tools) => from_chat::event(&value, tools),
            From::Messages(tokens) => from_messages::event(&value, tokens),
        };
        for piece in pieces {
            let Some(piece) = self.form.adapt(piece, &self.context) else {
                continue;
            };
            for piece in self.sequence.take(piece) {
                self.write(piece, out);
            }
        }
    }

    fn write(&mut self, piece: Piece, out: &mut Vec<u8>) {
        match &mut self.to {
            To::Chat(writer) => writer.piece(piece, &self.context, out),
            To::Messages(writer) => writer.piece(piece, &self.context, out),
            To::Responses(writer) => writer.piece(piece, &self.context, out),
        }
    }
}
