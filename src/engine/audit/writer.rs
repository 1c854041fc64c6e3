//! Writes the trail: one thread, so that a command is answered only when its line is on disk, here or with its run in
//! the journal. What has gathered is written together.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::engine::audit::trail::{AuditLine, Entry, Recorded, Trail};
use crate::journal::{Journal, JournalError};
use crate::resilience::clock::lock;
use crate::state::StateError;

/// Lines that may wait for the disk.
const QUEUE: usize = 1_024;
/// Lines that are written together.
const BATCH: usize = 256;
/// Lines that the journal has are synced so long after the first of them, at the latest.
const SYNC_PAUSE: Duration = Duration::from_millis(200);

type Job = (Entry, oneshot::Sender<()>);

/// The trail; or nothing, where nothing is kept.
pub struct Audit {
    sender: Option<SyncSender<Job>>,
    lost: Arc<AtomicU64>,
    /// Which records' lines the trail had when it was opened.
    recorded: Mutex<Recorded>,
}

impl Audit {
    /// Opens the trail at `path`; `None` keeps nothing. A file of `max_bytes` is closed and a new one begun.
    ///
    /// # Errors
    /// The file cannot be opened, is not private, or cannot be read.
    pub fn open(path: Option<&Path>, max_bytes: u64) -> Result<Self, StateError> {
        let lost = Arc::new(AtomicU64::new(0));
        let Some(path) = path else {
            return Ok(Self {
                sender: None,
                lost,
                recorded: Mutex::default(),
            });
        };
        let io = |source| StateError::Io {
            path: path.to_path_buf(),
            source,
        };
        let mut trail = Trail::open(path, max_bytes)?;
        trail.mend().map_err(io)?;
        let recorded = trail.recorded().map_err(io)?;
        let (sender, receiver) = sync_channel(QUEUE);
        let count = Arc::clone(&lost);
        std::thread::Builder::new()
            .name("bsm-audit".into())
            .spawn(move || write_all(&mut trail, &receiver, &count))
            .map_err(io)?;
        Ok(Self {
            sender: Some(sender),
            lost,
            recorded: Mutex::new(recorded),
        })
    }

    /// Adds the lines that the journal has and the trail lost in a crash. To be called once, before any other line.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub async fn add_missing(&self, journal: &Journal) -> Result<(), JournalError> {
        if self.sender.is_none() {
            return Ok(());
        }
        let recorded = std::mem::take(&mut *lock(&self.recorded));
        for (record, text) in journal.audit_lines(recorded.newest).await? {
            let Ok(line) = serde_json::from_str::<AuditLine>(&text) else {
                continue;
            };
            if !recorded.lines.contains(&(record, line.correlation.clone())) {
                tracing::info!(
                    record,
                    "a line of the audit trail was added from the journal"
                );
                self.write_kept(line, record).await;
            }
        }
        Ok(())
    }

    /// Whether lines are kept.
    pub fn keeps(&self) -> bool {
        self.sender.is_some()
    }

    /// Appends a line; on disk when this returns. A line that cannot be written is counted, and the count shows.
    pub async fn write(&self, line: AuditLine) {
        self.send(Entry { line, record: None }).await;
    }

    /// Appends a line that the journal has on disk under the number `record`; in the file when this returns, and on
    /// disk soon after.
    pub async fn write_kept(&self, line: AuditLine, record: i64) {
        let record = Some(record);
        self.send(Entry { line, record }).await;
    }

    async fn send(&self, entry: Entry) {
        let Some(sender) = &self.sender else { return };
        let (reply, done) = oneshot::channel();
        if let Err(refused) = sender.try_send((entry, reply)) {
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

fn write_all(trail: &mut Trail, receiver: &Receiver<Job>, lost: &AtomicU64) {
    let note = |result: Result<(), (io::Error, u64)>| {
        if let Err((error, lines)) = result {
            lost.fetch_add(lines, Relaxed);
            tracing::error!(lines, "the audit trail cannot be written: {error}");
        }
    };
    // When unsynced lines are to be synced; `None`: there are none.
    let mut due: Option<Instant> = None;
    loop {
        let first = match due {
            None => receiver.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(at) => receiver.recv_timeout(at.saturating_duration_since(Instant::now())),
        };
        let first = match first {
            Ok(first) => first,
            Err(ended) => {
                note(trail.sync());
                if ended == RecvTimeoutError::Disconnected {
                    return;
                }
                due = None;
                continue;
            }
        };
        let more = std::iter::from_fn(|| receiver.try_recv().ok());
        let (entries, replies): (Vec<_>, Vec<_>) =
            std::iter::once(first).chain(more.take(BATCH - 1)).unzip();
        note(trail.append(&entries));
        for reply in replies {
            let _ = reply.send(()); // Whoever waited may have left.
        }
        due = if trail.unsynced() > 0 {
            Some(due.unwrap_or_else(|| Instant::now() + SYNC_PAUSE))
        } else {
            None
        };
    }
}
