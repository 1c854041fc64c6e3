//! Why the journal cannot be used.

use std::path::{Path, PathBuf};

/// Why the journal cannot be used.
#[derive(Debug, Clone, thiserror::Error)]
pub enum JournalError {
    /// The disk is full, or the journal has reached its size.
    #[error("the journal cannot grow: the disk (or its limit) is full; nothing was acknowledged")]
    Full,
    /// Folder or file may not be written.
    #[error("the journal cannot be written: {0}")]
    ReadOnly(String),
    /// The disk did not read or write. Nothing was changed.
    #[error(
        "{path}: the disk reports an error ({what}); nothing was changed. Check the disk, then try again"
    )]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        what: String,
    },
    /// The write failed while it was being made permanent: it may or may not be kept.
    #[error(
        "the journal could not be synced ({0}); whether this was kept is unknown. Ask again: the same idempotency key runs once"
    )]
    Unconfirmed(String),
    /// The file is no journal, and none of it can be read as one.
    #[error(
        "{path} is not a journal ({what}); it was not touched. Move it away, or put a backup in its place with `bsm state restore FILE`"
    )]
    NotAJournal {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        what: String,
    },
    /// There was a journal, and its file is gone.
    #[error(
        "{path} is gone: it held {records} records. Put it back, or restore a backup with `bsm state restore FILE`, or begin anew with `bsm state repair --new`"
    )]
    Missing {
        /// The file.
        path: PathBuf,
        /// The number of its newest record.
        records: i64,
    },
    /// It is damaged, and could not be made again from what can be read.
    #[error(
        "{path} is damaged ({what}) and could not be repaired: {why}. Nothing was changed; `bsm state restore FILE` puts a backup in its place"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// How.
        what: String,
        /// Why it was not repaired.
        why: String,
    },
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

impl JournalError {
    /// What the system said about a file.
    pub(super) fn io(path: &Path, source: &std::io::Error) -> Self {
        use std::io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem, StorageFull};
        match source.kind() {
            StorageFull => Self::Full,
            PermissionDenied | ReadOnlyFilesystem => {
                Self::ReadOnly(format!("{}: {source}", path.display()))
            }
            _ => Self::Io {
                path: path.to_path_buf(),
                what: source.to_string(),
            },
        }
    }
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
            Some(ErrorCode::SystemIoFailure) => Self::Io {
                path: "the journal".into(),
                what: error.to_string(),
            },
            Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
                Self::ReadOnly(error.to_string())
            }
            _ => Self::Sqlite(error.to_string()),
        }
    }
}
