//! A pass over a pull request that cannot be read: what would be written is shown, and waits.

use std::time::Duration;

use crate::code_host::{CodeHost, HostError, Pull, PullNow};
use crate::engine::code_host::desired::desired;
use crate::engine::code_host::pass::{Pass, READ};
use crate::engine::code_host::published::Failure;
use crate::engine::code_host::pull_store::{PullStore, Tried};
use crate::engine::code_host::retries::{TRIES, backoff_ms, is_refusal, stops};
use crate::engine::code_host::standing::{Hold, Standing};
use crate::journal::{JournalError, OutboxState};

impl<H: CodeHost, S: PullStore> Pass<'_, H, S> {
    /// The pull request cannot be read: what would be left there is shown, and waits.
    pub(super) async fn cannot_read(
        &mut self,
        pull: &Pull,
        error: &HostError,
    ) -> Result<Option<i64>, JournalError> {
        let now_ms = self.store.now_ms();
        let known = self.published.failures.get(READ);
        let attempts = known.map_or(0, |f| f.attempts) + 1;
        if let HostError::Limited { after_s, .. } = error {
            self.store.pause(Duration::from_secs(*after_s));
        }
        let next = now_ms + stops(error).unwrap_or_else(|| backoff_ms(attempts));
        let assumed = PullNow {
            head_sha: pull.head_sha.clone(),
            base: pull.base.clone(),
            open: true,
            ..PullNow::default()
        };
        let counts = stops(error).is_none();
        if counts {
            self.published.failures.insert(
                READ.into(),
                Failure {
                    digest: String::new(),
                    attempts,
                    next_ms: Some(next),
                },
            );
        }
        if attempts == 1 && is_refusal(error) {
            let text = format!("{} cannot be read: {error}", pull.place());
            self.store.alarm(&format!("{} {READ}", self.row.key), text);
        }
        let approves = self.published.gates.iter().any(|g| g.state == "success")
            || self.published.reviews.iter().any(|r| r.event == "APPROVE");
        if attempts > TRIES && !approves {
            return Ok(None);
        }
        let decision = self.decided(&pull.head_sha, &self.row.pull.base).await?;
        let hold = match &decision {
            Some(decided) => self.store.hold(&decided.run.run_id).await?,
            None => Hold::Free,
        };
        let standing = Standing {
            pull,
            now: &assumed,
            decision: decision.as_ref(),
            under_review: self.store.is_under_review(pull),
            hold,
            may_approve: false,
            published: &self.published,
            web: self.settings.web,
        };
        let desired = desired(&standing);
        let changes = self.changes(&desired, &assumed).await?;
        let planned = self.plan(pull, &desired.run, &changes).await?;
        for (id, earlier) in planned {
            let tried = Tried {
                id,
                state: OutboxState::Waiting,
                note: error.to_string(),
                attempts: earlier + u32::from(counts),
                next_ms: next,
            };
            self.store.tried(self.row, tried, &self.published).await?;
        }
        Ok(Some(next))
    }
}
