//! Reads records and compares: the chain, each one's bytes with its digest, what a decision says with its run.

use rusqlite::{Connection, OptionalExtension as _};

use crate::journal::record::Record;
use crate::journal::record_log::{self, Hash, Head, decode, digest};
use crate::journal::salvage::strictness;

/// How much is read at once.
pub(super) struct MostBodies {
    records: u64,
    bytes: usize,
}

impl MostBodies {
    /// All that there is.
    pub(super) const ALL: Self = Self {
        records: u64::MAX,
        bytes: usize::MAX,
    };
    /// So little that nobody waits for it.
    pub(super) const PIECE: Self = Self {
        records: 500,
        bytes: 4 << 20,
    };
}

/// What was read.
pub(super) struct Bodies {
    /// Records.
    pub read: u64,
    /// The number to go on from; `None`: there is no more.
    pub next: Option<i64>,
}

/// Computes the chain anew and compares; bodies from `bodies_from` on are read as well, and what a decision's
/// record says is compared with its run. `Err` inside: what is wrong, as a sentence.
pub(super) fn verify(c: &Connection, bodies_from: i64) -> rusqlite::Result<Result<Head, String>> {
    let mut head = record_log::base(c)?;
    let mut statement =
        c.prepare("SELECT sequence, digest, chain FROM records ORDER BY sequence")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (sequence, digest, chain): (i64, Hash, Hash) = (row.get(0)?, row.get(1)?, row.get(2)?);
        head = head.next(sequence, &digest);
        if head.chain != chain {
            return Ok(Err(format!(
                "record {sequence} does not follow those before it"
            )));
        }
    }
    let read = verify_bodies(c, bodies_from, &MostBodies::ALL)?;
    Ok(read.map(|_| head))
}

/// Reads bodies from the record `from` on. `Err` inside: what is wrong, as a sentence.
pub(super) fn verify_bodies(
    c: &Connection,
    from: i64,
    most: &MostBodies,
) -> rusqlite::Result<Result<Bodies, String>> {
    let sql = "SELECT sequence, digest, body FROM records WHERE sequence >= ?1 AND body IS NOT NULL ORDER BY sequence";
    let mut statement = c.prepare(sql)?;
    let mut rows = statement.query([from])?;
    let mut read = 0;
    let mut bytes: usize = 0;
    let mut recovered = None;
    while let Some(row) = rows.next()? {
        let (sequence, kept): (i64, Hash) = (row.get(0)?, row.get(1)?);
        if read >= most.records || bytes >= most.bytes {
            let next = Some(sequence);
            return Ok(Ok(Bodies { read, next }));
        }
        let body = row.get_ref(2)?.as_blob().unwrap_or_default();
        read += 1;
        bytes = bytes.saturating_add(body.len());
        if digest(sequence, body) != kept {
            return Ok(Err(format!("the bytes of record {sequence} have changed")));
        }
        if let Some(Record::RunDecided { finish }) = decode(body)
            && let Some(kept) = disagreement(c, &finish.id, &finish.action)?
        {
            let newest = match recovered {
                Some(newest) => newest,
                None => *recovered.insert(newest_recovery(c)?),
            };
            // Healing takes the stricter of two versions, and keeps the record of the other.
            if sequence > newest || strictness(&kept) < strictness(&finish.action) {
                let said = if kept.is_empty() { "nothing" } else { &kept };
                return Ok(Err(format!(
                    "run {} was decided {}, its row says {said}",
                    finish.id, finish.action
                )));
            }
        }
    }
    Ok(Ok(Bodies { read, next: None }))
}

/// The number of the newest record that says that the journal was recovered; 0: it never was.
fn newest_recovery(c: &Connection) -> rusqlite::Result<i64> {
    let sql = "SELECT coalesce(max(sequence), 0) FROM records WHERE kind = 'recovered'";
    c.query_row(sql, [], |r| r.get(0))
}

/// What a decided run's row says instead; `None`: the same, or the run was pruned.
fn disagreement(c: &Connection, id: &str, action: &str) -> rusqlite::Result<Option<String>> {
    let sql = "SELECT action, finished_ms IS NOT NULL FROM runs WHERE id = ?1";
    let row: Option<(Option<String>, bool)> = c
        .prepare_cached(sql)?
        .query_row([id], |r| Ok((r.get(0)?, r.get(1)?)))
        .optional()?;
    Ok(match row {
        Some((Some(kept), true)) if kept == action => None,
        // Pruned, or deleted since: its record goes with the next pruning.
        None => None,
        Some((kept, _)) => Some(kept.unwrap_or_default()),
    })
}
