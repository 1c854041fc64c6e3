//! Pieces of work for the writer, and whom to tell what became of them.

use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::journal::error::JournalError;
use crate::journal::record::{Applied, Record};

pub(super) type Job = Box<dyn FnOnce(&Connection) -> rusqlite::Result<()> + Send>;
pub(super) type Reply<T> = oneshot::Sender<Result<T, JournalError>>;

/// One thing to write.
pub(super) enum Work {
    /// A record, with its bytes.
    Record(Box<Record>, Vec<u8>, Reply<Applied>),
    /// A fact of this machine that is no record: a report's file was written, a snapshot was taken.
    Local(Job, Reply<()>),
}

impl Work {
    pub(super) fn refuse(self, error: &JournalError) {
        match self {
            Self::Record(_, _, reply) => drop(reply.send(Err(error.clone()))),
            Self::Local(_, reply) => drop(reply.send(Err(error.clone()))),
        }
    }
}

/// Work that is done inside a transaction which is not committed yet.
pub(super) enum Pending {
    Record(Box<Record>, Applied, Reply<Applied>),
    Local(Reply<()>),
}

impl Pending {
    pub(super) fn confirm(self) {
        match self {
            Self::Record(_, applied, reply) => drop(reply.send(Ok(applied))),
            Self::Local(reply) => drop(reply.send(Ok(()))),
        }
    }

    pub(super) fn refuse(self, error: &JournalError) {
        match self {
            Self::Record(_, _, reply) => drop(reply.send(Err(error.clone()))),
            Self::Local(reply) => drop(reply.send(Err(error.clone()))),
        }
    }

    /// The run that it accepts.
    pub(super) fn accepted_run(&self) -> Option<String> {
        match self {
            Self::Record(record, ..) => match record.as_ref() {
                Record::RunAccepted { run, .. }
                | Record::WebhookReceived { run: Some(run), .. } => Some(run.id.clone()),
                _ => None,
            },
            Self::Local(_) => None,
        }
    }
}

pub(super) fn confirm_all(pending: Vec<Pending>) {
    for done in pending {
        done.confirm();
    }
}

pub(super) fn refuse_all(pending: Vec<Pending>, error: &JournalError) {
    for done in pending {
        done.refuse(error);
    }
}
