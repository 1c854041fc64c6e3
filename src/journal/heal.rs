//! Makes a damaged journal again from what can be read of it.
//!
//! Why from both: records say what happened and prove themselves by their digest, so they are applied anew;
//! rows of the tables add what has no readable record. Of two versions of a row the one that is further along
//! and stricter stays. Healing decides nothing: a run without a readable decision stays undecided.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::journal::apply::apply;
use crate::journal::database_file;
use crate::journal::error::JournalError;
use crate::journal::head_file::Written;
use crate::journal::notes::Healed;
use crate::journal::raw_pages::{self, RawRow, Value};
use crate::journal::record::Record;
use crate::journal::record_log::{self, Hash};
use crate::journal::row_numbers::ROWS_PER_RECORD;
use crate::journal::salvage::{self, Table};
use crate::journal::{backup, meta, schema, stops};

/// Whether any row of the journal can be read from a file.
///
/// # Errors
/// The disk does not read.
pub(super) fn has_rows(path: &Path) -> Result<bool, JournalError> {
    let rows = raw_pages::rows(path)?;
    Ok(rows.iter().any(|row| salvage::table_of(row).is_some()))
}

/// Makes the journal again and puts it in the place of the damaged one, which is kept.
///
/// # Errors
/// Nothing can be read, or the disk does not read or write. Then the damaged file is where it was.
pub(super) fn heal(
    path: &Path,
    damage: &str,
    outside: Option<&Written>,
) -> Result<Healed, JournalError> {
    let found = Found::read(path)?;
    if found.records.is_empty() && found.rows.is_empty() {
        return Err(JournalError::Damaged {
            path: path.to_path_buf(),
            what: damage.to_owned(),
            why: "no record and no row of it can be read".to_owned(),
        });
    }
    let part = database_file::part_of(path);
    database_file::remove_with_sides(&part);
    let mut connection = database_file::new_database(&part)?;
    schema::migrate(&mut connection, None)?;
    let rows = found.write(&mut connection, path)?;
    let records = found.records.len();
    let newest = found.records.keys().next_back().copied().unwrap_or(0);
    let missing = match outside {
        Some(written) if written.head.sequence > newest => format!(
            "; record {} was written, the newest found is {newest}",
            written.head.sequence
        ),
        _ => String::new(),
    };
    let notice = format!(
        "the journal was damaged ({damage}) and was made again from {records} records and {rows} more rows{missing}"
    );
    let now_ms = jiff::Timestamp::now().as_millisecond();
    backup::mark_recovered(&mut connection, now_ms, &notice)?;
    let kept_as = database_file::install(connection, path, "damaged")?;
    Ok(Healed {
        damage: damage.to_owned(),
        kept_as: kept_as.unwrap_or_else(|| PathBuf::from("nowhere")),
        records,
        rows,
        only_indexes: false,
    })
}

/// What can be read of a damaged journal.
struct Found {
    /// Records that are whole, by number: their bytes.
    records: BTreeMap<i64, Vec<u8>>,
    /// Rows, by table.
    rows: BTreeMap<Table, Vec<RawRow>>,
}

/// What the records say was removed: rows of it are left over from before.
#[derive(Default)]
struct Removed {
    runs: BTreeSet<String>,
    memory: BTreeSet<String>,
}

impl Found {
    fn read(path: &Path) -> Result<Self, JournalError> {
        let mut found = Self {
            records: BTreeMap::new(),
            rows: BTreeMap::new(),
        };
        for row in raw_pages::rows(path)? {
            match salvage::table_of(&row) {
                Some(Table::Records) => found.add_record(row),
                Some(table) => found.rows.entry(table).or_default().push(row),
                None => {}
            }
        }
        Ok(found)
    }

    fn add_record(&mut self, row: RawRow) {
        let kept: Option<Hash> = row.values[3].blob().and_then(|b| b.try_into().ok());
        if let Some(Value::Blob(body)) = row.values.into_iter().nth(5)
            && kept == Some(record_log::digest(row.rowid, &body))
        {
            self.records.insert(row.rowid, body);
        }
    }

    /// Writes all of it into a new journal; returns how many rows had no record.
    fn write(&self, connection: &mut Connection, path: &Path) -> Result<usize, JournalError> {
        let tx = connection.transaction()?;
        // Rows come in any order, and a step's run may be gone.
        tx.pragma_update(None, "defer_foreign_keys", true)?;
        self.set_base(&tx)?;
        let removed = self.apply_records(&tx)?;
        let mut added = 0;
        for (table, rows) in &self.rows {
            for row in rows.iter().filter(|row| !removed.has(*table, row)) {
                added += usize::from(salvage::merge(&tx, *table, row)?);
            }
        }
        self.apply_decisions(&tx)?;
        tx.execute(
            "DELETE FROM steps WHERE run_id NOT IN (SELECT id FROM runs)",
            [],
        )?;
        for agent in stops::read(path) {
            tx.execute("INSERT OR IGNORE INTO stopped (agent) VALUES (?1)", [agent])?;
        }
        tx.commit()?;
        Ok(added)
    }

    /// Steps and decisions whose run had no readable record, but a row: now they find it. A decision that is
    /// stricter than the row's takes its place.
    fn apply_decisions(&self, tx: &Connection) -> rusqlite::Result<()> {
        for (sequence, body) in &self.records {
            let Some(record @ (Record::StepFinished { .. } | Record::RunDecided { .. })) =
                record_log::decode(body)
            else {
                continue;
            };
            tx.execute_batch("SAVEPOINT one")?;
            if let Record::RunDecided { finish } = &record {
                salvage::yield_to(tx, &finish.id, &finish.action)?;
            }
            match apply(tx, *sequence, &record) {
                Ok(_) => tx.execute_batch("RELEASE one")?,
                Err(_) => tx.execute_batch("ROLLBACK TO one; RELEASE one")?,
            }
        }
        Ok(())
    }

    /// New records come after every number that was ever given.
    fn set_base(&self, tx: &Connection) -> rusqlite::Result<()> {
        let numbered = [Table::Memory, Table::Outbox];
        let rows = numbered.iter().filter_map(|t| self.rows.get(t)).flatten();
        let by_rows = rows.map(|row| row.rowid / ROWS_PER_RECORD).max();
        let first = self.records.keys().next().copied();
        // With records the chain begins before the first of them; the last one is above all rows.
        let base = first.map_or(by_rows.unwrap_or(0), |first| first - 1);
        meta::set(tx, meta::BASE_SEQUENCE, &base.to_string())
    }

    /// Applies every record that this program can read, and keeps the bytes of all.
    fn apply_records(&self, tx: &Connection) -> rusqlite::Result<Removed> {
        let mut removed = Removed::default();
        let mut head = record_log::base(tx)?;
        for (sequence, body) in &self.records {
            let Some(record) = record_log::decode(body) else {
                continue;
            };
            removed.note(&record);
            tx.execute_batch("SAVEPOINT one")?;
            match apply(tx, *sequence, &record) {
                // A record about something that is not there any more changes nothing.
                Ok(_) => tx.execute_batch("RELEASE one")?,
                Err(_) => tx.execute_batch("ROLLBACK TO one; RELEASE one")?,
            }
            head = record_log::append(tx, &head, *sequence, &record, body)?;
        }
        Ok(removed)
    }
}

impl Removed {
    fn note(&mut self, record: &Record) {
        match record {
            Record::RunsPruned { ids } | Record::RunsRefused { ids } => {
                self.runs.extend(ids.iter().cloned());
            }
            Record::MemoryForgotten { id } => {
                self.memory.insert(id.clone());
            }
            _ => {}
        }
    }

    fn has(&self, table: Table, row: &RawRow) -> bool {
        let text = |at: usize| row.values.get(at).and_then(Value::text).unwrap_or_default();
        match table {
            Table::Runs | Table::Steps => self.runs.contains(text(0)),
            Table::Memory => self.memory.contains(text(1)),
            _ => false,
        }
    }
}
