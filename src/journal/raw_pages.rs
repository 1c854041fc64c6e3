//! Reads rows straight from the pages of a database file and its write-ahead log, whatever their order, as far
//! as they can be read.
//!
//! Why not through SQLite: one bad page in the middle of a tree hides everything below it, one bad bit in the
//! log hides everything after it. The rows themselves are still there.
//!
//! Source of the formats: SQLite's file format documentation, "Database File Format", sections 1.6 (B-tree
//! pages), 2.1 (record format) and 4 (the WAL format).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::journal::error::JournalError;

/// A value of a row.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Null,
    Integer(i64),
    Text(String),
    Blob(Vec<u8>),
}

impl Value {
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn blob(&self) -> Option<&[u8]> {
        match self {
            Self::Blob(bytes) => Some(bytes),
            _ => None,
        }
    }
}

/// A row of some table: its number and its values.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct RawRow {
    pub rowid: i64,
    pub values: Vec<Value>,
}

/// First byte of a page that holds rows of a table.
const TABLE_LEAF: u8 = 0x0d;
/// Bytes of the database's own header, at the beginning of page 1.
const FILE_HEADER: usize = 100;
const WAL_HEADER: usize = 32;
/// First bytes of a write-ahead log; the fourth tells the byte order of its checksums.
const WAL_MAGIC: [u8; 3] = [0x37, 0x7f, 0x06];
const FRAME_HEADER: usize = 24;
/// Page size of every journal that BSM makes; a header that is destroyed cannot tell.
const USUAL_PAGE: usize = 4_096;
/// A row that claims more bytes than this is none.
const LARGEST_ROW: u64 = 512 << 20;

/// The pages of a file, the newest version of each.
struct Pages {
    size: usize,
    pages: BTreeMap<u32, Vec<u8>>,
}

/// Every row that can be read, in no order.
///
/// # Errors
/// The disk does not read.
pub(super) fn rows(path: &Path) -> Result<Vec<RawRow>, JournalError> {
    let pages = Pages::read(path)?;
    let mut rows = Vec::new();
    for (number, page) in &pages.pages {
        let start = if *number == 1 { FILE_HEADER } else { 0 };
        pages.leaf(page, start, &mut rows);
    }
    Ok(rows)
}

fn contents(path: &Path) -> Result<Vec<u8>, JournalError> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(bytes),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(e) => Err(JournalError::io(path, &e)),
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<usize> {
    let pair = bytes.get(at..at + 2)?;
    Some(usize::from(u16::from_be_bytes([pair[0], pair[1]])))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let four: [u8; 4] = bytes.get(at..at + 4)?.try_into().ok()?;
    Some(u32::from_be_bytes(four))
}

impl Pages {
    fn read(path: &Path) -> Result<Self, JournalError> {
        let database = contents(path)?;
        let log = contents(&PathBuf::from(format!("{}-wal", path.display())))?;
        let claimed = u16_at(&database, 16).unwrap_or(0);
        let size = match claimed {
            1 => 65_536,
            512..=32_768 if claimed.is_power_of_two() => claimed,
            _ => USUAL_PAGE,
        };
        let mut pages: BTreeMap<u32, Vec<u8>> = database
            .chunks(size)
            .zip(1..)
            .map(|(page, number)| (number, page.to_vec()))
            .collect();
        for (number, page) in frames(&log, size) {
            pages.insert(number, page.to_vec());
        }
        Ok(Self { size, pages })
    }

    /// The rows of one page, if it is a leaf of a table.
    fn leaf(&self, page: &[u8], start: usize, rows: &mut Vec<RawRow>) {
        if page.get(start) != Some(&TABLE_LEAF) {
            return;
        }
        let count = u16_at(page, start + 3).unwrap_or(0);
        for index in 0..count {
            let Some(at) = u16_at(page, start + 8 + 2 * index) else {
                return;
            };
            rows.extend(self.cell(page, at));
        }
    }

    /// One row: its length, its number, its bytes, the first of them here and the others on overflow pages.
    fn cell(&self, page: &[u8], at: usize) -> Option<RawRow> {
        let (length, at) = varint(page, at)?;
        let (rowid, at) = varint(page, at)?;
        if length == 0 || length > LARGEST_ROW {
            return None;
        }
        let length = usize::try_from(length).ok()?;
        let usable = self.size;
        let most = usable - 35;
        if length <= most {
            return row(rowid.cast_signed(), page.get(at..at + length)?);
        }
        let least = (usable - 12) * 32 / 255 - 23;
        let here = least + (length - least) % (usable - 4);
        let here = if here <= most { here } else { least };
        let mut bytes = page.get(at..at + here)?.to_vec();
        let mut next = u32_at(page, at + here)?;
        while bytes.len() < length {
            let overflow = self.pages.get(&next)?;
            next = u32_at(overflow, 0)?;
            let wanted = (length - bytes.len()).min(usable - 4);
            bytes.extend_from_slice(overflow.get(4..4 + wanted)?);
            // A chain that bites its own tail ends because every page adds bytes.
        }
        row(rowid.cast_signed(), &bytes)
    }
}

/// The pages in a write-ahead log, in the order they were written, up to the end of the last transaction. A
/// frame whose checksum is wrong is left out, those after it are not.
fn frames(log: &[u8], size: usize) -> Vec<(u32, &[u8])> {
    if log.len() < WAL_HEADER {
        return Vec::new();
    }
    let big_endian = log[3] & 1 == 1;
    let stored = |bytes: &[u8], at: usize| {
        let first = u32_at(bytes, at).unwrap_or(0);
        (first, u32_at(bytes, at + 4).unwrap_or(0))
    };
    // A header that is destroyed: most frames tell the salts, and the first is taken unproven.
    let sound =
        log.starts_with(&WAL_MAGIC) && checksum((0, 0), &log[..24], big_endian) == stored(log, 24);
    let salts = if sound {
        log[16..24].to_vec()
    } else {
        usual_salts(&log[WAL_HEADER..], size)
    };
    let mut before = sound.then(|| stored(log, 24));
    let mut found: Vec<(u32, &[u8])> = Vec::new();
    let mut committed = 0;
    for frame in log[WAL_HEADER..].chunks_exact(FRAME_HEADER + size) {
        let (header, page) = frame.split_at(FRAME_HEADER);
        // Another salt: left from an earlier round of the log, or destroyed.
        if header[8..16] != *salts {
            before = None;
            continue;
        }
        let kept = stored(header, 16);
        let proven = before.is_none_or(|before| {
            let begun = checksum(before, &header[..8], big_endian);
            checksum(begun, page, big_endian) == kept
        });
        before = Some(kept);
        let number = u32_at(header, 0).unwrap_or(0);
        let commits = u32_at(header, 4).unwrap_or(0) != 0;
        if proven && number > 0 {
            found.push((number, page));
        }
        if commits {
            committed = found.len();
        }
    }
    found.truncate(committed);
    found
}

/// The salts that most frames of a log carry.
fn usual_salts(frames: &[u8], size: usize) -> Vec<u8> {
    let mut counts: BTreeMap<&[u8], usize> = BTreeMap::new();
    for frame in frames.chunks_exact(FRAME_HEADER + size) {
        *counts.entry(&frame[8..16]).or_default() += 1;
    }
    let most = counts.into_iter().max_by_key(|(_, count)| *count);
    most.map(|(salts, _)| salts.to_vec()).unwrap_or_default()
}

fn checksum(from: (u32, u32), bytes: &[u8], big_endian: bool) -> (u32, u32) {
    let (mut first, mut second) = from;
    for pair in bytes.chunks_exact(8) {
        let word = |at: usize| {
            let four = [pair[at], pair[at + 1], pair[at + 2], pair[at + 3]];
            if big_endian {
                u32::from_be_bytes(four)
            } else {
                u32::from_le_bytes(four)
            }
        };
        first = first.wrapping_add(word(0)).wrapping_add(second);
        second = second.wrapping_add(word(4)).wrapping_add(first);
    }
    (first, second)
}

/// A number of one to nine bytes, and where it ends.
fn varint(bytes: &[u8], at: usize) -> Option<(u64, usize)> {
    let mut value = 0_u64;
    for index in 0..9 {
        let byte = *bytes.get(at + index)?;
        if index == 8 {
            return Some(((value << 8) | u64::from(byte), at + 9));
        }
        value = (value << 7) | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Some((value, at + index + 1));
        }
    }
    None
}

/// The values of a row; `None`: these bytes are no row.
fn row(rowid: i64, bytes: &[u8]) -> Option<RawRow> {
    let (header, mut at) = varint(bytes, 0)?;
    let header = usize::try_from(header).ok().filter(|h| *h <= bytes.len())?;
    let mut body = header;
    let mut values = Vec::new();
    while at < header {
        let (kind, next) = varint(bytes, at)?;
        at = next;
        let (value, length) = value(kind, bytes.get(body..)?)?;
        body += length;
        values.push(value);
    }
    (at == header && body == bytes.len()).then_some(RawRow { rowid, values })
}

/// One value and its length in bytes. Floating-point numbers are in no table of the journal.
fn value(kind: u64, bytes: &[u8]) -> Option<(Value, usize)> {
    let integer = |length: usize| {
        let mut number = 0_i64;
        for (index, byte) in bytes.get(..length)?.iter().enumerate() {
            number = if index == 0 {
                i64::from(byte.cast_signed())
            } else {
                (number << 8) | i64::from(*byte)
            };
        }
        Some((Value::Integer(number), length))
    };
    match kind {
        0 => Some((Value::Null, 0)),
        1..=4 => integer(kind as usize),
        5 => integer(6),
        6 => integer(8),
        8 => Some((Value::Integer(0), 0)),
        9 => Some((Value::Integer(1), 0)),
        7 | 10 | 11 => None,
        _ => {
            let length = usize::try_from((kind - 12) / 2).ok()?;
            let bytes = bytes.get(..length)?;
            let value = if kind.is_multiple_of(2) {
                Value::Blob(bytes.to_vec())
            } else {
                Value::Text(String::from_utf8(bytes.to_vec()).ok()?)
            };
            Some((value, length))
        }
    }
}
