//! Makes the indexes of a journal anew when nothing but an index is damaged.
//!
//! Why not the whole repair: an index says nothing that the tables do not say. Every row is read through its own
//! table, every record is proven from the first to the last, and both agree with the file outside. So nothing is
//! lost, and nobody has to decide anything. SQLite's own REINDEX walks the damaged pages to clear them and fails
//! there; so the rows go into a new database, which makes its indexes while they come.

use std::collections::BTreeSet;
use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use crate::journal::error::JournalError;
use crate::journal::head_file::Written;
use crate::journal::notes::Healed;
use crate::journal::{database_file, record_log, schema};

/// Findings of the check that are read. More of them are no single index.
const FINDINGS: u32 = 1_000;

/// Makes the indexes anew and puts the journal in the place of the damaged one, which is kept. `None`: more than
/// indexes is damaged, and nothing was changed.
///
/// # Errors
/// The disk does not write.
pub(super) fn reindex(
    path: &Path,
    damage: &str,
    outside: Option<&Written>,
) -> Result<Option<Healed>, JournalError> {
    let Some(written) = outside else {
        return Ok(None); // Whether records are missing would not be known.
    };
    let part = database_file::part_of(path);
    database_file::remove_with_sides(&part);
    let Ok(source) = database_file::existing(path) else {
        return Ok(None);
    };
    let untouched = source.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
    if untouched.is_err() || !only_indexes(&source).unwrap_or(false) {
        return Ok(None);
    }
    let mut target = database_file::new_database(&part)?;
    schema::migrate(&mut target, None)?;
    let whole = copy_rows(&source, &mut target).and_then(|()| is_proven(&target, written));
    if !whole.unwrap_or(false) {
        drop(target);
        database_file::remove_with_sides(&part);
        return Ok(None);
    }
    let records = record_log::head(&target)?.sequence;
    drop(source);
    let kept_as = database_file::install(target, path, "damaged")?;
    Ok(Some(Healed {
        damage: damage.to_owned(),
        kept_as: kept_as.unwrap_or_else(|| "nowhere".into()),
        records: usize::try_from(records).unwrap_or(0),
        rows: 0,
        only_indexes: true,
    }))
}

/// Every finding of the check names an index, or pages that an index lost. (The quick check: the whole one also steps
/// through each index, and ends with an error at a bad page. What it would find is found when the rows are copied.)
fn only_indexes(c: &Connection) -> rusqlite::Result<bool> {
    if schema::version(c)? != schema::KNOWN {
        return Ok(false);
    }
    let mut statement =
        c.prepare("SELECT name, rootpage FROM sqlite_schema WHERE type = 'index'")?;
    let (mut names, mut roots) = (BTreeSet::new(), BTreeSet::new());
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        names.insert(row.get::<_, String>(0)?);
        roots.insert(row.get::<_, u32>(1)?);
    }
    let mut statement = c.prepare(&format!("PRAGMA quick_check({FINDINGS})"))?;
    let findings = statement.query_map([], |r| r.get::<_, String>(0))?;
    let mut found = 0;
    for finding in findings {
        for line in finding?.lines().filter(|l| !l.starts_with("***")) {
            let of_index = [
                "missing from index ",
                "entries in index ",
                "entry in index ",
            ]
            .iter()
            .find_map(|mark| line.split_once(mark))
            .is_some_and(|(_, name)| names.contains(name.trim()));
            let of_tree = line
                .strip_prefix("Tree ")
                .and_then(|rest| rest.split(' ').next()?.parse().ok())
                .is_some_and(|root: u32| roots.contains(&root));
            let orphan = line.starts_with("Page ") && line.ends_with(": never used");
            if !(of_index || of_tree || orphan) {
                return Ok(false);
            }
            found += u32::from(of_index || of_tree);
        }
    }
    Ok(found > 0 && found < FINDINGS)
}

/// Every row of every table, in the order of the table's own tree.
fn copy_rows(source: &Connection, target: &mut Connection) -> rusqlite::Result<()> {
    let tx = target.transaction()?;
    tx.pragma_update(None, "defer_foreign_keys", true)?;
    let tables: Vec<String> = tx
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table'")?
        .query_map([], |r| r.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    // A table that numbers its rows writes this one, too: it comes last.
    let (numbers, tables): (Vec<_>, Vec<_>) =
        tables.into_iter().partition(|t| t.starts_with("sqlite_"));
    for table in tables.iter().chain(&numbers) {
        tx.execute(&format!("DELETE FROM \"{table}\""), [])?;
        let mut read = source.prepare(&format!("SELECT * FROM \"{table}\" NOT INDEXED"))?;
        let columns = read.column_count();
        let places = vec!["?"; columns].join(", ");
        let mut write = tx.prepare(&format!("INSERT INTO \"{table}\" VALUES ({places})"))?;
        let mut rows = read.query([])?;
        while let Some(row) = rows.next()? {
            let values: Vec<Value> = (0..columns)
                .map(|n| row.get(n))
                .collect::<rusqlite::Result<_>>()?;
            write.execute(params_from_iter(values))?;
        }
    }
    tx.commit()
}

/// All records prove themselves, and none that was written is missing.
fn is_proven(c: &Connection, written: &Written) -> rusqlite::Result<bool> {
    let verdict: String = c.query_row("PRAGMA integrity_check(1)", [], |r| r.get(0))?;
    let Ok(head) = record_log::verify(c, 0)? else {
        return Ok(false);
    };
    let at = record_log::chain_at(c, written.head.sequence)?;
    let epoch = crate::journal::meta::get(c, crate::journal::meta::EPOCH)?;
    Ok(verdict == "ok"
        && epoch.as_ref() == Some(&written.epoch)
        && head.sequence >= written.head.sequence
        && at == Some(written.head.chain))
}
