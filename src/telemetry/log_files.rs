//! Log files: JSON lines, one file a day, written off the hot path, capped by days and bytes.
//!
//! Why a writer of ours: every line is redacted and made harmless before it is written, and a flood may fill its
//! allowance of the disk, never the disk. Where the allowance is used up, the oldest lines go.

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde::{Deserialize, Serialize};
use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Registry, reload};

use super::log_folder::LogFolder;

/// How much is logged and kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct LogSettings {
    /// `error`, `warn`, `info`, `debug` or `trace`, or a filter such as `info,bsm::model=debug`.
    pub level: String,
    /// Days (files) kept.
    pub days: u32,
    /// Bytes all files together may take.
    pub max_bytes: u64,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self {
            level: "info".into(),
            days: 7,
            max_bytes: 256 << 20,
        }
    }
}

/// Makes a line safe to keep: redacts secrets in it.
pub type Scrub = Arc<dyn Fn(&str) -> String + Send + Sync>;

/// The running log; keep it until the end, its drop writes what is still queued.
pub struct LogGuard {
    _worker: WorkerGuard,
    filter: reload::Handle<EnvFilter, Registry>,
    queue_drops: ErrorCounter,
    unwritten: Arc<AtomicU64>,
}

impl LogGuard {
    /// Lines lost so far, because the queue was full or the disk refused them.
    pub fn dropped(&self) -> u64 {
        self.queue_drops.dropped_lines() as u64 + self.unwritten.load(Relaxed)
    }

    /// Changes the level while running.
    pub fn set_level(&self, level: &str) -> Result<(), String> {
        let filter = EnvFilter::try_new(level).map_err(|e| e.to_string())?;
        self.filter.reload(filter).map_err(|e| e.to_string())
    }
}

/// Starts logging into `dir` (which must exist and be private) for the whole process.
///
/// # Errors
/// A sentence: the level cannot be read, the file cannot be made, or a log is already running.
pub fn start(dir: &Path, settings: &LogSettings, scrub: Scrub) -> Result<LogGuard, String> {
    let filter = EnvFilter::try_new(&settings.level)
        .map_err(|e| format!("log level '{}': {e}", settings.level))?;
    let folder = LogFolder::open(dir, settings.days, settings.max_bytes, &today())
        .map_err(|e| format!("cannot log into {}: {e}", dir.display()))?;
    let unwritten = Arc::new(AtomicU64::new(0));
    let writer = Guarded {
        folder,
        scrub,
        unwritten: Arc::clone(&unwritten),
    };
    let (writer, worker): (NonBlocking, WorkerGuard) = NonBlockingBuilder::default()
        .lossy(true)
        .buffered_lines_limit(16_384)
        .thread_name("bsm-log")
        .finish(writer);
    let queue_drops = writer.error_counter();
    let (filter, handle) = reload::Layer::new(filter);
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_writer(writer);
    tracing_subscriber::registry()
        .with(filter)
        .with(lines)
        .try_init()
        .map_err(|e| format!("logging was already started: {e}"))?;
    Ok(LogGuard {
        _worker: worker,
        filter: handle,
        queue_drops,
        unwritten,
    })
}

/// The day of a new line, UTC.
fn today() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%d").to_string()
}

/// Scrubs each line. Runs on the appender's own thread.
struct Guarded {
    folder: LogFolder,
    scrub: Scrub,
    unwritten: Arc<AtomicU64>,
}

impl Write for Guarded {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = crate::text::escape_json((self.scrub)(&String::from_utf8_lossy(line)));
        if self.folder.append(&text, &today()).is_err() {
            self.unwritten.fetch_add(1, Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.folder.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_scrubbed_harmless_and_counted_when_lost() {
        let dir = tempfile::tempdir().unwrap();
        let logs = dir.path().join("logs");
        std::fs::create_dir(&logs).unwrap();
        let unwritten = Arc::new(AtomicU64::new(0));
        let mut writer = Guarded {
            folder: LogFolder::open(&logs, 7, 100_000, "2026-01-01").unwrap(),
            scrub: Arc::new(|s: &str| s.replace("hunter2", "***")),
            unwritten: Arc::clone(&unwritten),
        };
        writer
            .write_all("{\"m\":\"hunter2 \u{202e}\"}\n".as_bytes())
            .unwrap();
        let written = logs.join(format!("bsm.{}.jsonl", today()));
        assert_eq!(
            std::fs::read_to_string(written).unwrap(),
            "{\"m\":\"*** \\u202e\"}\n"
        );
        std::fs::remove_dir_all(&logs).unwrap();
        writer.folder.forget();
        writer.write_all(b"{}\n").unwrap();
        assert_eq!(unwritten.load(Relaxed), 1);
    }
}
