//! What the engine remembers of past reviews, and what it is asked about them.

pub mod import;
pub mod index;
pub mod patterns;
pub mod record;
pub mod search;
