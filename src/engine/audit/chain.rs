//! The trail's files and their chain. Every line carries its number (`seq`) and the SHA-256 of the line before
//! (`prev`). The chain goes on from a file to the next one.
//!
//! Closed files are named by the number of their first line (`audit-000000000001.jsonl`), so that their order does
//! not depend on a clock. What a chain cannot show is that lines are missing at its end; whoever wants that keeps
//! the newest `seq` elsewhere.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::state::hex;

/// `prev` of the very first line.
pub(super) const NOTHING_BEFORE: &str =
    "0000000000000000000000000000000000000000000000000000000000000000";
/// A line is not longer; the fields are cut before they are written.
const MOST_LINE: u64 = 1 << 20;

/// What is read of a line to follow the chain.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Link {
    pub seq: Option<u64>,
    pub prev: Option<String>,
    pub at: Option<String>,
}

impl Link {
    pub(super) fn of(line: &[u8]) -> Option<Self> {
        serde_json::from_slice(line).ok()
    }

    fn at_ms(&self) -> Option<i64> {
        let at: jiff::Timestamp = self.at.as_deref()?.parse().ok()?;
        Some(at.as_millisecond())
    }
}

/// An unbroken chain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verified {
    /// Chained lines.
    pub lines: u64,
    /// Lines of an older program, from before the chain.
    pub unchained: u64,
    /// The number of the first chained line; more than 1: older ones were removed by age.
    pub first: u64,
    /// The number of the last one.
    pub last: u64,
    /// Lines that could not be written when they were due.
    pub lost: u64,
}

/// Where a chain is broken.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// A line is not what was written, or one is missing.
    #[error("{file}:{line}: {what}", file = file.display())]
    Line {
        /// The file.
        file: PathBuf,
        /// The line in it, from 1.
        line: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// A file cannot be read.
    #[error("{file}: {source}", file = file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// The trail's files, the oldest first, `path` itself last.
pub fn files(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut all = closed(path)?;
    if path.is_file() {
        all.push(path.to_path_buf());
    }
    Ok(all)
}

/// Files that are not written any more, the oldest first.
pub(super) fn closed(path: &Path) -> io::Result<Vec<PathBuf>> {
    let Some(folder) = path.parent() else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let digits = name
            .to_str()
            .and_then(|n| n.strip_prefix("audit-")?.strip_suffix(".jsonl"));
        if digits.is_some_and(|d| d.len() == 12 && d.bytes().all(|b| b.is_ascii_digit()))
            && entry.file_type()?.is_file()
        {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

/// The name of a closed file.
pub(super) fn closed_name(path: &Path, first: u64) -> PathBuf {
    path.with_file_name(format!("audit-{first:012}.jsonl"))
}

/// The hash of a line, without its end.
pub(super) fn hash(line: &[u8]) -> String {
    hex(&Sha256::digest(line))
}

/// Reads the whole trail and follows its chain.
///
/// # Errors
/// The first line that breaks it, or a file that cannot be read.
pub fn verify(path: &Path) -> Result<Verified, Broken> {
    let mut state = Verified::default();
    let mut before: Option<(u64, String)> = None;
    let unreadable = |file: &Path, source| Broken::Unreadable {
        file: file.to_path_buf(),
        source,
    };
    for file in files(path).map_err(|e| unreadable(path, e))? {
        let opened = crate::files::open_plain(&file).map_err(|e| unreadable(&file, e))?;
        let mut reader = BufReader::new(opened);
        let mut number = 0;
        loop {
            let mut line = Vec::new();
            let read = reader
                .by_ref()
                .take(MOST_LINE)
                .read_until(b'\n', &mut line)
                .map_err(|e| unreadable(&file, e))?;
            if read == 0 {
                break;
            }
            number += 1;
            let ended = line.pop_if(|b| *b == b'\n').is_some();
            let step = if ended {
                follow(&mut state, before.take(), &line)
            } else {
                Err("the line is not complete: it was being written when the program ended")
            };
            before = step.map_err(|what| Broken::Line {
                file: file.clone(),
                line: number,
                what,
            })?;
        }
    }
    Ok(state)
}

/// Takes one line in; what the next one must follow.
fn follow(
    state: &mut Verified,
    before: Option<(u64, String)>,
    line: &[u8],
) -> Result<Option<(u64, String)>, &'static str> {
    let link = Link::of(line).ok_or("the line is not JSON")?;
    let (Some(seq), Some(prev)) = (link.seq, link.prev) else {
        if state.lines > 0 {
            return Err("the line has no number and no hash: it was put in");
        }
        state.unchained += 1;
        return Ok(Some((0, hash(line))));
    };
    if let Some((last, hash)) = before {
        if prev != hash {
            return Err(
                "its hash is not that of the line before: that one was changed, or lines are missing between them",
            );
        }
        if seq <= last {
            return Err("its number does not follow that of the line before");
        }
        state.lost += seq - last - 1;
    }
    if state.lines == 0 {
        state.first = seq;
        state.lost = 0;
    }
    state.lines += 1;
    state.last = seq;
    Ok(Some((seq, hash(line))))
}

/// Removes closed files whose last line is older than `before_ms`; `dry_run`: only names them. Name and bytes of each.
///
/// # Errors
/// When the folder cannot be read or a file cannot be removed.
pub fn expire(path: &Path, before_ms: i64, dry_run: bool) -> io::Result<Vec<(String, u64)>> {
    let mut gone = Vec::new();
    for file in closed(path)? {
        let old = last_line(&file)?
            .and_then(|line| Link::of(&line)?.at_ms())
            .is_some_and(|at| at < before_ms);
        if !old {
            break; // The chain loses its beginning only, never its middle.
        }
        let bytes = std::fs::metadata(&file)?.len();
        if !dry_run {
            std::fs::remove_file(&file)?;
        }
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        gone.push((name.into_owned(), bytes));
    }
    Ok(gone)
}

/// The time of a file's first line, wall time in milliseconds.
pub fn first_at(file: &Path) -> Option<i64> {
    first_link(file).ok().flatten()?.at_ms()
}

/// A file's first line; `None`: it has none that can be read.
pub(super) fn first_link(file: &Path) -> io::Result<Option<Link>> {
    let mut line = Vec::new();
    let opened = BufReader::new(File::open(file)?);
    opened.take(MOST_LINE).read_until(b'\n', &mut line)?;
    Ok(Link::of(&line))
}

/// The last complete line of a file, without its end.
pub(super) fn last_line(file: &Path) -> io::Result<Option<Vec<u8>>> {
    let mut lines = tail(&mut File::open(file)?)?;
    Ok(lines.pop())
}

/// The complete lines among the last bytes of a file, without their ends.
pub(super) fn tail(file: &mut File) -> io::Result<Vec<Vec<u8>>> {
    let length = file.metadata()?.len();
    let from = length.saturating_sub(MOST_LINE);
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(MOST_LINE).read_to_end(&mut bytes)?;
    let Some(end) = bytes.iter().rposition(|b| *b == b'\n') else {
        return Ok(Vec::new());
    };
    let begin = match bytes[..end].iter().position(|b| *b == b'\n') {
        // The first line may have begun before what was read.
        Some(first) if from > 0 => first + 1,
        _ => 0,
    };
    Ok(bytes[begin..end]
        .split(|b| *b == b'\n')
        .map(<[u8]>::to_vec)
        .collect())
}
