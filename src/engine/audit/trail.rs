//! The file of the trail that is written: numbers, chains, appends, syncs, rotates.
//!
//! Why not every line is synced: the line of a run is on disk with the run, in the journal, before the command is
//! answered. It says which record that is, so that the next start adds a line that a crash took from the trail.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::engine::audit::chain::{self, Link, NOTHING_BEFORE};
use crate::state::{StateError, private_file};

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditLine {
    /// RFC 3339, UTC.
    pub at: String,
    /// Who.
    pub actor: String,
    /// What.
    pub command: String,
    /// About what.
    pub object: String,
    /// Correlation id.
    pub correlation: String,
    /// `ok`, or why not.
    pub result: String,
}

/// A line, and the record of the journal that it came with.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub line: AuditLine,
    /// The journal has the line on disk under this number; `None`: only the trail has it.
    pub record: Option<i64>,
}

/// A line with its place in the chain.
#[derive(Serialize)]
struct Chained<'a> {
    seq: u64,
    prev: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    record: Option<i64>,
    #[serde(flatten)]
    line: &'a AuditLine,
}

/// What is read of a line that came with a record.
#[derive(Deserialize)]
struct WithRecord {
    record: i64,
    correlation: String,
}

/// Records whose lines are at the end of the trail.
#[derive(Debug, Default)]
pub(super) struct Recorded {
    /// The number of the last one; `None`: there is none.
    pub newest: Option<i64>,
    /// Number and correlation of each: after a restore the journal gives numbers again.
    pub lines: BTreeSet<(i64, String)>,
}

/// How much of the trail is on disk for certain.
#[derive(Debug, Clone)]
struct Synced {
    length: u64,
    prev: String,
    /// Lines after it.
    waiting: u64,
}

/// The file that is written, and where its chain stands.
pub(super) struct Trail {
    path: PathBuf,
    file: File,
    length: u64,
    /// Number of the file's first line.
    first: u64,
    /// Number of the next line.
    next: u64,
    /// Hash of the line before it.
    prev: String,
    max_bytes: u64,
    /// The last write or sync failed.
    failed: bool,
    synced: Synced,
}

impl Trail {
    pub(super) fn open(path: &Path, max_bytes: u64) -> Result<Self, StateError> {
        let io = |source| StateError::Io {
            path: path.to_path_buf(),
            source,
        };
        let file = private_file(path, true)?;
        let mut trail = Self {
            path: path.to_path_buf(),
            length: file.metadata().map_err(io)?.len(),
            file,
            first: 1,
            next: 1,
            prev: NOTHING_BEFORE.to_owned(),
            max_bytes,
            failed: false,
            synced: Synced {
                length: 0,
                prev: String::new(),
                waiting: 0,
            },
        };
        trail.find_end().map_err(io)?;
        trail.note_synced();
        Ok(trail)
    }

    /// Which records' lines are among the last ones.
    pub(super) fn recorded(&mut self) -> io::Result<Recorded> {
        let mut lines = match chain::closed(&self.path)?.pop() {
            Some(newest) => chain::tail(&mut File::open(newest)?)?,
            None => Vec::new(),
        };
        lines.extend(chain::tail(&mut self.file)?);
        let mut recorded = Recorded::default();
        for line in &lines {
            if let Ok(with) = serde_json::from_slice::<WithRecord>(line) {
                recorded.newest = Some(with.record);
                recorded.lines.insert((with.record, with.correlation));
            }
        }
        Ok(recorded)
    }

    /// Where the chain ends: in this file, or, where it has no line yet, in the one before.
    fn find_end(&mut self) -> io::Result<()> {
        let mut lines = chain::tail(&mut self.file)?;
        if lines.is_empty()
            && let Some(newest) = chain::closed(&self.path)?.pop()
        {
            lines = chain::tail(&mut File::open(newest)?)?;
        }
        let number = |line: &Vec<u8>| Link::of(line)?.seq;
        // An older program's lines, and what is no line, have no number.
        self.next = lines.iter().rev().find_map(number).unwrap_or(0) + 1;
        if let Some(last) = lines.last() {
            self.prev = chain::hash(last);
        }
        self.first = chain::first_link(&self.path)?
            .and_then(|link| link.seq)
            .unwrap_or(self.next);
        Ok(())
    }

    /// Takes an incomplete last line off, which a crash left, and says so in the trail.
    pub(super) fn mend(&mut self) -> io::Result<()> {
        let whole = complete_bytes(&self.path)?;
        if whole == self.length {
            return Ok(());
        }
        let bytes = self.length - whole;
        self.file.set_len(whole)?;
        self.length = whole;
        self.note_synced();
        let line = AuditLine {
            at: jiff::Timestamp::now().to_string(),
            actor: "engine".into(),
            command: "audit".into(),
            object: "incomplete line".into(),
            correlation: String::new(),
            result: format!("{bytes} bytes of a line that a crash cut off were removed"),
        };
        self.append(&[Entry { line, record: None }])
            .map_err(|(error, _)| error)
    }

    /// Appends lines; syncs them, and all before them, unless the journal has each of them. Those that cannot be
    /// written leave no trace in the file, and their numbers are not given again. The error comes with the number
    /// of lines that are lost: a sync that fails leaves those uncertain that waited for it, too.
    pub(super) fn append(&mut self, entries: &[Entry]) -> Result<(), (io::Error, u64)> {
        let (seq, count) = (self.next, entries.len() as u64);
        self.next += count;
        self.try_append(entries, seq).map_err(|e| (e, count))?;
        if entries.iter().any(|e| e.record.is_none()) {
            return self.sync();
        }
        Ok(())
    }

    /// Lines that are written and not synced.
    pub(super) fn unsynced(&self) -> u64 {
        self.synced.waiting
    }

    /// Syncs what was written. The error comes with the number of lines that are lost.
    pub(super) fn sync(&mut self) -> Result<(), (io::Error, u64)> {
        if self.synced.waiting == 0 {
            return Ok(());
        }
        match self.file.sync_data() {
            Ok(()) => {
                self.note_synced();
                Ok(())
            }
            Err(error) => {
                let lost = std::mem::take(&mut self.synced.waiting);
                let _ = self.file.set_len(self.synced.length);
                self.length = self.synced.length;
                self.prev.clone_from(&self.synced.prev);
                self.failed = true;
                Err((error, lost))
            }
        }
    }

    /// All of the file is on disk.
    fn note_synced(&mut self) {
        self.synced = Synced {
            length: self.length,
            prev: self.prev.clone(),
            waiting: 0,
        };
    }

    fn try_append(&mut self, entries: &[Entry], first: u64) -> io::Result<()> {
        self.look_after_file()?;
        let (mut bytes, mut prev) = (Vec::new(), self.prev.clone());
        for (seq, entry) in (first..).zip(entries) {
            let text = crate::text::json(&Chained {
                seq,
                prev: &prev,
                record: entry.record,
                line: &entry.line,
            })
            .map_err(io::Error::other)?;
            prev = chain::hash(text.as_bytes());
            bytes.extend_from_slice(text.as_bytes());
            bytes.push(b'\n');
        }
        if self.length > 0 && self.length + bytes.len() as u64 > self.max_bytes {
            self.rotate(first)?;
        }
        if let Err(error) = self.file.write_all(&bytes) {
            // Half a line in the middle of the file would break the chain for ever.
            let _ = self.file.set_len(self.length);
            self.failed = true;
            return Err(error);
        }
        self.length += bytes.len() as u64;
        self.prev = prev;
        self.synced.waiting += entries.len() as u64;
        Ok(())
    }

    /// A file that was removed or replaced is begun anew; the chain shows what is missing. After a write or a sync
    /// that failed the file is opened again: what a handle with a failed sync says later proves nothing.
    fn look_after_file(&mut self) -> io::Result<()> {
        let (own, named) = (self.file.metadata()?, std::fs::metadata(&self.path));
        let same = named.is_ok_and(|named| (named.dev(), named.ino()) == (own.dev(), own.ino()));
        if same && !self.failed {
            return Ok(());
        }
        self.begin(self.next)?;
        self.failed = false;
        Ok(())
    }

    /// Closes the file and begins a new one. Where it cannot be renamed, it grows on: no line is lost for that.
    fn rotate(&mut self, next: u64) -> io::Result<()> {
        // A closed file is whole.
        if let Err(error) = self.file.sync_data() {
            self.failed = true;
            return Err(error);
        }
        match std::fs::rename(&self.path, chain::closed_name(&self.path, self.first)) {
            Ok(()) => self.begin(next),
            Err(error) => {
                tracing::warn!("the audit trail cannot be rotated: {error}");
                Ok(())
            }
        }
    }

    /// Opens the file at the path, a new one where there is none.
    fn begin(&mut self, next: u64) -> io::Result<()> {
        self.file = private_file(&self.path, true).map_err(io::Error::other)?;
        self.length = self.file.metadata()?.len();
        self.note_synced();
        self.first = chain::first_link(&self.path)?
            .and_then(|link| link.seq)
            .unwrap_or(next);
        if let Some(folder) = self.path.parent() {
            File::open(folder)?.sync_all()?;
        }
        Ok(())
    }
}

/// Bytes up to the end of the last complete line.
fn complete_bytes(path: &Path) -> io::Result<u64> {
    use std::io::{Read as _, Seek as _, SeekFrom};
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut end = length;
    while end > 0 {
        let from = end.saturating_sub(64 << 10);
        let mut bytes = vec![0; (end - from) as usize];
        file.seek(SeekFrom::Start(from))?;
        file.read_exact(&mut bytes)?;
        if let Some(at) = bytes.iter().rposition(|b| *b == b'\n') {
            return Ok(from + at as u64 + 1);
        }
        end = from;
    }
    Ok(0)
}

#[cfg(test)]
#[path = "audit_tests.rs"]
mod tests;
