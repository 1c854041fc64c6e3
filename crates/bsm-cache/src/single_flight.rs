//! Loads on their way: one for each key, many waiters, and rest for keys whose loads keep failing.

use std::collections::HashMap;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use tokio::sync::watch;

use super::entry::{Tags, has};
use crate::types::LoadError;

/// What every waiter of a flight holds.
pub(super) type LoadReceiver<V, E> = watch::Receiver<Option<Result<Arc<V>, LoadError<E>>>>;
pub(super) type LoadSender<V, E> = watch::Sender<Option<Result<Arc<V>, LoadError<E>>>>;

/// Rest after a failed load of a key that is held: a second, doubling with each failure.
const REST: Duration = Duration::from_secs(1);
const REST_MOST: Duration = Duration::from_secs(30);
/// Keys at rest; beyond it those whose rest is over are forgotten.
const RESTING_MOST: usize = 1_024;

/// A load on its way; its number tells it from a later one for the same key. It holds the sending end, so
/// that the receivers are the waiters and nobody else.
pub(super) struct Flight<V, E> {
    pub(super) id: u64,
    pub(super) sender: Arc<LoadSender<V, E>>,
    tags: Tags,
}

struct Rest {
    until: Instant,
    failures: u32,
}

/// All flights, under one lock. Storing, invalidating and joining all take it: that is what makes an
/// invalidation final.
pub(super) struct InFlightLoads<V, E> {
    flights: HashMap<String, Flight<V, E>>,
    /// Loads that nobody can join (stampede protection is off), by number: they too may store, unless
    /// their key is forgotten meanwhile.
    loose: HashMap<u64, (String, Tags)>,
    resting: HashMap<String, Rest>,
    next: u64,
}

impl<V, E> InFlightLoads<V, E> {
    pub(super) fn new() -> Self {
        Self {
            flights: HashMap::new(),
            loose: HashMap::new(),
            resting: HashMap::new(),
            next: 0,
        }
    }

    /// The running load of `key`.
    pub(super) fn join(&self, key: &str) -> Option<LoadReceiver<V, E>> {
        self.flights.get(key).map(|f| f.sender.subscribe())
    }

    /// A new flight; others may join it unless it is `loose`.
    pub(super) fn start(
        &mut self,
        key: &str,
        tags: Tags,
        loose: bool,
    ) -> (u64, Arc<LoadSender<V, E>>, LoadReceiver<V, E>) {
        let (sender, receiver) = watch::channel(None);
        let sender = Arc::new(sender);
        self.next += 1;
        if loose {
            self.loose.insert(self.next, (key.to_owned(), tags));
        } else {
            let flight = Flight {
                id: self.next,
                sender: Arc::clone(&sender),
                tags,
            };
            self.flights.insert(key.to_owned(), flight);
        }
        (self.next, sender, receiver)
    }

    /// Takes the flight off the board; `None` when its key was forgotten meanwhile.
    pub(super) fn take(&mut self, key: &str, id: u64) -> Option<Tags> {
        if let Some((_, tags)) = self.loose.remove(&id) {
            return Some(tags);
        }
        if self.flights.get(key).is_some_and(|f| f.id == id) {
            self.flights.remove(key).map(|f| f.tags)
        } else {
            None
        }
    }

    pub(super) fn forget(&mut self, key: &str) {
        self.flights.remove(key);
        self.loose.retain(|_, (k, _)| k != key);
        self.resting.remove(key);
    }

    pub(super) fn forget_tag(&mut self, tag: &str) {
        self.flights.retain(|_, f| !has(&f.tags, tag));
        self.loose.retain(|_, (_, tags)| !has(tags, tag));
    }

    pub(super) fn forget_all(&mut self) {
        self.flights.clear();
        self.loose.clear();
        self.resting.clear();
    }

    /// True while a key is left alone after a failed load.
    pub(super) fn in_backoff(&self, key: &str, now: Instant) -> bool {
        self.resting.get(key).is_some_and(|r| now < r.until)
    }

    pub(super) fn failed(&mut self, key: &str, now: Instant) {
        if self.resting.len() >= RESTING_MOST {
            self.resting.retain(|_, r| now < r.until);
        }
        if self.resting.len() >= RESTING_MOST {
            return; // the refresh limit of the upstream's own layers still holds
        }
        let rest = self.resting.entry(key.to_owned()).or_insert(Rest {
            until: now,
            failures: 0,
        });
        let wait = REST
            .saturating_mul(1 << rest.failures.min(10))
            .min(REST_MOST);
        rest.failures += 1;
        rest.until = now + wait;
    }

    pub(super) fn succeeded(&mut self, key: &str) {
        if !self.resting.is_empty() {
            self.resting.remove(key);
        }
    }
}

/// Runs a load, containing panics and hangs.
pub(super) async fn run_load<V, E, Fut>(load: Fut, limit: Duration) -> Result<Arc<V>, LoadError<E>>
where
    Fut: Future<Output = Result<V, E>>,
{
    // What a panic leaves half done is the loader's own; the cache is touched by nothing in here.
    let contained = AssertUnwindSafe(load).catch_unwind();
    match tokio::time::timeout(limit, contained).await {
        Ok(Ok(Ok(value))) => Ok(Arc::new(value)),
        Ok(Ok(Err(error))) => Err(LoadError::Failed(Arc::new(error))),
        Ok(Err(_)) => Err(LoadError::Panicked),
        Err(_) => Err(LoadError::TimedOut(limit)),
    }
}

/// Waits for a flight to land. The task's own guard says so if it dies before.
pub(super) async fn wait<V, E>(mut receiver: LoadReceiver<V, E>) -> Result<Arc<V>, LoadError<E>> {
    match receiver.wait_for(Option::is_some).await {
        Ok(result) => match &*result {
            Some(Ok(value)) => Ok(Arc::clone(value)),
            Some(Err(error)) => Err(error.clone()),
            None => Err(LoadError::Panicked),
        },
        // The task died without a word: the runtime is shutting down.
        Err(_) => Err(LoadError::Panicked),
    }
}
