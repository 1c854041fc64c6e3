//! Which rules may hit in a text, and where, by the words they ask for: the one pass over all of it.
//!
//! Why no automaton: for three thousand words it takes megabytes and most of a start's time, and its table does not
//! fit a processor's cache. Four bytes of each word, the rarest, are looked for by their hash instead, in a few
//! kilobytes. What looks like a word is compared with it.

use std::collections::BTreeMap;

use super::regions::{Reach, Regions};

/// Bytes of a word that are looked for.
const GRAM: usize = 4;
/// Bits of a hash.
const HASH: u32 = 17;
const HASHES: usize = 1 << HASH;
/// Hashes that share a place in the list of grams.
const SHARED: u32 = 4;

/// The words of all rules, looked for at once; upper and lower case are the same.
#[derive(Debug)]
pub(super) struct Keywords {
    words: Vec<Word>,
    /// For each rule, how far from its words a match may lie.
    reaches: Vec<Reach>,
    /// Words of four bytes and more, by four of these.
    grams: Table,
    /// Words of three bytes.
    triples: Table,
    /// Words of fewer bytes, by two of these.
    pairs: Table,
    /// Bytes with which such words begin.
    begin_pairs: Box<[bool; 256]>,
}

#[derive(Debug)]
struct Word {
    text: Box<[u8]>,
    /// The rules that ask for it.
    rules: Vec<usize>,
}

/// Pieces of words by their hash.
#[derive(Debug)]
struct Table {
    /// One bit for each hash.
    bits: Box<[u64; HASHES / 64]>,
    /// For each group of hashes, where its pieces begin; one more for the end.
    starts: Vec<u32>,
    /// Sorted by hash.
    pieces: Vec<Piece>,
}

/// Some bytes of a word, folded, and where in it they stand.
#[derive(Debug, Clone, Copy)]
struct Piece {
    bytes: u32,
    word: u32,
    offset: u32,
}

impl Default for Keywords {
    /// Of no rule.
    fn default() -> Self {
        Self::new(BTreeMap::new(), Vec::new())
    }
}

impl Keywords {
    /// Words in lower case, each with the rules that ask for it; how far each rule reaches.
    pub(super) fn new(words: BTreeMap<String, Vec<usize>>, reaches: Vec<Reach>) -> Self {
        let (mut grams, mut triples, mut pairs) = (Vec::new(), Vec::new(), Vec::new());
        let mut begin_pairs = Box::new([false; 256]);
        for (number, word) in words.keys().enumerate() {
            let (word, text) = (number as u32, word.as_bytes());
            let piece = |bytes: u32, offset: usize| Piece {
                bytes,
                word,
                offset: offset as u32,
            };
            let pair = |one: u8, two: u8| piece(folded([one, two, 0, 0]) & PAIR, 0);
            match *text {
                [] => continue,
                [one] => {
                    let any = (0..=u8::MAX).filter(|any| any & UPPER_OR_LOWER != 0);
                    pairs.extend(any.map(|any| pair(one, any)));
                }
                [one, two] => pairs.push(pair(one, two)),
                [one, two, three] => {
                    triples.push(piece(folded([one, two, three, 0]) & TRIPLE, 0));
                    continue;
                }
                _ => {
                    let windows = text.array_windows::<GRAM>().enumerate();
                    let rarest = windows.min_by_key(|(_, gram)| commonness(**gram));
                    grams.extend(rarest.map(|(offset, gram)| piece(folded(*gram), offset)));
                    continue;
                }
            }
            let first = text[0];
            for byte in [first.to_ascii_lowercase(), first.to_ascii_uppercase()] {
                begin_pairs[usize::from(byte)] = true;
            }
        }
        let words = words.into_iter().map(|(text, rules)| Word {
            text: text.into_bytes().into_boxed_slice(),
            rules,
        });
        Self {
            words: words.collect(),
            reaches,
            grams: Table::new(grams),
            triples: Table::new(triples),
            pairs: Table::new(pairs),
            begin_pairs,
        }
    }

    /// Adds where in `text` those rules must be tried that apply and whose words stand in it.
    pub(super) fn find(&self, text: &[u8], regions: &mut Regions, applies: impl Fn(usize) -> bool) {
        let mut found = |at: usize, word: usize| {
            let word = &self.words[word];
            for rule in &word.rules {
                let place = (at, at + word.text.len());
                regions.add(*rule, text, place, self.reaches[*rule], &applies);
            }
        };
        for (at, four) in text.array_windows().enumerate() {
            if self.may_stand(*four) {
                self.compare(text, at, *four, &mut found);
            }
        }
        // The last bytes, too few for a look at four.
        for at in text.len().saturating_sub(3)..text.len() {
            let mut four = [0; 4];
            four[..text.len() - at].copy_from_slice(&text[at..]);
            self.compare(text, at, four, &mut found);
        }
    }

    /// The one look at every byte of every text.
    #[inline]
    fn may_stand(&self, four: [u8; 4]) -> bool {
        let bytes = folded(four);
        self.grams.may_hold(bytes)
            | self.triples.may_hold(bytes & TRIPLE)
            | self.begin_pairs[usize::from(four[0])]
    }

    /// Calls `found` with the words of which a piece stands at `at`, where the text is `four`.
    #[inline(never)]
    fn compare(&self, text: &[u8], at: usize, four: [u8; 4], found: &mut impl FnMut(usize, usize)) {
        let bytes = folded(four);
        let short = self
            .triples
            .of(bytes & TRIPLE)
            .chain(self.pairs.of(bytes & PAIR));
        for piece in self.grams.of(bytes).chain(short) {
            let word = piece.word as usize;
            let expected = &self.words[word].text;
            let start = at.checked_sub(piece.offset as usize);
            let there = start.and_then(|start| text.get(start..start + expected.len()));
            if let (Some(start), Some(there)) = (start, there)
                && there.eq_ignore_ascii_case(expected)
            {
                found(start, word);
            }
        }
    }
}

/// The bits of the first three of four bytes.
const TRIPLE: u32 = 0x00FF_FFFF;
/// The bits of the first two of four bytes.
const PAIR: u32 = 0x0000_FFFF;
/// The bit that tells upper from lower case.
const UPPER_OR_LOWER: u8 = 0x20;

/// Four bytes as one number in which upper and lower case are the same. Some other bytes are, too.
fn folded(bytes: [u8; 4]) -> u32 {
    u32::from_le_bytes(bytes) | u32::from_le_bytes([UPPER_OR_LOWER; 4])
}

fn hash(bytes: u32) -> usize {
    (bytes.wrapping_mul(0x9E37_79B1) >> (u32::BITS - HASH)) as usize
}

impl Table {
    fn new(mut pieces: Vec<Piece>) -> Self {
        pieces.sort_unstable_by_key(|piece| (hash(piece.bytes), piece.word));
        let mut bits = Box::new([0u64; HASHES / 64]);
        let mut starts = vec![0u32; (1 << (HASH - SHARED)) + 1];
        for piece in &pieces {
            let hash = hash(piece.bytes);
            bits[hash >> 6] |= 1 << (hash & 63);
            starts[(hash >> SHARED) + 1] += 1;
        }
        for group in 1..starts.len() {
            starts[group] += starts[group - 1];
        }
        Self {
            bits,
            starts,
            pieces,
        }
    }

    #[inline]
    fn may_hold(&self, bytes: u32) -> bool {
        let hash = hash(bytes);
        self.bits[hash >> 6] >> (hash & 63) & 1 == 1
    }

    /// The pieces that are these bytes.
    fn of(&self, bytes: u32) -> impl Iterator<Item = &Piece> {
        let group = hash(bytes) >> SHARED;
        let (start, end) = (self.starts[group] as usize, self.starts[group + 1] as usize);
        let pieces = self.pieces[start..end].iter();
        pieces.filter(move |piece| piece.bytes == bytes)
    }
}

/// How often four bytes may be expected in source text, in no unit: the sum of how common each is.
fn commonness(gram: [u8; GRAM]) -> u32 {
    const LETTERS: &[u8] = b"etaoinsrlcdupmhgfbyvkwxqjz";
    let of = |byte: u8| match byte.to_ascii_lowercase() {
        b' ' | b'/' | b'.' => 24,
        b'=' | b'"' | b'(' | b')' | b':' | b'-' | b'_' | b'\'' => 18,
        b'0'..=b'9' => 10,
        letter => LETTERS
            .iter()
            .position(|l| *l == letter)
            .map_or(6, |at| 26 - at as u32),
    };
    gram.into_iter().map(of).map(|n| n * n).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn found(words: &[String], text: &[u8]) -> Vec<Vec<(usize, usize)>> {
        let of: BTreeMap<String, Vec<usize>> = words
            .iter()
            .enumerate()
            .map(|(rule, word)| (word.clone(), vec![rule]))
            .collect();
        let rules = words.len();
        let keywords = Keywords::new(of, vec![Reach::Lines(1); rules]);
        let mut regions = Regions::new(rules);
        keywords.find(text, &mut regions, |_| true);
        let mut out = vec![Vec::new(); rules];
        for (rule, parts) in regions.sorted() {
            out[rule] = parts;
        }
        out
    }

    #[test]
    fn word_in_any_case_names_its_rule() {
        let words = ["token", "ken", "-----", "k"].map(String::from);
        let whole = vec![(0, 7)];
        assert_eq!(
            found(&words, b"a ToKeN"),
            [whole.clone(), whole.clone(), vec![], whole]
        );
        assert_eq!(found(&words, b"").concat(), []);
    }

    proptest! {
        #[test]
        fn every_line_that_holds_a_word_is_found(
            words in prop::collection::btree_set("[a-c_]{1,7}", 1..8),
            text in "[a-cA-C_@\n]{0,80}",
        ) {
            let words: Vec<String> = words.into_iter().collect();
            let found = found(&words, text.as_bytes());
            for (word, found) in words.iter().zip(found) {
                let mut expected: Vec<(usize, usize)> = Vec::new();
                let mut start = 0;
                for line in text.split_inclusive('\n') {
                    let end = start + line.len();
                    if line.to_ascii_lowercase().contains(word.as_str()) {
                        match expected.last_mut() {
                            Some(last) if last.1 == start => last.1 = end,
                            _ => expected.push((start, end)),
                        }
                    }
                    start = end;
                }
                prop_assert_eq!(found, expected, "{}", word);
            }
        }
    }
}
