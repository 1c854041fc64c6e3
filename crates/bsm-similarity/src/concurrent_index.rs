//! The index in use: asked by many, filled from what is kept while it is asked already.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError, RwLock};

use super::index::Index;
use crate::query::Scratch;
use crate::tokenizer::{Seed, Word, words};
use crate::top_k::Hit;
use bsm_base::clock::lock;

/// How far the index is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Items that can be found.
    pub items: u64,
    /// All of them are in it.
    pub ready: bool,
}

/// Which past items are most like a text.
pub struct Memory {
    seed: Seed,
    index: RwLock<Index>,
    /// It fills from what is kept.
    filling: AtomicBool,
    /// Items that went before they came: they must not come any more. While it fills, all that went.
    gone: Mutex<HashSet<i64>>,
    scratch: Mutex<Vec<Scratch>>,
}

/// Items that went before they came are few; more are forgotten.
const GONE: usize = 100_000;

impl Memory {
    /// An empty one; `fills`: what is kept is to be filled in.
    pub fn new(fills: bool) -> Self {
        Self {
            seed: Seed(fastrand::u64(..)),
            index: RwLock::default(),
            filling: AtomicBool::new(fills),
            gone: Mutex::default(),
            scratch: Mutex::default(),
        }
    }

    /// What words are hashed with, for who prepares them.
    pub fn seed(&self) -> Seed {
        self.seed
    }

    /// A new item. Where it was let go of in the meantime, it stays so.
    pub fn insert(&self, key: i64, created_ms: i64, text: &str) {
        let mut found = Vec::new();
        words(text, self.seed, &mut found);
        self.enter(std::iter::once((key, created_ms, found.as_slice())));
    }

    /// Items as they were kept, prepared; those that went meanwhile are left out.
    pub fn fill(&self, items: &[(i64, i64, Vec<Word>)]) {
        for some in items.chunks(64) {
            self.enter(
                some.iter()
                    .map(|(key, at, words)| (*key, *at, words.as_slice())),
            );
        }
    }

    fn enter<'a>(&self, items: impl Iterator<Item = (i64, i64, &'a [Word])>) {
        // The index first, then what is gone: everywhere in this order.
        let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
        let mut gone = lock(&self.gone);
        let filling = self.filling.load(Relaxed);
        for (key, created_ms, words) in items {
            let went = if filling {
                gone.contains(&key)
            } else {
                gone.remove(&key)
            };
            if !went {
                index.insert(key, created_ms, words);
            }
        }
    }

    /// All that was kept is in it.
    pub fn filled(&self) {
        let _index = self.index.write().unwrap_or_else(PoisonError::into_inner);
        lock(&self.gone).clear();
        self.filling.store(false, Relaxed);
    }

    /// Empties it to be filled anew: too much of it is of items that went. False: it fills already.
    pub fn begin_again(&self) -> bool {
        let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
        if self.filling.swap(true, Relaxed) {
            return false;
        }
        *index = Index::default();
        true
    }

    /// More of it is of items that went than of those that are there.
    pub fn is_wasteful(&self) -> bool {
        let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
        index.is_wasteful()
    }

    /// Lets an item go, now or before it comes.
    pub fn remove(&self, key: i64) {
        let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
        let mut gone = lock(&self.gone);
        let was_there = index.remove(key);
        if self.filling.load(Relaxed) || (!was_there && gone.len() < GONE) {
            gone.insert(key);
        }
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
            ready: !self.filling.load(Relaxed),
        }
    }

    /// Bytes of the index, without texts.
    pub fn bytes(&self) -> u64 {
        let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
        index.bytes() as u64
    }
}
