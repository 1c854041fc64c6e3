//! 512 items of about the same number of words, side by side: what is asked of one is asked of all of them
//! at once, a bit each.
#![expect(
    clippy::inline_always,
    reason = "the same code is compiled twice, and wide registers reach only what is inlined"
)]

use super::index::Best;

/// Items in a block.
pub(super) const LANES: usize = 512;
/// Words of 64 bits that hold a bit for each.
pub(super) const LIMBS: usize = LANES / 64;

/// A bit for each item of a block.
pub(super) type Row = [u64; LIMBS];

/// Planes of a sum: it counts to 255.
const PLANES: usize = 8;

pub(super) struct Block {
    keys: [i64; LANES],
    created_ms: [i64; LANES],
    words: [u16; LANES],
    alive: Row,
    /// Places that were given out.
    pub(super) used: usize,
    /// Fewest and most words of its items.
    pub(super) least: u32,
    pub(super) most: u32,
}

impl Block {
    pub(super) fn new() -> Box<Self> {
        Box::new(Self {
            keys: [0; LANES],
            created_ms: [0; LANES],
            words: [0; LANES],
            alive: [0; LIMBS],
            used: 0,
            least: u32::MAX,
            most: 0,
        })
    }

    pub(super) fn is_full(&self) -> bool {
        self.used == LANES
    }

    /// Gives the next place to an item.
    pub(super) fn push(&mut self, key: i64, created_ms: i64, words: u16) -> usize {
        let lane = self.used;
        (self.keys[lane], self.created_ms[lane], self.words[lane]) = (key, created_ms, words);
        self.alive[lane / 64] |= 1 << (lane % 64);
        self.used += 1;
        self.least = self.least.min(u32::from(words));
        self.most = self.most.max(u32::from(words));
        lane
    }

    pub(super) fn remove(&mut self, lane: usize) {
        self.alive[lane / 64] &= !(1 << (lane % 64));
    }

    /// Offers every item that shares at least `need` words: those of `rare`, one count an item, and those of
    /// the rows. No item has more than `most_rare` of the first.
    pub(super) fn offer(
        &self,
        rows: &[&Row],
        rare: &[u8],
        most_rare: u32,
        need: u32,
        best: &mut Best,
    ) {
        // What the common words must give.
        let wanted = need.saturating_sub(most_rare);
        let Some((sum, enough)) = added_up(rows, wanted) else {
            return;
        };
        for (limb, (enough, alive)) in enough.iter().zip(&self.alive).enumerate() {
            let mut left = enough & alive;
            while left != 0 {
                let bit = left.trailing_zeros() as usize;
                left &= left - 1;
                let lane = limb * 64 + bit;
                let overlap = u32::from(rare[lane]) + sum.of(limb, bit);
                if overlap >= need.max(1) {
                    let words = u32::from(self.words[lane]);
                    best.offer(self.keys[lane], self.created_ms[lane], words, overlap);
                }
            }
        }
    }

    /// Offers one item.
    pub(super) fn offer_one(&self, lane: usize, overlap: u32, best: &mut Best) {
        if self.alive[lane / 64] >> (lane % 64) & 1 == 1 {
            let words = u32::from(self.words[lane]);
            best.offer(self.keys[lane], self.created_ms[lane], words, overlap);
        }
    }
}

/// Rows added up, and who has at least so much; `None`: nobody.
fn added_up(rows: &[&Row], wanted: u32) -> Option<(Sum, Row)> {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        #[expect(
            unsafe_code,
            reason = "the processor was asked whether it has what the function needs"
        )]
        // SAFETY: AVX2 is there, just asked.
        return unsafe { added_up_wide(rows, wanted) };
    }
    added_up_plain(rows, wanted)
}

/// The same code, made for four words of 64 bits at a time: the same answer on every processor.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn added_up_wide(rows: &[&Row], wanted: u32) -> Option<(Sum, Row)> {
    added_up_plain(rows, wanted)
}

#[inline(always)]
fn added_up_plain(rows: &[&Row], wanted: u32) -> Option<(Sum, Row)> {
    let mut sum = Sum::default();
    let mut left = rows;
    while let [a, b, c, d, rest @ ..] = left {
        sum.add_four([a, b, c, d]);
        left = rest;
        // The rows that are left may be had by all, and still nobody has enough.
        let missing = wanted.saturating_sub(left.len() as u32);
        if missing > 0 && sum.at_least(missing) == [0; LIMBS] {
            return None;
        }
    }
    for row in left {
        sum.add(row);
    }
    let enough = sum.at_least(wanted);
    (enough != [0; LIMBS]).then_some((sum, enough))
}

/// Three bits: their sum, and what is carried.
#[inline(always)]
fn full(a: u64, b: u64, c: u64) -> (u64, u64) {
    let half = a ^ b;
    (half ^ c, (a & b) | (half & c))
}

/// Counts of a block's items, bit by bit: plane `n` has bit `n` of each count.
#[derive(Default)]
struct Sum {
    planes: [Row; PLANES],
    /// Rows that were added.
    rows: u32,
}

impl Sum {
    #[inline(always)]
    fn add(&mut self, row: &Row) {
        self.rows += 1;
        self.carry(0, *row);
    }

    /// Four at once: two bits are added to a plane for the price of one, and half as many are carried on.
    #[inline(always)]
    fn add_four(&mut self, [a, b, c, d]: [&Row; 4]) {
        self.rows += 4;
        let (mut twos, mut more) = ([0; LIMBS], [0; LIMBS]);
        for limb in 0..LIMBS {
            let (one, first) = full(self.planes[0][limb], a[limb], b[limb]);
            let (one, second) = full(one, c[limb], d[limb]);
            self.planes[0][limb] = one;
            (twos[limb], more[limb]) = full(self.planes[1][limb], first, second);
        }
        self.planes[1] = twos;
        self.carry(2, more);
    }

    /// Adds a row to the planes from one on.
    #[inline(always)]
    fn carry(&mut self, from: usize, mut row: Row) {
        let used = (u32::BITS - self.rows.leading_zeros()) as usize;
        for plane in &mut self.planes[from..used.clamp(from, PLANES)] {
            for (bits, carry) in plane.iter_mut().zip(&mut row) {
                let both = *bits & *carry;
                *bits ^= *carry;
                *carry = both;
            }
        }
    }

    /// Who has at least so much.
    #[inline(always)]
    fn at_least(&self, need: u32) -> Row {
        if need == 0 {
            return [u64::MAX; LIMBS];
        }
        if need > self.rows {
            return [0; LIMBS];
        }
        // From the highest bit: larger already, or equal so far.
        let (mut larger, mut equal) = ([0; LIMBS], [u64::MAX; LIMBS]);
        let used = (u32::BITS - self.rows.leading_zeros()) as usize;
        for (n, plane) in self.planes.iter().enumerate().take(used).rev() {
            let wanted = if need >> n & 1 == 1 { u64::MAX } else { 0 };
            for limb in 0..LIMBS {
                larger[limb] |= equal[limb] & plane[limb] & !wanted;
                equal[limb] &= !(plane[limb] ^ wanted);
            }
        }
        std::array::from_fn(|limb| larger[limb] | equal[limb])
    }

    fn of(&self, limb: usize, bit: usize) -> u32 {
        let bit_of = |plane: &Row| (plane[limb] >> bit & 1) as u32;
        self.planes
            .iter()
            .enumerate()
            .map(|(n, plane)| bit_of(plane) << n)
            .sum()
    }
}
