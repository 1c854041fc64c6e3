//! How a load starts, lands or is given up: the part of the cache that holds the board of flights.
//!
//! Why one lock: joining, storing and invalidating look at the board and at the store together, so that no
//! load that was superseded is stored and none is started twice.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use super::entry::{Entry, Found, Held, Tags, tags};
use super::flight::{self, Tower};
use super::{Cache, LoadError, Loading, count};
use crate::join::Way;
use bsm_base::clock::lock;

/// A load's task. Whatever ends it, its waiters hear of it and the board is left clean.
struct Aboard<V, E>
where
    V: Send + Sync + 'static,
    E: std::fmt::Display + Send + Sync + 'static,
{
    cache: Arc<Cache<V, E>>,
    key: String,
    id: u64,
    tower: Arc<Tower<V, E>>,
    landed: bool,
}

impl<V, E> Drop for Aboard<V, E>
where
    V: Send + Sync + 'static,
    E: std::fmt::Display + Send + Sync + 'static,
{
    fn drop(&mut self) {
        if !self.landed {
            lock(&self.cache.sky).take(&self.key, self.id);
            self.cache.running.fetch_sub(1, Relaxed);
            count(&self.cache.counters.errors);
            self.tower.send_replace(Some(Err(LoadError::Panicked)));
        }
    }
}

impl<V, E> Cache<V, E>
where
    V: Send + Sync + 'static,
    E: std::fmt::Display + Send + Sync + 'static,
{
    /// Joins the flight of `key` or starts one, unless the key is held and rests after a failure.
    pub(super) fn depart<F, Fut>(
        self: &Arc<Self>,
        key: &str,
        names: &[&str],
        background: bool,
        stale_at_hand: bool,
        load: F,
    ) -> Way<V, E>
    where
        F: FnOnce(Loading) -> Fut + Send + 'static,
        Fut: Future<Output = Result<V, E>> + Send + 'static,
    {
        let (id, tower, landing) = {
            let mut sky = lock(&self.sky);
            let protected = self.protected.load(Relaxed);
            if protected && let Some(landing) = sky.join(key) {
                return Way::Wait(landing, false);
            }
            // A flight may have landed since the caller looked; landing takes this same lock.
            match self.look(key) {
                found @ (Found::Fresh(..) | Found::Nothing(_)) if protected => {
                    return Way::Landed(found);
                }
                found @ Found::Stale(..) if protected && !background => return Way::Landed(found),
                Found::Stale(value, age) | Found::InNeed(value, age)
                    if sky.rests(key, self.clock.now()) =>
                {
                    return Way::Rests(value, age);
                }
                _ => {}
            }
            sky.start(key, tags(names), !protected)
        };
        count(&self.running);
        if background {
            count(&self.counters.refreshes);
        }
        let aboard = Aboard {
            cache: Arc::clone(self),
            key: key.to_owned(),
            id,
            tower,
            landed: false,
        };
        // In a box at once: the runtime moves a task several times, and a load is large.
        tokio::spawn(Box::pin(async move {
            let mut aboard = aboard;
            let (cache, key, tower) = (
                Arc::clone(&aboard.cache),
                aboard.key.clone(),
                Arc::clone(&aboard.tower),
            );
            let began = cache.clock.now();
            let loading = Loading {
                stale_at_hand,
                background,
            };
            let flying = flight::fly(async move { load(loading).await }, cache.spec.load_timeout);
            tokio::pin!(flying);
            let result = loop {
                tokio::select! {
                    result = &mut flying => break result,
                    () = tower.closed(), if cache.spec.abandons && !background => {
                        if cache.give_up(&key, id, &tower) {
                            aboard.landed = true;
                            return; // dropping the load ends it
                        }
                    }
                }
            };
            cache.land(&key, id, began, &result);
            aboard.landed = true;
            // Nobody may be left to hear it; the value is stored all the same.
            tower.send_replace(Some(result));
        }));
        Way::Wait(landing, true)
    }

    /// The last waiter left: forgets the flight, unless somebody has joined in the meantime.
    fn give_up(&self, key: &str, id: u64, tower: &Tower<V, E>) -> bool {
        let mut sky = lock(&self.sky);
        if tower.receiver_count() > 0 {
            return false;
        }
        sky.take(key, id);
        count(&self.counters.abandoned);
        self.running.fetch_sub(1, Relaxed);
        true
    }

    /// Stores a flight's value, unless the key was invalidated or reloaded since it started.
    pub(super) fn land(
        &self,
        key: &str,
        id: u64,
        began: Instant,
        result: &Result<Arc<V>, LoadError<E>>,
    ) {
        let now = self.clock.now();
        let stored = {
            let mut sky = lock(&self.sky);
            let current = sky.take(key, id);
            match (current, result) {
                (Some(_), Ok(value)) if !(self.spec.keeps)(value) => false,
                (Some(tags), Ok(value)) => {
                    sky.succeeded(key);
                    self.keep(key, Held::Good(Arc::clone(value)), tags, now)
                }
                (Some(tags), Err(LoadError::Failed(error)))
                    if self.lives.keeps_nothing() && (self.spec.is_negative)(error) =>
                {
                    sky.succeeded(key);
                    self.keep(key, Held::Nothing(Arc::clone(error)), tags, now);
                    false
                }
                (Some(_), Err(_)) => {
                    if self.store.contains_key(key) {
                        sky.failed(key, now);
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
            Held::Nothing(_) => (64, 1.0),
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
