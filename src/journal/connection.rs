//! The open journal: one writer thread, a connection for reading.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use rusqlite::Connection;

use crate::journal::connect;
use crate::journal::error::JournalError;
use crate::journal::examine;
use crate::journal::notes::JournalNotes;
use crate::journal::open;
use crate::journal::record::{Applied, Record};
use crate::journal::record_log;
use crate::journal::writer::Writer;
use crate::resilience::clock::lock;

/// A record of at least so many bytes is encoded on a thread of its own.
const HEAVY: usize = 256 << 10;

/// The journal. Cheap to clone.
#[derive(Clone)]
pub struct Journal {
    writer: Arc<Writer>,
    /// `None` inside once it is closed: the last connection that closes leaves one file.
    reader: Option<Arc<Mutex<Option<Connection>>>>,
    pub(super) path: Option<Arc<Path>>,
    notes: Arc<JournalNotes>,
}

impl Journal {
    /// Opens or creates the journal at `path`, migrating it where needed. A damaged one is made again from what
    /// can be read of it; see [`Journal::notes`].
    ///
    /// # Errors
    /// When it cannot be read or written, is no journal, is gone although it was there, or was written by a newer
    /// program. Nothing was changed then.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        let (target, notes) = open::file(path)?;
        let reader = connect::reader(path)?;
        Ok(Self {
            writer: Arc::new(Writer::start(target)?),
            reader: Some(Arc::new(Mutex::new(Some(reader)))),
            path: Some(Arc::from(path)),
            notes: Arc::new(notes),
        })
    }

    /// A journal in memory, for `--no-save`.
    pub fn in_memory() -> Result<Self, JournalError> {
        Ok(Self {
            writer: Arc::new(Writer::start(open::memory()?)?),
            reader: None,
            path: None,
            notes: Arc::default(),
        })
    }

    /// Opens an existing journal for reading only; `None` when there never was one.
    ///
    /// # Errors
    /// It cannot be read, or it is gone although it was there.
    pub fn read_only(path: &Path) -> Result<Option<ReadOnly>, JournalError> {
        if !path.exists() {
            return open::gone(path).map_or(Ok(None), Err);
        }
        match connect::reader(path) {
            Ok(connection) => Ok(Some(ReadOnly {
                connection,
                path: path.to_path_buf(),
            })),
            Err(JournalError::Sqlite(what)) => Err(JournalError::Sqlite(format!(
                "{} cannot be read ({what}); the next run or console repairs a damaged journal",
                path.display()
            ))),
            Err(other) => Err(other),
        }
    }

    /// What happened while it was opened: damage, a copy, a notice.
    pub fn notes(&self) -> &JournalNotes {
        &self.notes
    }

    /// Closes it: everything written so far is on disk when this returns.
    pub fn close(&self) {
        if let Some(reader) = &self.reader {
            drop(lock(reader).take());
        }
        self.writer.close();
    }

    /// Where it is; `None`: in memory.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Applies a record and keeps it, in one transaction. On disk when this returns.
    pub(super) async fn append(&self, record: Record) -> Result<Applied, JournalError> {
        let record = Box::new(record);
        if record.weight() < HEAVY {
            let body = record_log::encode(&record)?;
            return self.writer.append(record, body).await;
        }
        let encoded = tokio::task::spawn_blocking(move || {
            record_log::encode(&record).map(|body| (record, body))
        });
        let (record, body) = encoded.await.unwrap_or(Err(JournalError::Closed))?;
        self.writer.append(record, body).await
    }

    /// Writes a fact of this machine that is no record.
    pub(super) async fn write(
        &self,
        job: impl FnOnce(&Connection) -> rusqlite::Result<()> + Send + 'static,
    ) -> Result<(), JournalError> {
        self.writer.local(Box::new(job)).await
    }

    /// As [`Self::write`], with what the job found out.
    pub(super) async fn write_with<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, JournalError> {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        self.write(move |tx| {
            let _ = sender.send(job(tx)?);
            Ok(())
        })
        .await?;
        receiver.await.map_err(|_| JournalError::Closed)
    }

    pub(super) async fn read<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, JournalError> {
        match &self.reader {
            Some(reader) => {
                let reader = Arc::clone(reader);
                let done = tokio::task::spawn_blocking(move || {
                    let reader = lock(&reader);
                    let connection = reader.as_ref().ok_or(JournalError::Closed)?;
                    job(connection).map_err(JournalError::from)
                })
                .await;
                done.unwrap_or(Err(JournalError::Closed))
            }
            // In memory there is one connection, and it lives on the writer's thread.
            None => self.write_with(job).await,
        }
    }

    /// Holds up the thread that writes, as a disk that hangs does. For drills.
    #[doc(hidden)]
    pub async fn stall(&self, time: std::time::Duration) -> Result<(), JournalError> {
        self.write(move |_| {
            std::thread::sleep(time);
            Ok(())
        })
        .await
    }

    /// Limits the file to so many pages, so that a test or a drill can fill it.
    #[doc(hidden)]
    pub async fn limit_pages(&self, pages: u32) -> Result<(), JournalError> {
        self.writer.limit_pages(pages).await
    }
}

/// A journal opened by a command that only reads.
pub struct ReadOnly {
    pub(super) connection: Connection,
    path: PathBuf,
}

impl ReadOnly {
    /// What is wrong with the journal, as a sentence; `None`: nothing that can be seen.
    ///
    /// # Errors
    /// As all reading.
    pub fn damage(&self) -> Result<Option<String>, JournalError> {
        examine::damage_of(&self.connection, &self.path)
    }

    /// What an operator has to acknowledge after the journal was recovered.
    ///
    /// # Errors
    /// As all reading.
    pub fn notice(&self) -> Result<Option<String>, JournalError> {
        open::notice(&self.connection)
    }
}
