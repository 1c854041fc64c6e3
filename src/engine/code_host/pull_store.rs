//! What a pass over a pull request needs of whoever keeps it. The engine keeps it in the journal; the model-based
//! test in memory.

use std::time::Duration;

use crate::code_host::{Publication, Pull};
use crate::engine::code_host::published::Published;
use crate::engine::code_host::standing::{Decided, Hold};
use crate::journal::{JournalError, OutboxState, PullRow};

/// Where what is known, planned and left is kept.
pub trait PullStore: Sync {
    /// The newest decision about a commit on its way into a branch.
    fn decided(
        &self,
        repository: &str,
        head: &str,
        base: &str,
    ) -> impl Future<Output = Result<Option<Decided>, JournalError>> + Send;

    /// Whether a decision may be published.
    fn hold(&self, run: &str) -> impl Future<Output = Result<Hold, JournalError>> + Send;

    /// Whether a run about this commit on its way into this branch has not ended.
    fn is_under_review(&self, pull: &Pull) -> bool;

    /// Cancels runs about this pull request that are about none of these commits and branches.
    fn supersede(&self, row: &PullRow, kept: &[(&str, &str)], reason: &str);

    /// Publications that are planned and not done: number, what, tries.
    fn planned(
        &self,
        row: &PullRow,
    ) -> impl Future<Output = Result<Vec<(i64, Publication, u32)>, JournalError>> + Send;

    /// Plans publications in place of all that were planned, but for `kept`; returns their numbers.
    fn plan(
        &self,
        row: &PullRow,
        pull: &Pull,
        run: &str,
        items: Vec<Publication>,
        kept: Vec<i64>,
    ) -> impl Future<Output = Result<Vec<i64>, JournalError>> + Send;

    /// A planned publication was tried; what is left on the pull request since.
    fn tried(
        &self,
        row: &PullRow,
        tried: Tried,
        published: &Published,
    ) -> impl Future<Output = Result<(), JournalError>> + Send;

    /// The pass ended; `next_ms`: it is to be repeated then.
    fn settle(
        &self,
        row: &PullRow,
        next_ms: Option<i64>,
    ) -> impl Future<Output = Result<(), JournalError>> + Send;

    /// The repository has another name at the host. True: everything is kept under it from now on, and the pass ends.
    fn renamed(
        &self,
        _row: &PullRow,
        _name: &str,
        _repository_id: Option<u64>,
    ) -> impl Future<Output = Result<bool, JournalError>> + Send {
        async { Ok(false) }
    }

    /// The engine's own count of milliseconds.
    fn now_ms(&self) -> i64;

    /// Returns when the next write may be sent.
    fn before_write(&self) -> impl Future<Output = Result<(), JournalError>> + Send;

    /// The host wants to be left alone.
    fn pause(&self, time: Duration);

    /// An operator should know. `subject`: what it is about; the same again is the same alert.
    fn alarm(&self, subject: &str, text: String);

    /// What an alarm was about is over.
    fn calm(&self, subject: &str, text: String);
}

/// A publication that was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// Its number.
    pub id: i64,
    /// Where it stands.
    pub state: OutboxState,
    /// What was done, or why not.
    pub note: String,
    /// Tries.
    pub attempts: u32,
    /// Not before, by the engine's own count of milliseconds.
    pub next_ms: i64,
}
