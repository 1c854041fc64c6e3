//! The one thread that writes: what has gathered goes into one synced transaction.
//!
//! Why gather: a full sync costs milliseconds whatever it holds; two hundred runs that end at once
//! need a handful of syncs, not a thousand.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::journal::error::JournalError;
use crate::resilience::clock::lock;

pub(super) type Job = Box<dyn FnOnce(&Connection) -> rusqlite::Result<()> + Send>;
type Reply = oneshot::Sender<Result<(), JournalError>>;

enum Message {
    Write(Job, Reply),
    LimitPages(u32, Reply),
    Close,
}

const QUEUE: usize = 4_096;
const BATCH: usize = 256;

pub(super) struct Writer {
    sender: SyncSender<Message>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    pub(super) fn start(connection: Connection) -> Result<Self, JournalError> {
        let (sender, receiver) = sync_channel(QUEUE);
        let thread = std::thread::Builder::new()
            .name("bsm-journal".into())
            .spawn(move || run(connection, &receiver))
            .map_err(|e| JournalError::ReadOnly(format!("cannot start its thread: {e}")))?;
        Ok(Self {
            sender,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Waits until the job is committed.
    pub(super) async fn submit(&self, job: Job) -> Result<(), JournalError> {
        let (reply, done) = oneshot::channel();
        self.send(Message::Write(job, reply)).await?;
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
                    tokio::time::sleep(std::time::Duration::from_millis(2)).await;
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

fn run(mut connection: Connection, receiver: &Receiver<Message>) {
    while let Ok(first) = receiver.recv() {
        let mut jobs = Vec::new();
        let mut next = Some(first);
        let mut closing = false;
        while let Some(message) = next {
            match message {
                Message::Write(job, reply) => jobs.push((job, reply)),
                Message::LimitPages(pages, reply) => {
                    let done = connection
                        .pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))
                        .map_err(JournalError::from);
                    let _ = reply.send(done);
                }
                Message::Close => closing = true,
            }
            next = if jobs.len() < BATCH && !closing {
                receiver.try_recv().ok()
            } else {
                None
            };
        }
        commit(&mut connection, jobs);
        if closing {
            return;
        }
    }
}

/// Each job in a savepoint of its own: one that fails takes back itself alone.
fn commit(connection: &mut Connection, jobs: Vec<(Job, Reply)>) {
    if jobs.is_empty() {
        return;
    }
    let mut tx = match connection.transaction() {
        Ok(tx) => tx,
        Err(error) => return refuse(jobs.into_iter().map(|(_, reply)| reply), &error.into()),
    };
    let mut done = Vec::with_capacity(jobs.len());
    for (job, reply) in jobs {
        let result = tx.savepoint().and_then(|savepoint| {
            job(&savepoint)?;
            savepoint.commit()
        });
        match result {
            Ok(()) => done.push(reply),
            Err(error) => {
                let _ = reply.send(Err(error.into()));
            }
        }
    }
    match tx.commit() {
        Ok(()) => {
            for reply in done {
                let _ = reply.send(Ok(()));
            }
        }
        Err(error) => refuse(done.into_iter(), &error.into()),
    }
}

fn refuse(replies: impl Iterator<Item = Reply>, error: &JournalError) {
    for reply in replies {
        let _ = reply.send(Err(error.clone()));
    }
}
