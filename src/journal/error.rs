//! Why the journal cannot be used.

use std::path::PathBuf;

/// Why the journal cannot be used.
#[derive(Debug, Clone, thiserror::Error)]
pub enum JournalError {
    /// The disk is full, or the journal has reached its size.
    #[error("the journal cannot grow: the disk (or its limit) is full; nothing was acknowledged")]
    Full,
    /// Folder or file may not be written.
    #[error("the journal cannot be written: {0}")]
    ReadOnly(String),
    /// It was written by a newer program.
    #[error(
        "{path} was written by a newer bsm (schema {found}, this program knows {known}); use that version, or move the file away"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema's number.
        found: u32,
        /// The newest one known here.
        known: u32,
    },
    /// A run with this idempotency key is already there.
    #[error("this was already asked: run {0}")]
    Duplicate(String),
    /// The journal was closed.
    #[error("the journal is closed")]
    Closed,
    /// A row is missing, or its JSON cannot be written or read by this program.
    #[error("journal: {0}")]
    Row(String),
    /// Anything else SQLite said.
    #[error("journal: {0}")]
    Sqlite(String),
}

impl From<serde_json::Error> for JournalError {
    fn from(error: serde_json::Error) -> Self {
        Self::Row(error.to_string())
    }
}

impl From<rusqlite::Error> for JournalError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full,
            Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
                Self::ReadOnly(error.to_string())
            }
            _ => Self::Sqlite(error.to_string()),
        }
    }
}
