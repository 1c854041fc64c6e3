//! Lines of a diff, and long lines in windows: the one place that reads.

use std::io::{self, BufRead};

use crate::diff::types::{LINE_OVERLAP, LINE_WINDOW};

/// Cuts the input into lines, and long lines into windows.
pub(super) struct Windows<R> {
    reader: R,
    pub(super) buffer: Vec<u8>,
    pub(super) read: u64,
    /// The window just returned ends inside its line.
    pub(super) inside: bool,
}

impl<R: BufRead> Windows<R> {
    pub(super) fn new(reader: R) -> Self {
        Self {
            reader,
            buffer: Vec::with_capacity(256),
            read: 0,
            inside: false,
        }
    }

    /// Fills `buffer` with the next window (without line end); false at the end of the input.
    pub(super) fn advance(&mut self) -> io::Result<bool> {
        let keep = if self.inside {
            LINE_OVERLAP.min(self.buffer.len())
        } else {
            0
        };
        let start = self.buffer.len() - keep;
        self.buffer.drain(..start);
        let room = (LINE_WINDOW - keep) as u64;
        let got = io::Read::take(&mut self.reader, room).read_until(b'\n', &mut self.buffer)?;
        self.read += got as u64;
        if got == 0 {
            // A line that ended exactly at its window has no rest.
            self.inside = false;
            return Ok(false);
        }
        if self.buffer.last() == Some(&b'\n') {
            self.buffer.pop();
            self.inside = false;
        } else {
            self.inside = got as u64 == room;
        }
        Ok(true)
    }
}
