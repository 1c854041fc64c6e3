//! Opening: what is there is examined and repaired where it must be, what is not there is made. Nothing is begun
//! anew where something was.

use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::journal::connect;
use crate::journal::database_file::{
    finish_database, new_database, remove_with_sides, roll_forward,
};
use crate::journal::error::JournalError;
use crate::journal::examine::{examine, with_retries};
use crate::journal::head_file::{self, HeadFile};
use crate::journal::notes::JournalNotes;
use crate::journal::reindex::reindex;
use crate::journal::writer::Target;
use crate::journal::{heal, meta, record_log, schema};

/// Opens or makes the journal at `path`.
pub(super) fn file(path: &Path) -> Result<(Target, JournalNotes), JournalError> {
    let mut notes = JournalNotes::default();
    roll_forward(path, "replaced")?;
    let outside = with_retries(|| head_file::read(path))?;
    if !path.exists() {
        gone(path).map_or(Ok(()), Err)?;
        create(path)?;
    } else if let Some(damage) = examine(path, outside.as_ref())? {
        notes.healed = Some(match reindex(path, &damage, outside.as_ref())? {
            Some(healed) => healed,
            None => heal::heal(path, &damage, outside.as_ref())?,
        });
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

fn open_checked(path: &Path, notes: &mut JournalNotes) -> Result<Target, JournalError> {
    let mut connection = connect::writer(path)?;
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
