//! Which items have a word: a list of places for most words, a bit for every item for those that many have.
//!
//! Why two forms: a common word in a list costs a step an item, as bits it costs one for 512; a rare one as
//! bits would be mostly nothing.

use super::block::{LANES, LIMBS, Row};

/// Blocks whose bits lie together.
const TOGETHER: usize = 128;

/// Places of one word.
pub(super) enum Having {
    /// Ascending in the order they were given out.
    Rare(Vec<u32>),
    /// A bit each.
    Common(Box<Common>),
}

#[derive(Default)]
pub(super) struct Common {
    /// Rows of neighbouring blocks; none where no item of them has the word.
    rows: Vec<Option<Box<[Row; TOGETHER]>>>,
    count: usize,
}

static NONE: Row = [0; LIMBS];

impl Common {
    fn set(&mut self, place: u32) {
        let (block, lane) = (place as usize / LANES, place as usize % LANES);
        let (group, within) = (block / TOGETHER, block % TOGETHER);
        if self.rows.len() <= group {
            self.rows.resize_with(group + 1, || None);
        }
        let rows = self.rows[group].get_or_insert_with(|| Box::new([NONE; TOGETHER]));
        rows[within][lane / 64] |= 1 << (lane % 64);
        self.count += 1;
    }

    /// The bits of a block.
    pub(super) fn row(&self, block: usize) -> &Row {
        match self.rows.get(block / TOGETHER) {
            Some(Some(rows)) => &rows[block % TOGETHER],
            _ => &NONE,
        }
    }

    /// Places.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    fn places(&self) -> Vec<u32> {
        let mut places = Vec::with_capacity(self.count);
        for (group, rows) in self.rows.iter().enumerate() {
            let Some(rows) = rows else { continue };
            for (within, row) in rows.iter().enumerate() {
                let first = (group * TOGETHER + within) * LANES;
                for (limb, bits) in row.iter().enumerate() {
                    let mut left = *bits;
                    while left != 0 {
                        let bit = left.trailing_zeros() as usize;
                        left &= left - 1;
                        places.push((first + limb * 64 + bit) as u32);
                    }
                }
            }
        }
        places
    }
}

impl Default for Having {
    fn default() -> Self {
        Self::Rare(Vec::new())
    }
}

impl Having {
    pub(super) fn push(&mut self, place: u32) {
        match self {
            Self::Rare(places) => {
                if places.capacity() == 0 {
                    // Most words are had by one item and never by another.
                    places.reserve_exact(1);
                }
                places.push(place);
            }
            Self::Common(common) => common.set(place),
        }
    }

    pub(super) fn count(&self) -> usize {
        match self {
            Self::Rare(places) => places.len(),
            Self::Common(common) => common.count,
        }
    }

    /// From a list to bits.
    pub(super) fn make_common(&mut self) {
        if let Self::Rare(places) = self {
            let mut common = Common::default();
            for place in places.iter() {
                common.set(*place);
            }
            *self = Self::Common(Box::new(common));
        }
    }

    /// From bits to a list.
    pub(super) fn make_rare(&mut self) {
        if let Self::Common(common) = self {
            *self = Self::Rare(common.places());
        }
    }

    /// Does something with every place.
    pub(super) fn each(&self, mut take: impl FnMut(u32)) {
        match self {
            Self::Rare(places) => places.iter().for_each(|place| take(*place)),
            Self::Common(common) => common.places().into_iter().for_each(take),
        }
    }

    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Rare(places) => places.capacity() * size_of::<u32>(),
            Self::Common(common) => {
                let groups = common.rows.iter().flatten().count();
                groups * TOGETHER * size_of::<Row>() + common.rows.capacity() * size_of::<usize>()
            }
        }
    }
}
