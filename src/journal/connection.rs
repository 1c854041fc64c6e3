//! The open journal: one writer thread, a connection for reading.

use std::path::Path;
use std::sync::{Arc, Mutex};

use rusqlite::Connection;

use crate::journal::error::JournalError;
use crate::journal::open::{self, JournalNotes};
use crate::journal::writer::Writer;
use crate::resilience::clock::lock;

/// The journal. Cheap to clone.
#[derive(Clone)]
pub struct Journal {
    writer: Arc<Writer>,
    reader: Option<Arc<Mutex<Connection>>>,
    pub(super) path: Option<Arc<Path>>,
    notes: Arc<JournalNotes>,
}

impl Journal {
    /// Opens or creates the journal at `path`, migrating it where needed.
    ///
    /// # Errors
    /// When it cannot be written, or was written by a newer program. A corrupt file is set aside (see
    /// [`Journal::notes`]) and a new one begun.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        let (connection, notes) = open::file(path)?;
        let reader = open::reader(path)?;
        Ok(Self {
            writer: Arc::new(Writer::start(connection)?),
            reader: Some(Arc::new(Mutex::new(reader))),
            path: Some(Arc::from(path)),
            notes: Arc::new(notes),
        })
    }

    /// A journal in memory, for `--no-save`.
    pub fn in_memory() -> Result<Self, JournalError> {
        let connection = open::memory()?;
        Ok(Self {
            writer: Arc::new(Writer::start(connection)?),
            reader: None,
            path: None,
            notes: Arc::default(),
        })
    }

    /// Opens an existing journal for reading only; `None` when there is none.
    pub fn read_only(path: &Path) -> Result<Option<ReadOnly>, JournalError> {
        if !path.exists() {
            return Ok(None);
        }
        match open::reader(path) {
            Ok(connection) => Ok(Some(ReadOnly { connection })),
            Err(JournalError::Sqlite(what)) => Err(JournalError::Sqlite(format!(
                "{} cannot be read ({what}); the next run or console sets a corrupt file aside and begins a new one",
                path.display()
            ))),
            Err(other) => Err(other),
        }
    }

    /// What happened while it was opened: a file set aside, a backup made.
    pub fn notes(&self) -> &JournalNotes {
        &self.notes
    }

    /// Closes it: everything written so far is on disk when this returns.
    pub fn close(&self) {
        self.writer.close();
    }

    pub(super) async fn write(
        &self,
        job: impl FnOnce(&Connection) -> rusqlite::Result<()> + Send + 'static,
    ) -> Result<(), JournalError> {
        self.writer.submit(Box::new(job)).await
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
                    job(&lock(&reader)).map_err(JournalError::from)
                })
                .await;
                done.unwrap_or(Err(JournalError::Closed))
            }
            // In memory there is one connection, and it lives on the writer's thread.
            None => self.write_with(job).await,
        }
    }

    /// Limits the file to so many pages, so that a test can fill it.
    #[doc(hidden)]
    pub async fn limit_pages(&self, pages: u32) -> Result<(), JournalError> {
        self.writer.limit_pages(pages).await
    }
}

/// A journal opened by a command that only reads.
pub struct ReadOnly {
    pub(super) connection: Connection,
}
