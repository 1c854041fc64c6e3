//! The index in use: asked by many, filled from what is kept while it is asked already.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError, RwLock};

use super::index::{Hit, Index, Scratch};
use super::words::{Seed, Word, words};
use crate::resilience::clock::lock;

/// How far the index is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Items that can be found.
    pub items: u64,
    /// Items that were there when it began to fill.
    pub kept: u64,
    /// All of them are in it.
    pub ready: bool,
}

/// Which past items are most like a text.
pub struct Memory {
    seed: Seed,
    index: RwLock<Index>,
    /// While it fills: items that went in the meantime and must not come back.
    filling: Mutex<Option<HashSet<i64>>>,
    kept: AtomicU64,
    scratch: Mutex<Vec<Scratch>>,
}

impl Memory {
    /// An empty one; `kept` items are to be filled in.
    pub fn new(kept: u64) -> Self {
        Self {
            seed: Seed(fastrand::u64(..)),
            index: RwLock::default(),
            filling: Mutex::new((kept > 0).then(HashSet::new)),
            kept: AtomicU64::new(kept),
            scratch: Mutex::default(),
        }
    }

    /// What words are hashed with, for who prepares them.
    pub fn seed(&self) -> Seed {
        self.seed
    }

    /// A new item, in place of the one with the same key.
    pub fn insert(&self, key: i64, created_ms: i64, text: &str) {
        let mut found = Vec::new();
        words(text, self.seed, &mut found);
        self.write(|index| index.insert(key, created_ms, &found));
    }

    /// Items as they were kept, prepared; those that went meanwhile are left out.
    pub fn fill(&self, items: &[(i64, i64, Vec<Word>)]) {
        for some in items.chunks(64) {
            let gone = lock(&self.filling);
            let is_gone = |key: &i64| gone.as_ref().is_some_and(|g| g.contains(key));
            self.write(|index| {
                for (key, created_ms, words) in some.iter().filter(|(key, ..)| !is_gone(key)) {
                    index.insert(*key, *created_ms, words);
                }
            });
        }
    }

    /// All that was kept is in it.
    pub fn filled(&self) {
        *lock(&self.filling) = None;
    }

    /// Lets an item go.
    pub fn remove(&self, key: i64) {
        if let Some(gone) = lock(&self.filling).as_mut() {
            gone.insert(key);
        }
        self.write(|index| index.remove(key));
    }

    /// The `k` items most like a text, best first.
    pub fn nearest(&self, text: &str, k: usize, least: f64) -> Vec<Hit> {
        let mut asked = Vec::new();
        words(text, self.seed, &mut asked);
        let mut scratch = lock(&self.scratch).pop().unwrap_or_default();
        let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
        let found = index.nearest(&asked, k, least, &mut scratch);
        drop(index);
        lock(&self.scratch).push(scratch);
        found
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
        Progress {
            items: index.len() as u64,
            kept: self.kept.load(Relaxed),
            ready: lock(&self.filling).is_none(),
        }
    }

    /// Bytes of the index, without texts.
    pub fn bytes(&self) -> u64 {
        let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
        index.bytes() as u64
    }

    fn write<T>(&self, change: impl FnOnce(&mut Index) -> T) -> T {
        change(&mut self.index.write().unwrap_or_else(PoisonError::into_inner))
    }
}
