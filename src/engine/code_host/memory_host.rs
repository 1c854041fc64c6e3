//! A host and a store in memory for the model-based test. The host keeps GitHub's rules, and can be down, refuse, and
//! lose answers; the store can die between two writes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::Duration;

use super::desired::{APPROVED, context};
use super::published::Published;
use super::pull_store::{PullStore, Tried};
use super::standing::{Decided, Hold};
use crate::code_host::{CodeHost, HostError, Publication, Pull, PullNow, StandingReview, Written};
use crate::engine::protocol::run::Action;
use crate::journal::{JournalError, OutboxState, PullRow};
use crate::resilience::clock::lock;

pub(super) const HEADS: [&str; 4] = ["aaaa", "bbbb", "cccc", "dddd"];
pub(super) const BASES: [&str; 2] = ["main", "dev"];

/// What is on the host.
#[derive(Debug, Clone, Default)]
pub(super) struct Hub {
    pub(super) head: String,
    pub(super) base: String,
    pub(super) open: bool,
    pub(super) draft: bool,
    pub(super) labels: BTreeSet<String>,
    /// (commit, context) → state.
    pub(super) statuses: BTreeMap<(String, String), String>,
    pub(super) comments: Vec<(u64, String)>,
    /// id, event, commit, marker; dismissed ones are gone.
    pub(super) reviews: Vec<(u64, String, String, String)>,
    pub(super) remarks: Vec<String>,
    /// It does not say which labels there are.
    pub(super) hides_labels: bool,
    pub(super) merged: bool,
    pub(super) next_id: u64,
    /// Nothing answers.
    pub(super) down: bool,
    /// Kinds of writes that are refused.
    pub(super) refused: BTreeSet<&'static str>,
    /// The next write is done, and its answer lost.
    pub(super) lose_answer: bool,
    /// Kinds of writes that were done.
    pub(super) log: Vec<(String, bool)>,
}

/// What the engine keeps, and what only this process knows.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub(super) published: String,
    pub(super) revision: i64,
    pub(super) settled: i64,
    pub(super) next_ms: i64,
    pub(super) known: (String, String),
    pub(super) planned: Vec<(i64, Publication, u32)>,
    pub(super) next_plan: i64,
    /// Decisions, the newest last: head, base, what.
    pub(super) decisions: Vec<(String, String, Decided)>,
    pub(super) reviewing: Option<(String, String)>,
    pub(super) now_ms: i64,
    /// Writes to this store before the process dies.
    pub(super) crash_after: Option<u32>,
    pub(super) alarms: BTreeSet<String>,
}

pub(super) struct World {
    pub(super) hub: Mutex<Hub>,
    pub(super) kept: Mutex<Kept>,
}

impl World {
    pub(super) fn step(&self) -> Result<(), JournalError> {
        match &mut lock(&self.kept).crash_after {
            Some(0) => Err(JournalError::Closed),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    pub(super) fn approves(&self, head: &str, base: &str) -> bool {
        let kept = lock(&self.kept);
        let newest = kept
            .decisions
            .iter()
            .rev()
            .find(|d| d.0 == head && d.1 == base);
        newest.is_some_and(|d| {
            let decision = d.2.run.decision.as_ref();
            decision.is_some_and(|d| d.action == Action::ApproveAndMerge)
        })
    }
}

impl CodeHost for World {
    async fn now(&self, _: &Pull) -> Result<PullNow, HostError> {
        let hub = lock(&self.hub);
        if hub.down {
            return Err(HostError::Unreachable("down".into()));
        }
        if hub.refused.contains("read") {
            return Err(refusal());
        }
        Ok(PullNow {
            head_sha: hub.head.clone(),
            base: Some(hub.base.clone()),
            open: hub.open,
            draft: hub.draft,
            labels: (!hub.hides_labels).then(|| hub.labels.iter().cloned().collect()),
            mergeable: true,
            ..PullNow::default()
        })
    }

    async fn standing_reviews(&self, _: &Pull) -> Result<Vec<StandingReview>, HostError> {
        let hub = lock(&self.hub);
        if hub.down {
            return Err(HostError::Unreachable("down".into()));
        }
        let standing = hub.reviews.iter().filter(|r| r.1 != "COMMENT");
        Ok(standing
            .map(|(id, event, commit, marker)| StandingReview {
                id: *id,
                event: event.clone(),
                commit: commit.clone(),
                base_mark: marker.split(' ').rev().nth(1).unwrap().to_owned(),
            })
            .collect())
    }

    async fn find_review(&self, _: &Pull, marker: &str) -> Result<Option<u64>, HostError> {
        let hub = lock(&self.hub);
        if hub.down {
            return Err(HostError::Unreachable("down".into()));
        }
        let found = hub.reviews.iter().find(|r| r.3 == marker);
        Ok(found.map(|r| r.0))
    }

    async fn can_dismiss(&self, _: &Pull) -> Result<bool, HostError> {
        Ok(!lock(&self.hub).refused.contains("dismissal"))
    }

    async fn publish(&self, pull: &Pull, publication: &Publication) -> Result<Written, HostError> {
        let stale = self.holds_a_stale_approval(pull);
        let mut hub = lock(&self.hub);
        if hub.down {
            return Err(HostError::Unreachable("down".into()));
        }
        if hub.refused.contains(publication.kind()) {
            return Err(refusal());
        }
        let withdraws = takes_back(publication);
        if stale && !withdraws {
            hub.log.push((format!("{publication:?}"), false));
        }
        let written = hub.write(pull, publication)?;
        if std::mem::take(&mut hub.lose_answer) {
            return Err(HostError::Unreachable("the answer was lost".into()));
        }
        Ok(written)
    }
}

pub(super) fn refusal() -> HostError {
    HostError::Refused {
        status: 403,
        message: "Resource not accessible".into(),
    }
}

/// Whether a write can be the taking back of an approval.
pub(super) fn takes_back(publication: &Publication) -> bool {
    match publication {
        Publication::Status { state, .. } => state != "success",
        Publication::Dismissal { .. } => true,
        Publication::Label { add, .. } => add != APPROVED,
        Publication::Review { event, .. } => event == "REQUEST_CHANGES",
        _ => false,
    }
}

impl Hub {
    pub(super) fn id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    pub(super) fn write(
        &mut self,
        pull: &Pull,
        publication: &Publication,
    ) -> Result<Written, HostError> {
        match publication {
            Publication::Status {
                state,
                context,
                commit,
                ..
            } => {
                let at = (commit.clone(), context.clone());
                self.statuses.insert(at, state.clone());
            }
            Publication::Comment { body, id, marker } => {
                let known = id.filter(|id| self.comments.iter().any(|c| c.0 == *id));
                let found = self.comments.iter().find(|c| c.1.contains(marker.as_str()));
                let id = known.or(found.map(|c| c.0));
                let id = match id {
                    Some(id) => id,
                    None => {
                        let id = self.id();
                        self.comments.push((id, String::new()));
                        id
                    }
                };
                for comment in self.comments.iter_mut().filter(|c| c.0 == id) {
                    comment.1.clone_from(body);
                }
                return Ok(Written {
                    id: Some(id),
                    ..Written::default()
                });
            }
            Publication::Review {
                event,
                marker,
                comments,
                ..
            } => {
                let id = self.id();
                let review = (id, event.clone(), pull.head_sha.clone(), marker.clone());
                self.reviews.push(review);
                self.remarks
                    .extend(comments.iter().map(|c| c.fingerprint.clone()));
                return Ok(Written {
                    id: Some(id),
                    event: Some(event.clone()),
                    ..Written::default()
                });
            }
            Publication::Dismissal { review, .. } => self.reviews.retain(|r| r.0 != *review),
            Publication::Label { add, prefix, .. } => {
                self.labels.retain(|l| !l.starts_with(prefix.as_str()));
                if !add.is_empty() {
                    self.labels.insert(add.clone());
                }
            }
            Publication::Resolution { remarks } => self.remarks.retain(|r| !remarks.contains(r)),
            Publication::Merge { .. } => {
                if !self.open {
                    return Err(HostError::Refused {
                        status: 405,
                        message: "closed".into(),
                    });
                }
                if self.head != pull.head_sha {
                    return Err(HostError::Refused {
                        status: 409,
                        message: "head moved".into(),
                    });
                }
                (self.merged, self.open) = (true, false);
            }
        }
        Ok(Written::default())
    }
}

impl World {
    /// An approval is on the host that the engine knows not to hold any more, and that it may still take back.
    pub(super) fn holds_a_stale_approval(&self, pull: &Pull) -> bool {
        let approves = self.approves(&pull.head_sha, pull.base.as_deref().unwrap_or_default());
        let hub = lock(&self.hub);
        let at = (pull.head_sha.clone(), context(pull.base.as_deref()));
        let gate = hub.statuses.get(&at).is_some_and(|s| s == "success");
        let tries_all = hub.refused.is_empty();
        gate && !approves && tries_all
    }
}

impl PullStore for World {
    async fn decided(
        &self,
        _: &str,
        head: &str,
        base: &str,
    ) -> Result<Option<Decided>, JournalError> {
        let kept = lock(&self.kept);
        let newest = kept
            .decisions
            .iter()
            .rev()
            .find(|d| d.0 == head && d.1 == base);
        Ok(newest.map(|d| d.2.clone()))
    }

    async fn hold(&self, _: &str) -> Result<Hold, JournalError> {
        Ok(Hold::Free)
    }

    fn is_under_review(&self, pull: &Pull) -> bool {
        let base = pull.base.clone().unwrap_or_default();
        lock(&self.kept).reviewing == Some((pull.head_sha.clone(), base))
    }

    fn supersede(&self, _: &PullRow, kept: &[(&str, &str)], _: &str) {
        let mut state = lock(&self.kept);
        let stays = state
            .reviewing
            .as_ref()
            .is_some_and(|(head, base)| kept.contains(&(head.as_str(), base.as_str())));
        if !stays {
            state.reviewing = None;
        }
    }

    async fn planned(&self, _: &PullRow) -> Result<Vec<(i64, Publication, u32)>, JournalError> {
        Ok(lock(&self.kept).planned.clone())
    }

    async fn plan(
        &self,
        _: &PullRow,
        _: &Pull,
        _: &str,
        items: Vec<Publication>,
        kept: Vec<i64>,
    ) -> Result<Vec<i64>, JournalError> {
        self.step()?;
        let mut state = lock(&self.kept);
        state.planned.retain(|p| kept.contains(&p.0));
        let mut numbers = Vec::new();
        for item in items {
            state.next_plan += 1;
            let number = state.next_plan;
            state.planned.push((number, item, 0));
            numbers.push(number);
        }
        Ok(numbers)
    }

    async fn tried(
        &self,
        _: &PullRow,
        tried: Tried,
        published: &Published,
    ) -> Result<(), JournalError> {
        self.step()?;
        let mut state = lock(&self.kept);
        state.published = published.to_json()?;
        if tried.state == OutboxState::Waiting {
            for entry in state.planned.iter_mut().filter(|p| p.0 == tried.id) {
                entry.2 = tried.attempts;
            }
        } else {
            state.planned.retain(|p| p.0 != tried.id);
        }
        Ok(())
    }

    async fn settle(&self, row: &PullRow, next_ms: Option<i64>) -> Result<(), JournalError> {
        self.step()?;
        let mut state = lock(&self.kept);
        match next_ms {
            None => state.settled = state.settled.max(row.revision),
            Some(next) if state.revision == row.revision => state.next_ms = next,
            Some(_) => {}
        }
        Ok(())
    }

    fn now_ms(&self) -> i64 {
        lock(&self.kept).now_ms
    }

    async fn before_write(&self) -> Result<(), JournalError> {
        self.step()
    }

    fn pause(&self, _: Duration) {}

    fn alarm(&self, subject: &str, _: String) {
        lock(&self.kept).alarms.insert(subject.to_owned());
    }

    fn calm(&self, subject: &str, _: String) {
        lock(&self.kept).alarms.remove(subject);
    }
}
