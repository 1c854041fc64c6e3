//! The change of a webhook's run: fetched once, scanned by the rules, redacted, kept.
//!
//! Why in the run: a crash before it is kept fetches it again, and what cannot be fetched is missing evidence
//! that the decision names. Why before its turn: a host that is away for hours must not take the places of runs
//! that could go on.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::code_host::{FetchedChange, HostError, Pull, Unsent};
use crate::engine::code_host::client::GithubClient;
use crate::engine::code_host::filters::is_ignored;
use crate::engine::config::store::ConfigStore;
use crate::engine::durable::Durable;
use crate::engine::failpoint;
use crate::engine::lifecycle::Lifecycle;
use crate::engine::notifier::Notifier;
use crate::engine::protocol::command::Subject;
use crate::engine::protocol::github::Change;
use crate::engine::protocol::run::Input;
use crate::engine::runs::scan::scan;
use crate::engine::runs::scan_request::ScanRequest;
use crate::journal::{JournalError, RunRow};
use crate::resilience::clock::lock;
use crate::review::finding::{Coverage, Skipped};
use crate::review::scan::ScanLimits;
use crate::text::{Untrusted, clean_line};

/// Largest change that is fetched, bytes.
const LARGEST: usize = 32 << 20;
/// Tries that follow each other quickly; and all of them, where nothing is waited for.
const TRIES: u32 = 4;
/// The first pause after those.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
/// Changes that are fetched, or held until their run has its turn, at once.
const AT_ONCE: usize = 8;
/// Skipped files that are listed.
const LISTED: usize = 200;

/// Why nothing of a change is reviewed.
const LEFT_OUT: &str = "every path of the change is left out (github.filters.ignorePaths)";

/// What a run waits for before it has its change, for the lists.
#[derive(Default)]
pub struct ChangeWait(Mutex<Option<String>>);

impl ChangeWait {
    /// In a line; `None`: for nothing.
    pub fn says(&self) -> Option<String> {
        lock(&self.0).clone()
    }

    fn set(&self, says: Option<String>) {
        *lock(&self.0) = says;
    }
}

/// A change that was fetched or could not be, and its share of what may be fetched at once.
pub struct Download {
    fetched: Result<FetchedChange, Failure>,
    _share: Option<OwnedSemaphorePermit>,
}

/// Why there is no change.
struct Failure {
    reason: String,
    /// A redelivery tries again.
    again: bool,
}

/// One per engine.
pub struct ChangeFetcher {
    /// Clock and stop.
    pub lifecycle: Arc<Lifecycle>,
    /// Says that what a run waits for has changed.
    pub notifier: Arc<Notifier>,
    /// Settings, policy, redactor.
    pub store: Arc<ConfigStore>,
    /// Where the change is kept.
    pub durable: Arc<Durable>,
    /// Where it comes from.
    pub client: Arc<GithubClient>,
    /// What may be fetched at once.
    pub shares: Arc<Semaphore>,
}

impl ChangeFetcher {
    /// So many changes are fetched at once.
    pub fn shares() -> Arc<Semaphore> {
        Arc::new(Semaphore::new(AT_ONCE))
    }

    /// Fetches the change of a run that was accepted at `accepted_ms` (wall time, milliseconds), and waits until
    /// that goes well or is given up. The run has no place meanwhile.
    ///
    /// # Errors
    /// The engine stops.
    pub async fn download(
        &self,
        cancel: &CancellationToken,
        wait: &ChangeWait,
        change: &Change,
        accepted_ms: i64,
    ) -> Result<Download, JournalError> {
        let fetched = tokio::select! {
            biased;
            () = self.lifecycle.stopping.cancelled() => return Err(JournalError::Closed),
            () = cancel.cancelled() => Err(Failure {
                reason: "the run was cancelled".to_owned(),
                again: true,
            }),
            fetched = self.with_retries(wait, &change.pull, accepted_ms) => fetched.map_err(|e| Failure {
                again: !matches!(e, HostError::Moved { .. } | HostError::Closed),
                reason: e.to_string(),
            }),
        };
        wait.set(None);
        Ok(match fetched {
            Ok((fetched, share)) => Download {
                fetched: Ok(fetched),
                _share: Some(share),
            },
            Err(failure) => Download {
                fetched: Err(failure),
                _share: None,
            },
        })
    }

    /// Scans what was fetched and keeps it with its run, where that is still to be done; true when `input` and
    /// `row` changed.
    ///
    /// # Errors
    /// The engine stops.
    pub async fn keep(
        &self,
        download: Download,
        row: &mut RunRow,
        input: &mut Input,
    ) -> Result<bool, JournalError> {
        let Some(change) = input.change.clone().filter(|c| c.to_fetch) else {
            return Ok(false);
        };
        let scanned = match download.fetched {
            Ok(fetched) => {
                let filters = self.store.settings();
                let filters = filters.github.filters_of(&change.pull.repository);
                let is_left_out =
                    fetched.missing.is_empty() && is_ignored(&fetched.diff, &filters.ignore_paths);
                let scanned = self.scan(fetched.diff).await;
                let scanned = scanned.map(|(mut scanned, redacted)| {
                    name_missing(&mut scanned.coverage, fetched.missing);
                    if is_left_out {
                        scanned.nothing_to_review = true;
                        scanned.notes.push(LEFT_OUT.into());
                    }
                    (scanned, redacted)
                });
                scanned.map_err(|reason| Failure {
                    reason,
                    again: true,
                })
            }
            Err(failure) => Err(failure),
        };
        match scanned {
            Ok((scanned, redacted)) => {
                *input = Input {
                    payload: std::mem::take(&mut input.payload),
                    head_sha: input.head_sha.take(),
                    identity: input.identity.take(),
                    nothing_to_review: scanned.nothing_to_review
                        || (change.needs_diff
                            && !scanned.has_diff
                            && scanned.coverage.skipped.is_empty()),
                    change: Some(Change {
                        to_fetch: false,
                        ..change
                    }),
                    ..scanned
                };
                row.new.diff = redacted;
            }
            Err(failure) => {
                tracing::warn!(
                    run = row.new.id,
                    corr = row.new.correlation,
                    place = change.pull.place(),
                    "no change: {}",
                    failure.reason
                );
                // A pull request that has moved on is another webhook's.
                input.change = Some(Change {
                    to_fetch: failure.again,
                    ..change
                });
                input.missing = Some(clean_line(&failure.reason, 300));
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

    /// The change of exactly the commit that the webhook was about. What is passing is waited for.
    async fn with_retries(
        &self,
        wait: &ChangeWait,
        pull: &Pull,
        accepted_ms: i64,
    ) -> Result<(FetchedChange, OwnedSemaphorePermit), HostError> {
        let mut tried = 0;
        let mut last: Option<HostError> = None;
        loop {
            if let Some(pause) = self.client.pause_left() {
                let said = last.as_ref().map_or_else(String::new, HostError::to_string);
                self.wait(wait, tried, &said, pause).await;
            }
            let share = Arc::clone(&self.shares).acquire_owned().await;
            let share = share.map_err(|e| HostError::NotAsked(e.to_string()))?;
            tried += 1;
            let error = match self.once(pull, tried > 1).await {
                Ok(fetched) => return Ok((fetched, share)),
                Err(error) => error,
            };
            drop(share);
            let worth = match error {
                // Seconds after a push they may be missing; later somebody must look.
                HostError::NoCommits(_) => tried < TRIES,
                HostError::NotAsked(_) => false,
                _ => error.is_passing(),
            };
            let settings = self.store.settings();
            let waited = self.lifecycle.wall_ms().saturating_sub(accepted_ms);
            let is_over = waited.unsigned_abs() >= settings.github.fetch_wait_ms;
            if !worth || (is_over && (tried >= TRIES || error.pause_s().is_some())) {
                return Err(error);
            }
            if let Some(pause) = error.pause_s() {
                self.client.pause(Duration::from_secs(pause));
            } else {
                let longest = Duration::from_millis(settings.github.fetch_pause_ms);
                let pause = match tried {
                    ..TRIES => settings.retry.wait(tried, None, fastrand::f64()),
                    _ => later(tried - TRIES, fastrand::f64()),
                };
                self.wait(wait, tried, &error.to_string(), pause.min(longest))
                    .await;
            }
            last = Some(error);
        }
    }

    /// Waits, and says so.
    async fn wait(&self, wait: &ChangeWait, tried: u32, said: &str, pause: Duration) {
        let why = if said.is_empty() {
            "GitHub asked for a pause".to_owned()
        } else {
            clean_line(said, 80)
        };
        wait.set(Some(format!(
            "waits for its change, try {}: {why}",
            tried + 1
        )));
        self.notifier.mark_changed();
        tokio::time::sleep(pause).await;
    }

    /// One try. One that comes late asks first whether the pull request still is what the webhook said.
    async fn once(&self, pull: &Pull, is_late: bool) -> Result<FetchedChange, HostError> {
        let github = self.client.get(&pull.repository)?;
        if is_late {
            github.still_means(pull).await?;
        }
        github.change(pull, LARGEST).await
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

/// Pauses that double, up to what the settings allow; `random` is from 0 to 1.
fn later(doubled: u32, random: f64) -> Duration {
    let pause = FIRST_PAUSE.saturating_mul(1 << doubled.min(16));
    pause.mul_f64(0.75 + random / 2.0)
}

/// What the host did not send is missing coverage, by name.
fn name_missing(coverage: &mut Coverage, missing: Vec<Unsent>) {
    for unsent in missing {
        coverage.files_total += 1;
        if coverage.skipped.len() == LISTED {
            coverage.skipped_more += 1;
            continue;
        }
        let path = unsent
            .path
            .unwrap_or_else(|| Untrusted::new("(files that are not listed)"));
        coverage.skipped.push(Skipped {
            path,
            reason: unsent.reason,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_none_is_longer_than_a_day() {
        assert_eq!(later(0, 0.5), FIRST_PAUSE);
        assert_eq!(later(1, 0.5), FIRST_PAUSE * 2);
        assert!(later(u32::MAX, 1.0) > Duration::from_secs(3_600));
    }

    #[test]
    fn what_was_not_sent_keeps_coverage_from_being_complete() {
        let mut coverage = Coverage {
            files_seen: 1,
            files_total: 1,
            ..Coverage::default()
        };
        assert!(coverage.is_complete());
        let unsent = |path: Option<&str>| Unsent {
            path: path.map(Untrusted::new),
            reason: "no patch".into(),
        };
        name_missing(&mut coverage, vec![unsent(Some("big.bin")), unsent(None)]);
        assert!(!coverage.is_complete());
        assert_eq!(coverage.files_total, 3);
        assert_eq!(coverage.skipped[0].path.raw(), "big.bin");
        name_missing(&mut coverage, (0..LISTED).map(|_| unsent(None)).collect());
        assert_eq!((coverage.skipped.len(), coverage.skipped_more), (LISTED, 2));
    }
}
