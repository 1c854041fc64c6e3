//! Comments that ask for something, and findings that somebody dismissed.
//!
//! Why in the journal: a command acts once, whatever happens to this process in between, and a dismissal outlives
//! the pull request that it was made on.

use rusqlite::params;

use crate::journal::comment_rows::{
    self as rows, CommentOutcome, CommentRow, DISMISSALS, DismissalRow,
};
use crate::journal::connection::{Journal, ReadOnly};
use crate::journal::error::JournalError;
use crate::journal::record::{Applied, Record};

impl Journal {
    /// Comments whose time has come, the oldest first.
    ///
    /// # Errors
    /// As all reading.
    pub async fn comments_due(
        &self,
        now_ms: i64,
        longest_ms: i64,
    ) -> Result<Vec<CommentRow>, JournalError> {
        self.read(move |c| rows::tasks_due(c, now_ms, longest_ms))
            .await
    }

    /// When the next one's time comes, by the engine's own count of milliseconds.
    ///
    /// # Errors
    /// As all reading.
    pub async fn comments_next(&self) -> Result<Option<i64>, JournalError> {
        self.read(|c| {
            c.prepare_cached("SELECT min(next_ms) FROM comment_tasks WHERE state = 'waiting'")?
                .query_row([], |r| r.get(0))
        })
        .await
    }

    /// How many comments of a pull request are in a state, and how many of all were answered in a way.
    ///
    /// # Errors
    /// As all reading.
    pub async fn comments_counted(
        &self,
        pull_key: &str,
        answered: &str,
    ) -> Result<(u32, u32), JournalError> {
        let (key, answered) = (pull_key.to_owned(), answered.to_owned());
        self.read(move |c| {
            let sql = "SELECT coalesce(sum(state = 'waiting'), 0), coalesce(sum(answered = ?2), 0) \
                       FROM comment_tasks WHERE pull_key = ?1";
            c.prepare_cached(sql)?
                .query_row(params![key, answered], |r| Ok((r.get(0)?, r.get(1)?)))
        })
        .await
    }

    /// Whether somebody was refused on a pull request before.
    ///
    /// # Errors
    /// As all reading.
    pub async fn was_refused(&self, pull_key: &str, author: &str) -> Result<bool, JournalError> {
        let (key, author) = (pull_key.to_owned(), author.to_owned());
        self.read(move |c| {
            let sql = "SELECT EXISTS (SELECT 1 FROM comment_tasks WHERE pull_key = ?1 AND author = ?2 AND answered = 'refusal')";
            c.prepare_cached(sql)?
                .query_row(params![key, author], |r| r.get(0))
        })
        .await
    }

    /// A comment was acted on, or is tried again.
    ///
    /// # Errors
    /// As all writing.
    pub async fn comment_handled(&self, outcome: CommentOutcome) -> Result<(), JournalError> {
        self.append(Record::CommentHandled { outcome })
            .await
            .map(drop)
    }

    /// Keeps a dismissal.
    ///
    /// # Errors
    /// As all writing.
    pub async fn dismiss(&self, dismissal: DismissalRow) -> Result<(), JournalError> {
        let dismissal = Box::new(dismissal);
        self.append(Record::FindingDismissed { dismissal })
            .await
            .map(drop)
    }

    /// Takes a dismissal back. False: there is none, or it was taken back before.
    ///
    /// # Errors
    /// As all writing.
    pub async fn revoke_dismissal(
        &self,
        id: &str,
        by: &str,
        at_ms: i64,
    ) -> Result<bool, JournalError> {
        let record = Record::DismissalRevoked {
            id: id.to_owned(),
            by: by.to_owned(),
            at_ms,
        };
        Ok(self.append(record).await? != Applied::Unchanged)
    }

    /// The dismissals of a repository that nobody took back; some of them may have ended.
    ///
    /// # Errors
    /// As all reading.
    pub async fn dismissals_of(&self, repository: &str) -> Result<Vec<DismissalRow>, JournalError> {
        let repository = repository.to_ascii_lowercase();
        self.read(move |c| rows::dismissals_of(c, &repository))
            .await
    }

    /// The newest dismissals of all repositories, newest first.
    ///
    /// # Errors
    /// As all reading.
    pub async fn dismissals(&self, limit: u32) -> Result<Vec<DismissalRow>, JournalError> {
        self.read(move |c| rows::newest_dismissals(c, limit)).await
    }
}

impl ReadOnly {
    /// All dismissals, newest first. A journal that no newer program has opened has none.
    ///
    /// # Errors
    /// As all reading.
    pub fn dismissals(&self) -> Result<Vec<DismissalRow>, JournalError> {
        if !self.connection.table_exists(None, "dismissals")? {
            return Ok(Vec::new());
        }
        Ok(rows::newest_dismissals(&self.connection, DISMISSALS)?)
    }
}
