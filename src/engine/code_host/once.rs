//! One decision is left on its pull request, without an engine that stays: for pipelines.
//!
//! Why the same pass: what stands there must be the same whoever left it, and a second run must find what the first
//! one left. Nothing is kept here, so what is there already is asked of the host.

use std::sync::Mutex;
use std::time::Duration;

use crate::code_host::{CodeHost, HostError, Publication, Pull};
use crate::engine::code_host::pass::{PassSettings, pass};
use crate::engine::code_host::published::{Published, Remark, RemarkState, Review};
use crate::engine::code_host::pull_store::{PullStore, Tried};
use crate::engine::code_host::standing::{Decided, Hold};
use crate::engine::protocol::run::RunResult;
use crate::journal::{JournalError, OutboxState, PullRef, PullRow};
use crate::resilience::clock::lock;
use crate::settings::Publish;

/// A decision that is to be left.
#[derive(Debug, Clone)]
pub struct OnceDecision {
    /// Where, at the commit that was reviewed.
    pub pull: Pull,
    /// The decision's run.
    pub run: RunResult,
    /// The redacted change.
    pub diff: String,
    /// What is left. Nothing is approved or merged in any case.
    pub publish: Publish,
    /// Milliseconds between two writes.
    pub spacing_ms: u64,
    /// Where people look at the host.
    pub web: Option<String>,
}

/// A write that was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnceWrite {
    /// status, comment, review, label, ….
    pub kind: &'static str,
    /// It is there.
    pub done: bool,
    /// What was done, or why not.
    pub note: String,
}

/// Leaves a decision on its pull request; every write that was tried, in order.
///
/// # Errors
/// The pull request cannot be read, is closed, or is at another commit by now: then nothing is written.
pub async fn publish_once(
    host: &impl CodeHost,
    decision: &OnceDecision,
) -> Result<Vec<OnceWrite>, HostError> {
    let pull = &decision.pull;
    let now = host.now(pull).await?;
    now.is_at(pull)?;
    if !now.open {
        return Err(HostError::Closed);
    }
    let base = pull.base.clone().or(now.base).unwrap_or_default();
    let published = there(host, pull).await?;
    let row = PullRow {
        key: pull.place(),
        pull: PullRef {
            repository: pull.repository.clone(),
            repository_id: pull.repository_id,
            number: pull.number,
            head: pull.head_sha.clone(),
            base,
        },
        run: Some(decision.run.run_id.clone()),
        revision: 1,
        next_ms: 0,
        published: published.to_json().unwrap_or_default(),
    };
    let store = OnceStore {
        decision,
        state: Mutex::default(),
    };
    let settings = PassSettings {
        publish: Publish {
            approve: false,
            merge: false,
            ..decision.publish
        },
        web: decision.web.as_deref(),
    };
    pass(host, &store, &row, settings)
        .await
        .map_err(|error| HostError::Unreachable(error.to_string()))?;
    Ok(store
        .state
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
        .writes)
}

/// What an earlier run left, as far as it must not be left twice.
async fn there(host: &impl CodeHost, pull: &Pull) -> Result<Published, HostError> {
    let mut published = Published {
        revision: 1,
        adopted: true,
        ..Published::default()
    };
    for review in host.standing_reviews(pull).await? {
        published.reviews.push(Review {
            id: review.id,
            wanted: review.event.clone(),
            event: review.event,
            commit: review.commit,
            base: review.base_mark,
        });
    }
    for fingerprint in host.own_remarks(pull).await? {
        let state = RemarkState::Open;
        published.remarks.insert(fingerprint, Remark { state });
    }
    Ok(published)
}

/// What is planned and was written while the one pass runs.
#[derive(Debug, Default)]
struct State {
    planned: Vec<(i64, Publication, u32)>,
    next: i64,
    writes: Vec<OnceWrite>,
}

/// A store that forgets.
struct OnceStore<'a> {
    decision: &'a OnceDecision,
    state: Mutex<State>,
}

impl PullStore for OnceStore<'_> {
    async fn decided(&self, _: &str, head: &str, _: &str) -> Result<Option<Decided>, JournalError> {
        let same = head == self.decision.pull.head_sha;
        Ok(same.then(|| Decided {
            run: self.decision.run.clone(),
            diff: self.decision.diff.clone(),
            proved: false,
        }))
    }

    async fn hold(&self, _: &str) -> Result<Hold, JournalError> {
        Ok(Hold::Free)
    }

    fn is_under_review(&self, _: &Pull) -> bool {
        false
    }

    fn supersede(&self, _: &PullRow, _: &[(&str, &str)], _: &str) {}

    async fn planned(&self, _: &PullRow) -> Result<Vec<(i64, Publication, u32)>, JournalError> {
        Ok(lock(&self.state).planned.clone())
    }

    async fn plan(
        &self,
        _: &PullRow,
        _: &Pull,
        _: &str,
        items: Vec<Publication>,
        kept: Vec<i64>,
    ) -> Result<Vec<i64>, JournalError> {
        let mut state = lock(&self.state);
        state.planned.retain(|(id, ..)| kept.contains(id));
        let mut numbers = Vec::new();
        for item in items {
            state.next += 1;
            let number = state.next;
            state.planned.push((number, item, 0));
            numbers.push(number);
        }
        Ok(numbers)
    }

    async fn tried(&self, _: &PullRow, tried: Tried, _: &Published) -> Result<(), JournalError> {
        let mut state = lock(&self.state);
        let Some(at) = state.planned.iter().position(|(id, ..)| *id == tried.id) else {
            return Ok(());
        };
        // It is about to be sent.
        if tried.state == OutboxState::Waiting && tried.note == "sent" {
            return Ok(());
        }
        let write = OnceWrite {
            kind: state.planned[at].1.kind(),
            done: tried.state == OutboxState::Done,
            note: tried.note,
        };
        if write.done {
            state.planned.remove(at);
        }
        state.writes.push(write);
        Ok(())
    }

    async fn settle(&self, _: &PullRow, _: Option<i64>) -> Result<(), JournalError> {
        Ok(())
    }

    fn now_ms(&self) -> i64 {
        jiff::Timestamp::now().as_millisecond()
    }

    async fn before_write(&self) -> Result<(), JournalError> {
        if !lock(&self.state).writes.is_empty() {
            tokio::time::sleep(Duration::from_millis(self.decision.spacing_ms)).await;
        }
        Ok(())
    }

    fn pause(&self, _: Duration) {}

    fn alarm(&self, _: &str, _: String) {}

    fn calm(&self, _: &str, _: String) {}
}
