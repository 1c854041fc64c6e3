//! Log files: JSON lines, one file a day, written off the hot path, capped by days and bytes.
//!
//! Why a writer of ours around tracing-appender's: every line is redacted and made harmless before it
//! is written, and a flood may fill its allowance of the disk, never the disk.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_appender::rolling::{RollingFileAppender, Rotation};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Registry, reload};

use super::resources::folder_bytes;

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
    byte_drops: Arc<AtomicU64>,
}

impl LogGuard {
    /// Lines lost so far, because the queue or the byte allowance was full.
    pub fn dropped(&self) -> u64 {
        self.queue_drops.dropped_lines() as u64 + self.byte_drops.load(Relaxed)
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
    let files = RollingFileAppender::builder()
        .rotation(Rotation::DAILY)
        .filename_prefix("bsm")
        .filename_suffix("jsonl")
        .max_log_files(settings.days.max(1) as usize)
        .build(dir)
        .map_err(|e| format!("cannot log into {}: {e}", dir.display()))?;
    let byte_drops = Arc::new(AtomicU64::new(0));
    let writer = Guarded {
        inner: files,
        scrub,
        dir: dir.to_path_buf(),
        max_bytes: settings.max_bytes,
        measured: None,
        left: 0,
        drops: Arc::clone(&byte_drops),
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
        byte_drops,
    })
}

/// Scrubs each line and stops at the byte allowance. Runs on the appender's own thread.
struct Guarded<W> {
    inner: W,
    scrub: Scrub,
    dir: PathBuf,
    max_bytes: u64,
    /// When the files were last measured: days that were dropped give their room back.
    measured: Option<Instant>,
    left: u64,
    drops: Arc<AtomicU64>,
}

impl<W: Write> Write for Guarded<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = crate::text::escape_json((self.scrub)(&String::from_utf8_lossy(line)));
        let full = self.left < text.len() as u64;
        if full
            && self
                .measured
                .is_none_or(|at| at.elapsed() > Duration::from_secs(60))
        {
            self.measured = Some(Instant::now());
            self.left = self.max_bytes.saturating_sub(folder_bytes(&self.dir));
        }
        match self.left.checked_sub(text.len() as u64) {
            Some(left) => {
                self.inner.write_all(text.as_bytes())?;
                self.left = left;
            }
            None => {
                self.drops.fetch_add(1, Relaxed);
            }
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_scrubbed_harmless_and_capped() {
        let drops = Arc::new(AtomicU64::new(0));
        let mut out = Vec::new();
        let mut writer = Guarded {
            inner: &mut out,
            scrub: Arc::new(|s: &str| s.replace("hunter2", "***")),
            dir: PathBuf::from("/nonexistent"),
            max_bytes: 40,
            measured: None,
            left: 0,
            drops: Arc::clone(&drops),
        };
        writer
            .write_all("{\"m\":\"hunter2 \u{202e}\"}\n".as_bytes())
            .unwrap();
        writer.write_all(&[b'x'; 60]).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "{\"m\":\"*** \\u202e\"}\n");
        assert_eq!(drops.load(Relaxed), 1);
    }
}
