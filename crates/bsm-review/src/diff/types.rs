//! What the parser of diffs hands over, and how.

use crate::commit_message::Commit;
use bsm_base::text::Untrusted;
use std::io;

/// Longest piece of a line handled at once, bytes.
pub const LINE_WINDOW: usize = 64 * 1024;

/// How much of a cut line is repeated in the next window, so that a match is not cut in two.
pub(crate) const LINE_OVERLAP: usize = 8 * 1024;

/// A hunk larger than this many bytes is handed on in batches.
pub(crate) const BATCH: usize = 4 << 20;

/// How a file changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// New file.
    Added,
    /// File goes away.
    Deleted,
    /// Content or mode changes.
    Modified,
    /// New name, maybe new content.
    Renamed,
    /// Copy of another file.
    Copied,
}

/// The head of one file's part of a diff.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileHead {
    /// Path in the new tree (in the old one for a deleted file).
    pub path: Untrusted,
    /// Path in the old tree, where it differs.
    pub old_path: Option<Untrusted>,
    /// How it changes.
    pub change: Change,
    /// Mode before and after, octal, where the diff says so.
    pub modes: (Option<u32>, Option<u32>),
    /// Its content is binary and not in the diff as text.
    pub binary: bool,
    /// Its content changes, so that hunks must follow.
    pub needs_hunk: bool,
    /// A part of it could not be read; why.
    pub unread: Option<&'static str>,
}

/// Where a line stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// In both.
    Context,
    /// Only in the new file.
    Added,
    /// Only in the old file.
    Removed,
}

/// One line (or one window of a very long line) of a hunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Old, new or both.
    pub side: Side,
    /// Its number in the new file, or in the old one for a removed line; from 1.
    pub number: u32,
    /// Its bytes without prefix and line end.
    pub text: Vec<u8>,
}

/// Lines that belong together. A very large hunk comes as several; then `repeated` lines at its start
/// stood at the end of the one before, so that a match across the border is found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hunk {
    /// The lines.
    pub lines: Vec<Line>,
    /// Lines at the start that were already handed on.
    pub repeated: usize,
    /// Lines at the end that will be repeated in the next batch.
    pub held_back: usize,
}

/// Takes what the parser reads.
pub trait Sink {
    /// A file begins.
    fn file(&mut self, head: &FileHead);
    /// Some of its lines.
    fn hunk(&mut self, hunk: &Hunk);
    /// The file ends; `unread` says why a part of it could not be read.
    fn file_end(&mut self, unread: Option<&'static str>);
    /// A commit's message, where the diff comes in a mail.
    fn commit(&mut self, _commit: &Commit) {}
    /// Asked once a hunk, and once a batch of a large one: stop now?
    fn cancelled(&self) -> bool {
        false
    }
}

/// Why a diff could not be read.
#[derive(Debug, thiserror::Error)]
pub enum DiffError {
    /// There is text, but no file header in it.
    #[error(
        "not a diff: no file header ('diff --git' or '---'/'+++') in {0} bytes of input; make one with: git diff > change.diff"
    )]
    NotADiff(u64),
    /// The reader failed.
    #[error("cannot read the diff: {0}")]
    Io(#[from] io::Error),
    /// The sink asked to stop.
    #[error("cancelled")]
    Cancelled,
}
