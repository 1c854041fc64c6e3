//! Subscribers of an answer while it comes.
//!
//! Why a replay buffer: one load answers many callers, and one that joins late must receive what it missed. Why
//! readers count: what somebody has read cannot be taken back, so after its first chunk a load that has
//! a reader neither retries nor falls back. For a subscriber that only shows the answer it begins again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};

use crate::model::phase::{PhaseChange, PhaseKind};
use crate::resilience::clock::lock;

/// What a subscriber receives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamChunk<'a> {
    /// The text so far is void: another attempt, another model.
    Again,
    /// More of the answer.
    Text(&'a str),
    /// The load waits for something else now.
    Phase(&'a PhaseChange),
}

/// Receives an answer chunk by chunk.
#[derive(Clone)]
pub struct Subscriber {
    /// It passes chunks on: nothing can be taken back.
    pub reads: bool,
    /// Called with every piece, on the load's task: it must not wait.
    pub on_chunk: Arc<dyn Fn(StreamChunk<'_>) + Send + Sync>,
}

impl std::fmt::Debug for Subscriber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Subscriber(reads: {})", self.reads)
    }
}

#[derive(Default)]
struct Inner {
    text: String,
    phase: Option<PhaseChange>,
    subscribers: Vec<(u64, Subscriber)>,
    joined: u64,
}

impl Inner {
    fn send(&self, chunk: &StreamChunk<'_>) {
        for (_, subscriber) in &self.subscribers {
            (subscriber.on_chunk)(chunk.clone());
        }
    }
}

/// One answer while it comes.
#[derive(Default)]
pub(super) struct ReplayBuffer(Mutex<Inner>);

/// A subscription to a load; it ends when this is dropped.
pub(super) struct Subscription {
    replay: Arc<ReplayBuffer>,
    number: u64,
}

impl Drop for Subscription {
    fn drop(&mut self) {
        lock(&self.replay.0)
            .subscribers
            .retain(|(number, _)| *number != self.number);
    }
}

impl ReplayBuffer {
    /// Lets somebody listen from now on, beginning with what has come already.
    pub(super) fn join(self: &Arc<Self>, listener: Subscriber) -> Subscription {
        let mut inner = lock(&self.0);
        if let Some(phase) = &inner.phase {
            (listener.on_chunk)(StreamChunk::Phase(phase));
        }
        if !inner.text.is_empty() {
            (listener.on_chunk)(StreamChunk::Text(&inner.text));
        }
        inner.joined += 1;
        let number = inner.joined;
        inner.subscribers.push((number, listener));
        Subscription {
            replay: Arc::clone(self),
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
            inner.send(&StreamChunk::Again);
        }
    }

    /// The load enters a phase.
    pub(super) fn enter(&self, phase: PhaseChange) {
        let mut inner = lock(&self.0);
        inner.send(&StreamChunk::Phase(&phase));
        inner.phase = Some(phase);
    }

    /// A piece has come. The first one ends the wait for it.
    pub(super) fn say(&self, text: &str) {
        let mut inner = lock(&self.0);
        if let Some(mut phase) = inner.phase.take() {
            if phase.kind == PhaseKind::Waiting {
                phase.kind = PhaseKind::Streaming;
                inner.send(&StreamChunk::Phase(&phase));
            }
            inner.phase = Some(phase);
        }
        inner.text.push_str(text);
        inner.send(&StreamChunk::Text(text));
    }

    /// Somebody has read a part of it.
    pub(super) fn is_read(&self) -> bool {
        let inner = lock(&self.0);
        !inner.text.is_empty() && inner.subscribers.iter().any(|(_, l)| l.reads)
    }
}

/// The replay buffers of all running loads, by their keys. A buffer ends with the last one who holds it.
#[derive(Default)]
pub(super) struct ReplayBuffers(Mutex<HashMap<String, Weak<ReplayBuffer>>>);

impl ReplayBuffers {
    /// The replay buffer of a key.
    pub(super) fn of(&self, key: &str) -> Arc<ReplayBuffer> {
        let mut all = lock(&self.0);
        if let Some(replay) = all.get(key).and_then(Weak::upgrade) {
            return replay;
        }
        if all.len() > 64 {
            all.retain(|_, replay| replay.strong_count() > 0);
        }
        let replay = Arc::new(ReplayBuffer::default());
        all.insert(key.to_owned(), Arc::downgrade(&replay));
        replay
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listener(reads: bool) -> (Subscriber, Arc<Mutex<String>>) {
        let received = Arc::new(Mutex::new(String::new()));
        let into = Arc::clone(&received);
        let on_chunk = Arc::new(move |h: StreamChunk<'_>| match h {
            StreamChunk::Again => lock(&into).push('|'),
            StreamChunk::Text(t) => lock(&into).push_str(t),
            StreamChunk::Phase(p) => lock(&into).push_str(&format!("<{}>", p.kind.as_str())),
        });
        (Subscriber { reads, on_chunk }, received)
    }

    #[test]
    fn who_joins_late_hears_what_it_missed_and_only_readers_bind() {
        let replays = ReplayBuffers::default();
        let replay = replays.of("k");
        let (watcher, watched) = listener(false);
        let watching = replay.join(watcher);
        replay.begin();
        replay.say("one ");
        assert!(!replay.is_read());
        let (reader, read) = listener(true);
        let reading = replays.of("k").join(reader);
        assert!(replay.is_read());
        replay.say("two");
        assert_eq!((&**lock(&watched), &**lock(&read)), ("one two", "one two"));
        replay.begin();
        replay.say("new");
        assert_eq!(&**lock(&watched), "one two|new");
        drop(reading);
        assert!(!replay.is_read(), "who has left binds nobody");
        replay.say(", unheard");
        assert_eq!(&**lock(&read), "one two|new");
        drop(watching);
        drop(replay);
        assert!(!replays.of("k").is_read(), "another load, another replay");
    }

    #[test]
    fn phase_reaches_who_joins_late_and_the_first_piece_ends_the_wait() {
        let replays = ReplayBuffers::default();
        let replay = replays.of("k");
        let enter = |kind| {
            replay.enter(PhaseChange {
                kind,
                provider: "openai".into(),
                model: "gpt".into(),
                attempt: 1,
                of: 3,
                reason: None,
            });
        };
        let (first, heard) = listener(false);
        let _first = replay.join(first);
        enter(PhaseKind::Queued);
        let (second, late) = listener(false);
        let _second = replay.join(second);
        enter(PhaseKind::Waiting);
        replay.say("a");
        replay.say("b");
        assert_eq!(&**lock(&heard), "<queued><waiting><streaming>ab");
        assert_eq!(&**lock(&late), "<queued><waiting><streaming>ab");
    }
}
