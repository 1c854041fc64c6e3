//! What a model says, while it says it: redacted, at most twenty times a second, as events.
//!
//! Why the whole and not the new piece: a secret may come in two pieces, and an event may be lost; what
//! is shown is always made from all that was said. The last word is held back until it is complete, for
//! the same reason.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::core::Core;
use super::types::event::Event;
use crate::model::hearing::{Heard, Listener};
use crate::resilience::clock::lock;
use crate::text::Untrusted;

/// Shortest time between two events about one answer.
const SHORTEST: Duration = Duration::from_millis(50);
/// Bytes of an answer that are looked at again for each event; its end.
const LOOKED_AT: usize = 16 << 10;

#[derive(Default)]
struct Said {
    text: String,
    told: Option<Instant>,
}

/// A listener that tells all consoles what a model says in `of`: a run, or a question.
pub fn aloud(core: &Arc<Core>, of: &str, agent: &str) -> Listener {
    let said = Mutex::new(Said::default());
    let (core, of, agent) = (Arc::downgrade(core), of.to_owned(), agent.to_owned());
    let hear = move |heard: Heard<'_>| {
        let Some(core) = core.upgrade() else { return };
        let mut said = lock(&said);
        match heard {
            Heard::Again => {
                said.text.clear();
                said.told = None;
            }
            Heard::Text(text) => said.text.push_str(text),
        }
        let now = core.clock.now();
        if said
            .told
            .is_some_and(|told| now.saturating_duration_since(told) < SHORTEST)
        {
            return;
        }
        said.told = Some(now);
        let text = Untrusted::new(core.redactor.load().text(complete(&said.text)));
        let (of, agent) = (of.clone(), agent.clone());
        // The picture does not change by it, and without listeners nobody misses it.
        let _ = core.events.send(Event::Said { of, agent, text });
    };
    Listener {
        reads: false,
        hear: Arc::new(hear),
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
