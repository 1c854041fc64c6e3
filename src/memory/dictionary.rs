//! Words to numbers. Many small tables instead of a large one: each grows on its own, so that growing never
//! takes longer than a small table does.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::words::Word;

/// Tables; a power of two.
const TABLES: usize = 4_096;

/// The word is a hash already.
#[derive(Default)]
struct Own(u64);

impl Hasher for Own {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u128(&mut self, word: u128) {
        self.0 = word as u64;
    }
}

type Table = HashMap<Word, u32, BuildHasherDefault<Own>>;

pub(super) struct Dictionary {
    tables: Vec<Table>,
    words: u32,
}

impl Default for Dictionary {
    fn default() -> Self {
        Self {
            tables: (0..TABLES).map(|_| Table::default()).collect(),
            words: 0,
        }
    }
}

fn table(word: Word) -> usize {
    (word >> 64) as usize % TABLES
}

impl Dictionary {
    /// The number of a word that is known.
    pub(super) fn get(&self, word: Word) -> Option<u32> {
        self.tables[table(word)].get(&word).copied()
    }

    /// The number of a word; a new one's is the next.
    pub(super) fn number(&mut self, word: Word) -> u32 {
        let next = self.words;
        let number = *self.tables[table(word)].entry(word).or_insert(next);
        if number == next {
            self.words += 1;
        }
        number
    }

    pub(super) fn bytes(&self) -> usize {
        // A place is the entry and a byte of control.
        let place = size_of::<(Word, u32)>() + 1;
        let places: usize = self.tables.iter().map(|t| t.capacity() * 8 / 7).sum();
        places * place + TABLES * size_of::<Table>()
    }
}
