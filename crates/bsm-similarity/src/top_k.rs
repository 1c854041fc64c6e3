//! What was found so far, best first.

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

/// The best so far, best first.
pub(super) struct TopK {
    /// Words of the query.
    words: u32,
    k: usize,
    least: f64,
    found: Vec<Hit>,
}

impl TopK {
    pub(super) fn new(words: u32, k: usize, least: f64) -> Self {
        Self {
            words,
            k,
            least,
            found: Vec::with_capacity(k.min(1_024) + 1),
        }
    }

    pub(super) fn into_found(self) -> Vec<Hit> {
        self.found
    }

    /// Words that an item of `words` words must share to be as good as the worst that is kept: `overlap /
    /// union ≥ a / b` in whole numbers.
    pub(super) fn need(&self, words: u32) -> u32 {
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
