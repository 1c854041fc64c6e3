//! Reads an answer while it passes: usage, the model that answered, how it ended, what went wrong.
//!
//! Why leniently: the answer goes to the client whatever is read of it here. A field of another type is
//! a field that is not known; it spoils nothing. Nothing of the answer is kept but figures.

mod chat;
mod gemini;
mod lenient;
mod messages;
mod responses;
mod seen;

pub use self::seen::{End, Seen, ToolUse, Usage};

use crate::Wire;
use crate::sse;

/// Largest event of a stream, bytes: images come in them.
pub(crate) const LARGEST: usize = 8 << 20;

/// Reads one answer.
pub struct Reader {
    wire: Wire,
    parser: sse::Parser,
    /// What is known so far.
    pub seen: Seen,
}

impl Reader {
    /// Nothing read yet.
    pub fn new(wire: Wire) -> Self {
        Self {
            wire,
            parser: sse::Parser::up_to(LARGEST),
            seen: Seen::default(),
        }
    }

    /// More bytes of a stream, cut anywhere.
    pub fn push(&mut self, bytes: &[u8]) {
        let (wire, seen) = (self.wire, &mut self.seen);
        let read = self.parser.push(bytes, |event| take(wire, &event, seen));
        if read.is_err() {
            // The event is larger than any that is meant to be read; what follows is not understood.
            self.parser = sse::Parser::up_to(LARGEST);
            self.seen.is_malformed = true;
        }
    }

    /// The stream is over.
    pub fn finish(&mut self) {
        let (wire, seen) = (self.wire, &mut self.seen);
        let rest = self.parser.finish(|event| take(wire, &event, seen));
        self.seen.is_malformed |= rest.is_err();
    }

    /// A whole answer at once.
    pub fn whole(&mut self, body: &[u8]) {
        let seen = &mut self.seen;
        let read = match self.wire {
            Wire::Chat | Wire::Completions | Wire::Embeddings => chat::whole(body, seen),
            Wire::Responses => responses::whole(body, seen),
            Wire::Messages => messages::whole(body, seen),
            Wire::CountTokens | Wire::GeminiCount => {
                serde_json::from_slice::<serde::de::IgnoredAny>(body).map(drop)
            }
            Wire::Gemini => gemini::whole(body, seen),
        };
        match read {
            Ok(()) => self.seen.is_complete = self.seen.error.is_none(),
            Err(_) => self.seen.is_malformed = true,
        }
    }
}

fn take(wire: Wire, event: &sse::Event, seen: &mut Seen) {
    let data = event.data.trim();
    if data == "[DONE]" {
        seen.is_complete = true;
        return;
    }
    let read = match wire {
        Wire::Responses => responses::event(data, seen),
        Wire::Messages | Wire::CountTokens => messages::event(data, seen),
        Wire::Gemini | Wire::GeminiCount => gemini::event(data, seen),
        Wire::Chat | Wire::Completions | Wire::Embeddings => chat::event(data, seen),
    };
    if read.is_err() {
        seen.is_malformed = true;
    }
}

#[cfg(test)]
mod tests;
