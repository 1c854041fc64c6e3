//! The journal: what was asked, what each step gave, what was decided; nothing of it lost.
//!
//! Every change is a record that is applied to the tables and kept beside them, in one transaction. What is
//! damaged is made again from both.
//!
//! Why SQLite and one writer: a run is acknowledged only when it is on disk, and a step counts as done
//! only when its result is. All writes go through one thread that puts what has gathered into one
//! fully synced transaction. Reading has connections of its own and never waits for it.

mod apply;
mod approval_rows;
mod approvals;
pub mod backup;
mod comment_rows;
mod comments;
mod connect;
mod connection;
mod copy;
mod database_file;
mod deflate;
mod error;
mod examine;
mod github;
mod github_rows;
mod head_file;
mod heal;
mod history;
mod memory;
mod memory_rows;
mod meta;
mod notes;
mod open;
mod probe;
mod pull_cost;
mod pull_rows;
mod pulls;
mod raw_pages;
mod record;
mod record_check;
mod record_log;
mod reindex;
mod row_numbers;
mod rows;
mod runs;
mod salvage;
mod schema;
mod spend;
mod spend_rows;
mod stops;
mod usage;
mod verification;
mod work;
mod writer;

pub use approval_rows::{ApprovalRow, ApprovalState};
pub use comment_rows::{CommentOutcome, CommentRow, CommentTask, DismissalRow};
pub use connection::{Journal, ReadOnly};
pub use error::JournalError;
pub use github_rows::{
    DeliveryResult, DeliveryRow, NewPublication, OutboxCounts, OutboxRow, OutboxState, Outcome,
};
pub(crate) use github_rows::{KEYS_DAYS, LISTED, SENT};
pub(crate) use history::{MOST_BYTES as HISTORY_BYTES, OLDEST_MS as HISTORY_MS};
pub use history::{Recorded, Side};
pub use memory_rows::{MemoryCounts, MemoryKind, MemoryRow, NewMemory, Remembered, Retention};
pub use notes::{Healed, JournalNotes};
pub use pull_rows::{Planned, PullRef, PullRow};
pub use pulls::PullDecision;
pub use rows::{Finish, NewRun, RunRow, RunStatus, StepRow};
pub use runs::UnwrittenReport;
pub(crate) use spend_rows::SPEND_DAYS;
pub use spend_rows::SpendRow;
pub use usage::{Excess, Keep, TableUsage};
pub use verification::{Piece, Verification};

#[cfg(test)]
mod damage_tests;
#[cfg(test)]
mod full_disk_tests;
#[cfg(test)]
mod journal_tests;
#[cfg(test)]
mod reindex_tests;
#[cfg(test)]
mod verification_tests;
