//! 512 items of about the same number of words, side by side: what is asked of one is asked of all of them
//! at once, a bit each.
#![expect(
    clippy::inline_always,
    reason = "the same code is compiled for several processors, and wide registers reach only what is inlined"
)]

use crate::top_k::TopK;

/// Items in a block.
pub(super) const LANES: usize = 512;
/// Words of 64 bits that hold a bit for each.
const LIMBS: usize = LANES / 64;

/// A bit for each item of a block, in one line of the processor's cache.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(align(64))]
pub(super) struct Row([u64; LIMBS]);

/// A byte for each item of a block.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub(super) struct Bytes(pub(super) [u8; LANES]);

/// Where the bit of a lane is in a row. Neighbouring bits are 64 lanes apart, so that bytes become bits by
/// shifts of whole registers (`Row::of_bit`).
fn bit_of(lane: usize) -> (usize, u32) {
    (lane / 8 % LIMBS, (lane % 8 * 8 + lane / 64) as u32)
}

/// The lane of a bit.
fn lane_of(limb: usize, bit: u32) -> usize {
    let bit = bit as usize;
    bit % 8 * 64 + limb * 8 + bit / 8
}

impl Row {
    pub(super) const NONE: Self = Self([0; LIMBS]);
    const ALL: Self = Self([u64::MAX; LIMBS]);

    pub(super) fn set(&mut self, lane: usize) {
        let (limb, bit) = bit_of(lane);
        self.0[limb] |= 1 << bit;
    }

    fn clear(&mut self, lane: usize) {
        let (limb, bit) = bit_of(lane);
        self.0[limb] &= !(1 << bit);
    }

    fn has(&self, lane: usize) -> bool {
        let (limb, bit) = bit_of(lane);
        self.0[limb] >> bit & 1 == 1
    }

    /// Asks the processor to bring it near; nothing else changes.
    #[inline(always)]
    pub(super) fn bring(&self) {
        #[cfg(target_arch = "x86_64")]
        #[expect(unsafe_code, reason = "the hint takes an address")]
        // SAFETY: a hint about a row that is there; it reads nothing.
        unsafe {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            _mm_prefetch::<_MM_HINT_T0>((&raw const self.0).cast());
        }
    }

    /// Lanes whose bit is set.
    pub(super) fn lanes(&self) -> impl Iterator<Item = usize> {
        self.0.iter().enumerate().flat_map(|(limb, bits)| {
            let mut left = *bits;
            std::iter::from_fn(move || {
                let bit = (left != 0).then(|| left.trailing_zeros())?;
                left &= left - 1;
                Some(lane_of(limb, bit))
            })
        })
    }

    /// Bit `n` of every byte.
    #[inline(always)]
    fn take_bit(&mut self, n: usize, bytes: &Bytes) {
        let (words, _) = bytes.0.as_chunks::<8>();
        for limb in 0..LIMBS {
            let mut bits = 0;
            for at in 0..8 {
                let word = u64::from_le_bytes(words[at * LIMBS + limb]);
                bits |= (word >> n & 0x0101_0101_0101_0101) << at;
            }
            self.0[limb] = bits;
        }
    }
}

impl Bytes {
    pub(super) const NONE: Self = Self([0; LANES]);

    /// The largest.
    #[inline(always)]
    pub(super) fn most(&self) -> u8 {
        let mut most = [0; 64];
        let (parts, _) = self.0.as_chunks::<64>();
        for part in parts {
            for (most, byte) in most.iter_mut().zip(part) {
                *most = (*most).max(*byte);
            }
        }
        most.into_iter().fold(0, u8::max)
    }
}

/// What is known of the items of a block, by lane.
pub(super) struct Block {
    keys: [i64; LANES],
    created_ms: [i64; LANES],
    words: [u16; LANES],
    alive: Row,
    /// Places that were given out.
    used: usize,
}

impl Block {
    pub(super) fn new() -> Box<Self> {
        Box::new(Self {
            keys: [0; LANES],
            created_ms: [0; LANES],
            words: [0; LANES],
            alive: Row::NONE,
            used: 0,
        })
    }

    pub(super) fn is_full(&self) -> bool {
        self.used == LANES
    }

    /// Gives the next place to an item.
    pub(super) fn push(&mut self, key: i64, created_ms: i64, words: u16) -> usize {
        let lane = self.used;
        (self.keys[lane], self.created_ms[lane], self.words[lane]) = (key, created_ms, words);
        self.alive.set(lane);
        self.used += 1;
        lane
    }

    pub(super) fn remove(&mut self, lane: usize) {
        self.alive.clear(lane);
    }

    /// Offers every item that shares at least `need` words: those of `rare`, a count an item and no more
    /// than `most_rare`, and those of the rows.
    #[inline(always)]
    pub(super) fn offer(
        &self,
        rows: &[&Row],
        rare: &Bytes,
        most_rare: u32,
        need: u32,
        best: &mut TopK,
    ) {
        // Small counts have few bits to add.
        match rows.len() as u32 + most_rare - need {
            0..16 => self.offer_of::<4>(rows, rare, need, best),
            _ => self.offer_of::<8>(rows, rare, need, best),
        }
    }

    #[inline(always)]
    fn offer_of<const BITS: usize>(&self, rows: &[&Row], rare: &Bytes, need: u32, best: &mut TopK) {
        let mut spare = Spare::<BITS>::new(rare, rows.len() as u32, need);
        if !spare.lacking(rows) {
            return;
        }
        let enough = Row(spare.none_left.0.map(|bits| !bits));
        for lane in enough.lanes() {
            self.offer_one(lane, need + spare.of(lane), best);
        }
    }

    /// Offers one item.
    pub(super) fn offer_one(&self, lane: usize, overlap: u32, best: &mut TopK) {
        if self.alive.has(lane) {
            let words = u32::from(self.words[lane]);
            best.offer(self.keys[lane], self.created_ms[lane], words, overlap);
        }
    }
}

/// How many of the query's common words each item may lack and still have enough. Counted up to where it
/// overflows, so that nobody has to compare: bit `n` of what an item used up is its bit in `used[n]`.
struct Spare<const BITS: usize> {
    used: [Row; BITS],
    /// Who lacks too many.
    none_left: Row,
}

impl<const BITS: usize> Spare<BITS> {
    /// What is used up when one more is too many.
    const FULL: u32 = (1 << BITS) - 1;

    /// With the rare words that each has, and as if each had all of the `common` ones; the most that one
    /// can spare is not more than `FULL`.
    #[inline(always)]
    fn new(rare: &Bytes, common: u32, need: u32) -> Self {
        // Modulo 256: where more than that would be used up, none is left.
        let without = (Self::FULL + need).wrapping_sub(common) as u8;
        let mut used = *rare;
        used.0
            .iter_mut()
            .for_each(|byte| *byte = without.wrapping_sub(*byte));
        let mut spare = Self {
            used: [Row::NONE; BITS],
            none_left: Row::NONE,
        };
        for (n, bits) in spare.used.iter_mut().enumerate() {
            bits.take_bit(n, &used);
        }
        if need > common {
            let least = (need - common).min(255) as u8;
            used = *rare;
            used.0
                .iter_mut()
                .for_each(|byte| *byte = u8::from(*byte < least));
            spare.none_left.take_bit(0, &used);
        }
        spare
    }

    /// Takes off what each lacks of the rows; false: nobody has enough.
    #[inline(always)]
    fn lacking(&mut self, rows: &[&Row]) -> bool {
        let (fours, rest) = rows.as_chunks::<4>();
        for four in fours {
            self.lacking_of_four(four);
            if self.none_left == Row::ALL {
                return false;
            }
        }
        for row in rest {
            for limb in 0..LIMBS {
                self.carry(0, limb, !row.0[limb]);
            }
        }
        self.none_left != Row::ALL
    }

    /// Four at once: two bits are added to one for the price of one, and half as many are carried on.
    #[inline(always)]
    fn lacking_of_four(&mut self, [a, b, c, d]: &[&Row; 4]) {
        for limb in 0..LIMBS {
            let (ones, first) = full(self.used[0].0[limb], !a.0[limb], !b.0[limb]);
            let (ones, second) = full(ones, !c.0[limb], !d.0[limb]);
            let (twos, fours) = full(self.used[1].0[limb], first, second);
            (self.used[0].0[limb], self.used[1].0[limb]) = (ones, twos);
            self.carry(2, limb, fours);
        }
    }

    /// Adds to the bits from one on.
    #[inline(always)]
    fn carry(&mut self, from: usize, limb: usize, mut carried: u64) {
        for bits in &mut self.used[from..] {
            let bits = &mut bits.0[limb];
            (*bits, carried) = (*bits ^ carried, *bits & carried);
        }
        self.none_left.0[limb] |= carried;
    }

    /// What one has left.
    fn of(&self, lane: usize) -> u32 {
        let bits = self.used.iter().enumerate();
        Self::FULL
            - bits
                .map(|(n, row)| u32::from(row.has(lane)) << n)
                .sum::<u32>()
    }
}

/// Three bits: what one bit holds of their sum, and what is carried.
#[inline(always)]
fn full(a: u64, b: u64, c: u64) -> (u64, u64) {
    let half = a ^ b;
    (half ^ c, (a & b) | (half & c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_lane_has_a_bit_of_its_own() {
        for lane in 0..LANES {
            let mut row = Row::NONE;
            row.set(lane);
            assert_eq!(row.lanes().collect::<Vec<_>>(), [lane]);
            let mut bytes = Bytes::NONE;
            bytes.0[lane] = 0b101;
            let mut bits = [Row::NONE; 3];
            (0..3).for_each(|n| bits[n].take_bit(n, &bytes));
            assert!(bits == [row, Row::NONE, row], "{lane}");
        }
    }

    #[test]
    fn who_has_enough_is_offered_and_nobody_else() {
        let mut random = fastrand::Rng::with_seed(5);
        for round in 0..300 {
            let common = random.u32(0..30);
            let most_rare = random.u32(1..=if round % 10 == 0 { 200 } else { 8 });
            let mut rows = vec![Row::NONE; common as usize];
            let mut rare = Bytes::NONE;
            let mut block = Block::new();
            let mut overlaps = [0; LANES];
            for (lane, overlap) in overlaps.iter_mut().enumerate() {
                block.push(lane.cast_signed() as i64, 0, 300);
                rare.0[lane] = random.u32(0..=most_rare) as u8;
                *overlap = u32::from(rare.0[lane]);
                for row in rows.iter_mut().filter(|_| random.bool()) {
                    row.set(lane);
                    *overlap += 1;
                }
            }
            let gone = random.usize(..LANES);
            block.remove(gone);
            overlaps[gone] = 0;
            let need = random.u32(1..=common + most_rare);
            let rows: Vec<&Row> = rows.iter().collect();
            let mut best = TopK::new(300, LANES, 0.0);
            block.offer(&rows, &rare, most_rare, need, &mut best);

            let found = best.into_found().into_iter();
            let mut found: Vec<(i64, u32)> = found.map(|hit| (hit.key, hit.overlap)).collect();
            found.sort_unstable();
            let enough = (0..).zip(overlaps).filter(|(_, overlap)| *overlap >= need);
            assert_eq!(found, enough.collect::<Vec<_>>(), "round {round}");
        }
    }
}
