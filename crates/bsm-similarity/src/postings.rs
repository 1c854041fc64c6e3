//! Which items have a word: a list of places for most words, a bit for every item for those that many have.
//!
//! Why two forms: a common word in a list costs a step an item, as bits it costs one for 512; a rare one as
//! bits would be mostly nothing.

use super::block::{LANES, Row};

/// Blocks whose bits lie together.
pub(super) const TOGETHER: usize = 128;

/// The bits of one word in so many neighbouring blocks.
pub(super) type Group = [Row; TOGETHER];

/// Places of one word.
pub(super) enum PostingList {
    /// In no order that means anything.
    Rare(Vec<u32>),
    /// A bit each.
    Common(Box<Common>),
}

#[derive(Default)]
pub(super) struct Common {
    /// None where no item of them has the word.
    groups: Vec<Option<Box<Group>>>,
    count: usize,
}

static NONE: Group = [Row::NONE; TOGETHER];

impl Common {
    fn set(&mut self, place: u32) {
        let (block, lane) = (place as usize / LANES, place as usize % LANES);
        let (group, within) = (block / TOGETHER, block % TOGETHER);
        if self.groups.len() <= group {
            self.groups.resize_with(group + 1, || None);
        }
        let rows = self.groups[group].get_or_insert_with(|| Box::new(NONE));
        rows[within].set(lane);
        self.count += 1;
    }

    /// The bits of neighbouring blocks.
    pub(super) fn group(&self, group: usize) -> &Group {
        match self.groups.get(group) {
            Some(Some(rows)) => rows,
            _ => &NONE,
        }
    }

    /// Places.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    fn places(&self) -> Vec<u32> {
        let mut places = Vec::with_capacity(self.count);
        for (group, rows) in self.groups.iter().enumerate() {
            let rows = rows.iter().flat_map(|rows| rows.iter().enumerate());
            for (within, row) in rows {
                let first = (group * TOGETHER + within) * LANES;
                places.extend(row.lanes().map(|lane| (first + lane) as u32));
            }
        }
        places
    }
}

impl Default for PostingList {
    fn default() -> Self {
        Self::Rare(Vec::new())
    }
}

impl PostingList {
    pub(super) fn push(&mut self, place: u32) {
        match self {
            Self::Rare(places) => {
                if places.len() == places.capacity() {
                    // Most words are had by one item and never by another, and all lists together are most
                    // of the index: a quarter more, where a `Vec` would take twice as much.
                    places.reserve_exact((places.len() / 4).max(1));
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
                let groups = common.groups.iter().flatten().count();
                groups * size_of::<Group>() + common.groups.capacity() * size_of::<usize>()
            }
        }
    }
}
