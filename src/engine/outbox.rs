//! The outbox: what a decision publishes was written down with it, and is done here, in order, until it
//! is done. At least once; each thing done twice is the same as once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::approvals;
use super::core::Core;
use super::failpoint;
use super::types::github::PublicationView;
use crate::github::{Github, GithubError, Publication, Pull, PullNow};
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
    loop {
        let next = match pass(&core).await {
            Ok(next) => next,
            Err(JournalError::Closed) => return,
            Err(error) => {
                tracing::warn!("the outbox cannot be read: {error}");
                None
            }
        };
        let wait = next.map_or(TICK, |at| {
            let ms = at.saturating_sub(core.clock.wall_ms()).max(0);
            Duration::from_millis(ms.unsigned_abs()).min(TICK)
        });
        tokio::select! {
            () = core.stopping.cancelled() => return,
            () = core.outbox.notified() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// Tries everything whose time has come; returns when the next one's does.
async fn pass(core: &Arc<Core>) -> Result<Option<i64>, JournalError> {
    approvals::expire(core).await?;
    let rows = core.journal.outbox_waiting().await?;
    let mut soonest: Option<i64> = None;
    // What is left on one pull request stays in order: the newest comes last.
    let mut behind: BTreeSet<String> = BTreeSet::new();
    let mut seen: BTreeMap<String, PullNow> = BTreeMap::new();
    let mut paused = false;
    for row in rows {
        if core.stopping.is_cancelled() {
            return Err(JournalError::Closed);
        }
        let read = |text: &str| serde_json::from_str::<Pull>(text);
        let (Ok(pull), Ok(publication)) = (
            read(&row.pull),
            serde_json::from_str::<Publication>(&row.publication),
        ) else {
            end(
                core,
                &row,
                OutboxState::Dropped,
                "it cannot be read".into(),
                0,
            )
            .await?;
            continue;
        };
        let place = pull.place();
        if behind.contains(&place) || paused {
            continue;
        }
        if row.next_ms > core.clock.wall_ms() {
            soonest = Some(soonest.map_or(row.next_ms, |s| s.min(row.next_ms)));
            behind.insert(place);
            continue;
        }
        let tried = tokio::select! {
            // Begun again after the next start; it is then the same as once.
            () = core.stopping.cancelled() => return Err(JournalError::Closed),
            tried = leave(core, &pull, &publication, &mut seen) => tried,
        };
        failpoint::reached("published");
        let kind = publication.kind();
        match tried {
            Ok(note) => {
                tracing::info!(run = row.run, place, kind, note, "published");
                end(core, &row, OutboxState::Done, note, 0).await?;
            }
            Err(error @ GithubError::Moved { .. }) => {
                tracing::info!(run = row.run, place, kind, "not published: {error}");
                end(core, &row, OutboxState::Dropped, error.to_string(), 0).await?;
            }
            Err(error) if error.is_passing() && (!counts(&error) || row.attempts < TRIES) => {
                tracing::warn!(run = row.run, place, kind, "not published yet: {error}");
                let next = core.clock.wall_ms() + pause_ms(&error, row.attempts);
                soonest = Some(soonest.map_or(next, |s| s.min(next)));
                paused = matches!(error, GithubError::Limited { .. });
                behind.insert(place);
                let row = OutboxRow {
                    attempts: row.attempts + u32::from(counts(&error)),
                    ..row
                };
                end(core, &row, OutboxState::Waiting, error.to_string(), next).await?;
            }
            Err(error) => {
                core.alert(true, format!("{kind} on {place} given up: {error}"));
                end(core, &row, OutboxState::Dropped, error.to_string(), 0).await?;
            }
        }
    }
    count(core).await?;
    Ok(soonest)
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

async fn leave(
    core: &Core,
    pull: &Pull,
    publication: &Publication,
    seen: &mut BTreeMap<String, PullNow>,
) -> Result<String, GithubError> {
    if token(core, &pull.repository).is_none() {
        let why = "there is no token for this repository";
        return Err(GithubError::NotAsked(why.into()));
    }
    let github = github(core, &pull.repository)?;
    let place = pull.place();
    // A merge asks again: it must not rest on what was seen a moment ago.
    let known = seen
        .get(&place)
        .filter(|_| *publication != Publication::Merge);
    let now = match known {
        Some(now) => now.clone(),
        None => github.pull(pull).await?,
    };
    seen.insert(place, now.clone());
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
