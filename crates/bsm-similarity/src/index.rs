//! The exact nearest by words, among millions between two key presses.
//!
//! Items lie in blocks of 512 with about the same number of words each. A query (`asking`) counts its rare
//! words item by item, from their lists; that gives each block a bound: the most rare words of one of its
//! items and all of the query's common words. Blocks with the best counts come first and find a fifth-best
//! soon. From then on a block is passed over when its bound cannot reach what an item of its size needs to be
//! as good; in the others the common words that each of the 512 lacks are taken off at once, as bits, until
//! nobody has enough; who still has is as good.
//!
//! Why not the usual pruning of candidates: the fifth best of a million is seldom alike by more than a
//! third, so that bounds leave many, and looking each up costs a walk to memory. Here memory is walked in
//! order.

use super::block::{Block, LANES};
use super::dictionary::{Dictionary, Keys};
use crate::chunked_vec::Chunked;
use crate::postings::PostingList;
use crate::tokenizer::Word;

/// A word is common when one in so many items has it …
const COMMON: usize = 64;
/// … and rare again when fewer than one in so many do.
const RARE: usize = 160;
/// Below this a list is as good.
const FEW: usize = 1_024;
/// Sizes in a class differ by a sixteenth at most.
const CLASSES: usize = 16 * 16;

/// The index.
pub struct Index {
    dictionary: Dictionary,
    /// By word's number.
    having: Chunked<PostingList>,
    pub(super) blocks: Chunked<Box<Block>>,
    /// By block, apart from it: a query looks at all of these and at few blocks.
    pub(super) sizes: Chunked<Sizes>,
    /// The block of each class that has room.
    open: Vec<Option<u32>>,
    /// Numbers of common words, looked at in turn.
    common: Vec<u32>,
    turn: usize,
    by_key: Keys,
    gone: usize,
    items: usize,
}

/// Words of the items of a block.
pub(super) struct Sizes {
    pub(super) least: u16,
    pub(super) most: u16,
}

impl Default for Index {
    fn default() -> Self {
        Self {
            dictionary: Dictionary::default(),
            having: Chunked::default(),
            blocks: Chunked::default(),
            sizes: Chunked::default(),
            open: vec![None; CLASSES],
            common: Vec::new(),
            turn: 0,
            by_key: Keys::default(),
            gone: 0,
            items: 0,
        }
    }
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
            self.having.push(PostingList::default());
        }
        for number in numbers {
            let having = self.having.get_mut(number as usize);
            having.push(place);
            if having.count() > bound && matches!(having, PostingList::Rare(_)) {
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
            self.sizes.push(Sizes {
                least: u16::MAX,
                most: 0,
            });
            self.blocks.len() as u32 - 1
        });
        self.open[class] = Some(block);
        let words = words as u16;
        let sizes = self.sizes.get_mut(block as usize);
        (sizes.least, sizes.most) = (sizes.least.min(words), sizes.most.max(words));
        let lane = self
            .blocks
            .get_mut(block as usize)
            .push(key, created_ms, words);
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

    /// Who has the words that are known.
    pub(super) fn known(&self, words: &[Word]) -> Vec<&PostingList> {
        let numbers = words.iter().filter_map(|w| self.dictionary.get(*w));
        numbers.map(|n| self.having.get(n as usize)).collect()
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
        let lists: usize = lists.map(PostingList::bytes).sum();
        let blocks =
            self.blocks.len() * size_of::<Block>() + self.blocks.bytes() + self.sizes.bytes();
        self.dictionary.bytes() + self.having.bytes() + lists + blocks + self.by_key.bytes()
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
