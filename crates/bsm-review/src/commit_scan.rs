//! Scans a range commit by commit: what each adds, and its message.
//!
//! Why one process: a range may have ten thousand commits. git writes them all into one stream, and a line
//! that begins with a NUL, which no line of a diff does, stands between two of them.

use std::io::{self, BufRead, Read};
use std::path::Path;

use super::diff::{DiffError, Sink as _, parse};
use super::git::{self, Ends, GitError};
use super::scan::{Scanned, Scanner};
use crate::commit_message::Commit;

/// Why a range cannot be scanned.
#[derive(Debug, thiserror::Error)]
pub enum CommitScanError {
    /// git.
    #[error(transparent)]
    Git(#[from] GitError),
    /// Its output.
    #[error("cannot read what git writes: {0}")]
    Io(#[from] io::Error),
    /// The scan was stopped, or the diff could not be read.
    #[error(transparent)]
    Diff(#[from] DiffError),
}

/// Scans every commit of a range, oldest first. `scanner` gives a fresh one for each; at most `most` findings
/// are kept.
///
/// # Errors
/// When git fails or its output breaks off.
pub fn scan<'a>(
    dir: &Path,
    ends: &Ends,
    scanner: impl Fn() -> Scanner<'a>,
    most: usize,
) -> Result<Scanned, CommitScanError> {
    let mut log = git::patches(dir, ends)?;
    let mut reader = log
        .reader()
        .ok_or_else(|| io::Error::other("git gave no output"))?;
    let mut all = Scanned::default();
    let mut more = 0usize;
    while let Some(commit) = next_commit(&mut reader)? {
        let mut scanner = scanner();
        let mut section = Section::new(&mut reader);
        match parse(&mut section, &mut scanner) {
            // A commit without changes has no diff.
            Ok(_) | Err(DiffError::NotADiff(_)) => {}
            Err(error) => return Err(error.into()),
        }
        section.drain()?;
        scanner.commit(&commit);
        let scanned = scanner.finish();
        for mut finding in scanned.findings {
            finding.commit = Some(commit.id.clone());
            if all.findings.len() < most {
                all.findings.push(finding);
            } else {
                more += 1;
            }
        }
        all.suppressed.extend(scanned.suppressed);
        let coverage = &mut all.coverage;
        coverage.files_seen += scanned.coverage.files_seen;
        coverage.files_total += scanned.coverage.files_total;
        coverage.ignored += scanned.coverage.ignored;
        coverage.skipped_more += scanned.coverage.skipped_more;
        if coverage.first_file.is_none() {
            coverage.first_file = scanned.coverage.first_file;
        }
        for skipped in &scanned.coverage.skipped {
            coverage.skip(&skipped.path, skipped.reason.clone());
        }
        all.size.files += scanned.size.files;
        all.size.added = all.size.added.saturating_add(scanned.size.added);
        all.size.removed = all.size.removed.saturating_add(scanned.size.removed);
    }
    log.finish()?;
    if more > 0 {
        all.notes
            .push(format!("{more} more findings are not listed"));
    }
    Ok(all)
}

/// Reads `\0ID`, the message, and `\0`.
fn next_commit(reader: &mut impl BufRead) -> io::Result<Option<Commit>> {
    /// Longest message that is looked at, bytes.
    const LONGEST: usize = 1 << 20;
    let mut line = Vec::new();
    // An empty line may stand before the mark.
    loop {
        line.clear();
        if reader.read_until(b'\n', &mut line)? == 0 {
            return Ok(None);
        }
        if line.first() == Some(&0) {
            break;
        }
    }
    let id = String::from_utf8_lossy(line[1..].trim_ascii()).into_owned();
    let mut commit = Commit {
        id,
        ..Commit::default()
    };
    let mut text = String::new();
    loop {
        line.clear();
        if reader.read_until(b'\n', &mut line)? == 0 || line.first() == Some(&0) {
            break;
        }
        if text.len() < LONGEST {
            text.push_str(&String::from_utf8_lossy(&line));
        } else {
            commit.cut = true;
        }
    }
    let (subject, body) = text.split_once('\n').unwrap_or((&text, ""));
    (commit.subject, commit.body) = (subject.to_owned(), body.to_owned());
    // The form of a merge's message is git's own; what it gives away is not.
    commit.merge = subject.starts_with("Merge ");
    Ok(Some(commit))
}

/// What stands before the next line that begins with a NUL.
struct Section<'r, R> {
    reader: &'r mut R,
    at_line_start: bool,
}

impl<'r, R: BufRead> Section<'r, R> {
    fn new(reader: &'r mut R) -> Self {
        Self {
            reader,
            at_line_start: true,
        }
    }

    /// Reads on to its end.
    fn drain(&mut self) -> io::Result<()> {
        io::copy(self, &mut io::sink()).map(drop)
    }
}

impl<R: BufRead> BufRead for Section<'_, R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let buffer = self.reader.fill_buf()?;
        if self.at_line_start && buffer.first() == Some(&0) {
            return Ok(&[]);
        }
        let end = memchr::memmem::find(buffer, b"\n\0").map_or(buffer.len(), |at| at + 1);
        Ok(&buffer[..end])
    }

    fn consume(&mut self, amount: usize) {
        if amount > 0
            && let Ok(buffer) = self.reader.fill_buf()
        {
            self.at_line_start = buffer.get(amount - 1) == Some(&b'\n');
        }
        self.reader.consume(amount);
    }
}

impl<R: BufRead> Read for Section<'_, R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = {
            let mut buffer = self.fill_buf()?;
            buffer.read(out)?
        };
        self.consume(count);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn section_ends_before_a_line_that_begins_with_nul() {
        let mut text: &[u8] = b"\0abc\nsubject\n\nbody\n\0\n\ndiff\n+a\0b\n\0def\n\0\n";
        let first = next_commit(&mut text).unwrap().unwrap();
        assert_eq!(
            (
                first.id.as_str(),
                first.subject.as_str(),
                first.body.as_str()
            ),
            ("abc", "subject", "\nbody\n")
        );
        let mut read = String::new();
        Section::new(&mut text).read_to_string(&mut read).unwrap();
        assert_eq!(read, "\ndiff\n+a\0b\n");
        assert_eq!(next_commit(&mut text).unwrap().unwrap().id, "def");
        assert!(next_commit(&mut text).unwrap().is_none());
        for size in 1..6 {
            let mut small = io::BufReader::with_capacity(size, &b"x\n\0y\n"[..]);
            let mut read = String::new();
            Section::new(&mut small).read_to_string(&mut read).unwrap();
            assert_eq!(read.trim_end_matches('\0'), "x\n", "{size}");
        }
    }
}
