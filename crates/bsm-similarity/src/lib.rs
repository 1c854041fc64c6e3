//! Past reviews and decisions, and which of them are most like a piece of code: exactly, by the share of
//! words that two texts have in common (Jaccard).
//!
//! Why an index of our own: a search engine answers by relevance and cuts off before the exact answer; the
//! exact one over a million items must still come between two key presses. Texts and results are kept
//! elsewhere; this room knows words and numbers, and is built anew from what is kept.

mod block;
mod chunked_vec;
mod concurrent_index;
mod dictionary;
mod index;
mod postings;
mod query;
mod tokenizer;
mod top_k;

pub use concurrent_index::{Memory, Progress};
pub use index::Index;
pub use query::Scratch;
pub use tokenizer::{CUT, Seed, Word, cut, words};
pub use top_k::Hit;

#[cfg(test)]
mod tests;
