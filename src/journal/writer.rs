//! The one thread that writes: what has gathered goes into one synced transaction.
//!
//! Why gather: a full sync costs milliseconds whatever it holds; two hundred runs that end at once
//! need a handful of syncs, not a thousand.
//!
//! Why it looks at autocommit after every error: SQLite may take back the whole transaction when the disk is
//! full. What was done before in it is gone then, and what comes after would be committed on its own. A job
//! that was refused must not be in the file.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::journal::apply::apply;
use crate::journal::connect;
use crate::journal::error::JournalError;
use crate::journal::head_file::HeadFile;
use crate::journal::record::{Applied, Record};
use crate::journal::record_log::{self, Head};
use crate::journal::work::{Job, Pending, Reply, Work, confirm_all, refuse_all};
use crate::resilience::clock::lock;

enum Message {
    Write(Work),
    LimitPages(u32, Reply<()>),
    Close,
}

const QUEUE: usize = 4_096;
const BATCH: usize = 256;

pub(super) struct Writer {
    sender: SyncSender<Message>,
    commits: Arc<AtomicU64>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What the thread writes to.
pub(super) struct Target {
    /// The connection.
    pub connection: Connection,
    /// The head of its record log.
    pub head: Head,
    /// The file outside; `None`: the journal is in memory.
    pub outside: Option<HeadFile>,
    /// The database's file; `None`: the journal is in memory.
    pub path: Option<PathBuf>,
}

impl Writer {
    pub(super) fn start(target: Target) -> Result<Self, JournalError> {
        let (sender, receiver) = sync_channel(QUEUE);
        let commits = Arc::new(AtomicU64::new(0));
        let writer = WriterThread::new(target, Arc::clone(&commits));
        let thread = std::thread::Builder::new()
            .name("bsm-journal".into())
            .spawn(move || writer.run(&receiver))
            .map_err(|e| JournalError::ReadOnly(format!("cannot start its thread: {e}")))?;
        Ok(Self {
            sender,
            commits,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Commits so far.
    pub(super) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Acquire)
    }

    /// Waits until the job is committed.
    pub(super) async fn local(&self, job: Job) -> Result<(), JournalError> {
        let (reply, done) = oneshot::channel();
        self.send(Message::Write(Work::Local(job, reply))).await?;
        done.await.unwrap_or(Err(JournalError::Closed))
    }

    /// Waits until the record is applied and committed.
    pub(super) async fn append(
        &self,
        record: Box<Record>,
        body: Vec<u8>,
    ) -> Result<Applied, JournalError> {
        let (reply, done) = oneshot::channel();
        self.send(Message::Write(Work::Record(record, body, reply)))
            .await?;
        done.await.unwrap_or(Err(JournalError::Closed))
    }

    pub(super) async fn limit_pages(&self, pages: u32) -> Result<(), JournalError> {
        let (reply, done) = oneshot::channel();
        self.send(Message::LimitPages(pages, reply)).await?;
        done.await.unwrap_or(Err(JournalError::Closed))
    }

    async fn send(&self, mut message: Message) -> Result<(), JournalError> {
        loop {
            match self.sender.try_send(message) {
                Ok(()) => return Ok(()),
                Err(TrySendError::Disconnected(_)) => return Err(JournalError::Closed),
                // The queue is far longer than what runs at once; a full one means that the disk is slow.
                Err(TrySendError::Full(back)) => {
                    message = back;
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
            }
        }
    }

    /// Everything sent before is on disk when this returns.
    pub(super) fn close(&self) {
        let _ = self.sender.send(Message::Close);
        if let Some(thread) = lock(&self.thread).take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.close();
    }
}

struct WriterThread {
    /// `None`: it was closed after an error and could not be opened again yet.
    connection: Option<Connection>,
    head: Head,
    outside: Option<HeadFile>,
    path: Option<PathBuf>,
    /// Commits so far; counted before anybody is told of one.
    commits: Arc<AtomicU64>,
    /// Runs whose acceptance could not be confirmed; they are taken back before anything else is written.
    unconfirmed: Vec<String>,
}

impl WriterThread {
    fn new(target: Target, commits: Arc<AtomicU64>) -> Self {
        Self {
            connection: Some(target.connection),
            head: target.head,
            outside: target.outside,
            path: target.path,
            commits,
            unconfirmed: Vec::new(),
        }
    }

    fn run(mut self, receiver: &Receiver<Message>) {
        while let Ok(first) = receiver.recv() {
            let mut next = Some(first);
            let mut work = Vec::new();
            let mut closing = false;
            while let Some(message) = next {
                match message {
                    Message::Write(one) => work.push(one),
                    Message::LimitPages(pages, reply) => drop(reply.send(self.limit_pages(pages))),
                    Message::Close => closing = true,
                }
                next = if work.len() < BATCH && !closing {
                    receiver.try_recv().ok()
                } else {
                    None
                };
            }
            self.write(work);
            if closing {
                self.fold_in();
                return;
            }
        }
    }

    /// The last act: the write-ahead log goes into the database, and one file is left.
    fn fold_in(&mut self) {
        if let Some(connection) = self.connection.take() {
            let checkpoint = "wal_checkpoint";
            let _ = connection.pragma(None, checkpoint, "TRUNCATE", |_| Ok(()));
            let _ = connection.close();
        }
        if let Some(outside) = &self.outside {
            let _ = outside.sync();
        }
    }

    fn limit_pages(&self, pages: u32) -> Result<(), JournalError> {
        let connection = self.connection.as_ref().ok_or(JournalError::Closed)?;
        connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?;
        Ok(())
    }

    /// Writes all of it, in as many transactions as errors make necessary.
    fn write(&mut self, work: Vec<Work>) {
        let mut work = work.into_iter();
        while work.len() > 0 {
            if let Err(error) = self.ready() {
                for one in work {
                    one.refuse(&error);
                }
                return;
            }
            self.transaction(&mut work);
        }
    }

    /// There is a connection, and nothing in the file that was refused.
    fn ready(&mut self) -> Result<(), JournalError> {
        if self.connection.is_none() {
            let path = self.path.as_ref().ok_or(JournalError::Closed)?;
            let connection = connect::writer(path)?;
            self.head = record_log::head(&connection)?;
            self.connection = Some(connection);
        }
        if self.unconfirmed.is_empty() {
            return Ok(());
        }
        let record = Record::RunsRefused {
            ids: self.unconfirmed.clone(),
        };
        let body = record_log::encode(&record)?;
        let Some(connection) = &mut self.connection else {
            return Err(JournalError::Closed);
        };
        let tx = connection.transaction()?;
        let head = self.head;
        let (_, head) = append(&tx, &head, &record, &body)?;
        match tx.commit() {
            Ok(()) => {
                self.unconfirmed.clear();
                self.advance(head);
                Ok(())
            }
            Err(error) => {
                self.connection = None;
                Err(error.into())
            }
        }
    }

    /// One transaction: as much of the work as it takes. Of several pieces each has a savepoint of its own: one that
    /// fails takes back itself alone, unless SQLite took back everything.
    fn transaction(&mut self, work: &mut std::vec::IntoIter<Work>) {
        let Some(connection) = &mut self.connection else {
            return;
        };
        let mut tx = match connection.transaction() {
            Ok(tx) => tx,
            Err(error) => {
                let error = error.into();
                for one in work {
                    one.refuse(&error);
                }
                return;
            }
        };
        let mut head = self.head;
        let mut pending = Vec::with_capacity(work.len());
        let alone = work.len() == 1;
        for one in work.by_ref() {
            let result = if alone {
                perform(&tx, &mut head, one)
            } else {
                perform_beside_others(&mut tx, &mut head, one)
            };
            match result {
                Ok(done) => pending.push(done),
                // What it did goes with the transaction.
                Err(_) if alone => return,
                // All of it is gone. What is left begins in a new transaction.
                Err(error) if tx.is_autocommit() => {
                    refuse_all(pending, &error);
                    return;
                }
                Err(_) => {}
            }
        }
        match tx.commit() {
            Ok(()) => {
                self.advance(head);
                confirm_all(pending);
            }
            Err(error) => self.uncertain(head, pending, error.into()),
        }
    }

    /// Something was committed.
    fn advance(&mut self, head: Head) {
        self.commits.fetch_add(1, Ordering::AcqRel);
        if head == self.head {
            return;
        }
        self.head = head;
        if let Some(outside) = &mut self.outside
            && let Err(error) = outside.write(&head)
        {
            // The journal itself is written. A head behind it does no harm but to notice less.
            tracing::warn!("the head of the journal cannot be written: {error}");
        }
    }

    /// The commit failed: whether the file has it is not known. The handle is not used again; a new one tells,
    /// and what it finds is made certain by writing it into the database and syncing that.
    fn uncertain(&mut self, head: Head, pending: Vec<Pending>, error: JournalError) {
        if self.path.is_none() {
            // In memory nothing is uncertain: the transaction was taken back.
            refuse_all(pending, &error);
            return;
        }
        self.connection = None;
        let accepted: Vec<String> = pending.iter().filter_map(Pending::accepted_run).collect();
        let found = self.path.as_ref().and_then(|path| {
            let connection = connect::writer(path).ok()?;
            let found = record_log::head(&connection).ok()?;
            Some((connection, found))
        });
        let Some((connection, found)) = found else {
            self.unconfirmed.extend(accepted);
            let unknown = JournalError::Unconfirmed(error.to_string());
            refuse_all(pending, &unknown);
            return;
        };
        let has_it = found == head && head != self.head;
        if has_it && checkpointed(&connection) {
            self.connection = Some(connection);
            self.advance(head);
            confirm_all(pending);
            return;
        }
        if has_it {
            self.unconfirmed.extend(accepted);
        }
        self.head = found;
        self.connection = Some(connection);
        let error = if has_it {
            JournalError::Unconfirmed(error.to_string())
        } else {
            error
        };
        refuse_all(pending, &error);
    }
}

/// The write-ahead log is in the database, and that is synced.
fn checkpointed(connection: &Connection) -> bool {
    let read = |row: &rusqlite::Row<'_>| {
        let (busy, all, done): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok(busy == 0 && all == done)
    };
    connection
        .query_row("PRAGMA wal_checkpoint(FULL)", [], read)
        .unwrap_or(false)
}

/// Does one piece inside a savepoint, so that one that fails takes back itself alone; it is refused.
fn perform_beside_others(
    tx: &mut rusqlite::Transaction<'_>,
    head: &mut Head,
    work: Work,
) -> Result<Pending, JournalError> {
    let savepoint = match tx.savepoint() {
        Ok(savepoint) => savepoint,
        Err(error) => {
            let error = JournalError::from(error);
            work.refuse(&error);
            return Err(error);
        }
    };
    let before = *head;
    let done = perform(&savepoint, head, work)?;
    if let Err(error) = savepoint.commit() {
        let error = JournalError::from(error);
        *head = before;
        done.refuse(&error);
        return Err(error);
    }
    Ok(done)
}

/// Does one piece inside the transaction; one that fails is refused.
fn perform(tx: &Connection, head: &mut Head, work: Work) -> Result<Pending, JournalError> {
    match work {
        Work::Record(record, body, reply) => {
            let ((applied, next), reply) = or_refuse(append(tx, head, &record, &body), reply)?;
            *head = next;
            Ok(Pending::Record(record, applied, reply))
        }
        Work::Local(job, reply) => {
            let ((), reply) = or_refuse(job(tx), reply)?;
            Ok(Pending::Local(reply))
        }
    }
}

/// The result and whom to tell later; an error is told now.
fn or_refuse<T, R>(
    result: rusqlite::Result<T>,
    reply: Reply<R>,
) -> Result<(T, Reply<R>), JournalError> {
    match result {
        Ok(done) => Ok((done, reply)),
        Err(error) => {
            let error = JournalError::from(error);
            let _ = reply.send(Err(error.clone()));
            Err(error)
        }
    }
}

/// Applies a record and adds it to the log; one that changes nothing is not added.
fn append(
    tx: &Connection,
    head: &Head,
    record: &Record,
    body: &[u8],
) -> rusqlite::Result<(Applied, Head)> {
    let sequence = head.sequence + 1;
    let applied = apply(tx, sequence, record)?;
    if !applied.changed() {
        return Ok((applied, *head));
    }
    let head = record_log::append(tx, head, sequence, record, body)?;
    Ok((applied, head))
}
