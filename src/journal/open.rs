//! Opening: private files, migrations with a backup before each, a corrupt file set aside.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use crate::journal::error::JournalError;

/// Migrations in order; the file's number is `user_version` after it ran.
const MIGRATIONS: &[(&str, &str)] = &[
    (
        "202611211200_runs",
        include_str!("migrations/202611211200_runs.sql"),
    ),
    (
        "202611211700_history",
        include_str!("migrations/202611211700_history.sql"),
    ),
    (
        "202611211800_brief",
        include_str!("migrations/202611211800_brief.sql"),
    ),
    (
        "202611211930_spend",
        include_str!("migrations/202611211930_spend.sql"),
    ),
    (
        "202611212300_github",
        include_str!("migrations/202611212300_github.sql"),
    ),
    (
        "202611212345_memory",
        include_str!("migrations/202611212345_memory.sql"),
    ),
];

/// A journal larger than this is not read through at every start.
const CHECKED_BYTES: u64 = 64 << 20;

/// What happened while the journal was opened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JournalNotes {
    /// The corrupt file, where it was moved to.
    pub set_aside: Option<PathBuf>,
    /// The copy made before migrating.
    pub backup: Option<PathBuf>,
}

pub(super) fn file(path: &Path) -> Result<(Connection, JournalNotes), JournalError> {
    let mut notes = JournalNotes::default();
    match prepared(path, &mut notes) {
        Err(Broken::Corrupt) => {
            notes.set_aside = Some(set_aside(path)?);
            prepared(path, &mut notes)
                .map(|c| (c, notes))
                .map_err(Broken::into_error)
        }
        other => other.map(|c| (c, notes)).map_err(Broken::into_error),
    }
}

pub(super) fn memory() -> Result<Connection, JournalError> {
    let mut connection = Connection::open_in_memory()?;
    connection.pragma_update(None, "foreign_keys", true)?;
    migrate(&mut connection, None, &mut JournalNotes::default()).map_err(Broken::into_error)?;
    Ok(connection)
}

pub(super) fn reader(path: &Path) -> Result<Connection, JournalError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.pragma_update(None, "trusted_schema", false)?;
    let version = version(&connection)?;
    let known = MIGRATIONS.len() as u32;
    if version > known {
        return Err(JournalError::Newer {
            path: path.to_path_buf(),
            found: version,
            known,
        });
    }
    Ok(connection)
}

enum Broken {
    Corrupt,
    Other(JournalError),
}

impl Broken {
    fn into_error(self) -> JournalError {
        match self {
            Self::Corrupt => JournalError::Sqlite(
                "the new journal is corrupt as well: the disk may be failing".into(),
            ),
            Self::Other(error) => error,
        }
    }
}

impl From<rusqlite::Error> for Broken {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Corrupt,
            _ => Self::Other(error.into()),
        }
    }
}

fn prepared(path: &Path, notes: &mut JournalNotes) -> Result<Connection, Broken> {
    // SQLite makes its files by the umask; made here first they are 0600, and -wal and -shm follow it.
    crate::state::private_file(path, false)
        .map_err(|e| Broken::Other(JournalError::ReadOnly(e.to_string())))?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    let found = version(&connection)?;
    let known = MIGRATIONS.len() as u32;
    if found > known {
        return Err(Broken::Other(JournalError::Newer {
            path: path.to_path_buf(),
            found,
            known,
        }));
    }
    if std::fs::metadata(path).is_ok_and(|m| m.len() < CHECKED_BYTES) {
        let verdict: String = connection.query_row("PRAGMA quick_check(1)", [], |r| r.get(0))?;
        if verdict != "ok" {
            return Err(Broken::Corrupt);
        }
    }
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "secure_delete", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    migrate(&mut connection, Some(path), notes)?;
    Ok(connection)
}

fn version(connection: &Connection) -> rusqlite::Result<u32> {
    connection.pragma_query_value(None, "user_version", |r| r.get(0))
}

fn migrate(
    connection: &mut Connection,
    path: Option<&Path>,
    notes: &mut JournalNotes,
) -> Result<(), Broken> {
    let from = version(connection)?;
    if from > 0
        && (from as usize) < MIGRATIONS.len()
        && let Some(path) = path
    {
        notes.backup = Some(backup(connection, path, from)?);
    }
    for (index, (_, sql)) in MIGRATIONS.iter().enumerate().skip(from as usize) {
        let tx = connection.transaction()?;
        tx.execute_batch(sql)?;
        tx.pragma_update(None, "user_version", index as u32 + 1)?;
        tx.commit()?;
    }
    Ok(())
}

fn backup(connection: &Connection, path: &Path, version: u32) -> Result<PathBuf, Broken> {
    let target = path.with_file_name(format!("bsm.db.before-{}-{}", version + 1, stamp()));
    crate::state::private_file(&target, false)
        .map_err(|e| Broken::Other(JournalError::ReadOnly(e.to_string())))?;
    connection.backup("main", &target, None::<fn(rusqlite::backup::Progress)>)?;
    Ok(target)
}

fn set_aside(path: &Path) -> Result<PathBuf, JournalError> {
    let target = path.with_file_name(format!("bsm.db.corrupt-{}", stamp()));
    let io = |e: std::io::Error| {
        JournalError::ReadOnly(format!("cannot set {} aside: {e}", path.display()))
    };
    std::fs::rename(path, &target).map_err(io)?;
    for end in ["-wal", "-shm"] {
        let side = PathBuf::from(format!("{}{end}", path.display()));
        if side.exists() {
            std::fs::rename(&side, format!("{}{end}", target.display())).map_err(io)?;
        }
    }
    Ok(target)
}

fn stamp() -> String {
    jiff::Timestamp::now()
        .strftime("%Y%m%dT%H%M%SZ")
        .to_string()
}
