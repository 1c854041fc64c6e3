//! Looks whether a journal is damaged, and tells damage from a disk that does not read.
//!
//! Why so careful: a journal that is set aside after one failed read is lost to its owner just as if it had
//! been deleted.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::config::DbConfig;

use crate::journal::error::JournalError;
use crate::journal::head_file::{self, Written};
use crate::journal::record_log::{self, Head};
use crate::journal::{database_file, heal, meta, record_check, schema};

/// A journal larger than this is not read through at every start.
const CHECKED_BYTES: u64 = 64 << 20;
/// How often a read that failed is tried.
const TRIES: u32 = 4;
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(50);
/// How a database of SQLite begins.
const SQLITE_MAGIC: &[u8] = b"SQLite format 3\0";

/// How much of a journal is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    /// The tables of a small one, the newest records. The rest is read while the engine works.
    Usual,
    /// All of it.
    Whole,
}

/// What is wrong with a journal that is open for reading, as a sentence; `None`: nothing that can be seen.
pub(super) fn damage_of(
    connection: &Connection,
    path: &Path,
) -> Result<Option<String>, JournalError> {
    let outside = head_file::read(path)?;
    judged(
        path,
        inspect(connection, path, outside.as_ref(), Depth::Usual),
    )
}

/// What is wrong with an existing file, as a sentence; `None`: nothing.
///
/// # Errors
/// The disk does not read, or the file is certainly no journal.
pub(super) fn examine(
    path: &Path,
    outside: Option<&Written>,
    depth: Depth,
) -> Result<Option<String>, JournalError> {
    let first = attempt(path, outside, depth)?;
    let Some(mut damage) = first else {
        return Ok(None);
    };
    // A disk that fails for a moment looks like damage. It is damage only when every byte can be read and a
    // new look finds it again.
    for _ in 0..TRIES {
        readable(path)?;
        match attempt(path, outside, depth)? {
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
fn attempt(
    path: &Path,
    outside: Option<&Written>,
    depth: Depth,
) -> Result<Option<String>, JournalError> {
    with_retries(|| judged(path, look(path, outside, depth)))
}

/// What a look gave: an error of SQLite may be damage as well.
fn judged(
    path: &Path,
    looked: Result<Option<String>, LookError>,
) -> Result<Option<String>, JournalError> {
    looked.or_else(|error| classify(path, error).map(Some))
}

/// Damage as a sentence, or an error that says that the disk does not read.
pub(super) fn classify(path: &Path, error: LookError) -> Result<String, JournalError> {
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
            Some(ErrorCode::Unknown) | None => Ok(error.to_string()),
            _ => Err(error.into()),
        },
    }
}

pub(super) enum LookError {
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
fn look(path: &Path, outside: Option<&Written>, depth: Depth) -> Result<Option<String>, LookError> {
    let connection = database_file::existing(path)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    inspect(&connection, path, outside, depth)
}

/// Reads an open file: its tables, its records, and whether they end where they should.
fn inspect(
    connection: &Connection,
    path: &Path,
    outside: Option<&Written>,
    depth: Depth,
) -> Result<Option<String>, LookError> {
    let version = schema::version(connection)?;
    schema::check_known(version, path).map_err(LookError::Journal)?;
    let small = std::fs::metadata(path).is_ok_and(|m| m.len() < CHECKED_BYTES);
    let whole = depth == Depth::Whole || is_suspect(connection, version)?;
    if version > 0 && (small || whole) {
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
    let newest = record_log::head(connection)?.sequence;
    let from = if whole {
        0
    } else {
        newest - record_log::READ_AT_START
    };
    let head = match record_check::verify(connection, from)? {
        Ok(head) => head,
        Err(wrong) => return Ok(Some(wrong)),
    };
    Ok(match outside {
        Some(written) => behind(connection, &head, written)?,
        None => None,
    })
}

/// Damage was found in it while an engine worked.
fn is_suspect(connection: &Connection, version: u32) -> rusqlite::Result<bool> {
    Ok(version >= schema::WITH_RECORDS && meta::get(connection, meta::SUSPECT)?.is_some())
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
pub(super) fn with_retries<T>(
    mut work: impl FnMut() -> Result<T, JournalError>,
) -> Result<T, JournalError> {
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

pub(super) fn one_line(text: &str) -> String {
    let text = text
        .replace("*** in database main ***", "")
        .replace('\n', " ");
    crate::text::clean_line(text.trim(), 200)
}
