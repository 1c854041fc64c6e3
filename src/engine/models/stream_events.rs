//! Partial answers of a model as events: redacted, at most twenty times a second.
//!
//! Why the whole text and not the new chunk: a secret may arrive in two chunks, and an event may be lost;
//! each event carries all that came so far. The last word is held back until it is complete, for the same
//! reason.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::engine::config::store::ConfigStore;
use crate::engine::notifier::Notifier;
use crate::engine::protocol::event::Event;
use crate::model::stream_fanout::{StreamChunk, Subscriber};
use crate::resilience::clock::{Clock, lock};
use crate::text::Untrusted;

/// Shortest time between two events about one answer.
const SHORTEST: Duration = Duration::from_millis(50);
/// Bytes at the end of an answer that are redacted again for each event.
const LOOKED_AT: usize = 16 << 10;

/// One per engine.
pub struct StreamEvents {
    clock: Arc<dyn Clock>,
    store: Arc<ConfigStore>,
    notifier: Arc<Notifier>,
}

#[derive(Default)]
struct PartialAnswer {
    text: String,
    published: Option<Instant>,
}

impl StreamEvents {
    /// Publishes through `notifier` what the store's redactor leaves.
    pub fn new(
        clock: Arc<dyn Clock>,
        store: Arc<ConfigStore>,
        notifier: Arc<Notifier>,
    ) -> Arc<Self> {
        Arc::new(Self {
            clock,
            store,
            notifier,
        })
    }

    /// A listener that publishes what a model says in `of`, the id of a run or of a question.
    pub fn listener(self: &Arc<Self>, of: &str, agent: &str) -> Subscriber {
        let partial = Mutex::new(PartialAnswer::default());
        let (events, of, agent) = (Arc::clone(self), of.to_owned(), agent.to_owned());
        let on_chunk = move |chunk: StreamChunk<'_>| {
            let mut partial = lock(&partial);
            match chunk {
                StreamChunk::Again => *partial = PartialAnswer::default(),
                StreamChunk::Text(text) => partial.text.push_str(text),
                StreamChunk::Phase(_) => return,
            }
            let now = events.clock.now();
            if partial
                .published
                .is_some_and(|at| now.saturating_duration_since(at) < SHORTEST)
            {
                return;
            }
            partial.published = Some(now);
            let redactor = events.store.redactor();
            let text = Untrusted::new(redactor.text(complete(&partial.text)));
            let (of, agent) = (of.clone(), agent.clone());
            events
                .notifier
                .publish_only(Event::Said { of, agent, text });
        };
        Subscriber {
            reads: false,
            on_chunk: Arc::new(on_chunk),
        }
    }
}

/// Whole words, the last [`LOOKED_AT`] bytes of them.
fn complete(text: &str) -> &str {
    let end = text.rfind(char::is_whitespace).unwrap_or(0);
    let text = &text[..end];
    if text.len() <= LOOKED_AT {
        return text;
    }
    let from = text.len() - LOOKED_AT;
    // From a line's beginning: half a secret is not recognised as one.
    text[text.ceil_char_boundary(from)..]
        .split_once('\n')
        .map_or("", |(_, rest)| rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_waits_until_it_is_complete() {
        assert_eq!(complete("one two thr"), "one two");
        assert_eq!(complete("one"), "");
        let long = format!("first{}\nlast line é ", "x".repeat(LOOKED_AT));
        assert_eq!(complete(&long), "last line é");
    }
}
