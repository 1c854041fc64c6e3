//! Pull requests: what is known of them, which decisions are about them, and what was left there.
//!
//! Why beside the outbox: the outbox says what was tried; a pull request's row says what is true there now, so
//! that the difference to what is wanted can be made again after any crash.

use rusqlite::params;

use crate::journal::connection::Journal;
use crate::journal::error::JournalError;
use crate::journal::github_rows::{OutboxRow, OutboxState, outbox};
use crate::journal::pull_rows::{self, Planned, PullRef, PullRow};
use crate::journal::record::{Applied, Record};

/// A decision about a commit on its way into a branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullDecision {
    /// The run.
    pub run: String,
    /// The event whose rule applied.
    pub event: String,
    /// Its plan: JSON.
    pub plan: String,
    /// All of it: JSON.
    pub result: String,
}

impl Journal {
    /// A pull request changed, or may have changed: it is looked at again.
    ///
    /// # Errors
    /// As all writing.
    pub async fn mark_pull(&self, pull: PullRef, at_ms: i64) -> Result<(), JournalError> {
        self.append(Record::PullMarked { pull, at_ms })
            .await
            .map(drop)
    }

    /// Pull requests on which something is to be done now.
    ///
    /// # Errors
    /// As all reading.
    pub async fn pulls_due(
        &self,
        now_ms: i64,
        longest_ms: i64,
    ) -> Result<Vec<PullRow>, JournalError> {
        self.read(move |c| pull_rows::due(c, now_ms, longest_ms))
            .await
    }

    /// When the next one's time comes, by the engine's own count of milliseconds.
    ///
    /// # Errors
    /// As all reading.
    pub async fn pulls_next(&self) -> Result<Option<i64>, JournalError> {
        self.read(|c| {
            c.prepare_cached("SELECT min(next_ms) FROM pulls WHERE revision > settled")?
                .query_row([], |r| r.get(0))
        })
        .await
    }

    /// How many pull requests are not yet as they should be.
    ///
    /// # Errors
    /// As all reading.
    pub async fn pulls_behind(&self) -> Result<u32, JournalError> {
        self.read(|c| {
            c.prepare_cached("SELECT count(*) FROM pulls WHERE revision > settled")?
                .query_row([], |r| r.get(0))
        })
        .await
    }

    /// Pull requests about which something was shown in a dry run, and nothing left there since.
    ///
    /// # Errors
    /// As all reading.
    pub async fn pulls_shown(&self) -> Result<Vec<PullRow>, JournalError> {
        self.read(pull_rows::shown).await
    }

    /// A repository has another name: everything that is known of it goes along.
    ///
    /// # Errors
    /// As all writing.
    pub async fn rename_repository(
        &self,
        old: &str,
        new: &str,
        repository_id: Option<u64>,
    ) -> Result<(), JournalError> {
        let record = Record::RepositoryRenamed {
            old: old.to_owned(),
            new: new.to_owned(),
            repository_id,
        };
        self.append(record).await.map(drop)
    }

    /// One pull request, by [`PullRef::key`].
    ///
    /// # Errors
    /// As all reading.
    pub async fn pull(&self, key: &str) -> Result<Option<PullRow>, JournalError> {
        let key = key.to_owned();
        self.read(move |c| pull_rows::one(c, &key)).await
    }

    /// The decisions about a commit on its way into a branch, newest first, at most 20.
    ///
    /// # Errors
    /// As all reading.
    pub async fn pull_decisions(
        &self,
        repository: &str,
        head: &str,
        base: &str,
    ) -> Result<Vec<PullDecision>, JournalError> {
        let (repository, head, base) = (
            repository.to_ascii_lowercase(),
            head.to_owned(),
            base.to_owned(),
        );
        self.read(move |c| {
            let sql = "SELECT r.id, r.event, r.plan, r.result FROM pull_decisions d JOIN runs r ON r.id = d.run_id \
                       WHERE d.repository = ?1 AND d.head = ?2 AND d.base = ?3 AND r.result IS NOT NULL \
                       ORDER BY d.sequence DESC, r.finished_ms DESC, r.id DESC LIMIT 20";
            c.prepare_cached(sql)?
                .query_map(params![repository, head, base], |r| {
                    Ok(PullDecision {
                        run: r.get(0)?,
                        event: r.get(1)?,
                        plan: r.get(2)?,
                        result: r.get(3)?,
                    })
                })?
                .collect()
        })
        .await
    }

    /// Publications of a pull request that are planned and not done, oldest first.
    ///
    /// # Errors
    /// As all reading.
    pub async fn publications_planned(
        &self,
        pull: &PullRef,
    ) -> Result<Vec<OutboxRow>, JournalError> {
        let key = pull.key();
        let all = self
            .read(|c| {
                outbox(
                    c,
                    "WHERE state = 'waiting' ORDER BY id LIMIT ?1",
                    i64::from(u32::MAX),
                )
            })
            .await?;
        let same = |row: &OutboxRow| {
            let pull: Option<serde_json::Value> = serde_json::from_str(&row.pull).ok();
            pull.is_some_and(|p| {
                let repository = p["repository"].as_str().unwrap_or_default();
                let of = PullRef {
                    repository: repository.to_owned(),
                    repository_id: None,
                    number: p["number"].as_u64().unwrap_or(0),
                    head: p["headSha"].as_str().unwrap_or_default().to_owned(),
                    base: String::new(),
                };
                of.key() == key
            })
        };
        Ok(all.into_iter().filter(same).collect())
    }

    /// Plans publications on a pull request: what was planned there before is dropped, but for `kept`. Returns
    /// their numbers.
    ///
    /// # Errors
    /// As all writing.
    pub async fn plan_publications(
        &self,
        key: &str,
        items: Vec<Planned>,
        kept: Vec<i64>,
        at_ms: i64,
    ) -> Result<Vec<i64>, JournalError> {
        let record = Record::PublicationsPlanned {
            key: key.to_owned(),
            items,
            kept,
            at_ms,
        };
        match self.append(record).await? {
            Applied::Planned(numbers) => Ok(numbers),
            other => Err(JournalError::Row(format!("a plan gave {other:?}"))),
        }
    }

    /// A publication was tried, and what is left on the pull request since.
    ///
    /// # Errors
    /// As all writing.
    pub async fn published(
        &self,
        id: i64,
        (state, note): (OutboxState, String),
        attempts: u32,
        at_ms: i64,
        next_ms: i64,
        pull: (String, String),
    ) -> Result<(), JournalError> {
        let record = Record::PublicationTried {
            id,
            state,
            note,
            attempts,
            at_ms,
            next_ms,
            pull: Some(pull),
        };
        self.append(record).await.map(drop)
    }

    /// A pass over a pull request ended. `next_ms`: when it is tried again; `None`: everything that this revision
    /// wants is there.
    ///
    /// # Errors
    /// As all writing.
    pub async fn settle_pull(
        &self,
        key: &str,
        revision: i64,
        next_ms: Option<i64>,
    ) -> Result<(), JournalError> {
        let record = Record::PullSettled {
            key: key.to_owned(),
            revision,
            next_ms,
        };
        self.append(record).await.map(drop)
    }
}
