//! The words of a text: of its first 1,000 characters, lower-cased, the longest runs of letters, digits
//! and `_`, each once.

use xxhash_rust::xxh3::xxh3_128_with_seed;

/// Characters (Unicode scalar values) of a text that count.
pub const CUT: usize = 1_000;

/// A word, as a number: two words have the same one with a chance of 2⁻¹²⁸.
pub type Word = u128;

/// What words are hashed with. Two indexes with different seeds give the same answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seed(pub u64);

/// The part of a text that counts.
pub fn cut(text: &str) -> &str {
    // As many bytes as characters at most: no need to count.
    if text.len() <= CUT {
        return text;
    }
    bsm_base::text::cut(text, CUT)
}

/// The words of a text, each once, in no order that means anything.
pub fn words(text: &str, seed: Seed, into: &mut Vec<Word>) {
    into.clear();
    let text = cut(text);
    if text.is_ascii() {
        of_ascii(text.as_bytes(), seed, into);
    } else {
        let lower = text.to_lowercase();
        let parts = lower.split(|c: char| !c.is_alphanumeric() && c != '_');
        let parts = parts.filter(|w| !w.is_empty());
        into.extend(parts.map(|w| xxh3_128_with_seed(w.as_bytes(), seed.0)));
    }
    into.sort_unstable();
    into.dedup();
}

/// The same, without looking for what ASCII does not have.
fn of_ascii(text: &[u8], seed: Seed, into: &mut Vec<Word>) {
    let mut lower = [0_u8; CUT];
    let lower = &mut lower[..text.len()];
    lower.copy_from_slice(text);
    lower.make_ascii_lowercase();
    let is_part = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_';
    let mut from = 0;
    while from < lower.len() {
        let Some(start) = lower[from..].iter().position(is_part) else {
            return;
        };
        let start = from + start;
        let length = lower[start..].iter().position(|b| !is_part(b));
        let end = length.map_or(lower.len(), |n| start + n);
        into.push(xxh3_128_with_seed(&lower[start..end], seed.0));
        from = end;
    }
}
