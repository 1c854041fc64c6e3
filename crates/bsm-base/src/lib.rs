//! What every part stands on: outside text and its one cleaner ([`text`]), files named by data and opened
//! beneath a directory handle ([`files`], [`file_set`]), time that tests can hold still ([`clock`]), hashes in
//! hexadecimal, words that are almost another ([`spelling`]).
//!
//! Why one crate: these rules must hold the same way everywhere, and none of them knows what it is used for.

pub mod clock;
pub mod file_set;
pub mod files;
mod hash;
#[cfg(any(test, feature = "interleave"))]
pub mod interleave;
pub mod spelling;
pub mod text;

pub use hash::{hex, short_hash};
