//! A cache that cannot stampede, cannot be undone by a late load, and says how old its answers are.
//!
//! Why ours: the known Rust caches lose the load with its leader, store a value loaded before an
//! invalidation, or know no staleness. Here a load runs in a task of its own, so a cancelled caller
//! harms nobody; storing and invalidating take the same lock and compare the flight's number, so a
//! load that was superseded is handed to those who waited for it and never stored; a value past its
//! TTL is served, marked, while one load runs; past its stale time only where that load fails; and
//! then it is gone. Storage and eviction are quick_cache's.

mod entry;
mod join;
mod load;
mod single_flight;
mod types;

use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

pub use self::types::{CacheEntryInfo, CacheSettings, CacheStats, LoadError, Loading, Source};
use crate::join::JoinOutcome;
use bsm_base::clock::{Clock, lock};
use entry::{ByWeight, Entry, Found, MakingRoom, TtlPolicy, has};
use single_flight::InFlightLoads;

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
    /// A value's share of the time to live, 0 to 1: what ages faster than its neighbours.
    pub life: fn(&V) -> f32,
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
    evictions: AtomicU64,
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
    MakingRoom,
>;

/// A cache of `V` by string keys; `E` is its loaders' error.
pub struct Cache<V, E> {
    spec: Spec<V, E>,
    clock: Arc<dyn Clock>,
    lives: TtlPolicy,
    store: Store<V, E>,
    in_flight: Mutex<InFlightLoads<V, E>>,
    protected: AtomicBool,
    /// Loads running, those that lost their key too.
    running: AtomicU64,
    counters: Counters,
    last: Mutex<Last>,
}

/// One shard: of several, each would have a part of the room, and a value larger than that part no place.
fn room(bytes: u64) -> quick_cache::Options {
    let mut options = quick_cache::OptionsBuilder::new();
    options
        .shards(1)
        .estimated_items_capacity(1_024)
        .weight_capacity(bytes.max(1));
    // Both capacities are given, which is all that it asks for.
    options.build().unwrap_or_else(|_| unreachable!())
}

impl<V, E> Cache<V, E>
where
    V: Send + Sync + 'static,
    E: std::fmt::Display + Send + Sync + 'static,
{
    /// An empty cache.
    pub fn new(spec: Spec<V, E>, clock: Arc<dyn Clock>) -> Arc<Self> {
        let lives = TtlPolicy::default();
        lives.set(&spec.settings);
        Arc::new(Self {
            store: Store::with_options(
                room(spec.settings.max_bytes),
                ByWeight,
                quick_cache::DefaultHashBuilder::default(),
                MakingRoom,
            ),
            lives,
            spec,
            clock,
            in_flight: Mutex::new(InFlightLoads::new()),
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
        let in_need = match self.at_once(self.find(key)) {
            Ok(Some((value, source))) => {
                if matches!(source, Source::Stale(_)) {
                    drop(self.join_or_start(key, names, true, true, load));
                }
                return Ok((value, source));
            }
            Ok(None) => matches!(self.find(key), Found::StaleIfError(..)),
            Err(error) => return Err(error),
        };
        match self.join_or_start(key, names, false, in_need, load) {
            JoinOutcome::Wait(receiver, own) => {
                let (counter, source) = if own {
                    (&self.counters.misses, Source::Loaded)
                } else {
                    (&self.counters.shared, Source::Shared)
                };
                count(counter);
                match single_flight::wait(receiver).await {
                    Ok(value) => Ok((value, source)),
                    Err(error) => self.in_need(key, error),
                }
            }
            JoinOutcome::Landed(found) => match self.at_once(found)? {
                Some(answer) => Ok(answer),
                None => Err(LoadError::Panicked), // only what can be served lands here
            },
            JoinOutcome::Rests(value, age) => {
                count(&self.counters.stale);
                Ok((value, Source::Stale(age)))
            }
        }
    }

    /// What can be answered without a load, counted.
    fn at_once(&self, found: Found<V, E>) -> Result<Option<(Arc<V>, Source)>, LoadError<E>> {
        match found {
            Found::Fresh(value, age) => {
                count(&self.counters.hits);
                Ok(Some((value, Source::Hit(age))))
            }
            Found::Stale(value, age) => {
                count(&self.counters.stale);
                Ok(Some((value, Source::Stale(age))))
            }
            Found::Negative(error) => {
                count(&self.counters.negative);
                Err(LoadError::Failed(error))
            }
            Found::StaleIfError(..) | Found::Gone => Ok(None),
        }
    }

    /// After a failed load: the old value, if it may still be served and the error is not the answer.
    fn in_need(&self, key: &str, error: LoadError<E>) -> Result<(Arc<V>, Source), LoadError<E>> {
        if matches!(&error, LoadError::Failed(e) if (self.spec.is_negative)(e)) {
            return Err(error);
        }
        match self.find(key) {
            // Its own flight had lost the key; a later one has landed well.
            Found::Fresh(value, _) => Ok((value, Source::Shared)),
            Found::Stale(value, age) | Found::StaleIfError(value, age) => {
                count(&self.counters.on_error);
                Ok((value, Source::StaleOnError(age)))
            }
            Found::Negative(_) | Found::Gone => Err(error),
        }
    }

    /// The value of `key` and its age, however old, while it may be served at all. Counts nothing.
    pub fn held(&self, key: &str) -> Option<(Arc<V>, Duration)> {
        match self.find(key) {
            Found::Fresh(value, age)
            | Found::Stale(value, age)
            | Found::StaleIfError(value, age) => Some((value, age)),
            Found::Negative(_) | Found::Gone => None,
        }
    }

    /// The value of `key` if it is held and may be served at once, without counting or loading.
    pub fn peek(&self, key: &str) -> Option<(Arc<V>, Source)> {
        match self.find(key) {
            Found::Fresh(value, age) => Some((value, Source::Hit(age))),
            Found::Stale(value, age) => Some((value, Source::Stale(age))),
            Found::StaleIfError(..) | Found::Negative(_) | Found::Gone => None,
        }
    }

    fn find(&self, key: &str) -> Found<V, E> {
        match self.store.get(key) {
            Some(entry) => self.lives.judge(entry, self.clock.now()),
            None => Found::Gone,
        }
    }

    /// Forgets one key; true when it was held. A load in flight will not bring the old value back.
    pub fn invalidate(&self, key: &str) -> bool {
        let mut in_flight = lock(&self.in_flight);
        in_flight.forget(key);
        self.store.remove(key).is_some()
    }

    /// What is held, the newest first, at most `most`; `label` says what a value is. Counts nothing.
    pub fn list(&self, most: usize, label: impl Fn(&V) -> String) -> Vec<CacheEntryInfo> {
        let now = self.clock.now();
        let mut kept: Vec<CacheEntryInfo> = self
            .store
            .iter()
            .filter_map(|(key, entry)| {
                let (bytes, shown) = (
                    entry.weight,
                    match &entry.held {
                        entry::Held::Good(value) => label(value),
                        entry::Held::Negative(error) => format!("known to fail: {error}"),
                    },
                );
                let (age, state) = match self.lives.judge(entry, now) {
                    Found::Fresh(_, age) => (age, "fresh"),
                    Found::Stale(_, age) => (age, "stale"),
                    Found::StaleIfError(_, age) => (age, "for need only"),
                    Found::Negative(_) => (Duration::ZERO, "nothing"),
                    Found::Gone => return None,
                };
                Some(CacheEntryInfo {
                    key,
                    label: shown,
                    age_ms: u64::try_from(age.as_millis()).unwrap_or(u64::MAX),
                    state: state.to_owned(),
                    bytes,
                })
            })
            .collect();
        kept.sort_by(|a, b| a.age_ms.cmp(&b.age_ms).then_with(|| a.key.cmp(&b.key)));
        kept.truncate(most);
        kept
    }

    /// Forgets every value that was loaded under `tag`, those on their way too; returns how many were held.
    pub fn invalidate_tag(&self, tag: &str) -> u64 {
        let mut in_flight = lock(&self.in_flight);
        in_flight.forget_tag(tag);
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
            let mut in_flight = lock(&self.in_flight);
            in_flight.forget_all();
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
            let before = self.store.len();
            self.store.set_capacity(settings.max_bytes.max(1));
            let gone = before.saturating_sub(self.store.len()) as u64;
            self.counters.evictions.fetch_add(gone, Relaxed);
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
            evictions: of(&counters.evictions),
            in_flight: of(&self.running),
            last_load_ms: (of(&counters.loads) > 0).then(|| of(&counters.last_load_ms)),
            last_error: last.error.clone(),
        }
    }
}

#[cfg(test)]
mod model_tests;
#[cfg(test)]
#[path = "cache_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "expiry_tests.rs"]
mod expiry_tests;
