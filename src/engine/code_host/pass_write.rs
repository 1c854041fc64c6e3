//! A pass's writes: sent, kept, tried again or dead-lettered; and what is done where an approval cannot be taken back.

use std::time::Duration;

use crate::code_host::{CodeHost, HostError, Publication, Pull, Written};
use crate::engine::code_host::difference::Change;
use crate::engine::code_host::pass::{Outcome, Pass};
use crate::engine::code_host::published::{Failure, Review, slot};
use crate::engine::code_host::pull_store::{PullStore, Tried};
use crate::engine::code_host::retries::{
    FIRST_MS, TRIES, backoff_ms, digest_of, is_refusal, may_go_well, stops,
};
use crate::journal::{JournalError, OutboxState};

/// Failures that are remembered.
const MOST_FAILURES: usize = 100;

impl<H: CodeHost, S: PullStore> Pass<'_, H, S> {
    /// Asks whether a review is there whose answer was lost: it must neither be made twice nor be forgotten.
    pub(super) async fn ask_about_review(&mut self) -> Result<(), HostError> {
        let Some(sent) = self.published.unsure.clone() else {
            return Ok(());
        };
        let Publication::Review { marker, .. } = &sent.publication else {
            return Ok(());
        };
        let pull = self.pull_at(&sent.commit, Some(&sent.base));
        if let Some(id) = self.host.find_review(&pull, marker).await? {
            let written = Written {
                id: Some(id),
                ..Written::default()
            };
            let at = (sent.commit.as_str(), sent.base.as_str());
            self.published.record(&sent.publication, &written, at);
        }
        self.published.unsure = None;
        Ok(())
    }

    /// Reviews that an engine left whose journal is gone.
    pub(super) async fn adopt(&mut self, pull: &Pull) {
        if let Ok(standing) = self.host.standing_reviews(pull).await {
            self.published.adopted = true;
            for review in standing {
                if self.published.reviews.iter().all(|r| r.id != review.id) {
                    self.published.reviews.push(Review {
                        id: review.id,
                        wanted: review.event.clone(),
                        event: review.event,
                        commit: review.commit,
                        base: review.base_mark,
                    });
                }
            }
        }
    }

    pub(super) async fn write(
        &mut self,
        pull: &Pull,
        change: &Change,
        (id, attempts): (i64, u32),
    ) -> Result<Outcome, JournalError> {
        let name = slot(&change.publication, &pull.head_sha);
        let publication = &change.publication;
        if let (Publication::Review { .. }, Err(error)) =
            (publication, self.ask_about_review().await)
        {
            let now = self.store.now_ms();
            return Ok(Outcome::Stop(now + stops(&error).unwrap_or(FIRST_MS)));
        }
        self.store.before_write().await?;
        let base = pull.base.as_deref().unwrap_or_default();
        if self
            .published
            .about_to_send(publication, (&pull.head_sha, base))
        {
            // A crash before the answer must neither make a second one nor forget one that may be there.
            let sent = Tried {
                id,
                state: OutboxState::Waiting,
                note: "sent".into(),
                attempts: attempts + 1,
                next_ms: self.store.now_ms(),
            };
            self.store.tried(self.row, sent, &self.published).await?;
        }
        let error = match self.host.publish(pull, publication).await {
            Ok(written) => return self.written(pull, change, (id, attempts), &written).await,
            Err(error) => error,
        };
        if matches!(&error, HostError::Refused { status, .. } if *status < 500)
            && matches!(publication, Publication::Review { .. })
        {
            self.published.unsure = None;
        }
        let base = Tried {
            id,
            state: OutboxState::Waiting,
            note: error.to_string(),
            attempts,
            next_ms: 0,
        };
        let now = self.store.now_ms();
        if let Some(pause) = stops(&error) {
            if let HostError::Limited { after_s, .. } = &error {
                self.store.pause(Duration::from_secs(*after_s));
            }
            let until = now + pause;
            let tried = Tried {
                next_ms: until,
                ..base
            };
            self.store.tried(self.row, tried, &self.published).await?;
            return Ok(Outcome::Stop(until));
        }
        let known = self
            .published
            .failures
            .get(&name)
            .filter(|f| f.digest == digest_of(change));
        let attempts = known.map_or(0, |f| f.attempts) + 1;
        let for_good = !may_go_well(&error) || attempts >= TRIES;
        // What was approved and is no more is taken back whatever it takes.
        let again = !for_good || change.withdraws;
        let next_ms = again.then(|| now + backoff_ms(attempts));
        let failure = Failure {
            digest: digest_of(change),
            attempts,
            next_ms,
        };
        self.published.failures.insert(name.clone(), failure);
        while self.published.failures.len() > MOST_FAILURES {
            self.published.failures.pop_first();
        }
        if attempts == 1 && is_refusal(&error) || !again {
            let end = if again { "" } else { " (dead-lettered)" };
            let text = format!("{} on {}: {error}{end}", publication.kind(), pull.place());
            self.store.alarm(&format!("{} {name}", self.row.key), text);
        }
        let tried = Tried {
            state: if again {
                OutboxState::Waiting
            } else {
                OutboxState::Dropped
            },
            attempts,
            next_ms: next_ms.unwrap_or(0),
            ..base
        };
        self.store.tried(self.row, tried, &self.published).await?;
        // Where the host does not answer, nothing else is answered either.
        Ok(match (&error, next_ms) {
            (HostError::Unreachable(_), Some(next)) => Outcome::Stop(next),
            _ => Outcome::Failed,
        })
    }

    pub(super) async fn written(
        &mut self,
        pull: &Pull,
        change: &Change,
        (id, attempts): (i64, u32),
        written: &Written,
    ) -> Result<Outcome, JournalError> {
        let name = slot(&change.publication, &pull.head_sha);
        let failed_before = self.published.failures.contains_key(&name);
        let at = (
            pull.head_sha.as_str(),
            pull.base.as_deref().unwrap_or_default(),
        );
        self.published.record(&change.publication, written, at);
        let tried = Tried {
            id,
            state: OutboxState::Done,
            note: written.note.clone(),
            attempts,
            next_ms: 0,
        };
        self.store.tried(self.row, tried, &self.published).await?;
        if failed_before {
            let text = format!(
                "{} on {}: {}",
                change.publication.kind(),
                pull.place(),
                written.note
            );
            self.store.calm(&format!("{} {name}", self.row.key), text);
        }
        Ok(Outcome::Done)
    }

    /// An approval that cannot be dismissed is contradicted; where that fails too, an operator must act.
    pub(super) async fn cannot_withdraw(
        &mut self,
        pull: &Pull,
        change: &Change,
    ) -> Result<(), JournalError> {
        let Publication::Dismissal { review, .. } = &change.publication else {
            return Ok(());
        };
        if !change.withdraws {
            return Ok(());
        }
        let marker = format!("<!-- bsm:review {review} withdrawn -->");
        let contradiction = Change {
            publication: Publication::Review {
                event: "REQUEST_CHANGES".into(),
                body: format!(
                    "{marker}\nThe approval above no longer holds, and it could not be dismissed."
                ),
                marker,
                comments: Vec::new(),
            },
            withdraws: true,
        };
        let contradicted = self
            .published
            .reviews
            .iter()
            .any(|r| r.event == "REQUEST_CHANGES" && r.commit == pull.head_sha);
        if contradicted || !self.may_be_tried(&contradiction) {
            return Ok(());
        }
        let text = format!(
            "{}: an approval of ours no longer holds and cannot be dismissed (review {review}); dismiss it by hand",
            pull.place()
        );
        self.store
            .alarm(&format!("{} approval", self.row.key), text);
        let planned = self.store.planned(self.row).await?;
        let kept = planned.iter().map(|(id, ..)| *id).collect();
        let items = vec![contradiction.publication.clone()];
        let ids = self.store.plan(self.row, pull, "", items, kept).await?;
        let id = ids.first().copied().unwrap_or(0);
        self.write(pull, &contradiction, (id, 0)).await.map(drop)
    }
}
