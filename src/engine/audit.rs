//! The audit trail: every command, who sent it, when, and what came of it. One JSON line each.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde::Serialize;

use crate::resilience::clock::lock;
use crate::state::{StateError, private_file};

/// An append-only file, 0600; or nothing, where nothing is kept.
pub struct Audit {
    file: Option<Mutex<File>>,
    lost: AtomicU64,
}

/// One line.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditLine<'a> {
    /// RFC 3339, UTC.
    pub at: String,
    /// Who.
    pub actor: &'a str,
    /// What.
    pub command: &'a str,
    /// About what.
    pub object: &'a str,
    /// Correlation id.
    pub correlation: &'a str,
    /// `ok`, or why not.
    pub result: &'a str,
}

impl Audit {
    /// Opens the trail at `path`; `None` keeps nothing.
    pub fn open(path: Option<&Path>) -> Result<Self, StateError> {
        let file = path
            .map(|p| private_file(p, true))
            .transpose()?
            .map(Mutex::new);
        Ok(Self {
            file,
            lost: AtomicU64::new(0),
        })
    }

    /// Appends a line. A line that cannot be written is counted, and the count shows.
    pub fn write(&self, line: &AuditLine<'_>) {
        let Some(file) = &self.file else { return };
        let written = crate::text::json(line)
            .map_err(std::io::Error::other)
            .and_then(|text| lock(file).write_all(format!("{text}\n").as_bytes()));
        if written.is_err() {
            self.lost.fetch_add(1, Relaxed);
        }
    }

    /// Lines that could not be written.
    pub fn lost(&self) -> u64 {
        self.lost.load(Relaxed)
    }
}
