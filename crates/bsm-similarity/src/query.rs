//! One question to the index: its rare words are counted item by item, its common ones as bits, block by
//! block, and most blocks are done with before all of them were looked at.
#![expect(
    clippy::inline_always,
    reason = "the same code is compiled for several processors, and wide registers reach only what is inlined"
)]

use super::block::{Bytes, LANES, Row};
use super::index::Index;
use crate::postings::{Common, Group, PostingList, TOGETHER};
use crate::tokenizer::Word;
use crate::top_k::{Hit, TopK};

/// Most words of a query that a byte can count.
const BYTE: usize = 255;
/// Blocks that are looked at before the others, so that the best found so far is soon good.
const FIRST: usize = 24;
/// Blocks from now whose rows are fetched from memory meanwhile.
const AHEAD: usize = 3;

/// Counters of one query, kept from one to the next.
#[derive(Default)]
pub struct Scratch {
    counts: Vec<Bytes>,
    most: Vec<u8>,
    wide: Vec<u32>,
}

impl Index {
    /// The `k` items that share most with `words`, best first; those that share nothing, or score less than
    /// `least`, are none of them.
    pub fn nearest(&self, words: &[Word], k: usize, least: f64, scratch: &mut Scratch) -> Vec<Hit> {
        let known = self.known(words);
        let mut best = TopK::new(words.len() as u32, k, least);
        if known.is_empty() || k == 0 {
            return Vec::new();
        }
        if known.len() > BYTE {
            self.one_by_one(&known, &mut scratch.wide, &mut best);
        } else {
            self.by_blocks(&known, scratch, &mut best);
        }
        best.into_found()
    }

    /// For a query of more words than a byte can count.
    fn one_by_one(&self, known: &[&PostingList], counts: &mut Vec<u32>, best: &mut TopK) {
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

    fn by_blocks(&self, known: &[&PostingList], scratch: &mut Scratch, best: &mut TopK) {
        let Scratch { counts, most, .. } = scratch;
        counts.clear();
        counts.resize(self.blocks.len(), Bytes::NONE);
        let mut common: Vec<&Common> = Vec::new();
        for having in known {
            match having {
                PostingList::Common(bits) => common.push(bits),
                PostingList::Rare(places) => {
                    for place in places {
                        counts[*place as usize / LANES].0[*place as usize % LANES] += 1;
                    }
                }
            }
        }
        // The rarest first: a block that has few of them is soon done with.
        common.sort_unstable_by_key(|bits| bits.count());
        let walk = Walk {
            index: self,
            common: &common,
            counts,
        };
        walk.on_this_processor(most, best);
    }
}

/// Over all blocks, after the rare words were counted.
struct Walk<'a> {
    index: &'a Index,
    common: &'a [&'a Common],
    counts: &'a [Bytes],
}

impl<'a> Walk<'a> {
    /// The same code, made for the widest registers there are: the same answer on every processor.
    fn on_this_processor(&self, most: &mut Vec<u8>, best: &mut TopK) {
        #[cfg(target_arch = "x86_64")]
        #[expect(
            unsafe_code,
            reason = "the processor is asked whether it has what the function needs"
        )]
        if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw") {
            // SAFETY: AVX-512 F and BW are there, just asked.
            return unsafe { self.run_avx512(most, best) };
        } else if is_x86_feature_detected!("avx2") {
            // SAFETY: AVX2 is there, just asked.
            return unsafe { self.run_avx2(most, best) };
        }
        self.run(most, best);
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn run_avx512(&self, most: &mut Vec<u8>, best: &mut TopK) {
        self.run(most, best);
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    fn run_avx2(&self, most: &mut Vec<u8>, best: &mut TopK) {
        self.run(most, best);
    }

    /// First the blocks with the highest counts, then the others; both in the order they lie in.
    #[inline(always)]
    fn run(&self, most: &mut Vec<u8>, best: &mut TopK) {
        most.clear();
        most.extend(self.counts.iter().map(Bytes::most));
        let high = count_of_first(most);
        self.blocks(|most_rare| most_rare >= high, most, best);
        self.blocks(|most_rare| most_rare < high, most, best);
    }

    #[inline(always)]
    fn blocks(&self, which: impl Fn(u8) -> bool, most: &[u8], best: &mut TopK) {
        let mut groups: Vec<&Group> = Vec::with_capacity(self.common.len());
        let mut rows: Vec<&Row> = Vec::with_capacity(self.common.len());
        for (group, most) in most.chunks(TOGETHER).enumerate() {
            groups.clear();
            groups.extend(self.common.iter().map(|bits| bits.group(group)));
            for (within, most_rare) in most.iter().enumerate() {
                if which(*most_rare) {
                    let block = group * TOGETHER + within;
                    self.block(block, &groups, u32::from(*most_rare), &mut rows, best);
                }
            }
        }
    }

    #[inline(always)]
    fn block(
        &self,
        block: usize,
        groups: &[&'a Group],
        most_rare: u32,
        rows: &mut Vec<&'a Row>,
        best: &mut TopK,
    ) {
        let sizes = self.index.sizes.get(block);
        // What an item with the fewest words here needs; one with more needs no less.
        let need = best.need(u32::from(sizes.least));
        if need > (groups.len() as u32 + most_rare).min(u32::from(sizes.most)) {
            return;
        }
        rows.clear();
        for group in groups {
            rows.push(&group[block % TOGETHER]);
            group[(block + AHEAD) % TOGETHER].bring();
        }
        let items = self.index.blocks.get(block);
        items.offer(rows, &self.counts[block], most_rare, need, best);
    }
}

/// The count that at least so many blocks reach.
fn count_of_first(most: &[u8]) -> u8 {
    let mut blocks = [0_usize; 256];
    for count in most {
        blocks[usize::from(*count)] += 1;
    }
    let mut reached = 0;
    (0..=u8::MAX)
        .rev()
        .find(|count| {
            reached += blocks[usize::from(*count)];
            reached >= FIRST
        })
        .unwrap_or(0)
}
