//! Words and keys to numbers. Many small tables instead of a large one: each grows on its own, so that
//! growing never takes longer than a small table does.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use crate::tokenizer::Word;

/// Tables; a power of two.
const TABLES: usize = 4_096;

/// What is hashed is a hash already.
#[derive(Default)]
struct Own(u64);

impl Hasher for Own {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for part in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..part.len()].copy_from_slice(part);
            self.0 = self.0.rotate_left(32) ^ u64::from_le_bytes(word);
        }
    }

    fn write_usize(&mut self, _: usize) {}

    /// A key counts up: spread over all bits.
    fn write_i64(&mut self, key: i64) {
        self.0 = key.cast_unsigned().wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

/// Twelve bytes of a word, so that an entry has sixteen: enough to tell all words there are apart.
type Name = [u32; 3];

fn name(word: Word) -> Name {
    [word as u32, (word >> 32) as u32, (word >> 64) as u32]
}

fn table(word: Word) -> usize {
    (word >> 96) as usize % TABLES
}

type Table = HashMap<Name, u32, BuildHasherDefault<Own>>;

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

impl Dictionary {
    /// The number of a word that is known.
    pub(super) fn get(&self, word: Word) -> Option<u32> {
        self.tables[table(word)].get(&name(word)).copied()
    }

    /// The number of a word; a new one's is the next.
    pub(super) fn number(&mut self, word: Word) -> u32 {
        let next = self.words;
        let number = *self.tables[table(word)].entry(name(word)).or_insert(next);
        if number == next {
            self.words += 1;
        }
        number
    }

    pub(super) fn bytes(&self) -> usize {
        // A place is the entry and a byte of control.
        let place = size_of::<(Name, u32)>() + 1;
        let places: usize = self.tables.iter().map(|t| t.capacity() * 8 / 7).sum();
        places * place + TABLES * size_of::<Table>()
    }
}

/// Keys of items to their places.
pub(super) struct Keys(Vec<Places>);

type Places = HashMap<i64, u32, BuildHasherDefault<Own>>;

const KEYS: usize = 1_024;

impl Default for Keys {
    fn default() -> Self {
        Self((0..KEYS).map(|_| Places::default()).collect())
    }
}

impl Keys {
    fn table(&mut self, key: i64) -> &mut Places {
        &mut self.0[key.unsigned_abs() as usize % KEYS]
    }

    pub(super) fn insert(&mut self, key: i64, place: u32) {
        self.table(key).insert(key, place);
    }

    pub(super) fn remove(&mut self, key: i64) -> Option<u32> {
        self.table(key).remove(&key)
    }

    pub(super) fn bytes(&self) -> usize {
        let places: usize = self.0.iter().map(|t| t.capacity() * 8 / 7).sum();
        places * (size_of::<(i64, u32)>() + 1)
    }
}
