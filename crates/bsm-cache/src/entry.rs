//! What is kept under a key, and how long each kind of it may be served.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use quick_cache::{Lifecycle, Weighter};

use crate::types::CacheSettings;

/// Names by which values are forgotten together.
pub(super) type Tags = Option<Arc<[Box<str>]>>;

pub(super) fn tags(names: &[&str]) -> Tags {
    (!names.is_empty()).then(|| names.iter().map(|n| Box::from(*n)).collect())
}

pub(super) fn has(tags: &Tags, name: &str) -> bool {
    tags.as_ref()
        .is_some_and(|all| all.iter().any(|t| &**t == name))
}

/// A value, or the loader's word that there is none.
pub(super) enum Held<V, E> {
    Good(Arc<V>),
    Negative(Arc<E>),
}

impl<V, E> Clone for Held<V, E> {
    fn clone(&self) -> Self {
        match self {
            Self::Good(value) => Self::Good(Arc::clone(value)),
            Self::Negative(error) => Self::Negative(Arc::clone(error)),
        }
    }
}

pub(super) struct Entry<V, E> {
    pub(super) held: Held<V, E>,
    pub(super) at: Instant,
    /// Its own share of the TTL, drawn once: entries of one moment do not all expire in one moment.
    pub(super) share: f32,
    pub(super) weight: u64,
    pub(super) tags: Tags,
}

impl<V, E> Clone for Entry<V, E> {
    fn clone(&self) -> Self {
        Self {
            held: self.held.clone(),
            at: self.at,
            share: self.share,
            weight: self.weight,
            tags: self.tags.clone(),
        }
    }
}

/// What an entry is worth at a moment.
pub(super) enum Found<V, E> {
    Fresh(Arc<V>, Duration),
    /// Served at once while it is loaded again.
    Stale(Arc<V>, Duration),
    /// Served only where a load fails.
    StaleIfError(Arc<V>, Duration),
    /// The loader said that there is none.
    Negative(Arc<E>),
    Gone,
}

/// The settings that a read needs, without a lock.
#[derive(Default)]
pub(super) struct TtlPolicy {
    ttl_ms: AtomicU64,
    jitter_percent: AtomicU32,
    stale_ms: AtomicU64,
    error_ms: AtomicU64,
    negative_ms: AtomicU64,
}

impl TtlPolicy {
    pub(super) fn set(&self, settings: &CacheSettings) {
        self.ttl_ms.store(settings.ttl_ms, Relaxed);
        self.jitter_percent
            .store(settings.jitter_percent.min(100), Relaxed);
        self.stale_ms.store(settings.stale_ms, Relaxed);
        let error = settings.stale_if_error_ms.max(settings.stale_ms);
        self.error_ms.store(error, Relaxed);
        self.negative_ms.store(settings.negative_ms, Relaxed);
    }

    pub(super) fn ttl(&self) -> Duration {
        Duration::from_millis(self.ttl_ms.load(Relaxed))
    }

    pub(super) fn keeps_nothing(&self) -> bool {
        self.negative_ms.load(Relaxed) > 0
    }

    /// A new entry's share of the TTL.
    pub(super) fn share(&self) -> f32 {
        1.0 - fastrand::f32() * self.jitter_percent.load(Relaxed) as f32 / 100.0
    }

    pub(super) fn judge<V, E>(&self, entry: Entry<V, E>, now: Instant) -> Found<V, E> {
        let age = now.saturating_duration_since(entry.at);
        let nanos = |ms: &AtomicU64| ms.load(Relaxed).saturating_mul(1_000_000);
        let aged = age.as_nanos() as u64;
        let value = match entry.held {
            Held::Negative(error) if aged < nanos(&self.negative_ms) => {
                return Found::Negative(error);
            }
            Held::Negative(_) => return Found::Gone,
            Held::Good(value) => value,
        };
        let ttl = nanos(&self.ttl_ms);
        let fresh = if entry.share < 1.0 {
            (ttl as f64 * f64::from(entry.share)) as u64
        } else {
            ttl
        };
        if aged < fresh {
            Found::Fresh(value, age)
        } else if ttl == 0 {
            Found::Gone
        } else if aged < ttl.saturating_add(nanos(&self.stale_ms)) {
            Found::Stale(value, age)
        } else if aged < ttl.saturating_add(nanos(&self.error_ms)) {
            Found::StaleIfError(value, age)
        } else {
            Found::Gone
        }
    }
}

#[derive(Clone)]
pub(super) struct ByWeight;

impl<V, E> Weighter<String, Entry<V, E>> for ByWeight {
    fn weight(&self, key: &String, entry: &Entry<V, E>) -> u64 {
        key.len() as u64 + entry.weight.max(1)
    }
}

/// Tells each insertion how many values had to make room for it; a value replaced is among them.
#[derive(Clone)]
pub(super) struct MakingRoom;

impl<V, E> Lifecycle<String, Entry<V, E>> for MakingRoom {
    type RequestState = u64;

    fn on_evict(&self, gone: &mut u64, _: String, _: Entry<V, E>) {
        *gone += 1;
    }
}
