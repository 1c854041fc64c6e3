//! The exact nearest by words: for each word the items that have it; a query counts, item by item, how many
//! of its words they share (ScanCount), and keeps the best.
//!
//! Why counting and no pruning first: the fifth best of a million is seldom above a third, so that bounds
//! prune little, while adding one to a byte for each shared word is what a processor does best.

use std::collections::HashMap;

use super::chunked::Chunked;
use super::dictionary::Dictionary;
use super::words::Word;

/// An item that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hit {
    /// The item's key.
    pub key: i64,
    /// Words that both have.
    pub overlap: u32,
    /// Words that either has.
    pub union: u32,
    /// When the item was made, wall time in milliseconds.
    pub created_ms: i64,
}

impl Hit {
    /// 0 to 1.
    pub fn score(&self) -> f64 {
        f64::from(self.overlap) / f64::from(self.union.max(1))
    }

    /// Better first: the larger share, then the newer, then the larger key.
    fn order(&self, other: &Self) -> std::cmp::Ordering {
        let (mine, theirs) = (
            u64::from(self.overlap) * u64::from(other.union),
            u64::from(other.overlap) * u64::from(self.union),
        );
        theirs
            .cmp(&mine)
            .then(other.created_ms.cmp(&self.created_ms))
            .then(other.key.cmp(&self.key))
    }
}

/// An item's place. Places are given out once; a deleted item's stays empty until the index is built anew.
#[derive(Clone, Copy)]
struct Place {
    key: i64,
    created_ms: i64,
    /// Words; 0: it is gone.
    words: u32,
}

/// The index.
#[derive(Default)]
pub struct Index {
    dictionary: Dictionary,
    /// By word's number: the places that have it, ascending.
    having: Chunked<Vec<u32>>,
    places: Chunked<Place>,
    by_key: Keys,
    gone: usize,
}

/// Counters of one query, kept from one to the next.
#[derive(Default)]
pub struct Scratch {
    small: Vec<u8>,
    large: Vec<u32>,
}

impl Index {
    /// Takes an item in, in place of the one with the same key. An item without words is never found, and
    /// is not kept.
    pub fn insert(&mut self, key: i64, created_ms: i64, words: &[Word]) {
        self.remove(key);
        if words.is_empty() {
            return;
        }
        let place = self.places.len() as u32;
        for word in words {
            let number = self.dictionary.number(*word) as usize;
            if number == self.having.len() {
                self.having.push(Vec::new());
            }
            self.having.get_mut(number).push(place);
        }
        self.places.push(Place {
            key,
            created_ms,
            words: words.len() as u32,
        });
        self.by_key.insert(key, place);
    }

    /// Lets an item go; false: there was none.
    pub fn remove(&mut self, key: i64) -> bool {
        let Some(place) = self.by_key.remove(key) else {
            return false;
        };
        self.places.get_mut(place as usize).words = 0;
        self.gone += 1;
        true
    }

    /// Items.
    pub fn len(&self) -> usize {
        self.places.len() - self.gone
    }

    /// No item.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Half of its places are empty: building it anew would pay.
    pub fn is_wasteful(&self) -> bool {
        self.gone > 10_000 && self.gone > self.len()
    }

    /// Bytes it takes, as far as it knows.
    pub fn bytes(&self) -> usize {
        let lists: usize = self
            .having
            .runs()
            .flat_map(|(_, run)| run)
            .map(|list| list.capacity() * size_of::<u32>())
            .sum();
        self.dictionary.bytes()
            + self.having.bytes()
            + lists
            + self.places.bytes()
            + self.by_key.bytes()
    }

    /// The `k` items that share most with `words`, best first; those that share nothing, or score less than
    /// `least`, are none of them.
    pub fn nearest(&self, words: &[Word], k: usize, least: f64, scratch: &mut Scratch) -> Vec<Hit> {
        let known: Vec<u32> = words
            .iter()
            .filter_map(|w| self.dictionary.get(*w))
            .collect();
        if known.is_empty() || k == 0 {
            return Vec::new();
        }
        let mut best = Best::new(words.len() as u32, k, least);
        // A byte counts to 255, and no item can share more than the query has.
        if u8::try_from(known.len()).is_ok() {
            self.count(&known, &mut scratch.small);
            self.collect(&scratch.small, &mut best);
        } else {
            self.count(&known, &mut scratch.large);
            self.collect(&scratch.large, &mut best);
        }
        best.found
    }

    fn count<C: Counter>(&self, known: &[u32], counters: &mut Vec<C>) {
        counters.clear();
        counters.resize(self.places.len(), C::default());
        for word in known {
            for place in self.having.get(*word as usize) {
                counters[*place as usize].up();
            }
        }
    }

    fn collect<C: Counter>(&self, counters: &[C], best: &mut Best) {
        for (from, run) in self.places.runs() {
            let counters = &counters[from..from + run.len()];
            // Most share nothing: they are passed over eight at a time.
            for (counts, places) in counters.chunks(8).zip(run.chunks(8)) {
                if counts.iter().all(|c| c.value() == 0) {
                    continue;
                }
                for (count, place) in counts.iter().zip(places) {
                    if count.value() > 0 && place.words > 0 {
                        best.offer(count.value(), place);
                    }
                }
            }
        }
    }
}

trait Counter: Copy + Default {
    fn up(&mut self);
    fn value(self) -> u32;
}

impl Counter for u8 {
    fn up(&mut self) {
        *self += 1;
    }

    fn value(self) -> u32 {
        u32::from(self)
    }
}

impl Counter for u32 {
    fn up(&mut self) {
        *self += 1;
    }

    fn value(self) -> u32 {
        self
    }
}

/// The best so far, best first.
struct Best {
    words: u32,
    k: usize,
    least: f64,
    found: Vec<Hit>,
}

impl Best {
    fn new(words: u32, k: usize, least: f64) -> Self {
        Self {
            words,
            k,
            least,
            found: Vec::with_capacity(k.min(1_024) + 1),
        }
    }

    fn offer(&mut self, overlap: u32, place: &Place) {
        let union = self.words + place.words - overlap;
        // As good as the worst at least: in whole numbers.
        if self.found.len() == self.k
            && let Some(worst) = self.found.last()
            && u64::from(overlap) * u64::from(worst.union)
                < u64::from(worst.overlap) * u64::from(union)
        {
            return;
        }
        let hit = Hit {
            key: place.key,
            overlap,
            union,
            created_ms: place.created_ms,
        };
        if hit.score() < self.least {
            return;
        }
        let at = self
            .found
            .partition_point(|better| better.order(&hit).is_lt());
        if at < self.k {
            self.found.insert(at, hit);
            self.found.truncate(self.k);
        }
    }
}

/// Keys to places, in many small tables for the same reason as the words.
struct Keys(Vec<HashMap<i64, u32>>);

const KEYS: usize = 256;

impl Default for Keys {
    fn default() -> Self {
        Self((0..KEYS).map(|_| HashMap::new()).collect())
    }
}

impl Keys {
    fn table(&mut self, key: i64) -> &mut HashMap<i64, u32> {
        &mut self.0[key.unsigned_abs() as usize % KEYS]
    }

    fn insert(&mut self, key: i64, place: u32) {
        self.table(key).insert(key, place);
    }

    fn remove(&mut self, key: i64) -> Option<u32> {
        self.table(key).remove(&key)
    }

    fn bytes(&self) -> usize {
        let places: usize = self.0.iter().map(|t| t.capacity() * 8 / 7).sum();
        places * (size_of::<(i64, u32)>() + 1)
    }
}
