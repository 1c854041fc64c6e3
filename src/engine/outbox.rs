//! The outbox: what a decision publishes was written down with it, and is done here, in order, until it
//! is done. At least once; each thing done twice is the same as once.

use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::approvals;
use super::core::Core;
use super::failpoint;
use super::ticking::again_and_again;
use super::types::github::PublicationView;
use crate::github::{Github, GithubError, Publication, Pull};
use crate::journal::{JournalError, OutboxRow, OutboxState};
use crate::resilience::clock::lock;
use crate::text::{Untrusted, clean_line};

/// Looked at least this often, for approvals that nobody decides on.
const TICK: Duration = Duration::from_secs(30);
/// The first pause after a failure, milliseconds; it doubles.
const FIRST_MS: i64 = 5_000;
/// The longest, milliseconds.
const LONGEST_MS: i64 = 3_600_000;
/// Then it is given up: about two days.
const TRIES: u32 = 50;
/// Where nothing may be sent now (safe mode, no token), so long until the next look, milliseconds.
const CLOSED_MS: i64 = 60_000;

/// What a client was made with: another address, token or policy makes another client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made(String);

/// GitHub for a repository. Its token is used for listed repositories alone.
pub(super) fn github(core: &Core, repository: &str) -> Result<Arc<Github>, GithubError> {
    let settings = core.settings.load();
    if core.mode.simulated {
        return Err(GithubError::NotAsked("models are simulated here".into()));
    }
    let token = token(core, repository);
    let hash = token.as_ref().map(|t| Sha256::digest(t.as_bytes()));
    let made = Made(format!(
        "{} {:?} {:?} {}",
        settings.github.api_url,
        settings.egress,
        settings.egress_allowed_hosts,
        hash.map_or_else(String::new, |h| crate::state::hex(&h)),
    ));
    // Safe mode is asked every time.
    crate::outbound::egress::Policy::of(&settings)
        .allows(&settings.github.api_url)
        .map_err(GithubError::NotAsked)?;
    let mut kept = lock(&core.github_client);
    if let Some((with, client)) = kept.as_ref()
        && *with == made
    {
        return Ok(Arc::clone(client));
    }
    let client = Arc::new(Github::new(&settings, &core.env, &core.lookup, token)?);
    *kept = Some((made, Arc::clone(&client)));
    Ok(client)
}

/// The token, for a repository that it may be used for.
pub(super) fn token(core: &Core, repository: &str) -> Option<String> {
    let settings = core.settings.load();
    let github = &settings.github;
    let token = core.env.get(&github.token_env)?.trim().to_owned();
    (github.lists(repository) && !token.is_empty()).then_some(token)
}

/// Sends what is to be sent, until the engine stops.
pub(super) async fn keep(core: Arc<Core>) {
    let pass = |core| async move { pass(&core).await };
    again_and_again(
        core,
        "the outbox cannot be read",
        TICK,
        |core| Some(&core.outbox),
        pass,
    )
    .await;
}

/// Tries everything whose time has come; returns when the next one's does.
async fn pass(core: &Arc<Core>) -> Result<Option<i64>, JournalError> {
    approvals::expire(core).await?;
    let until = loop {
        if let Some(until) = paused(core) {
            break Some(until);
        }
        // The oldest of each pull request: what is left there stays in order.
        let rows = core.journal.outbox_due(core.clock.wall_ms()).await?;
        if rows.is_empty() {
            break None;
        }
        for row in rows {
            if core.stopping.is_cancelled() {
                return Err(JournalError::Closed);
            }
            attempt(core, row).await?;
            if paused(core).is_some() {
                break;
            }
        }
    };
    count(core).await?;
    match until {
        Some(until) => Ok(Some(until)),
        None => core.journal.outbox_next().await,
    }
}

/// GitHub wants to be left alone until then, wall time in milliseconds.
fn paused(core: &Core) -> Option<i64> {
    let until = (*lock(&core.github_quiet))?;
    let left = until.checked_duration_since(core.clock.now())?;
    Some(core.clock.wall_ms() + left.as_millis() as i64 + 1)
}

/// One entry: done, tried again later, or given up.
async fn attempt(core: &Arc<Core>, row: OutboxRow) -> Result<(), JournalError> {
    let (Ok(pull), Ok(publication)) = (
        serde_json::from_str::<Pull>(&row.pull),
        serde_json::from_str::<Publication>(&row.publication),
    ) else {
        return end(
            core,
            &row,
            OutboxState::Dropped,
            "it cannot be read".into(),
            0,
        )
        .await;
    };
    let (place, kind) = (pull.place(), publication.kind());
    let tried = tokio::select! {
        // Begun again after the next start; it is then the same as once.
        () = core.stopping.cancelled() => return Err(JournalError::Closed),
        tried = leave(core, &pull, &publication) => tried,
    };
    failpoint::reached("published");
    match tried {
        Ok(note) => {
            tracing::info!(run = row.run, place, kind, note, "published");
            end(core, &row, OutboxState::Done, note, 0).await
        }
        Err(error @ GithubError::Moved { .. }) => {
            tracing::info!(run = row.run, place, kind, "not published: {error}");
            end(core, &row, OutboxState::Dropped, error.to_string(), 0).await
        }
        Err(error) if may_go_well(&error) && (!counts(&error) || row.attempts < TRIES) => {
            tracing::warn!(run = row.run, place, kind, "not published yet: {error}");
            if row.attempts == 0 && is_refusal(&error) {
                core.alert(true, format!("{kind} on {place}: {error}"));
            }
            if let GithubError::Limited { after_s, .. } = &error {
                let quiet = core.clock.now() + Duration::from_secs(*after_s);
                *lock(&core.github_quiet) = Some(quiet);
            }
            let next = core.clock.wall_ms() + pause_ms(&error, row.attempts);
            let row = OutboxRow {
                attempts: row.attempts + u32::from(counts(&error)),
                ..row
            };
            end(core, &row, OutboxState::Waiting, error.to_string(), next).await
        }
        Err(error) => {
            core.alert(true, format!("{kind} on {place} given up: {error}"));
            end(core, &row, OutboxState::Dropped, error.to_string(), 0).await
        }
    }
}

/// The token may be renewed, or given the right that it lacks.
fn is_refusal(error: &GithubError) -> bool {
    matches!(
        error,
        GithubError::Refused {
            status: 401 | 403 | 404,
            ..
        }
    )
}

fn may_go_well(error: &GithubError) -> bool {
    error.is_passing() || is_refusal(error)
}

/// Whether it was really tried: what may not be sent now waits as long as it must.
fn counts(error: &GithubError) -> bool {
    !matches!(
        error,
        GithubError::NotAsked(_) | GithubError::Limited { .. }
    )
}

fn pause_ms(error: &GithubError, attempts: u32) -> i64 {
    match error {
        GithubError::Limited { after_s, .. } => after_s.saturating_mul(1_000).cast_signed(),
        GithubError::NotAsked(_) => CLOSED_MS,
        _ => (FIRST_MS << attempts.min(20)).min(LONGEST_MS),
    }
}

async fn leave(core: &Core, pull: &Pull, publication: &Publication) -> Result<String, GithubError> {
    if core.settings.load().github.dry_run {
        return Err(GithubError::NotAsked("a dry run sends nothing".into()));
    }
    if token(core, &pull.repository).is_none() {
        let why = "there is no token for this repository";
        return Err(GithubError::NotAsked(why.into()));
    }
    let github = github(core, &pull.repository)?;
    let now = github.pull(pull).await?;
    now.is_at(pull)?;
    if *publication == Publication::Merge && !now.open {
        return Ok("it is closed already".into());
    }
    github.publish(pull, publication).await
}

async fn end(
    core: &Arc<Core>,
    row: &OutboxRow,
    state: OutboxState,
    note: String,
    next_ms: i64,
) -> Result<(), JournalError> {
    let note = clean_line(&core.redactor.load().text(&note), 300);
    let at_ms = core.clock.wall_ms();
    let attempts = row.attempts;
    core.persist(|| {
        core.journal
            .outbox_tried(row.id, state, note.clone(), attempts, at_ms, next_ms)
    })
    .await
}

/// Reads the figures of the picture again.
pub(super) async fn count(core: &Arc<Core>) -> Result<(), JournalError> {
    let outbox = core.journal.outbox_counts().await?;
    let approvals = approvals::waiting(core).await?;
    {
        let mut stats = lock(&core.github);
        (stats.outbox, stats.approvals) = (outbox, approvals);
    }
    core.dirty.notify_one();
    Ok(())
}

/// An entry as it is shown.
pub fn view(row: OutboxRow) -> PublicationView {
    let publication: Option<Publication> = serde_json::from_str(&row.publication).ok();
    let place =
        serde_json::from_str::<Pull>(&row.pull).map_or_else(|_| String::new(), |p| p.place());
    PublicationView {
        id: row.id,
        run: row.run,
        place: Untrusted::new(place),
        kind: publication
            .as_ref()
            .map_or("unknown", |p| p.kind())
            .to_owned(),
        says: Untrusted::new(
            publication
                .as_ref()
                .map_or_else(String::new, Publication::says),
        ),
        publication,
        state: row.state,
        attempts: row.attempts,
        note: Untrusted::new(row.note),
        created_ms: row.created_ms,
        next_ms: row.next_ms,
    }
}
