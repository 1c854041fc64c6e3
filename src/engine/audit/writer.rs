//! Writes the trail: one thread that numbers, chains, appends and syncs, so that a command is answered only when its
//! line is on disk. What has gathered is synced together.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use serde::Serialize;
use tokio::sync::oneshot;

use crate::engine::audit::chain::{self, Link, NOTHING_BEFORE};
use crate::state::{StateError, private_file};

/// Lines that may wait for the disk.
const QUEUE: usize = 1_024;
/// Lines that are synced together.
const BATCH: usize = 256;

/// The trail; or nothing, where nothing is kept.
pub struct Audit {
    sender: Option<SyncSender<(AuditLine, oneshot::Sender<()>)>>,
    lost: Arc<AtomicU64>,
}

/// One line.
#[derive(Debug, Clone, Serialize)]
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

impl Audit {
    /// Opens the trail at `path`; `None` keeps nothing. A file of `max_bytes` is closed and a new one begun.
    ///
    /// # Errors
    /// The file cannot be opened, is not private, or cannot be read.
    pub fn open(path: Option<&Path>, max_bytes: u64) -> Result<Self, StateError> {
        let lost = Arc::new(AtomicU64::new(0));
        let Some(path) = path else {
            return Ok(Self { sender: None, lost });
        };
        let io = |source| StateError::Io {
            path: path.to_path_buf(),
            source,
        };
        let mut trail = Trail::open(path, max_bytes)?;
        trail.mend().map_err(io)?;
        let (sender, receiver) = sync_channel(QUEUE);
        let count = Arc::clone(&lost);
        std::thread::Builder::new()
            .name("bsm-audit".into())
            .spawn(move || write_all(&mut trail, &receiver, &count))
            .map_err(io)?;
        Ok(Self {
            sender: Some(sender),
            lost,
        })
    }

    /// Appends a line; on disk when this returns. A line that cannot be written is counted, and the count shows.
    pub async fn write(&self, line: AuditLine) {
        let Some(sender) = &self.sender else { return };
        let (reply, done) = oneshot::channel();
        if let Err(refused) = sender.try_send((line, reply)) {
            // So many wait only when the disk stands still. No thread of the runtime may wait with it.
            let (sender, job) = (sender.clone(), into_job(refused));
            let sent = tokio::task::spawn_blocking(move || sender.send(job).is_ok()).await;
            if !sent.unwrap_or(false) {
                self.lost.fetch_add(1, Relaxed);
                return;
            }
        }
        // The thread answers whether it could write or not; it counts what it could not.
        let _ = done.await;
    }

    /// Lines that could not be written.
    pub fn lost(&self) -> u64 {
        self.lost.load(Relaxed)
    }
}

fn into_job<T>(refused: std::sync::mpsc::TrySendError<T>) -> T {
    match refused {
        std::sync::mpsc::TrySendError::Full(job)
        | std::sync::mpsc::TrySendError::Disconnected(job) => job,
    }
}

fn write_all(
    trail: &mut Trail,
    receiver: &Receiver<(AuditLine, oneshot::Sender<()>)>,
    lost: &AtomicU64,
) {
    while let Ok(first) = receiver.recv() {
        let more = std::iter::from_fn(|| receiver.try_recv().ok());
        let (lines, replies): (Vec<_>, Vec<_>) =
            std::iter::once(first).chain(more.take(BATCH - 1)).unzip();
        if let Err(error) = trail.append(&lines) {
            lost.fetch_add(lines.len() as u64, Relaxed);
            tracing::error!(
                lines = lines.len(),
                "the audit trail cannot be written: {error}"
            );
        }
        for reply in replies {
            let _ = reply.send(()); // Whoever waited may have left.
        }
    }
}

/// A line with its place in the chain.
#[derive(Serialize)]
struct Chained<'a> {
    seq: u64,
    prev: &'a str,
    #[serde(flatten)]
    line: &'a AuditLine,
}

/// The file that is written, and where its chain stands.
struct Trail {
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
}

impl Trail {
    fn open(path: &Path, max_bytes: u64) -> Result<Self, StateError> {
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
        };
        trail.find_end().map_err(io)?;
        Ok(trail)
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
    fn mend(&mut self) -> io::Result<()> {
        let whole = complete_bytes(&self.path)?;
        if whole == self.length {
            return Ok(());
        }
        let bytes = self.length - whole;
        self.file.set_len(whole)?;
        self.length = whole;
        self.append(&[AuditLine {
            at: jiff::Timestamp::now().to_string(),
            actor: "engine".into(),
            command: "audit".into(),
            object: "incomplete line".into(),
            correlation: String::new(),
            result: format!("{bytes} bytes of a line that a crash cut off were removed"),
        }])
    }

    /// Appends lines and syncs them together. Those that cannot be written leave no trace in the file, and their
    /// numbers are not given again.
    fn append(&mut self, lines: &[AuditLine]) -> io::Result<()> {
        let seq = self.next;
        self.next += lines.len() as u64;
        self.try_append(lines, seq)
    }

    fn try_append(&mut self, lines: &[AuditLine], first: u64) -> io::Result<()> {
        self.look_after_file()?;
        let (mut bytes, mut prev) = (Vec::new(), self.prev.clone());
        for (seq, line) in (first..).zip(lines) {
            let text = crate::text::json(&Chained {
                seq,
                prev: &prev,
                line,
            })
            .map_err(io::Error::other)?;
            prev = chain::hash(text.as_bytes());
            bytes.extend_from_slice(text.as_bytes());
            bytes.push(b'\n');
        }
        if self.length > 0 && self.length + bytes.len() as u64 > self.max_bytes {
            self.rotate(first)?;
        }
        let written = self
            .file
            .write_all(&bytes)
            .and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            // Half a line in the middle of the file would break the chain for ever.
            let _ = self.file.set_len(self.length);
            self.failed = true;
            return Err(error);
        }
        self.length += bytes.len() as u64;
        self.prev = prev;
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
