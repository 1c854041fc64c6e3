//! A cache that cannot stampede, cannot be undone by a late load, and says how old its answers are.
//!
//! Why ours: the known Rust caches lose the load with its leader, store a value loaded before an
//! invalidation, or know no staleness. Here a load runs in a task of its own, so a cancelled caller
//! harms nobody; storing and invalidating take the same lock and compare the flight's number, so a
//! load that was superseded is handed to those who waited for it and never stored; a value past its
//! TTL is served, marked, while one load runs; past its stale time only where that load fails; and
//! then it is gone. Storage and eviction are quick_cache's.

mod entry;
mod flight;
mod types;

use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

pub use self::types::{CacheSettings, CacheStats, LoadError, Loading, Source};
use crate::resilience::clock::{Clock, lock};
use entry::{ByWeight, Entry, Evictions, Found, Held, Lives, Tags, has, tags};
use flight::{Landing, Sky, Tower};

/// What a cache is made from.
pub struct Spec<V, E> {
    /// Its name.
    pub name: &'static str,
    /// How long values live and how much room they may take.
    pub settings: CacheSettings,
    /// A load that takes longer is given up.
    pub load_timeout: Duration,
    /// A value's bytes.
    pub weigh: fn(&V) -> u64,
    /// A load ends when the last of its waiters has left: for loads that cost something, where nobody
    /// wants an answer that nobody waits for.
    pub abandons: bool,
    /// False for a value that is handed to those who wait for it and not kept.
    pub keeps: fn(&V) -> bool,
    /// True for an error that says "there is no such thing", which is an answer too and may be kept.
    pub is_negative: fn(&E) -> bool,
}

#[derive(Default)]
struct Counters {
    hits: AtomicU64,
    misses: AtomicU64,
    shared: AtomicU64,
    stale: AtomicU64,
    on_error: AtomicU64,
    negative: AtomicU64,
    refreshes: AtomicU64,
    loads: AtomicU64,
    errors: AtomicU64,
    abandoned: AtomicU64,
    last_load_ms: AtomicU64,
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}

#[derive(Default)]
struct Last {
    loaded_at: Option<Instant>,
    loaded_ms: Option<i64>,
    error: Option<String>,
}

type Store<V, E> = quick_cache::sync::Cache<
    String,
    Entry<V, E>,
    ByWeight,
    quick_cache::DefaultHashBuilder,
    Evictions,
>;

/// A cache of `V` by string keys; `E` is its loaders' error.
pub struct Cache<V, E> {
    spec: Spec<V, E>,
    clock: Arc<dyn Clock>,
    lives: Lives,
    store: Store<V, E>,
    evictions: Evictions,
    sky: Mutex<Sky<V, E>>,
    protected: AtomicBool,
    /// Loads running, those that lost their key too.
    running: AtomicU64,
    counters: Counters,
    last: Mutex<Last>,
}

/// How a get goes on after it has looked.
enum Way<V, E> {
    /// Wait for this landing; true: it is this caller's own flight.
    Wait(Landing<V, E>, bool),
    /// A failed load was too short a while ago.
    Rests,
}

impl<V, E> Cache<V, E>
where
    V: Send + Sync + 'static,
    E: std::fmt::Display + Send + Sync + 'static,
{
    /// An empty cache.
    pub fn new(spec: Spec<V, E>, clock: Arc<dyn Clock>) -> Arc<Self> {
        let evictions = Evictions::default();
        let lives = Lives::default();
        lives.set(&spec.settings);
        Arc::new(Self {
            store: Store::with(
                1_024,
                spec.settings.max_bytes.max(1),
                ByWeight,
                quick_cache::DefaultHashBuilder::default(),
                evictions.clone(),
            ),
            evictions,
            lives,
            spec,
            clock,
            sky: Mutex::new(Sky::new()),
            protected: AtomicBool::new(true),
            running: AtomicU64::new(0),
            counters: Counters::default(),
            last: Mutex::new(Last::default()),
        })
    }

    /// The value of `key`: fresh, stale while a load runs, or loaded. Must run inside tokio.
    ///
    /// # Errors
    /// When nothing is held and the load fails, panics or takes too long.
    pub async fn get<F, Fut>(
        self: &Arc<Self>,
        key: &str,
        load: F,
    ) -> Result<(Arc<V>, Source), LoadError<E>>
    where
        F: FnOnce(Loading) -> Fut + Send + 'static,
        Fut: Future<Output = Result<V, E>> + Send + 'static,
    {
        self.get_tagged(key, &[], load).await
    }

    /// As [`Cache::get`]; what is loaded can also be forgotten by any of its `names`.
    ///
    /// # Errors
    /// As [`Cache::get`].
    pub async fn get_tagged<F, Fut>(
        self: &Arc<Self>,
        key: &str,
        names: &[&str],
        load: F,
    ) -> Result<(Arc<V>, Source), LoadError<E>>
    where
        F: FnOnce(Loading) -> Fut + Send + 'static,
        Fut: Future<Output = Result<V, E>> + Send + 'static,
    {
        let old = match self.look(key) {
            Found::Fresh(value, age) => {
                count(&self.counters.hits);
                return Ok((value, Source::Hit(age)));
            }
            Found::Stale(value, age) => {
                count(&self.counters.stale);
                self.depart(key, names, true, true, load);
                return Ok((value, Source::Stale(age)));
            }
            Found::Nothing(error) => {
                count(&self.counters.negative);
                return Err(LoadError::Failed(error));
            }
            Found::InNeed(value, age) => Some((value, age)),
            Found::Gone => None,
        };
        match self.depart(key, names, false, old.is_some(), load) {
            Way::Wait(landing, own) => {
                let (counter, source) = if own {
                    (&self.counters.misses, Source::Loaded)
                } else {
                    (&self.counters.shared, Source::Shared)
                };
                count(counter);
                match (flight::wait(landing).await, old) {
                    (Ok(value), _) => Ok((value, source)),
                    (Err(_), Some((value, age))) if !self.is_nothing(key) => {
                        count(&self.counters.on_error);
                        Ok((value, Source::StaleOnError(age)))
                    }
                    (Err(error), _) => Err(error),
                }
            }
            Way::Rests => {
                count(&self.counters.stale);
                old.map(|(value, age)| (value, Source::Stale(age)))
                    .ok_or(LoadError::Panicked) // only what is held rests
            }
        }
    }

    /// The value of `key` if it is held and may be served at once, without counting or loading.
    pub fn peek(&self, key: &str) -> Option<(Arc<V>, Source)> {
        match self.look(key) {
            Found::Fresh(value, age) => Some((value, Source::Hit(age))),
            Found::Stale(value, age) => Some((value, Source::Stale(age))),
            Found::InNeed(..) | Found::Nothing(_) | Found::Gone => None,
        }
    }

    fn look(&self, key: &str) -> Found<V, E> {
        match self.store.get(key) {
            Some(entry) => self.lives.judge(entry, self.clock.now()),
            None => Found::Gone,
        }
    }

    /// The loader's latest word is that there is no such thing.
    fn is_nothing(&self, key: &str) -> bool {
        matches!(self.store.get(key), Some(entry) if matches!(entry.held, Held::Nothing(_)))
    }

    /// Forgets one key. A load in flight will not bring the old value back.
    pub fn invalidate(&self, key: &str) {
        let mut sky = lock(&self.sky);
        sky.forget(key);
        self.store.remove(key);
    }

    /// Forgets every value that was loaded under `tag`, those on their way too; returns how many were held.
    pub fn invalidate_tag(&self, tag: &str) -> u64 {
        let mut sky = lock(&self.sky);
        sky.forget_tag(tag);
        let forgotten = AtomicU64::new(0);
        self.store.retain(|_, entry| {
            let gone = has(&entry.tags, tag);
            forgotten.fetch_add(u64::from(gone), Relaxed);
            !gone
        });
        forgotten.into_inner()
    }

    /// Forgets everything; returns how many values were held.
    pub fn clear(&self) -> u64 {
        let held = {
            let mut sky = lock(&self.sky);
            sky.forget_all();
            let held = self.store.len() as u64;
            self.store.clear();
            held
        };
        *lock(&self.last) = Last::default();
        held
    }

    /// Changes lives and room while running; what is held is judged anew.
    pub fn reconfigure(&self, settings: CacheSettings) {
        self.lives.set(&settings);
        if self.store.capacity() != settings.max_bytes.max(1) {
            self.store.set_capacity(settings.max_bytes.max(1));
        }
    }

    /// Switches stampede protection: off, every caller loads for itself.
    pub fn set_protected(&self, protected: bool) {
        self.protected.store(protected, Relaxed);
    }

    /// Its section of the snapshot.
    pub fn stats(&self) -> CacheStats {
        let last = lock(&self.last);
        let age = last
            .loaded_at
            .map(|at| self.clock.now().saturating_duration_since(at));
        let ttl = self.lives.ttl();
        let of = |counter: &AtomicU64| counter.load(Relaxed);
        let counters = &self.counters;
        CacheStats {
            name: self.spec.name.to_owned(),
            entries: self.store.len() as u64,
            bytes: self.store.weight(),
            max_bytes: self.store.capacity(),
            ttl_ms: ttl.as_millis() as u64,
            loaded_ms: last.loaded_ms,
            valid: age.is_some_and(|a| a < ttl),
            hits: of(&counters.hits),
            misses: of(&counters.misses),
            stampede_prevented: of(&counters.shared),
            stale_served: of(&counters.stale),
            stale_on_error: of(&counters.on_error),
            negative_hits: of(&counters.negative),
            refreshes: of(&counters.refreshes),
            loads: of(&counters.loads),
            errors: of(&counters.errors),
            abandoned: of(&counters.abandoned),
            evictions: of(&self.evictions.0),
            in_flight: of(&self.running),
            last_load_ms: (of(&counters.loads) > 0).then(|| of(&counters.last_load_ms)),
            last_error: last.error.clone(),
        }
    }

    /// Joins the flight of `key` or starts one, unless the key is held and rests after a failure.
    fn depart<F, Fut>(
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
            if self.protected.load(Relaxed)
                && let Some(landing) = sky.join(key)
            {
                return Way::Wait(landing, false);
            }
            if stale_at_hand && sky.rests(key, self.clock.now()) {
                return Way::Rests;
            }
            sky.start(key, tags(names))
        };
        count(&self.running);
        if background {
            count(&self.counters.refreshes);
        }
        let (cache, key) = (Arc::clone(self), key.to_owned());
        tokio::spawn(async move {
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
                            return; // dropping the load ends it
                        }
                    }
                }
            };
            cache.land(&key, id, began, &result);
            // Nobody may be left to hear it; the value is stored all the same.
            tower.send_replace(Some(result));
        });
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
    fn land(&self, key: &str, id: u64, began: Instant, result: &Result<Arc<V>, LoadError<E>>) {
        let now = self.clock.now();
        let stored = {
            let mut sky = lock(&self.sky);
            let current = sky.take(key, id);
            match (current, result) {
                (Some(_), Ok(value)) if !(self.spec.keeps)(value) => false,
                (Some(tags), Ok(value)) => {
                    sky.succeeded(key);
                    self.keep(key, Held::Good(Arc::clone(value)), tags, now);
                    true
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

    fn keep(&self, key: &str, held: Held<V, E>, tags: Tags, now: Instant) {
        #[cfg(test)]
        crate::resilience::interleave::point();
        let entry = Entry {
            weight: match &held {
                Held::Good(value) => (self.spec.weigh)(value),
                Held::Nothing(_) => 64,
            },
            held,
            at: now,
            share: self.lives.share(),
            tags,
        };
        self.store.insert(key.to_owned(), entry);
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
                last.error = Some(crate::text::clean_line(&error.to_string(), 200));
            }
        }
    }
}

#[cfg(test)]
mod model_tests;
#[cfg(test)]
#[path = "cache_tests.rs"]
mod tests;
