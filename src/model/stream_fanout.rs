//! Who hears an answer while it comes.
//!
//! Why a tape: one flight answers many callers, and one that joins late must hear what it missed. Why
//! readers count: what somebody has read cannot be taken back, so after its first word a load that has
//! a reader neither retries nor falls back. Watchers only look on: for them it begins again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};

use crate::resilience::clock::lock;

/// What a listener is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamChunk<'a> {
    /// What came before counts no more: another attempt, another model.
    Again,
    /// More of the answer.
    Text(&'a str),
}

/// Somebody who listens.
#[derive(Clone)]
pub struct Subscriber {
    /// It passes on what it hears: nothing can be taken back.
    pub reads: bool,
    /// Called with every piece, on the load's task: it must not wait.
    pub hear: Arc<dyn Fn(StreamChunk<'_>) + Send + Sync>,
}

impl std::fmt::Debug for Subscriber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Subscriber(reads: {})", self.reads)
    }
}

#[derive(Default)]
struct Inner {
    text: String,
    listeners: Vec<(u64, Subscriber)>,
    joined: u64,
}

/// One answer in the making.
#[derive(Default)]
pub(super) struct ReplayBuffer(Mutex<Inner>);

/// A listener at a tape; it hears no more when this is dropped.
pub(super) struct Subscription {
    tape: Arc<ReplayBuffer>,
    number: u64,
}

impl Drop for Subscription {
    fn drop(&mut self) {
        lock(&self.tape.0)
            .listeners
            .retain(|(number, _)| *number != self.number);
    }
}

impl ReplayBuffer {
    /// Lets somebody listen from now on, beginning with what has come already.
    pub(super) fn join(self: &Arc<Self>, listener: Subscriber) -> Subscription {
        let mut inner = lock(&self.0);
        if !inner.text.is_empty() {
            (listener.hear)(StreamChunk::Text(&inner.text));
        }
        inner.joined += 1;
        let number = inner.joined;
        inner.listeners.push((number, listener));
        Subscription {
            tape: Arc::clone(self),
            number,
        }
    }

    /// Tokens of what has been said, estimated.
    pub(super) fn tokens(&self) -> u32 {
        crate::model::tokens::estimate_tokens(&lock(&self.0).text)
    }

    /// An attempt begins.
    pub(super) fn begin(&self) {
        let mut inner = lock(&self.0);
        if !std::mem::take(&mut inner.text).is_empty() {
            inner
                .listeners
                .iter()
                .for_each(|(_, l)| (l.hear)(StreamChunk::Again));
        }
    }

    /// A piece has come.
    pub(super) fn say(&self, text: &str) {
        let mut inner = lock(&self.0);
        inner.text.push_str(text);
        inner
            .listeners
            .iter()
            .for_each(|(_, l)| (l.hear)(StreamChunk::Text(text)));
    }

    /// Somebody has read a part of it.
    pub(super) fn is_read(&self) -> bool {
        let inner = lock(&self.0);
        !inner.text.is_empty() && inner.listeners.iter().any(|(_, l)| l.reads)
    }
}

/// The tapes of all loads under way, by their keys. A tape ends with the last one who holds it.
#[derive(Default)]
pub(super) struct ReplayBuffers(Mutex<HashMap<String, Weak<ReplayBuffer>>>);

impl ReplayBuffers {
    /// The tape of a key.
    pub(super) fn of(&self, key: &str) -> Arc<ReplayBuffer> {
        let mut all = lock(&self.0);
        if let Some(tape) = all.get(key).and_then(Weak::upgrade) {
            return tape;
        }
        if all.len() > 64 {
            all.retain(|_, tape| tape.strong_count() > 0);
        }
        let tape = Arc::new(ReplayBuffer::default());
        all.insert(key.to_owned(), Arc::downgrade(&tape));
        tape
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listener(reads: bool) -> (Subscriber, Arc<Mutex<String>>) {
        let heard = Arc::new(Mutex::new(String::new()));
        let into = Arc::clone(&heard);
        let hear = Arc::new(move |h: StreamChunk<'_>| match h {
            StreamChunk::Again => lock(&into).push('|'),
            StreamChunk::Text(t) => lock(&into).push_str(t),
        });
        (Subscriber { reads, hear }, heard)
    }

    #[test]
    fn who_joins_late_hears_what_it_missed_and_only_readers_bind() {
        let tapes = ReplayBuffers::default();
        let tape = tapes.of("k");
        let (watcher, watched) = listener(false);
        let watching = tape.join(watcher);
        tape.begin();
        tape.say("one ");
        assert!(!tape.is_read());
        let (reader, read) = listener(true);
        let reading = tapes.of("k").join(reader);
        assert!(tape.is_read());
        tape.say("two");
        assert_eq!((&**lock(&watched), &**lock(&read)), ("one two", "one two"));
        tape.begin();
        tape.say("new");
        assert_eq!(&**lock(&watched), "one two|new");
        drop(reading);
        assert!(!tape.is_read(), "who has left binds nobody");
        tape.say(", unheard");
        assert_eq!(&**lock(&read), "one two|new");
        drop(watching);
        drop(tape);
        assert!(!tapes.of("k").is_read(), "another load, another tape");
    }
}
