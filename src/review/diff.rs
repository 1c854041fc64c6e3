//! Reads git and unified diffs, combined diffs of merges and mails of patches as a stream of files and hunks,
//! in bounded memory.
//!
//! Why our own: the input is hostile and large. Lines are cut into windows of 64 KiB, hunks into
//! batches; what cannot be read is reported, so that coverage is never overstated.

use std::io::{self, BufRead};

use super::commits::{Commit, Mail, envelope};
use super::diff_names::{Range, file_name, git_line_name, hunk_range, lossy, octal};
use crate::text::Untrusted;

/// Longest piece of a line handled at once, bytes.
pub const LINE_WINDOW: usize = 64 * 1024;
/// How much of a cut line is repeated in the next window, so that a match is not cut in two.
pub(super) const LINE_OVERLAP: usize = 8 * 1024;
/// A hunk larger than this many bytes is handed on in batches.
const BATCH: usize = 4 << 20;

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

/// Reads a diff to its end. Returns the number of files; zero for empty input.
pub fn parse(reader: impl BufRead, sink: &mut dyn Sink) -> Result<u32, DiffError> {
    let mut parser = Parser {
        lines: Windows::new(reader),
        sink,
        head: None,
        mail: Mail::default(),
        stray: false,
        open: false,
        files: 0,
        unread: None,
    };
    parser.run()
}

/// Cuts the input into lines, and long lines into windows.
struct Windows<R> {
    reader: R,
    buffer: Vec<u8>,
    read: u64,
    /// The window just returned ends inside its line.
    inside: bool,
}

impl<R: BufRead> Windows<R> {
    fn new(reader: R) -> Self {
        Self {
            reader,
            buffer: Vec::with_capacity(256),
            read: 0,
            inside: false,
        }
    }

    /// Fills `buffer` with the next window (without line end); false at the end of the input.
    fn advance(&mut self) -> io::Result<bool> {
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

#[derive(Default)]
struct Head {
    git_line: Option<Vec<u8>>,
    old: Option<Vec<u8>>,
    new: Option<Vec<u8>>,
    from: Option<Vec<u8>>,
    to: Option<Vec<u8>>,
    change: Option<Change>,
    modes: (Option<u32>, Option<u32>),
    binary: bool,
    unread: Option<&'static str>,
}

struct Parser<'a, R> {
    lines: Windows<R>,
    sink: &'a mut dyn Sink,
    head: Option<Head>,
    mail: Mail,
    /// Lines of a change stood outside of any file.
    stray: bool,
    open: bool,
    files: u32,
    unread: Option<&'static str>,
}

impl<R: BufRead> Parser<'_, R> {
    fn run(&mut self) -> Result<u32, DiffError> {
        let mut again = false; // the buffer already holds the next line
        let mut lines = 0u32;
        while again || self.lines.advance()? {
            again = false;
            lines = lines.wrapping_add(1);
            if lines.is_multiple_of(4_096) && self.sink.cancelled() {
                return Err(DiffError::Cancelled);
            }
            let line = std::mem::take(&mut self.lines.buffer);
            if line.starts_with(b"@@") {
                let range = hunk_range(&line);
                if self.head.is_none() && !self.open && range.is_some() {
                    // It is looked at all the same, and never counted as seen.
                    self.head = Some(Head {
                        unread: Some("a hunk that belongs to no file"),
                        ..Head::default()
                    });
                }
                self.begin();
                if let Some(range) = range {
                    again = self.hunk(range)?;
                    continue;
                }
                if self.open {
                    self.unread = Some("a hunk header cannot be read");
                }
            } else {
                self.header_line(&line);
            }
            self.lines.buffer = line;
        }
        self.end_file();
        if self.stray && self.files > 0 {
            self.unnamed(STRAY);
        }
        if let Some(commit) = self.mail.take() {
            self.sink.commit(&commit);
        }
        if self.files == 0 && self.lines.read > 0 {
            return Err(DiffError::NotADiff(self.lines.read));
        }
        Ok(self.files)
    }

    fn header_line(&mut self, line: &[u8]) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if envelope(line).is_some() {
            // The next mail: a file without hunks ends here.
            self.end_file();
        }
        let after = |prefix: &[u8]| line.strip_prefix(prefix).map(<[u8]>::to_vec);
        if line.starts_with(b"diff --git ")
            || line.starts_with(b"diff --cc ")
            || line.starts_with(b"diff --combined ")
        {
            self.end_file();
            self.head = Some(Head {
                git_line: Some(line.to_vec()),
                ..Head::default()
            });
            return;
        }
        if let Some(old) = after(b"--- ") {
            // In a plain unified diff this line begins a file; in a git diff it belongs to the head.
            if self
                .head
                .as_ref()
                .is_none_or(|h| h.old.is_some() || h.binary)
            {
                self.end_file();
                self.head = Some(Head::default());
            }
            if let Some(head) = &mut self.head {
                head.old = Some(old);
            }
            return;
        }
        if self.head.is_none() {
            let heard = self.mail.line(line);
            if let Some(commit) = heard.commit {
                self.sink.commit(&commit);
            }
            if heard.encoded {
                self.unnamed("a mail is encoded (quoted-printable or base64)");
            }
            if self.mail.is_open() {
                // Prose, but for what `patch` would read as a change all the same.
                self.stray |= begins_other_form(line);
                return;
            }
            if is_stray(line) || is_other_form(line) {
                if self.open {
                    self.unread.get_or_insert(STRAY);
                } else {
                    self.stray = true;
                }
            }
            self.unshown(line);
            return;
        }
        let Some(head) = &mut self.head else { return };
        if let Some(new) = after(b"+++ ") {
            head.new = Some(new);
        } else if let Some(from) = after(b"rename from ") {
            (head.from, head.change) = (Some(from), Some(Change::Renamed));
        } else if let Some(from) = after(b"copy from ") {
            (head.from, head.change) = (Some(from), Some(Change::Copied));
        } else if let Some(to) = after(b"rename to ").or_else(|| after(b"copy to ")) {
            head.to = Some(to);
        } else if let Some(mode) = after(b"new file mode ") {
            (head.modes.1, head.change) = (octal(&mode), Some(Change::Added));
        } else if let Some(mode) = after(b"deleted file mode ") {
            // A merge names the mode of each parent.
            let first = mode.split(|b| *b == b',').next().unwrap_or(&mode);
            (head.modes.0, head.change) = (octal(first), Some(Change::Deleted));
        } else if let Some(modes) = after(b"mode ") {
            if let Some(at) = memchr::memmem::find(&modes, b"..") {
                let first = modes[..at].split(|b| *b == b',').next().unwrap_or(&[]);
                head.modes = (octal(first), octal(&modes[at + 2..]));
            }
        } else if let Some(mode) = after(b"old mode ") {
            head.modes.0 = octal(&mode);
        } else if let Some(mode) = after(b"new mode ") {
            head.modes.1 = octal(&mode);
        } else if let Some(index) = after(b"index ") {
            // `index a..b 100644`: one mode for both sides.
            if let Some(at) = index.iter().position(|b| *b == b' ') {
                let mode = octal(&index[at + 1..]);
                head.modes = (head.modes.0.or(mode), head.modes.1.or(mode));
            }
        } else if line.starts_with(b"Binary files ") || line.starts_with(b"GIT binary patch") {
            head.binary = true;
        } else if is_stray(line) || is_other_form(line) {
            head.unread.get_or_insert(STRAY);
        }
    }

    /// Something that belongs to no file that is named: counted, and said to be unread.
    fn unnamed(&mut self, unread: &'static str) {
        self.end_file();
        self.head = Some(Head {
            unread: Some(unread),
            ..Head::default()
        });
        self.end_file();
    }

    /// A change that a plain diff only mentions: counted, and said to be unread.
    fn unshown(&mut self, line: &[u8]) {
        let (name, binary, unread) = if let Some(rest) = line.strip_prefix(b"Binary files ") {
            let name = rest
                .windows(5)
                .position(|w| w == b" and ")
                .map_or(rest, |at| &rest[at + 5..]);
            (name.strip_suffix(b" differ").unwrap_or(name), true, None)
        } else if let Some(rest) = line.strip_prefix(b"Only in ") {
            (
                rest,
                false,
                Some("it is only mentioned, its content is not in the diff"),
            )
        } else if let Some(rest) = line.strip_prefix(b"Submodule ") {
            (rest, false, Some("submodule"))
        } else {
            return;
        };
        self.end_file();
        self.head = Some(Head {
            new: Some(name.to_vec()),
            binary,
            unread,
            ..Head::default()
        });
        self.end_file();
    }

    /// Hands the collected head on; from now on hunks may follow.
    fn begin(&mut self) {
        if let Some(head) = self.head.take()
            && let Some(head) = head.finish()
        {
            if let Some(commit) = self.mail.take() {
                self.sink.commit(&commit);
            }
            self.mail.close();
            self.files += 1;
            self.open = true;
            self.unread = head.unread;
            self.sink.file(&head);
        }
    }

    fn end_file(&mut self) {
        self.begin();
        if self.open {
            self.open = false;
            let unread = self.unread.take();
            self.sink.file_end(unread);
        }
    }

    /// Reads one hunk's lines. Returns true when the buffer holds a line that is not part of it.
    ///
    /// A line has a column for each parent: `-` means that this parent has it and the new file does not, `+`
    /// that the new file has it and this parent does not. A common diff has one parent.
    fn hunk(&mut self, range: Range) -> Result<bool, DiffError> {
        if self.sink.cancelled() {
            return Err(DiffError::Cancelled);
        }
        let Range { mut old, mut new } = range;
        let columns = old.len();
        let mut hunk = Hunk::default();
        let mut bytes = 0;
        let mut last_side = None;
        let mut foreign = false;
        while new.left > 0 || old.iter().any(|o| o.left > 0) || self.lines.inside {
            let continues = self.lines.inside;
            if !self.lines.advance()? {
                self.unread = Some("the diff is cut off");
                break;
            }
            let buffer = self.lines.buffer.as_slice();
            let mut marks: &[u8] = &[];
            let (side, text) = if continues {
                (last_side, buffer)
            } else if buffer.starts_with(b"\\") {
                (None, &[][..])
            } else if let Some((columns, text)) = buffer
                .split_at_checked(columns)
                .filter(|(columns, _)| columns.iter().all(|m| b" +-".contains(m)))
            {
                marks = columns;
                (Some(side(columns)), text)
            } else if buffer.iter().all(u8::is_ascii_whitespace) {
                (Some(Side::Context), &[][..]) // its trailing spaces were lost
            } else {
                self.unread = Some("a hunk has fewer lines than its header says");
                foreign = true;
                break;
            };
            last_side = side;
            let Some(side) = side else { continue };
            let mut number = match side {
                Side::Removed => old.first().map_or(0, |o| o.at),
                Side::Added | Side::Context => new.at,
            };
            if continues {
                // The counters have moved on already.
                number = number.saturating_sub(1);
            } else if side == Side::Removed {
                for (_, parent) in marks.iter().zip(&mut old).filter(|(m, _)| **m == b'-') {
                    number = parent.at;
                    parent.step();
                }
            } else {
                new.step();
                for (column, parent) in old.iter_mut().enumerate() {
                    if marks.get(column) != Some(&b'+') {
                        parent.step();
                    }
                }
            }
            let text = text.strip_suffix(b"\r").unwrap_or(text).to_vec();
            bytes += text.len() + 32;
            hunk.lines.push(Line { side, number, text });
            if bytes > BATCH {
                hunk = self.hand_on(hunk)?;
                bytes = hunk.lines.iter().map(|l| l.text.len() + 32).sum();
            }
        }
        if hunk.lines.len() > hunk.repeated {
            self.sink.hunk(&hunk);
        }
        Ok(foreign)
    }

    /// Hands a full batch on and starts the next one with the tail that both must see.
    fn hand_on(&mut self, mut hunk: Hunk) -> Result<Hunk, DiffError> {
        if self.sink.cancelled() {
            return Err(DiffError::Cancelled);
        }
        let mut tail = 0;
        let held = hunk.lines.iter().rev().take_while(|l| {
            tail += l.text.len() + 1;
            tail <= LINE_WINDOW
        });
        hunk.held_back = held.count().min(hunk.lines.len() / 2);
        self.sink.hunk(&hunk);
        let from = hunk.lines.len() - hunk.held_back;
        Ok(Hunk {
            repeated: hunk.held_back,
            held_back: 0,
            lines: hunk.lines.split_off(from),
        })
    }
}

const STRAY: &str = "lines that no hunk header counts";

/// A line of a change outside of any hunk; a mail's message ends in `---`, the mail itself in `-- `.
fn is_stray(line: &[u8]) -> bool {
    matches!(line.first(), Some(b'+' | b'-')) && !matches!(line.trim_ascii_end(), b"--" | b"---")
}

/// A line of another form of diff (context, normal, ed), which is not read here.
fn is_other_form(line: &[u8]) -> bool {
    let begins = [&b"*** "[..], b"! ", b"< ", b"> "];
    begins.iter().any(|b| line.starts_with(b)) || begins_other_form(line)
}

/// A line that begins a change in such a form, and that no prose has: a row of stars, or a command.
fn begins_other_form(line: &[u8]) -> bool {
    if line.starts_with(b"**********") {
        return true;
    }
    // `12,14c12,15`
    let digits = |text: &[u8]| {
        text.iter()
            .take_while(|b| b.is_ascii_digit() || **b == b',')
            .count()
    };
    let first = digits(line);
    let rest = &line[first..];
    first > 0
        && line[0] != b','
        && matches!(rest.first(), Some(b'a' | b'c' | b'd'))
        && rest.len() > 1
        && digits(&rest[1..]) == rest.len() - 1
}

/// Which side the columns before a line put it on: what no parent had counts as added.
fn side(marks: &[u8]) -> Side {
    if marks.contains(&b'-') {
        Side::Removed
    } else if marks.contains(&b'+') {
        Side::Added
    } else {
        Side::Context
    }
}

impl Head {
    fn finish(self) -> Option<FileHead> {
        let strip = |raw: &[u8], prefix: &[u8]| {
            let name = file_name(raw);
            name.strip_prefix(prefix)
                .map_or_else(|| name.clone(), <[u8]>::to_vec)
        };
        let old_name = self.old.as_deref().map(|n| strip(n, b"a/"));
        let new_name = self.new.as_deref().map(|n| strip(n, b"b/"));
        let is_null = |n: &Option<Vec<u8>>| n.as_deref() == Some(b"/dev/null");
        let change = self
            .change
            .unwrap_or(match (is_null(&old_name), is_null(&new_name)) {
                (true, _) => Change::Added,
                (_, true) => Change::Deleted,
                _ => Change::Modified,
            });
        let real = |n: Option<Vec<u8>>| n.filter(|n| n.as_slice() != b"/dev/null");
        let from_line = self.git_line.as_deref().and_then(git_line_name);
        let to = self.to.as_deref().map(file_name);
        let from = self.from.as_deref().map(file_name);
        let named = to
            .or_else(|| real(new_name))
            .or_else(|| real(old_name.clone()))
            .or(from_line);
        // A file whose name cannot be read is still a file of the change.
        let unread = self
            .unread
            .or(named.is_none().then_some("its name cannot be read"));
        let path = named.unwrap_or_else(|| b"(unnamed)".to_vec());
        let old_path = from.or_else(|| real(old_name)).filter(|old| *old != path);
        Some(FileHead {
            path: lossy(&path),
            old_path: old_path.as_deref().map(lossy),
            change,
            modes: self.modes,
            binary: self.binary,
            unread,
        })
    }
}

#[cfg(test)]
#[path = "diff_tests.rs"]
mod tests;
