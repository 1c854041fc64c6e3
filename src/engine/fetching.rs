//! The change of a webhook's run: fetched once, looked at by the rules, redacted, kept.
//!
//! Why in the run: a crash before it is kept fetches it again, and what cannot be had is missing evidence
//! that the decision names.

use std::sync::Arc;
use std::time::Duration;

use super::core::{Core, LiveRun};
use super::intake::{Looking, look};
use super::outbox;
use super::types::command::{Blob, Subject};
use super::types::github::Change;
use super::types::run::Input;
use crate::github::{GithubError, Pull};
use crate::journal::{JournalError, RunRow};
use crate::resilience::clock::lock;
use crate::review::scan::ScanLimits;

/// Largest change that is fetched, bytes.
const LARGEST: usize = 32 << 20;
/// Times that GitHub is asked.
const TRIES: u32 = 4;
/// A pause longer than this is not waited for.
const LONGEST_PAUSE: Duration = Duration::from_secs(20);

/// Fetches what the run is to look at, where that is still to be done.
pub(super) async fn complete(
    core: &Arc<Core>,
    live: &LiveRun,
    row: &mut RunRow,
    input: &mut Input,
) -> Result<(), JournalError> {
    let Some(change) = input.change.clone().filter(|c| c.to_fetch) else {
        return Ok(());
    };
    let fetched = tokio::select! {
        biased;
        () = core.stopping.cancelled() => return Err(JournalError::Closed),
        () = live.cancel.cancelled() => Err(("the run was cancelled".to_owned(), true)),
        fetched = fetch(core, &change.pull) => fetched
            .map_err(|e| (e.to_string(), !matches!(e, GithubError::Moved { .. }))),
    };
    let looked = match fetched {
        Ok(bytes) => scan(core, bytes).await.map_err(|reason| (reason, true)),
        Err(failed) => Err(failed),
    };
    match looked {
        Ok((looked, redacted)) => {
            *input = Input {
                payload: std::mem::take(&mut input.payload),
                head_sha: input.head_sha.take(),
                change: Some(Change {
                    to_fetch: false,
                    ..change.clone()
                }),
                nothing_to_review: change.needs_diff && !looked.has_diff,
                ..looked
            };
            row.new.diff = redacted;
        }
        Err((reason, to_fetch)) => {
            // What has moved on is another webhook's; anything else a redelivery may try again.
            input.change = Some(Change {
                to_fetch,
                ..change.clone()
            });
            let place = change.pull.place();
            tracing::warn!(
                run = row.new.id,
                corr = row.new.correlation,
                place,
                "no change: {reason}"
            );
            input.missing = Some(crate::text::clean_line(&reason, 300));
        }
    }
    row.new.input =
        serde_json::to_string(input).map_err(|e| JournalError::Sqlite(e.to_string()))?;
    let (id, kept, diff) = (&row.new.id, &row.new.input, &row.new.diff);
    core.persist(|| core.journal.fetched(id, kept.clone(), diff.clone()))
        .await?;
    super::failpoint::reached("change-fetched");
    let mut view = lock(&live.view);
    view.coverage = input.coverage.clone();
    view.size = input.size;
    view.suppressed.clone_from(&input.suppressed);
    Ok(())
}

/// The diff of exactly the commit that the webhook was about.
async fn fetch(core: &Arc<Core>, pull: &Pull) -> Result<Vec<u8>, GithubError> {
    let retry = core.settings.load().retry;
    let mut tried = 0;
    loop {
        tried += 1;
        let error = match once(core, pull).await {
            Ok(bytes) => return Ok(bytes),
            Err(error) => error,
        };
        let pause = error.pause_s().map(Duration::from_secs);
        let worth = error.is_passing() && !matches!(error, GithubError::NotAsked(_));
        if tried == TRIES || !worth || pause.is_some_and(|p| p > LONGEST_PAUSE) {
            return Err(error);
        }
        tokio::time::sleep(retry.wait(tried, pause, fastrand::f64())).await;
    }
}

async fn once(core: &Arc<Core>, pull: &Pull) -> Result<Vec<u8>, GithubError> {
    let github = outbox::github(core, &pull.repository)?;
    let bytes = github.diff(pull, LARGEST).await?;
    // Asked after it: what was pushed in between cannot pass for the commit that was announced.
    let now = github.pull(pull).await?;
    now.is_at(pull)?;
    Ok(bytes)
}

/// What the rules make of it.
async fn scan(core: &Arc<Core>, bytes: Vec<u8>) -> Result<(Input, String), String> {
    let (redactor, policy) = (core.redactor.load_full(), core.policy.load_full());
    let limits = ScanLimits {
        kept_bytes: core.settings.load().engine.diff_kept_bytes,
        ..ScanLimits::default()
    };
    let stop = core.stopping.clone();
    let work = tokio::task::spawn_blocking(move || {
        let subject = Subject::Diff { diff: Blob(bytes) };
        let looking = Looking {
            redactor: &redactor,
            policy: &policy,
            filter: policy.filter,
            limits,
            linters: &[],
            workspace: None,
        };
        look(Some(subject), &looking, &|| stop.is_cancelled())
    });
    let looked = work
        .await
        .map_err(|_| "looking at it failed".to_owned())?
        .map_err(|e| e.to_string())?;
    let scanned = looked.scanned;
    let input = Input {
        findings: scanned.findings,
        coverage: scanned.coverage,
        size: scanned.size,
        has_diff: looked.has_diff,
        not_kept: scanned.not_kept,
        suppressed: scanned.suppressed,
        notes: scanned.notes,
        documentation: scanned.documentation,
        ..Input::default()
    };
    Ok((input, scanned.redacted))
}
