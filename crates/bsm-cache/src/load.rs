//! How a load starts, lands or is given up: the part of the cache that holds the board of flights.
//!
//! Why one lock: joining, storing and invalidating look at the board and at the store together, so that no
//! load that was superseded is stored and none is started twice.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use super::entry::{Entry, Found, Held, Tags, tags};
use super::{Cache, LoadError, Loading, count};
use crate::join::JoinOutcome;
use crate::single_flight;
use crate::single_flight::LoadSender;
use bsm_base::clock::lock;

/// A load's task. Whatever ends it, its waiters hear of it and the board is left clean.
struct LoadGuard<V, E>
where
    V: Send + Sync + 'static,
    E: std::fmt::Display + Send + Sync + 'static,
{
    cache: Arc<Cache<V, E>>,
    key: String,
    id: u64,
    sender: Arc<LoadSender<V, E>>,
    landed: bool,
}

impl<V, E> Drop for LoadGuard<V, E>
where
    V: Send + Sync + 'static,
    E: std::fmt::Display + Send + Sync + 'static,
{
    fn drop(&mut self) {
        if !self.landed {
            lock(&self.cache.in_flight).take(&self.key, self.id);
            self.cache.running.fetch_sub(1, Relaxed);
            count(&self.cache.counters.errors);
            self.sender.send_replace(Some(Err(LoadError::Panicked)));
        }
    }
}

impl<V, E> Cache<V, E>
where
    V: Send + Sync + 'static,
    E: std::fmt::Display + Send + Sync + 'static,
{
    /// Joins the flight of `key` or starts one, unless the key is held and rests after a failure.
    pub(super) fn join_or_start<F, Fut>(
        self: &Arc<Self>,
        key: &str,
        names: &[&str],
        background: bool,
        stale_at_hand: bool,
        load: F,
    ) -> JoinOutcome<V, E>
    where
        F: FnOnce(Loading) -> Fut + Send + 'static,
        Fut: Future<Output = Result<V, E>> + Send + 'static,
    {
        let (id, sender, receiver) = {
            let mut in_flight = lock(&self.in_flight);
            let protected = self.protected.load(Relaxed);
            if protected && let Some(receiver) = in_flight.join(key) {
                return JoinOutcome::Wait(receiver, false);
            }
            // A flight may have landed since the caller looked; receiver takes this same lock.
            match self.find(key) {
                found @ (Found::Fresh(..) | Found::Negative(_)) if protected => {
                    return JoinOutcome::Landed(found);
                }
                found @ Found::Stale(..) if protected && !background => {
                    return JoinOutcome::Landed(found);
                }
                Found::Stale(value, age) | Found::StaleIfError(value, age)
                    if in_flight.in_backoff(key, self.clock.now()) =>
                {
                    return JoinOutcome::Rests(value, age);
                }
                _ => {}
            }
            in_flight.start(key, tags(names), !protected)
        };
        count(&self.running);
        if background {
            count(&self.counters.refreshes);
        }
        let aboard = LoadGuard {
            cache: Arc::clone(self),
            key: key.to_owned(),
            id,
            sender,
            landed: false,
        };
        // In a box at once: the runtime moves a task several times, and a load is large.
        tokio::spawn(Box::pin(async move {
            let mut aboard = aboard;
            let (cache, key, sender) = (
                Arc::clone(&aboard.cache),
                aboard.key.clone(),
                Arc::clone(&aboard.sender),
            );
            let began = cache.clock.now();
            let loading = Loading {
                stale_at_hand,
                background,
            };
            let flying = single_flight::run_load(
                async move { load(loading).await },
                cache.spec.load_timeout,
            );
            tokio::pin!(flying);
            let result = loop {
                tokio::select! {
                    result = &mut flying => break result,
                    () = sender.closed(), if cache.spec.abandons && !background => {
                        if cache.give_up(&key, id, &sender) {
                            aboard.landed = true;
                            return; // dropping the load ends it
                        }
                    }
                }
            };
            cache.complete(&key, id, began, &result);
            aboard.landed = true;
            // Nobody may be left to hear it; the value is stored all the same.
            sender.send_replace(Some(result));
        }));
        JoinOutcome::Wait(receiver, true)
    }

    /// The last waiter left: forgets the flight, unless somebody has joined in the meantime.
    fn give_up(&self, key: &str, id: u64, sender: &LoadSender<V, E>) -> bool {
        let mut in_flight = lock(&self.in_flight);
        if sender.receiver_count() > 0 {
            return false;
        }
        in_flight.take(key, id);
        count(&self.counters.abandoned);
        self.running.fetch_sub(1, Relaxed);
        true
    }

    /// Stores a flight's value, unless the key was invalidated or reloaded since it started.
    pub(super) fn complete(
        &self,
        key: &str,
        id: u64,
        began: Instant,
        result: &Result<Arc<V>, LoadError<E>>,
    ) {
        let now = self.clock.now();
        let stored = {
            let mut in_flight = lock(&self.in_flight);
            let current = in_flight.take(key, id);
            match (current, result) {
                (Some(_), Ok(value)) if !(self.spec.keeps)(value) => false,
                (Some(tags), Ok(value)) => {
                    in_flight.succeeded(key);
                    self.keep(key, Held::Good(Arc::clone(value)), tags, now)
                }
                (Some(tags), Err(LoadError::Failed(error)))
                    if self.lives.keeps_nothing() && (self.spec.is_negative)(error) =>
                {
                    in_flight.succeeded(key);
                    self.keep(key, Held::Negative(Arc::clone(error)), tags, now);
                    false
                }
                (Some(_), Err(_)) => {
                    if self.store.contains_key(key) {
                        in_flight.failed(key, now);
                    }
                    false
                }
                (None, _) => false,
            }
        };
        self.note(result, stored, began, now);
    }

    /// Stores; true when it is there afterwards.
    fn keep(&self, key: &str, held: Held<V, E>, tags: Tags, now: Instant) -> bool {
        #[cfg(test)]
        bsm_base::interleave::point();
        let (weight, life) = match &held {
            Held::Good(value) => ((self.spec.weigh)(value), (self.spec.life)(value)),
            Held::Negative(_) => (64, 1.0),
        };
        let entry = Entry {
            weight,
            held,
            at: now,
            share: self.lives.share() * life,
            tags,
        };
        // A value that replaces its older self makes it leave, but not for want of room.
        let replaces = u64::from(self.store.contains_key(key));
        let mut gone = 0;
        self.store
            .insert_with_lifecycle(key.to_owned(), entry, &mut gone);
        self.counters
            .evictions
            .fetch_add(gone.saturating_sub(replaces), Relaxed);
        self.store.contains_key(key)
    }

    fn note(
        &self,
        result: &Result<Arc<V>, LoadError<E>>,
        stored: bool,
        began: Instant,
        now: Instant,
    ) {
        self.running.fetch_sub(1, Relaxed);
        let mut last = lock(&self.last);
        match result {
            Ok(_) => {
                count(&self.counters.loads);
                let took = now.saturating_duration_since(began).as_millis() as u64;
                self.counters.last_load_ms.store(took, Relaxed);
                last.error = None;
                if stored {
                    last.loaded_at = Some(now);
                    last.loaded_ms = Some(self.clock.wall_ms());
                }
            }
            Err(error) => {
                count(&self.counters.errors);
                last.error = Some(bsm_base::text::clean_line(&error.to_string(), 200));
            }
        }
    }
}
