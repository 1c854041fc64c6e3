//! Past reviews and decisions, and which of them are most like a piece of code: exactly, by the share of
//! words that two texts have in common (Jaccard).
//!
//! Why an index of our own: a search engine answers by relevance and cuts off before the exact answer; the
//! exact one over a million items must still come between two key presses. Texts and results are kept
//! elsewhere; this room knows words and numbers, and is built anew from what is kept.

mod asking;
mod best;
mod block;
mod chunked;
mod dictionary;
mod having;
mod index;
mod shared;
mod words;

pub use asking::Scratch;
pub use best::Hit;
pub use index::Index;
pub use shared::{Memory, Progress};
pub use words::{CUT, Seed, Word, cut, words};

#[cfg(test)]
mod tests;
