//! The exact nearest by words, among millions between two key presses.
//!
//! Items lie in blocks of 512 with about the same number of words each. A query counts its rare words item
//! by item, from their lists; that gives each block a bound: the most rare words of one of its items and all
//! of the query's common words. Blocks with the best counts come first and find a fifth-best soon. From then
//! on a block is passed over when its bound cannot reach what an item of its size needs to be as good; in
//! the others the common words are added up for all 512 at once, as bits, and only those that can reach it
//! are looked at one by one.
//!
//! Why not the usual pruning of candidates: the fifth best of a million is seldom alike by more than a
//! third, so that bounds leave many, and looking each up costs a walk to memory. Here memory is walked in
//! order.

use super::block::{Block, LANES, Row};
use super::chunked::Chunked;
use super::dictionary::{Dictionary, Keys};
use super::having::{Common, Having};
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

/// A word is common when one in so many items has it …
const COMMON: usize = 64;
/// … and rare again when fewer than one in so many do.
const RARE: usize = 160;
/// Below this a list is as good.
const FEW: usize = 1_024;
/// Sizes in a class differ by a sixteenth at most.
const CLASSES: usize = 16 * 16;
/// Most words of a query that a byte can count.
const BYTE: usize = 255;

/// The index.
pub struct Index {
    dictionary: Dictionary,
    /// By word's number.
    having: Chunked<Having>,
    blocks: Chunked<Box<Block>>,
    /// The block of each class that has room.
    open: Vec<Option<u32>>,
    /// Numbers of common words, looked at in turn.
    common: Vec<u32>,
    turn: usize,
    by_key: Keys,
    gone: usize,
    items: usize,
}

impl Default for Index {
    fn default() -> Self {
        Self {
            dictionary: Dictionary::default(),
            having: Chunked::default(),
            blocks: Chunked::default(),
            open: vec![None; CLASSES],
            common: Vec::new(),
            turn: 0,
            by_key: Keys::default(),
            gone: 0,
            items: 0,
        }
    }
}

/// Counters of one query, kept from one to the next.
#[derive(Default)]
pub struct Scratch {
    counts: Vec<u8>,
    most: Vec<u8>,
    order: Vec<u32>,
    wide: Vec<u32>,
}

/// Small sizes have a class each; from 16 on sixteen classes until the size doubles.
fn class(words: usize) -> usize {
    if words < 16 {
        return words;
    }
    let doublings = words.ilog2() as usize;
    (16 * (doublings - 3) + (words >> (doublings - 4)) % 16).min(CLASSES - 1)
}

impl Index {
    /// Takes an item in, in place of the one with the same key. An item without words is never found, and
    /// is not kept. Of more than 65,535 words the first so many count.
    pub fn insert(&mut self, key: i64, created_ms: i64, words: &[Word]) {
        self.remove(key);
        let words = &words[..words.len().min(usize::from(u16::MAX))];
        if words.is_empty() {
            return;
        }
        let place = self.place(key, created_ms, words.len());
        let bound = (self.items / COMMON).max(FEW);
        // All are looked up first: the walks to memory overlap, where one after another would wait.
        let known: usize = words
            .iter()
            .filter(|w| self.dictionary.get(**w).is_some())
            .count();
        let mut numbers = Vec::with_capacity(words.len());
        numbers.extend(words.iter().map(|word| self.dictionary.number(*word)));
        for _ in known..words.len() {
            self.having.push(Having::default());
        }
        for number in numbers {
            let having = self.having.get_mut(number as usize);
            having.push(place);
            if having.count() > bound && matches!(having, Having::Rare(_)) {
                having.make_common();
                self.common.push(number);
            }
        }
        self.by_key.insert(key, place);
        self.items += 1;
        self.look_at_one();
    }

    /// The next place of the item's class.
    fn place(&mut self, key: i64, created_ms: i64, words: usize) -> u32 {
        let class = class(words);
        let open = self.open[class].filter(|b| !self.blocks.get(*b as usize).is_full());
        let block = open.unwrap_or_else(|| {
            self.blocks.push(Block::new());
            self.blocks.len() as u32 - 1
        });
        self.open[class] = Some(block);
        let lane = self
            .blocks
            .get_mut(block as usize)
            .push(key, created_ms, words as u16);
        block * LANES as u32 + lane as u32
    }

    /// One common word a time: with more items it may be rare by now.
    fn look_at_one(&mut self) {
        if self.common.is_empty() {
            return;
        }
        self.turn = (self.turn + 1) % self.common.len();
        let number = self.common[self.turn] as usize;
        if self.having.get(number).count() < (self.items / RARE).max(FEW / 2) {
            self.having.get_mut(number).make_rare();
            self.common.swap_remove(self.turn);
        }
    }

    /// Lets an item go; false: there was none.
    pub fn remove(&mut self, key: i64) -> bool {
        let Some(place) = self.by_key.remove(key) else {
            return false;
        };
        let (block, lane) = (place as usize / LANES, place as usize % LANES);
        self.blocks.get_mut(block).remove(lane);
        self.gone += 1;
        self.items -= 1;
        true
    }

    /// Items.
    pub fn len(&self) -> usize {
        self.items
    }

    /// No item.
    pub fn is_empty(&self) -> bool {
        self.items == 0
    }

    /// More of its places are empty than taken: building it anew would pay.
    pub fn is_wasteful(&self) -> bool {
        self.gone > 10_000 && self.gone > self.items
    }

    /// Bytes it takes, as far as it knows.
    pub fn bytes(&self) -> usize {
        let lists = self.having.runs().flat_map(|(_, run)| run);
        let lists: usize = lists.map(Having::bytes).sum();
        let blocks = self.blocks.len() * size_of::<Block>() + self.blocks.bytes();
        self.dictionary.bytes() + self.having.bytes() + lists + blocks + self.by_key.bytes()
    }

    /// The `k` items that share most with `words`, best first; those that share nothing, or score less than
    /// `least`, are none of them.
    pub fn nearest(&self, words: &[Word], k: usize, least: f64, scratch: &mut Scratch) -> Vec<Hit> {
        let numbers = words.iter().filter_map(|w| self.dictionary.get(*w));
        let known: Vec<&Having> = numbers.map(|n| self.having.get(n as usize)).collect();
        let mut best = Best::new(words.len() as u32, k, least);
        if known.is_empty() || k == 0 {
            return best.found;
        }
        if known.len() > BYTE {
            self.one_by_one(&known, &mut scratch.wide, &mut best);
        } else {
            self.by_blocks(&known, scratch, &mut best);
        }
        best.found
    }

    fn by_blocks(&self, known: &[&Having], scratch: &mut Scratch, best: &mut Best) {
        let blocks = self.blocks.len();
        let Scratch {
            counts,
            most,
            order,
            ..
        } = scratch;
        counts.clear();
        counts.resize(blocks * LANES, 0);
        most.clear();
        most.resize(blocks, 0);
        let mut common: Vec<&Common> = Vec::new();
        for having in known {
            match having {
                Having::Common(bits) => common.push(bits),
                Having::Rare(places) => {
                    for place in places {
                        let count = &mut counts[*place as usize];
                        *count += 1;
                        let most = &mut most[*place as usize / LANES];
                        *most = (*most).max(*count);
                    }
                }
            }
        }
        // The rarest first: a block that has few of them is soon done with.
        common.sort_unstable_by_key(|bits| bits.count());
        best_first(most, order);
        let mut rows: Vec<&Row> = Vec::with_capacity(common.len());
        for at in order.iter() {
            let at = *at as usize;
            let block = self.blocks.get(at);
            let most_rare = u32::from(most[at]);
            // What an item with the fewest words here needs; one with more needs no less.
            let need = best.need(block.least);
            if need > (common.len() as u32 + most_rare).min(block.most) {
                continue;
            }
            rows.clear();
            rows.extend(common.iter().map(|c| c.row(at)));
            let rare = &counts[at * LANES..(at + 1) * LANES];
            block.offer(&rows, rare, most_rare, need, best);
        }
    }

    /// For a query of more words than a byte can count.
    fn one_by_one(&self, known: &[&Having], counts: &mut Vec<u32>, best: &mut Best) {
        counts.clear();
        counts.resize(self.blocks.len() * LANES, 0);
        for having in known {
            having.each(|place| counts[place as usize] += 1);
        }
        for (place, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            let block = self.blocks.get(place / LANES);
            block.offer_one(place % LANES, *count, best);
        }
    }
}

/// Numbers of blocks, those with the largest counts first.
fn best_first(most: &[u8], order: &mut Vec<u32>) {
    let mut starts = [0_u32; 257];
    for count in most {
        starts[usize::from(255 - count) + 1] += 1;
    }
    for n in 1..starts.len() {
        starts[n] += starts[n - 1];
    }
    order.clear();
    order.resize(most.len(), 0);
    for (block, count) in most.iter().enumerate() {
        let start = &mut starts[usize::from(255 - count)];
        order[*start as usize] = block as u32;
        *start += 1;
    }
}

/// The best so far, best first.
pub(super) struct Best {
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

    /// Words that an item of `words` words must share to be as good as the worst that is kept: `overlap /
    /// union ≥ a / b` in whole numbers.
    fn need(&self, words: u32) -> u32 {
        match self.found.last() {
            Some(worst) if self.found.len() == self.k => {
                let (a, b) = (u64::from(worst.overlap), u64::from(worst.union));
                (a * u64::from(self.words + words)).div_ceil(a + b) as u32
            }
            _ => 1,
        }
    }

    pub(super) fn offer(&mut self, key: i64, created_ms: i64, words: u32, overlap: u32) {
        let hit = Hit {
            key,
            overlap,
            union: self.words + words - overlap,
            created_ms,
        };
        if hit.score() < self.least {
            return;
        }
        if self.found.len() == self.k
            && self
                .found
                .last()
                .is_some_and(|worst| worst.order(&hit).is_lt())
        {
            return;
        }
        let at = self
            .found
            .partition_point(|better| better.order(&hit).is_lt());
        self.found.insert(at, hit);
        self.found.truncate(self.k);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_of_a_class_differ_by_a_sixteenth() {
        let mut last = 0;
        for words in 1..=65_535_usize {
            let class = class(words);
            assert!(class == last || class == last + 1, "{words}");
            last = class;
        }
        assert!(last < CLASSES, "{last}");
        assert_eq!(
            (class(16), class(17), class(32), class(33), class(34)),
            (16, 17, 32, 32, 33)
        );
    }
}
