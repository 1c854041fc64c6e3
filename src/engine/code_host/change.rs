//! The change of a webhook's run: fetched once, scanned by the rules, redacted, kept.
//!
//! Why in the run: a crash before it is kept fetches it again, and what cannot be fetched is missing evidence
//! that the decision names.

use std::sync::Arc;
use std::time::Duration;

use crate::code_host::{HostError, Pull};
use crate::engine::code_host::client::GithubClient;
use crate::engine::config::store::ConfigStore;
use crate::engine::durable::Durable;
use crate::engine::failpoint;
use crate::engine::lifecycle::Lifecycle;
use crate::engine::protocol::command::Subject;
use crate::engine::protocol::github::Change;
use crate::engine::protocol::run::Input;
use crate::engine::runs::scan::scan;
use crate::engine::runs::scan_request::ScanRequest;
use crate::journal::{JournalError, RunRow};
use crate::review::scan::ScanLimits;
use crate::text::clean_line;
use tokio_util::sync::CancellationToken;

/// Largest change that is fetched, bytes.
const LARGEST: usize = 32 << 20;
/// Tries in all.
const TRIES: u32 = 4;
/// A longer pause that GitHub asks for is not waited for.
const LONGEST_PAUSE: Duration = Duration::from_secs(20);

/// One per engine.
pub struct ChangeFetcher {
    /// Stop.
    pub lifecycle: Arc<Lifecycle>,
    /// Settings, policy, redactor.
    pub store: Arc<ConfigStore>,
    /// Where the change is kept.
    pub durable: Arc<Durable>,
    /// Where it comes from.
    pub client: Arc<GithubClient>,
}

impl ChangeFetcher {
    /// Fetches the change of a run, where that is still to be done; true when `input` and `row` changed.
    ///
    /// # Errors
    /// The engine stops.
    pub async fn fetch(
        &self,
        cancel: &CancellationToken,
        row: &mut RunRow,
        input: &mut Input,
    ) -> Result<bool, JournalError> {
        let Some(change) = input.change.clone().filter(|c| c.to_fetch) else {
            return Ok(false);
        };
        let fetched = tokio::select! {
            biased;
            () = self.lifecycle.stopping.cancelled() => return Err(JournalError::Closed),
            () = cancel.cancelled() => Err(("the run was cancelled".to_owned(), true)),
            fetched = self.with_retries(&change.pull) => fetched
                .map_err(|e| (e.to_string(), !matches!(e, HostError::Moved { .. }))),
        };
        let scanned = match fetched {
            Ok(bytes) => self.scan(bytes).await.map_err(|reason| (reason, true)),
            Err(failed) => Err(failed),
        };
        match scanned {
            Ok((scanned, redacted)) => {
                *input = Input {
                    payload: std::mem::take(&mut input.payload),
                    head_sha: input.head_sha.take(),
                    identity: input.identity.take(),
                    change: Some(Change {
                        to_fetch: false,
                        ..change.clone()
                    }),
                    nothing_to_review: change.needs_diff && !scanned.has_diff,
                    ..scanned
                };
                row.new.diff = redacted;
            }
            Err((reason, to_fetch)) => {
                // A pull request that has moved on is another webhook's; anything else a redelivery may try
                // again.
                input.change = Some(Change {
                    to_fetch,
                    ..change.clone()
                });
                tracing::warn!(
                    run = row.new.id,
                    corr = row.new.correlation,
                    place = change.pull.place(),
                    "no change: {reason}"
                );
                input.missing = Some(clean_line(&reason, 300));
            }
        }
        row.new.input = serde_json::to_string(input)?;
        let (id, kept, diff) = (&row.new.id, &row.new.input, &row.new.diff);
        let journal = &self.durable.journal;
        self.durable
            .persist(|| journal.fetched(id, kept.clone(), diff.clone()))
            .await?;
        failpoint::reached("change-fetched");
        Ok(true)
    }

    /// The diff of exactly the commit that the webhook was about.
    async fn with_retries(&self, pull: &Pull) -> Result<Vec<u8>, HostError> {
        let retry = self.store.settings().retry;
        let mut tried = 0;
        loop {
            tried += 1;
            let error = match self.once(pull).await {
                Ok(bytes) => return Ok(bytes),
                Err(error) => error,
            };
            let pause = error.pause_s().map(Duration::from_secs);
            let worth = error.is_passing() && !matches!(error, HostError::NotAsked(_));
            if tried == TRIES || !worth || pause.is_some_and(|p| p > LONGEST_PAUSE) {
                return Err(error);
            }
            tokio::time::sleep(retry.wait(tried, pause, fastrand::f64())).await;
        }
    }

    async fn once(&self, pull: &Pull) -> Result<Vec<u8>, HostError> {
        let github = self.client.get(&pull.repository)?;
        let bytes = github.diff(pull, LARGEST).await?;
        // Asked after it: a push in between cannot pass for the commit that was announced.
        let now = github.pull(pull).await?;
        now.is_at(pull)?;
        Ok(bytes)
    }

    /// Runs the rules over it: what is kept, and the redacted diff.
    async fn scan(&self, bytes: Vec<u8>) -> Result<(Input, String), String> {
        let (redactor, policy) = (self.store.redactor(), self.store.policy());
        let limits = ScanLimits {
            kept_bytes: self.store.settings().engine.diff_kept_bytes,
            ..ScanLimits::default()
        };
        let stop = self.lifecycle.stopping.clone();
        let work = tokio::task::spawn_blocking(move || {
            let request = ScanRequest {
                redactor: &redactor,
                policy: &policy,
                filter: policy.filter,
                limits,
                linters: &[],
                workspace: None,
            };
            let subject = Subject::Diff { diff: bytes.into() };
            scan(Some(subject), &request, &|| stop.is_cancelled())
        });
        let outcome = work
            .await
            .map_err(|_| "looking at it failed".to_owned())?
            .map_err(|e| e.to_string())?;
        let scanned = outcome.scanned;
        let input = Input {
            findings: scanned.findings,
            coverage: scanned.coverage,
            size: scanned.size,
            has_diff: outcome.has_diff,
            not_kept: scanned.not_kept,
            suppressed: scanned.suppressed,
            notes: scanned.notes,
            documentation: scanned.documentation,
            ..Input::default()
        };
        Ok((input, scanned.redacted))
    }
}
