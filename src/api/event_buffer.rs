//! Events with numbers, the newest kept: who comes back after a cut link asks from the last number on.
//!
//! Why one reader of the engine's events for all: each is put into JSON once, and a reader that is too
//! slow misses some of them and is told how many, instead of being waited for.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use crate::engine::protocol::event::EventStream;
use crate::resilience::clock::lock;

/// Events kept for those who come back.
const KEPT: usize = 1_024;

/// A numbered event in JSON.
#[derive(Debug, Clone)]
pub(super) struct Numbered {
    pub(super) number: u64,
    pub(super) json: Arc<str>,
}

pub(super) struct Hub {
    kept: Mutex<VecDeque<Numbered>>,
    sender: broadcast::Sender<Numbered>,
}

impl Hub {
    pub(super) fn new(mut events: EventStream, stopping: CancellationToken) -> Arc<Self> {
        let (sender, _) = broadcast::channel(KEPT);
        let hub = Arc::new(Self {
            kept: Mutex::default(),
            sender,
        });
        let into = Arc::clone(&hub);
        tokio::spawn(async move {
            let mut number = 0;
            loop {
                let event = tokio::select! {
                    () = stopping.cancelled() => return,
                    event = events.next() => event,
                };
                let Some(event) = event else { return };
                number += 1;
                if let Ok(json) = serde_json::to_string(&event) {
                    into.add(Numbered {
                        number,
                        json: Arc::from(json),
                    });
                }
            }
        });
        hub
    }

    fn add(&self, event: Numbered) {
        let mut kept = lock(&self.kept);
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back(event.clone());
        // Nobody listens: it is kept all the same.
        let _ = self.sender.send(event);
    }

    /// What came after a number, and all that comes from now on. Without a number: from now on.
    pub(super) fn from(
        &self,
        after: Option<u64>,
    ) -> (Vec<Numbered>, broadcast::Receiver<Numbered>) {
        let kept = lock(&self.kept);
        let receiver = self.sender.subscribe();
        let missed = after.map_or_else(Vec::new, |after| {
            kept.iter().filter(|e| e.number > after).cloned().collect()
        });
        (missed, receiver)
    }
}
