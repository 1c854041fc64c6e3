//! A cache that cannot stampede, cannot be undone by a late load, and says how old its answers are.
//!
//! Why ours: the known Rust caches lose the load with its leader, store a value loaded before an
//! invalidation, or know no staleness. Here a load runs in a task of its own, so a cancelled caller
//! harms nobody; storing and invalidating take the same lock and compare the flight's number, so a
//! load that was superseded is handed to those who waited for it and never stored; a value past its
//! TTL is served, marked, while one refresh runs; past its stale time it is gone. Storage and eviction
//! are quick_cache's.

mod flight;

use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use quick_cache::Weighter;
use serde::{Deserialize, Serialize};

use crate::resilience::clock::{Clock, lock};
use flight::{Flight, Landing, Tower};

/// How long values live and how much room they may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct CacheSettings {
    /// Fresh for this long, milliseconds. Zero switches the cache off.
    pub ttl_ms: u64,
    /// Served stale (marked, while a refresh runs or fails) for this much longer, milliseconds.
    pub stale_ms: u64,
    /// Room for values, bytes.
    pub max_bytes: u64,
}

impl Default for CacheSettings {
    fn default() -> Self {
        Self {
            ttl_ms: 300_000,
            stale_ms: 3_600_000,
            max_bytes: 16 << 20,
        }
    }
}

/// A cache's section of the snapshot. Counters run since start:
/// `gets = hits + stale_served + waits_shared + misses`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CacheStats {
    /// The cache's name.
    pub name: String,
    /// Values held.
    pub entries: u64,
    /// Bytes held, by the cache's own weights.
    pub bytes: u64,
    /// Room in bytes.
    pub max_bytes: u64,
    /// Settings: fresh for this long, milliseconds.
    pub ttl_ms: u64,
    /// When the youngest value was loaded, wall time in milliseconds (an age would change every second).
    pub loaded_ms: Option<i64>,
    /// True when the youngest value is still fresh.
    pub valid: bool,
    /// Answered fresh from the cache.
    pub hits: u64,
    /// Started a load.
    pub misses: u64,
    /// Joined a load that was already running (stampedes prevented).
    pub stampede_prevented: u64,
    /// Answered with a marked stale value.
    pub stale_served: u64,
    /// Loads finished well.
    pub loads: u64,
    /// Loads that failed, panicked or timed out.
    pub errors: u64,
    /// Loads running now.
    pub in_flight: u64,
    /// How long the last good load took, milliseconds.
    pub last_load_ms: Option<u64>,
    /// What the last failed load said.
    pub last_error: Option<String>,
}

impl CacheStats {
    /// Share of gets answered without a load of their own, 0 to 1; `None` before the first get.
    pub fn hit_rate(&self) -> Option<f64> {
        let served = self.hits + self.stale_served + self.stampede_prevented;
        let gets = served + self.misses;
        (gets > 0).then(|| served as f64 / gets as f64)
    }
}

/// Where a value came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Fresh from the cache, this old.
    Hit(Duration),
    /// Past its TTL, this old; a refresh is running or failed recently.
    Stale(Duration),
    /// Loaded by another caller's flight.
    Shared,
    /// Loaded for this caller.
    Loaded,
}

/// Why a load gave no value.
#[derive(Debug, thiserror::Error)]
pub enum LoadError<E> {
    /// The loader's own error, shared by all who waited.
    #[error("{0}")]
    Failed(Arc<E>),
    /// The loader panicked; the cache is unharmed.
    #[error("the load panicked")]
    Panicked,
    /// The loader took longer than its limit.
    #[error("the load took longer than {0:?}")]
    TimedOut(Duration),
}

impl<E> Clone for LoadError<E> {
    fn clone(&self) -> Self {
        match self {
            Self::Failed(e) => Self::Failed(Arc::clone(e)),
            Self::Panicked => Self::Panicked,
            Self::TimedOut(d) => Self::TimedOut(*d),
        }
    }
}

struct Entry<V> {
    value: Arc<V>,
    at: Instant,
    weight: u64,
}

#[derive(Clone)]
struct ByWeight;

impl<V> Weighter<String, Arc<Entry<V>>> for ByWeight {
    fn weight(&self, key: &String, entry: &Arc<Entry<V>>) -> u64 {
        key.len() as u64 + entry.weight.max(1)
    }
}

#[derive(Default)]
struct Counters {
    hits: AtomicU64,
    misses: AtomicU64,
    shared: AtomicU64,
    stale: AtomicU64,
    loads: AtomicU64,
    errors: AtomicU64,
    last_load_ms: AtomicU64,
}

#[derive(Default)]
struct Last {
    loaded_at: Option<Instant>,
    loaded_ms: Option<i64>,
    error: Option<String>,
    failed_at: Option<Instant>,
}

/// A cache of `V` by string keys; `E` is its loaders' error.
pub struct Cache<V, E> {
    name: String,
    clock: Arc<dyn Clock>,
    weigh: fn(&V) -> u64,
    load_timeout: Duration,
    settings: Mutex<CacheSettings>,
    store: quick_cache::sync::Cache<String, Arc<Entry<V>>, ByWeight>,
    flights: Mutex<HashMap<String, Flight<V, E>>>,
    next_flight: AtomicU64,
    protected: AtomicBool,
    abandons: bool,
    counters: Counters,
    last: Mutex<Last>,
}

/// After a failed refresh, a stale key is not tried again for this long.
const REFRESH_BACKOFF: Duration = Duration::from_secs(1);

impl<V, E> Cache<V, E>
where
    V: Send + Sync + 'static,
    E: std::fmt::Display + Send + Sync + 'static,
{
    /// An empty cache. `weigh` gives a value's bytes; a load longer than `load_timeout` is given up.
    pub fn new(
        name: &str,
        settings: CacheSettings,
        load_timeout: Duration,
        clock: Arc<dyn Clock>,
        weigh: fn(&V) -> u64,
    ) -> Arc<Self> {
        Arc::new(Self {
            name: name.to_owned(),
            clock,
            weigh,
            load_timeout,
            settings: Mutex::new(settings),
            store: quick_cache::sync::Cache::with_weighter(
                1_024,
                settings.max_bytes.max(1),
                ByWeight,
            ),
            flights: Mutex::new(HashMap::new()),
            next_flight: AtomicU64::new(0),
            protected: AtomicBool::new(true),
            abandons: false,
            counters: Counters::default(),
            last: Mutex::new(Last::default()),
        })
    }

    /// As [`Cache::new`], but a load ends when the last of its waiters has left: for loads that cost
    /// something, where nobody wants an answer that nobody waits for.
    pub fn abandoning(
        name: &str,
        settings: CacheSettings,
        load_timeout: Duration,
        clock: Arc<dyn Clock>,
        weigh: fn(&V) -> u64,
    ) -> Arc<Self> {
        let mut cache = Self::new(name, settings, load_timeout, clock, weigh);
        if let Some(cache) = Arc::get_mut(&mut cache) {
            cache.abandons = true;
        }
        cache
    }

    /// The value of `key`: fresh, stale while a refresh runs, or loaded. Must run inside tokio.
    ///
    /// # Errors
    /// When nothing is held and the load fails, panics or takes too long.
    pub async fn get<F, Fut>(
        self: &Arc<Self>,
        key: &str,
        load: F,
    ) -> Result<(Arc<V>, Source), LoadError<E>>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<V, E>> + Send + 'static,
    {
        if let Some((value, source)) = self.peek(key) {
            match source {
                Source::Stale(_) => {
                    self.counters.stale.fetch_add(1, Relaxed);
                    self.refresh(key, load);
                }
                _ => {
                    self.counters.hits.fetch_add(1, Relaxed);
                }
            }
            return Ok((value, source));
        }
        let (landing, started) = self.join_or_start(key, false, load);
        let counter = if started {
            &self.counters.misses
        } else {
            &self.counters.shared
        };
        counter.fetch_add(1, Relaxed);
        let source = if started {
            Source::Loaded
        } else {
            Source::Shared
        };
        flight::wait(landing).await.map(|value| (value, source))
    }

    /// The value of `key` if it is held, fresh or stale, without counting or loading.
    pub fn peek(&self, key: &str) -> Option<(Arc<V>, Source)> {
        let entry = self.store.get(key)?;
        let settings = *lock(&self.settings);
        let age = self.clock.now().saturating_duration_since(entry.at);
        let ttl = Duration::from_millis(settings.ttl_ms);
        if age < ttl {
            return Some((Arc::clone(&entry.value), Source::Hit(age)));
        }
        let usable = settings.ttl_ms > 0 && age < ttl + Duration::from_millis(settings.stale_ms);
        usable.then(|| (Arc::clone(&entry.value), Source::Stale(age)))
    }

    /// Forgets one key. A load in flight will not bring the old value back.
    pub fn invalidate(&self, key: &str) {
        let mut flights = lock(&self.flights);
        flights.remove(key);
        self.store.remove(key);
    }

    /// Forgets everything; returns how many values were held.
    pub fn clear(&self) -> u64 {
        let mut flights = lock(&self.flights);
        flights.clear();
        let held = self.store.len() as u64;
        self.store.clear();
        *lock(&self.last) = Last::default();
        held
    }

    /// Changes TTL and stale time while running (room is fixed at start).
    pub fn reconfigure(&self, settings: CacheSettings) {
        *lock(&self.settings) = settings;
    }

    /// Switches stampede protection: off, every caller loads for itself.
    pub fn set_protected(&self, protected: bool) {
        self.protected.store(protected, Relaxed);
    }

    /// Its section of the snapshot.
    pub fn stats(&self) -> CacheStats {
        let settings = *lock(&self.settings);
        // Never both locks at once: a landing takes them in the other order.
        let in_flight = lock(&self.flights).len() as u64;
        let last = lock(&self.last);
        let age = last
            .loaded_at
            .map(|at| self.clock.now().saturating_duration_since(at));
        let loads = self.counters.loads.load(Relaxed);
        CacheStats {
            name: self.name.clone(),
            entries: self.store.len() as u64,
            bytes: self.store.weight(),
            max_bytes: self.store.capacity(),
            ttl_ms: settings.ttl_ms,
            loaded_ms: last.loaded_ms,
            valid: age.is_some_and(|a| a < Duration::from_millis(settings.ttl_ms)),
            hits: self.counters.hits.load(Relaxed),
            misses: self.counters.misses.load(Relaxed),
            stampede_prevented: self.counters.shared.load(Relaxed),
            stale_served: self.counters.stale.load(Relaxed),
            loads,
            errors: self.counters.errors.load(Relaxed),
            in_flight,
            last_load_ms: (loads > 0).then(|| self.counters.last_load_ms.load(Relaxed)),
            last_error: last.error.clone(),
        }
    }

    fn refresh<F, Fut>(self: &Arc<Self>, key: &str, load: F)
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<V, E>> + Send + 'static,
    {
        let failed_at = lock(&self.last).failed_at;
        if failed_at
            .is_some_and(|at| self.clock.now().saturating_duration_since(at) < REFRESH_BACKOFF)
        {
            return;
        }
        drop(self.join_or_start(key, true, load));
    }

    fn join_or_start<F, Fut>(
        self: &Arc<Self>,
        key: &str,
        background: bool,
        load: F,
    ) -> (Landing<V, E>, bool)
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<V, E>> + Send + 'static,
    {
        let mut flights = lock(&self.flights);
        if self.protected.load(Relaxed)
            && let Some(flight) = flights.get(key)
        {
            return (flight.tower.subscribe(), false);
        }
        let id = self.next_flight.fetch_add(1, Relaxed);
        let (flight, landing) = Flight::new(id);
        let tower = Arc::clone(&flight.tower);
        flights.insert(key.to_owned(), flight);
        drop(flights);
        let (cache, key) = (Arc::clone(self), key.to_owned());
        tokio::spawn(async move {
            let began = cache.clock.now();
            let flying = flight::fly(load, cache.load_timeout);
            tokio::pin!(flying);
            let result = loop {
                tokio::select! {
                    result = &mut flying => break result,
                    () = tower.closed(), if cache.abandons && !background => {
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
        (landing, true)
    }

    /// The last waiter left: forgets the flight, unless somebody has joined in the meantime.
    fn give_up(&self, key: &str, id: u64, tower: &Tower<V, E>) -> bool {
        let mut flights = lock(&self.flights);
        if tower.receiver_count() > 0 {
            return false;
        }
        if flights.get(key).is_some_and(|f| f.id == id) {
            flights.remove(key);
        }
        true
    }

    /// Stores a flight's value, unless the key was invalidated or reloaded since it started.
    fn land(&self, key: &str, id: u64, began: Instant, result: &Result<Arc<V>, LoadError<E>>) {
        let now = self.clock.now();
        let mut flights = lock(&self.flights);
        let current = flights.get(key).is_some_and(|f| f.id == id);
        if current {
            flights.remove(key);
        }
        let mut last = lock(&self.last);
        match result {
            Ok(value) => {
                self.counters.loads.fetch_add(1, Relaxed);
                self.counters
                    .last_load_ms
                    .store((now - began).as_millis() as u64, Relaxed);
                last.error = None;
                last.failed_at = None;
                if current {
                    last.loaded_at = Some(now);
                    last.loaded_ms = Some(self.clock.wall_ms());
                    let entry = Entry {
                        weight: (self.weigh)(value),
                        value: Arc::clone(value),
                        at: now,
                    };
                    self.store.insert(key.to_owned(), Arc::new(entry));
                }
            }
            Err(error) => {
                self.counters.errors.fetch_add(1, Relaxed);
                last.error = Some(crate::text::clean_line(&error.to_string(), 200));
                last.failed_at = Some(now);
            }
        }
    }
}

#[cfg(test)]
#[path = "cache_tests.rs"]
mod tests;
