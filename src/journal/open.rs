//! Opening: private files, a check of what is there, and the difference between a disk that does not read and
//! a file that is damaged.
//!
//! Why so careful: a journal that is set aside after one failed read is lost to its owner just as if it had
//! been deleted. Nothing is begun anew here where something was.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::journal::error::JournalError;
use crate::journal::head_file::{self, HeadFile, Written};
use crate::journal::record_log::{self, Head};
use crate::journal::writer::Target;
use crate::journal::{backup, heal, meta, schema};

/// A journal larger than this is not read through at every start.
const CHECKED_BYTES: u64 = 64 << 20;
/// How often a read that failed is tried.
const TRIES: u32 = 4;
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(50);
/// The write-ahead log is cut back to this after it was folded in, bytes.
const WAL_BYTES: i64 = 16 << 20;
/// How a database of SQLite begins.
const SQLITE_MAGIC: &[u8] = b"SQLite format 3\0";

/// What happened while the journal was opened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JournalNotes {
    /// It was damaged, and made again from what could be read.
    pub healed: Option<Healed>,
    /// The copy made before migrating.
    pub backup: Option<PathBuf>,
    /// The file with the record count was not there: whether records are missing is not known.
    pub unproven: bool,
    /// What an operator has to acknowledge before publications, schedules and spending go on.
    pub notice: Option<String>,
}

/// How a damaged journal was made again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Healed {
    /// What was wrong with it.
    pub damage: String,
    /// The damaged file, where it was moved to.
    pub kept_as: PathBuf,
    /// Records that were found whole.
    pub records: usize,
    /// Rows that were found in the tables alone.
    pub rows: usize,
}

/// Opens or makes the journal at `path`.
pub(super) fn file(path: &Path) -> Result<(Target, JournalNotes), JournalError> {
    let mut notes = JournalNotes::default();
    backup::roll_forward(path, "replaced")?;
    let outside = with_retries(|| head_file::read(path))?;
    if !path.exists() {
        if let Some(gone) = gone(path) {
            return Err(gone);
        }
        create(path)?;
    } else if let Some(damage) = examine(path, outside.as_ref())? {
        notes.healed = Some(heal::heal(path, &damage, outside.as_ref())?);
    }
    let target = with_retries(|| open_checked(path, &mut notes))?;
    notes.unproven = outside.is_none() && target.head.sequence > 0 && notes.notice.is_none();
    Ok((target, notes))
}

/// A journal that is not there although its head says that it was.
pub(super) fn gone(path: &Path) -> Option<JournalError> {
    let written = head_file::read(path).ok()??;
    (written.head.sequence > 0).then(|| JournalError::Missing {
        path: path.to_path_buf(),
        records: written.head.sequence,
    })
}

/// What is wrong with a journal that is open for reading, as a sentence; `None`: nothing that can be seen.
pub(super) fn damage_of(
    connection: &Connection,
    path: &Path,
) -> Result<Option<String>, JournalError> {
    let outside = head_file::read(path)?;
    match inspect(connection, path, outside.as_ref()) {
        Ok(damage) => Ok(damage),
        Err(error) => classify(path, error).map(Some),
    }
}

/// What an operator has to acknowledge.
pub(super) fn notice(connection: &Connection) -> Result<Option<String>, JournalError> {
    if schema::version(connection)? < schema::WITH_RECORDS {
        return Ok(None);
    }
    Ok(meta::get(connection, meta::NOTICE)?)
}

/// A journal in memory, for what is not kept.
pub(super) fn memory() -> Result<Target, JournalError> {
    let mut connection = Connection::open_in_memory()?;
    connection.pragma_update(None, "foreign_keys", true)?;
    schema::migrate(&mut connection, None)?;
    Ok(Target {
        head: record_log::head(&connection)?,
        connection,
        outside: None,
        path: None,
    })
}

/// A connection that only reads.
pub(super) fn reader(path: &Path) -> Result<Connection, JournalError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.pragma_update(None, "trusted_schema", false)?;
    schema::check_known(schema::version(&connection)?, path)?;
    Ok(connection)
}

/// A connection that writes to a journal which was checked before.
pub(super) fn writer(path: &Path) -> Result<Connection, JournalError> {
    let connection = existing(path)?;
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    connection.pragma_update_and_check(None, "journal_size_limit", WAL_BYTES, |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "secure_delete", true)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    Ok(connection)
}

fn existing(path: &Path) -> Result<Connection, JournalError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.pragma_update(None, "trusted_schema", false)?;
    Ok(connection)
}

fn open_checked(path: &Path, notes: &mut JournalNotes) -> Result<Target, JournalError> {
    let mut connection = writer(path)?;
    if let Some(copy) = schema::migrate(&mut connection, Some(path))? {
        notes.backup = Some(copy);
    }
    notes.notice = meta::get(&connection, meta::NOTICE)?;
    let head = record_log::head(&connection)?;
    let epoch = meta::get(&connection, meta::EPOCH)?.unwrap_or_default();
    Ok(Target {
        outside: Some(HeadFile::open(path, &epoch, &head)?),
        connection,
        head,
        path: Some(path.to_path_buf()),
    })
}

/// Makes a new journal under another name and renames it: a half-made one never has the journal's name.
fn create(path: &Path) -> Result<(), JournalError> {
    let new = PathBuf::from(format!("{}.new", path.display()));
    remove_with_sides(&new);
    let mut connection = new_database(&new)?;
    schema::migrate(&mut connection, None)?;
    finish_database(connection, &new, path)
}

/// An empty private database, whose space returns to the system when rows are deleted.
pub(super) fn new_database(path: &Path) -> Result<Connection, JournalError> {
    // SQLite makes its files by the umask; made here first they are 0600, and -wal and -shm follow it.
    crate::state::private_file(path, false).map_err(|e| JournalError::ReadOnly(e.to_string()))?;
    let connection = existing(path)?;
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    Ok(connection)
}

/// Closes a database that was made under another name, syncs it, and gives it its own.
pub(super) fn finish_database(
    connection: Connection,
    from: &Path,
    to: &Path,
) -> Result<(), JournalError> {
    connection
        .close()
        .map_err(|(_, error)| JournalError::from(error))?;
    let io = |source: std::io::Error| JournalError::io(from, &source);
    File::open(from).and_then(|f| f.sync_all()).map_err(io)?;
    std::fs::rename(from, to).map_err(io)?;
    sync_folder(to).map_err(io)
}

/// Syncs the folder that a file is in: its name is on disk when this returns.
pub(super) fn sync_folder(path: &Path) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

/// Removes a database with what lies beside it.
pub(super) fn remove_with_sides(path: &Path) {
    for end in ["", "-wal", "-shm", "-journal"] {
        let _ = std::fs::remove_file(format!("{}{end}", path.display()));
    }
}

/// What is wrong with an existing file, as a sentence; `None`: nothing.
///
/// # Errors
/// The disk does not read, or the file is certainly no journal.
fn examine(path: &Path, outside: Option<&Written>) -> Result<Option<String>, JournalError> {
    let first = attempt(path, outside)?;
    let Some(mut damage) = first else {
        return Ok(None);
    };
    // A disk that fails for a moment looks like damage. It is damage only when every byte can be read and a
    // new look finds it again.
    for _ in 0..TRIES {
        readable(path)?;
        match attempt(path, outside)? {
            None => return Ok(None),
            Some(again) if again == damage => break,
            Some(other) => damage = other,
        }
        std::thread::sleep(PAUSE);
    }
    recognise(path, outside)?;
    Ok(Some(damage))
}

/// One look at the file: damage as a sentence, or an error of the disk.
fn attempt(path: &Path, outside: Option<&Written>) -> Result<Option<String>, JournalError> {
    with_retries(|| match look(path, outside) {
        Ok(damage) => Ok(damage),
        Err(error) => classify(path, error).map(Some),
    })
}

/// Damage as a sentence, or an error that says that the disk does not read.
fn classify(path: &Path, error: LookError) -> Result<String, JournalError> {
    use rusqlite::ErrorCode;
    match error {
        LookError::Journal(error) => Err(error),
        LookError::Sqlite(error) => match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Ok(error.to_string()),
            Some(ErrorCode::SystemIoFailure) => Err(JournalError::Io {
                path: path.to_path_buf(),
                what: error.to_string(),
            }),
            // A table or a column is not there: its schema was hit.
            Some(ErrorCode::Unknown) => Ok(error.to_string()),
            None => Ok(error.to_string()),
            _ => Err(error.into()),
        },
    }
}

enum LookError {
    Journal(JournalError),
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for LookError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// Reads the file as SQLite sees it. Nothing is written, not even when it is closed: the end of the write-ahead
/// log may be all that is left of the newest records.
fn look(path: &Path, outside: Option<&Written>) -> Result<Option<String>, LookError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.pragma_update(None, "trusted_schema", false)?;
    inspect(&connection, path, outside)
}

/// Reads an open file: its tables, its records, and whether they end where they should.
fn inspect(
    connection: &Connection,
    path: &Path,
    outside: Option<&Written>,
) -> Result<Option<String>, LookError> {
    let version = schema::version(connection)?;
    schema::check_known(version, path).map_err(LookError::Journal)?;
    let small = std::fs::metadata(path).is_ok_and(|m| m.len() < CHECKED_BYTES);
    if version > 0 && small {
        let verdict: String = connection.query_row("PRAGMA quick_check(1)", [], |r| r.get(0))?;
        if verdict != "ok" {
            let verdict = one_line(&verdict);
            return match read_error(&verdict) {
                Some(what) => Err(LookError::Journal(JournalError::Io {
                    path: path.to_path_buf(),
                    what,
                })),
                None => Ok(Some(verdict)),
            };
        }
    }
    if version < schema::WITH_RECORDS {
        // An older program wrote it, or nothing did. A journal that had records is never without.
        return Ok(match outside {
            Some(written) if written.head.sequence > 0 => Some(format!(
                "it has no records, {} were written",
                written.head.sequence
            )),
            _ if version == 0 => Some("it has no tables".to_owned()),
            _ => None,
        });
    }
    let from = record_log::head(connection)?.sequence - record_log::READ_AT_START;
    let head = match record_log::verify(connection, from)? {
        Ok(head) => head,
        Err(wrong) => return Ok(Some(wrong)),
    };
    Ok(match outside {
        Some(written) => behind(connection, &head, written)?,
        None => None,
    })
}

/// SQLite's check also reports a page that the disk did not give, with the code of the error.
fn read_error(verdict: &str) -> Option<String> {
    const IO_ERROR: u32 = 10;
    /// The file ends before the page: that is damage.
    const SHORT_READ: u32 = 522;
    let (_, after) = verdict.split_once("error code")?;
    let digits: String = after
        .trim_start_matches(['=', ' '])
        .chars()
        .take_while(char::is_ascii_digit)
        .collect();
    let code: u32 = digits.parse().ok()?;
    (code & 0xff == IO_ERROR && code != SHORT_READ).then(|| verdict.to_owned())
}

/// What the file outside knows and the database does not.
fn behind(
    connection: &Connection,
    head: &Head,
    written: &Written,
) -> rusqlite::Result<Option<String>> {
    let epoch = meta::get(connection, meta::EPOCH)?.unwrap_or_default();
    if epoch != written.epoch {
        return Ok(Some(
            "it is another journal than the one that was here".to_owned(),
        ));
    }
    if head.sequence < written.head.sequence {
        return Ok(Some(format!(
            "it ends at record {}, but record {} was written",
            head.sequence, written.head.sequence
        )));
    }
    let at = record_log::chain_at(connection, written.head.sequence)?;
    // A record below the beginning of the chain was pruned since.
    let known = written.head.sequence >= record_log::base(connection)?.sequence;
    Ok((known && at != Some(written.head.chain)).then(|| {
        format!(
            "record {} is not the one that was written",
            written.head.sequence
        )
    }))
}

/// Reads every byte, so that a disk that does not read says so.
fn readable(path: &Path) -> Result<(), JournalError> {
    use std::os::unix::fs::FileExt as _;
    let mut buffer = vec![0; 1 << 20];
    for end in ["", "-wal"] {
        let path = PathBuf::from(format!("{}{end}", path.display()));
        let io = |source: std::io::Error| JournalError::io(&path, &source);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound && !end.is_empty() => continue,
            Err(e) => return Err(io(e)),
        };
        with_retries(|| {
            let mut at = 0;
            loop {
                match file.read_at(&mut buffer, at).map_err(io)? {
                    0 => return Ok(()),
                    read => at += read as u64,
                }
            }
        })?;
    }
    Ok(())
}

/// Refuses a file of which nothing says that it was a journal.
fn recognise(path: &Path, outside: Option<&Written>) -> Result<(), JournalError> {
    let io = |source: std::io::Error| JournalError::io(path, &source);
    let mut start = [0; 16];
    let length = std::fs::metadata(path).map_err(io)?.len();
    let mut file = File::open(path).map_err(io)?;
    let is_sqlite = file.read_exact(&mut start).is_ok() && start == *SQLITE_MAGIC;
    let not_a_journal = |what: &str| JournalError::NotAJournal {
        path: path.to_path_buf(),
        what: what.to_owned(),
    };
    if outside.is_some() || heal::has_rows(path)? {
        return Ok(());
    }
    Err(if length == 0 {
        not_a_journal("0 bytes")
    } else if is_sqlite {
        not_a_journal("a database without the journal's tables")
    } else {
        not_a_journal("not a database")
    })
}

/// Tries again what the disk failed to do.
fn with_retries<T>(mut work: impl FnMut() -> Result<T, JournalError>) -> Result<T, JournalError> {
    let mut tried = 0;
    loop {
        match work() {
            Err(JournalError::Io { .. }) if tried + 1 < TRIES => {
                tried += 1;
                std::thread::sleep(PAUSE);
            }
            other => return other,
        }
    }
}

fn one_line(text: &str) -> String {
    let text = text
        .replace("*** in database main ***", "")
        .replace('\n', " ");
    crate::text::clean_line(text.trim(), 200)
}
