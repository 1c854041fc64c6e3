//! Reads git and unified diffs, combined diffs of merges and mails of patches as a stream of files and hunks,
//! in bounded memory.
//!
//! Why our own: the input is hostile and large. Lines are cut into windows of 64 KiB, hunks into
//! batches; what cannot be read is reported, so that coverage is never overstated.

mod file_header;
mod header_paths;
mod line_reader;
mod parser;
mod types;

use std::io::BufRead;

use self::parser::Parser;
pub(crate) use self::types::LINE_OVERLAP;
pub use self::types::{Change, DiffError, FileHead, Hunk, LINE_WINDOW, Line, Side, Sink};

/// Reads a diff to its end. Returns the number of files; zero for empty input.
pub fn parse(reader: impl BufRead, sink: &mut dyn Sink) -> Result<u32, DiffError> {
    Parser::new(reader, sink).run()
}

#[cfg(test)]
mod tests;
