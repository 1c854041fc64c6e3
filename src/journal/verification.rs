//! Reads a whole journal in small pieces while an engine works with it: what the check at start leaves out.
//!
//! Why not at start: reading a gigabyte takes seconds, and an engine that is started again should work at once. Why
//! at all: damage in an old record is found by nobody until the record is needed.

use std::path::PathBuf;
use std::time::Duration;

use rusqlite::Connection;

use crate::journal::connect;
use crate::journal::connection::Journal;
use crate::journal::error::JournalError;
use crate::journal::examine;
use crate::journal::meta;
use crate::journal::record_check::{self, Bodies, MostBodies};

/// Between two looks at what seems damaged.
const SECOND_LOOK: Duration = Duration::from_millis(200);

/// What one piece gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Nothing is wrong so far.
    More,
    /// All of it was read, and nothing is wrong.
    Whole {
        /// Records whose bytes were read.
        records: u64,
    },
    /// Damage, as a sentence, found twice.
    Damage(String),
}

/// A pass over a journal.
pub struct Verification {
    path: PathBuf,
    /// Tables that are still to be read; `None`: their names are not known yet.
    tables: Option<Vec<String>>,
    /// The next record.
    next: i64,
    records: u64,
}

impl Journal {
    /// Begins a pass; `None`: the journal is in memory.
    pub fn verification(&self) -> Option<Verification> {
        let path = self.path()?.to_path_buf();
        Some(Verification {
            path,
            tables: None,
            next: 0,
            records: 0,
        })
    }

    /// Writes down that the journal is damaged: the next start reads all of it, and repairs it.
    ///
    /// # Errors
    /// As all writing.
    pub async fn mark_damaged(&self, what: &str) -> Result<(), JournalError> {
        let what = what.to_owned();
        self.write(move |tx| meta::set(tx, meta::SUSPECT, &what))
            .await
    }

    /// Whether [`Self::mark_damaged`] is on disk.
    ///
    /// # Errors
    /// As all reading.
    pub async fn is_marked_damaged(&self) -> Result<bool, JournalError> {
        self.read(|c| Ok(meta::get(c, meta::SUSPECT)?.is_some()))
            .await
    }
}

impl Verification {
    /// Reads the next piece: a table with its indexes, or some hundred records. Waits for the disk.
    ///
    /// # Errors
    /// The disk does not read. Then the same piece is next.
    pub fn step(&mut self) -> Result<Piece, JournalError> {
        match self.look()? {
            Ok(piece) => Ok(piece),
            Err(_) => {
                // A disk that fails for a moment looks like damage.
                std::thread::sleep(SECOND_LOOK);
                Ok(self.look()?.unwrap_or_else(Piece::Damage))
            }
        }
    }

    fn look(&mut self) -> Result<Result<Piece, String>, JournalError> {
        // Each time anew: what a connection has in its cache proves nothing about the disk.
        let connection = connect::reader(&self.path)?;
        let found = match &self.tables {
            Some(tables) if tables.is_empty() => self.bodies(&connection),
            _ => self.table(&connection),
        };
        found.or_else(|error| examine::classify(&self.path, error.into()).map(Err))
    }

    fn table(&mut self, c: &Connection) -> rusqlite::Result<Result<Piece, String>> {
        let Some(tables) = &self.tables else {
            let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'";
            let mut names = c.prepare(sql)?;
            let names = names.query_map([], |r| r.get(0))?;
            self.tables = Some(names.collect::<rusqlite::Result<_>>()?);
            return Ok(Ok(Piece::More));
        };
        if let Some(name) = tables.last() {
            let sql = format!("PRAGMA quick_check(\"{}\")", name.replace('"', "\"\""));
            let verdict: String = c.query_row(&sql, [], |r| r.get(0))?;
            if verdict != "ok" {
                return Ok(Err(examine::one_line(&verdict)));
            }
        }
        if let Some(tables) = &mut self.tables {
            tables.pop();
        }
        Ok(Ok(Piece::More))
    }

    fn bodies(&mut self, c: &Connection) -> rusqlite::Result<Result<Piece, String>> {
        Ok(
            match record_check::verify_bodies(c, self.next, &MostBodies::PIECE)? {
                Err(wrong) => Err(wrong),
                Ok(Bodies { read, next }) => {
                    self.records += read;
                    match next {
                        Some(next) => {
                            self.next = next;
                            Ok(Piece::More)
                        }
                        None => Ok(Piece::Whole {
                            records: self.records,
                        }),
                    }
                }
            },
        )
    }
}
