//! The table of records: each with a digest of its own and a hash chained to all before it.
//!
//! Why both: the digest says that one record is whole, wherever its bytes are found; the chain says that none
//! is missing, and one number with one hash stands for the whole journal.

use std::io::Read as _;

use flate2::read::DeflateDecoder;
use rusqlite::{Connection, OptionalExtension as _, params};
use sha2::{Digest as _, Sha256};

use crate::journal::error::JournalError;
use crate::journal::record::Record;
use crate::journal::{deflate, meta};
use crate::state::hex;

/// First bytes of a body: what it is, and how it is written.
const MAGIC: &[u8; 5] = b"BSMR\x01";
/// A body that claims more than this when unpacked is none of ours, bytes.
const MOST_UNPACKED: u64 = 256 << 20;
/// Records that belong to no run and keep their body: the newest so many.
const KEPT_WITHOUT_RUN: i64 = 10_000;
/// Newest records whose bodies are read at every start.
pub(super) const READ_AT_START: i64 = 1_000;

/// SHA-256.
pub(super) type Hash = [u8; 32];

/// The end of the log: what all records together come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Head {
    /// The newest sequence; 0: there is none yet.
    pub sequence: i64,
    /// The chained hash up to it.
    pub chain: Hash,
}

impl Head {
    /// The head after one more record.
    pub fn next(&self, sequence: i64, digest: &Hash) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(self.chain);
        hasher.update(digest);
        Self {
            sequence,
            chain: hasher.finalize().into(),
        }
    }
}

/// A record as its bytes: a magic, then its JSON, deflated.
///
/// # Errors
/// When it cannot be written as JSON.
pub(super) fn encode(record: &Record) -> Result<Vec<u8>, JournalError> {
    let json = serde_json::to_vec(record)?;
    let mut body = Vec::with_capacity(json.len() / 3 + 64);
    body.extend_from_slice(MAGIC);
    deflate::append(&json, &mut body);
    Ok(body)
}

/// The record in a body; `None`: these bytes are none that this program can read.
pub(super) fn decode(body: &[u8]) -> Option<Record> {
    let packed = body.strip_prefix(MAGIC)?;
    let mut json = Vec::new();
    DeflateDecoder::new(packed)
        .take(MOST_UNPACKED)
        .read_to_end(&mut json)
        .ok()?;
    serde_json::from_slice(&json).ok()
}

/// The digest of one record: its number and its bytes.
pub(super) fn digest(sequence: i64, body: &[u8]) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update(sequence.to_be_bytes());
    hasher.update(body);
    hasher.finalize().into()
}

/// Adds a record's bytes to the table; returns the new head.
pub(super) fn append(
    tx: &Connection,
    head: &Head,
    sequence: i64,
    record: &Record,
    body: &[u8],
) -> rusqlite::Result<Head> {
    let digest = digest(sequence, body);
    let head = head.next(sequence, &digest);
    let sql = "INSERT INTO records (sequence, subject, kind, digest, chain, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    tx.prepare_cached(sql)?.execute(params![
        sequence,
        record.subject(),
        record.kind(),
        digest,
        head.chain,
        body
    ])?;
    Ok(head)
}

/// Where the chain begins: after the last record whose row was removed.
pub(super) fn base(c: &Connection) -> rusqlite::Result<Head> {
    let sequence = meta::get(c, meta::BASE_SEQUENCE)?.and_then(|s| s.parse().ok());
    let chain = meta::get(c, meta::BASE_CHAIN)?.and_then(|s| from_hex(&s));
    Ok(Head {
        sequence: sequence.unwrap_or(0),
        chain: chain.unwrap_or_default(),
    })
}

/// The newest record's number and chained hash.
pub(super) fn head(c: &Connection) -> rusqlite::Result<Head> {
    let sql = "SELECT sequence, chain FROM records ORDER BY sequence DESC LIMIT 1";
    let newest = c
        .prepare_cached(sql)?
        .query_row([], |r| {
            Ok(Head {
                sequence: r.get(0)?,
                chain: r.get(1)?,
            })
        })
        .optional()?;
    newest.map_or_else(|| base(c), Ok)
}

/// The chained hash at one record, if its row is there.
pub(super) fn chain_at(c: &Connection, sequence: i64) -> rusqlite::Result<Option<Hash>> {
    let base = base(c)?;
    if base.sequence == sequence {
        return Ok(Some(base.chain));
    }
    c.prepare_cached("SELECT chain FROM records WHERE sequence = ?1")?
        .query_row([sequence], |r| r.get(0))
        .optional()
}

/// Removes the texts of records that nothing needs any more: those of runs that were pruned, and of what
/// belongs to no run all but the newest. Then the rows at the beginning that have no text left.
pub(super) fn empty_old(tx: &Connection) -> rusqlite::Result<()> {
    let newest = head(tx)?.sequence;
    // The newest ones stay whole: they are what a lost end is noticed by.
    let sql = "UPDATE records SET body = NULL WHERE body IS NOT NULL AND sequence <= ?1 \
               AND NOT EXISTS (SELECT 1 FROM runs WHERE runs.id = records.subject) \
               AND (subject LIKE 'job\\_%' ESCAPE '\\' OR sequence <= ?2)";
    tx.prepare_cached(sql)?
        .execute([newest - READ_AT_START, newest - KEPT_WITHOUT_RUN])?;
    let sql = "SELECT sequence, chain FROM records WHERE sequence < coalesce((SELECT min(sequence) FROM records WHERE body IS NOT NULL), ?1) ORDER BY sequence DESC LIMIT 1";
    let trimmed: Option<(i64, Hash)> = tx
        .prepare_cached(sql)?
        .query_row([newest - READ_AT_START], |r| Ok((r.get(0)?, r.get(1)?)))
        .optional()?;
    if let Some((sequence, chain)) = trimmed {
        tx.prepare_cached("DELETE FROM records WHERE sequence <= ?1")?
            .execute([sequence])?;
        meta::set(tx, meta::BASE_SEQUENCE, &sequence.to_string())?;
        meta::set(tx, meta::BASE_CHAIN, &hex(&chain))?;
    }
    Ok(())
}

/// Removes the text of one record: what it holds was forgotten.
pub(super) fn empty(tx: &Connection, sequence: i64) -> rusqlite::Result<()> {
    tx.prepare_cached("UPDATE records SET body = NULL WHERE sequence = ?1")?
        .execute([sequence])
        .map(drop)
}

pub(super) fn from_hex(text: &str) -> Option<Hash> {
    let mut hash = Hash::default();
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (byte, pair) in hash.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn record_encoded_and_decoded_is_the_same() {
        let record = Record::RunParked { id: "job_1".into() };
        let body = encode(&record).unwrap();
        assert_eq!(decode(&body), Some(record));
        assert_eq!(decode(&body[1..]), None);
        assert_ne!(digest(1, &body), digest(2, &body));
    }

    #[test]
    fn hash_in_hexadecimal_is_read_back() {
        let hash = digest(7, b"text");
        assert_eq!(from_hex(&hex(&hash)), Some(hash));
        assert_eq!(from_hex("zz"), None);
    }
}
