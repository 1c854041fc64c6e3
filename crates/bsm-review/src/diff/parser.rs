//! The grammar: which line is a head, which a hunk's, and which is neither and so not counted as read.

use std::io::BufRead;

use crate::commit_message::{Mail, envelope, log_entry};
use crate::diff::file_header::Head;
use crate::diff::header_paths::{Range, hunk_range, octal};
use crate::diff::line_reader::Windows;
use crate::diff::types::{BATCH, Change, DiffError, Hunk, LINE_WINDOW, Line, Side, Sink};

pub(super) struct Parser<'a, R> {
    lines: Windows<R>,
    sink: &'a mut dyn Sink,
    head: Option<Head>,
    mail: Mail,
    /// Lines of a change stood outside of any file.
    stray: bool,
    open: bool,
    files: u32,
    unread: Option<&'static str>,
    /// The open file's head promises hunks, and none has come.
    needs_hunk: bool,
    /// The name on the last `Index:` line.
    index_name: Option<Vec<u8>>,
    /// What the open file's head says: a merge has a column for each parent, any other change one.
    is_merge: bool,
    change: Change,
}

impl<'a, R: BufRead> Parser<'a, R> {
    pub(super) fn new(reader: R, sink: &'a mut dyn Sink) -> Self {
        Self {
            lines: Windows::new(reader),
            sink,
            head: None,
            mail: Mail::default(),
            stray: false,
            open: false,
            files: 0,
            unread: None,
            needs_hunk: false,
            index_name: None,
            is_merge: false,
            change: Change::Modified,
        }
    }
}

impl<R: BufRead> Parser<'_, R> {
    pub(super) fn run(&mut self) -> Result<u32, DiffError> {
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
        if envelope(line).is_some() || log_entry(line).is_some() {
            // The next mail or commit: a file without hunks ends here.
            self.end_file();
        }
        if is_indented_diff(line) {
            // GNU patch applies it.
            match (&mut self.head, self.open) {
                (Some(head), _) => {
                    head.unread.get_or_insert(INDENTED);
                }
                (None, true) => {
                    self.unread.get_or_insert(INDENTED);
                }
                (None, false) => self.stray = true,
            }
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
                head.index_name = self.index_name.take();
            }
            return;
        }
        if self.head.is_none() {
            if let Some(name) = after(b"Index: ") {
                self.index_name = Some(name);
            }
            let heard = self.mail.line(line);
            if let Some(commit) = heard.commit {
                self.sink.commit(&commit);
            }
            if let Some(reason) = heard.unreadable {
                self.unnamed(reason);
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
        self.head_line(line);
    }

    /// A line below the first of a file's head.
    fn head_line(&mut self, line: &[u8]) {
        let Some(head) = &mut self.head else { return };
        let after = |prefix: &[u8]| line.strip_prefix(prefix).map(<[u8]>::to_vec);
        let is_git = head.git_line.is_some();
        if is_git && !head.binary && (line.is_empty() || line == b"-- ") {
            // Nothing of a head follows an empty line; a mail ends with the other.
            self.end_file();
            return;
        }
        if is_git && head.is_repeated(line) {
            head.unread.get_or_insert(TWICE);
        }
        if let Some(new) = after(b"+++ ") {
            if head.new.replace(new).is_some() {
                head.unread.get_or_insert(TWICE);
            }
        } else if !is_git {
            // What only git's heads have is not heeded by a tool that reads others.
            if !line.is_empty() {
                head.unread.get_or_insert(UNKNOWN_HEADER);
            }
        } else if let Some(from) = after(b"rename from ") {
            head.from = Some(from);
            head.changes(Change::Renamed);
        } else if let Some(from) = after(b"copy from ") {
            head.from = Some(from);
            head.changes(Change::Copied);
        } else if let Some(to) = after(b"rename to ").or_else(|| after(b"copy to ")) {
            head.to = Some(to);
        } else if let Some(mode) = after(b"new file mode ") {
            head.modes.1 = octal(&mode);
            head.changes(Change::Added);
        } else if let Some(mode) = after(b"deleted file mode ") {
            // A merge names the mode of each parent.
            let first = mode.split(|b| *b == b',').next().unwrap_or(&mode);
            head.modes.0 = octal(first);
            head.changes(Change::Deleted);
        } else if let Some(modes) = after(b"mode ") {
            if let Some(at) = memchr::memmem::find(&modes, b"..") {
                let first = modes[..at].split(|b| *b == b',').next().unwrap_or(&[]);
                head.modes = (octal(first), octal(&modes[at + 2..]));
            }
        } else if let Some(mode) = after(b"old mode ") {
            head.modes.0 = octal(&mode);
        } else if let Some(mode) = after(b"new mode ") {
            head.modes.1 = octal(&mode);
        } else if line == b"similarity index 100%" {
            head.identical = true;
        } else if let Some(index) = after(b"index ") {
            let ids = index.split(|b| *b == b' ').next().unwrap_or(&[]);
            if let Some(at) = memchr::memmem::find(ids, b"..") {
                head.ids = Some((ids[..at].to_vec(), ids[at + 2..].to_vec()));
            }
            // `index a..b 100644`: one mode for both sides.
            if let Some(at) = index.iter().position(|b| *b == b' ') {
                let mode = octal(&index[at + 1..]);
                head.modes = (head.modes.0.or(mode), head.modes.1.or(mode));
            }
        } else if line.starts_with(b"Binary files ") || line.starts_with(b"GIT binary patch") {
            head.binary = true;
        } else if is_stray(line) || is_other_form(line) {
            head.unread.get_or_insert(STRAY);
        } else if !head.binary
            && !line.starts_with(b"similarity index ")
            && !line.starts_with(b"dissimilarity index ")
        {
            head.unread.get_or_insert(UNKNOWN_HEADER);
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
        if let Some(head) = self.head.take() {
            self.is_merge = head.is_merge();
            let head = head.finish();
            if let Some(commit) = self.mail.take() {
                self.sink.commit(&commit);
            }
            self.mail.close();
            self.files += 1;
            self.open = true;
            self.unread = head.unread;
            self.change = head.change;
            self.needs_hunk = head.needs_hunk && head.unread.is_none();
            self.sink.file(&head);
        }
    }

    fn end_file(&mut self) {
        self.begin();
        if self.open {
            self.open = false;
            let without = std::mem::take(&mut self.needs_hunk).then_some(NO_HUNK);
            let unread = self.unread.take().or(without);
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
        self.needs_hunk = false;
        if new.overflows() || old.iter().any(|o| o.overflows()) {
            self.unread = Some("a hunk header's numbers are too large");
        }
        let columns = old.len();
        if (columns > 1) != self.is_merge {
            self.unread
                .get_or_insert("a hunk in another form than its file");
        }
        let gone_or_new = match self.change {
            Change::Added => old.iter().any(|o| o.left > 0),
            Change::Deleted => new.left > 0,
            _ => false,
        };
        if gone_or_new {
            self.unread
                .get_or_insert("a file that is new or gone, with lines that stay");
        }
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
            if columns > 1 && is_indented_diff(buffer) {
                self.unread.get_or_insert(INDENTED);
            }
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
const INDENTED: &str = "an indented diff, which patch would apply";
const TWICE: &str = "a header line that stands there twice";
const UNKNOWN_HEADER: &str = "a header line that is not known";
const NO_HUNK: &str = "a header without hunks: what changes is not in the diff";

/// A hunk's header (or its like in another form of diff) behind blanks, as GNU patch reads it: it takes off
/// blanks, tabs and the letter X.
fn is_indented_diff(line: &[u8]) -> bool {
    let indent = line
        .iter()
        .take_while(|b| matches!(b, b' ' | b'\t' | b'X'))
        .count();
    let rest = &line[indent..];
    indent > 0
        && ((rest.starts_with(b"@@ ") && hunk_range(rest).is_some()) || begins_other_form(rest))
}

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
    let line = line.trim_ascii_end();
    // `12,14c12,15`, or `12c` for ed.
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
