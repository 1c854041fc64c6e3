//! The outbox: what a decision publishes was written down with it, and is done here, in order, until it
//! is done. At least once; each thing done twice is the same as once.

use std::sync::Arc;
use std::time::Duration;

use crate::code_host::{HostError, Publication, Pull};
use crate::engine::code_host::approvals::Approvals;
use crate::engine::code_host::client::GithubClient;
use crate::engine::code_host::stats::PublicationStatus;
use crate::engine::config::store::ConfigStore;
use crate::engine::durable::Durable;
use crate::engine::failpoint;
use crate::engine::lifecycle::Lifecycle;
use crate::engine::notifier::Notifier;
use crate::engine::periodic;
use crate::engine::protocol::github::PublicationView;
use crate::journal::{JournalError, OutboxRow, OutboxState};
use crate::text::{Untrusted, clean_line};

/// Longest time between two passes, for approvals that nobody decides on.
const TICK: Duration = Duration::from_secs(30);
/// The first pause after a failure, milliseconds; it doubles.
const FIRST_MS: i64 = 5_000;
/// The longest, milliseconds.
const LONGEST_MS: i64 = 3_600_000;
/// Tries before an entry is dead-lettered: about two days.
const TRIES: u32 = 50;
/// Where nothing may be sent now (safe mode, no token), the time until the next look, milliseconds.
const CLOSED_MS: i64 = 60_000;

/// One per engine.
pub struct Outbox {
    /// Clock and stop.
    pub lifecycle: Arc<Lifecycle>,
    /// Alerts.
    pub notifier: Arc<Notifier>,
    /// Settings and redactor.
    pub store: Arc<ConfigStore>,
    /// Where the entries are kept.
    pub durable: Arc<Durable>,
    /// Sends.
    pub client: Arc<GithubClient>,
    /// Releases held entries, and expires those that wait too long.
    pub approvals: Arc<Approvals>,
    /// Figures, and the signal that wakes it.
    pub status: Arc<PublicationStatus>,
}

/// Why nothing is sent after the journal was recovered.
const RECOVERED: &str =
    "the journal was recovered; acknowledge it with `bsm state repair --acknowledge`";

impl Outbox {
    /// Sends what is due, until the engine stops.
    pub async fn run(self: Arc<Self>) {
        let wake = Some(&self.status.wake_outbox);
        let what = "the outbox cannot be read";
        periodic::repeat(&self.lifecycle, what, TICK, wake, || self.pass()).await;
    }

    /// Tries everything that is due; returns when the next entry is, wall time in milliseconds. What waits does so
    /// by the machine's own count: a clock that is set neither holds it up nor hurries it.
    async fn pass(&self) -> Result<Option<i64>, JournalError> {
        self.approvals.expire().await?;
        let journal = &self.durable.journal;
        let until = loop {
            if let Some(until) = self.client.paused_until_ms() {
                break Some(until);
            }
            // The oldest of each pull request: publications on one stay in order.
            let rows = journal
                .outbox_due(self.lifecycle.steady_ms(), LONGEST_MS)
                .await?;
            if rows.is_empty() {
                break None;
            }
            for row in rows {
                if self.lifecycle.is_stopping() {
                    return Err(JournalError::Closed);
                }
                self.attempt(row).await?;
                if self.client.paused_until_ms().is_some() {
                    break;
                }
            }
        };
        self.status.recount().await?;
        match until {
            Some(until) => Ok(Some(until)),
            None => {
                let set_by = self.lifecycle.wall_ms() - self.lifecycle.steady_ms();
                Ok(journal.outbox_next().await?.map(|next| next + set_by))
            }
        }
    }

    /// One entry: sent, tried again later, or dead-lettered.
    async fn attempt(&self, row: OutboxRow) -> Result<(), JournalError> {
        let (Ok(pull), Ok(publication)) = (
            serde_json::from_str::<Pull>(&row.pull),
            serde_json::from_str::<Publication>(&row.publication),
        ) else {
            let note = "it cannot be read".to_owned();
            return self.record(&row, OutboxState::Dropped, note, 0).await;
        };
        let (place, kind) = (pull.place(), publication.kind());
        let tried = tokio::select! {
            // It is tried again after the next start; sending twice is the same as once.
            () = self.lifecycle.stopping.cancelled() => return Err(JournalError::Closed),
            tried = self.send(&pull, &publication) => tried,
        };
        failpoint::reached("published");
        match tried {
            Ok(note) => {
                tracing::info!(run = row.run, place, kind, note, "published");
                self.record(&row, OutboxState::Done, note, 0).await
            }
            Err(error @ HostError::Moved { .. }) => {
                tracing::info!(run = row.run, place, kind, "not published: {error}");
                let note = error.to_string();
                self.record(&row, OutboxState::Dropped, note, 0).await
            }
            Err(error) if may_go_well(&error) && (!counts(&error) || row.attempts < TRIES) => {
                tracing::warn!(run = row.run, place, kind, "not published yet: {error}");
                if row.attempts == 0 && is_refusal(&error) {
                    self.notifier
                        .alert(true, format!("{kind} on {place}: {error}"));
                }
                if let HostError::Limited { after_s, .. } = &error {
                    self.client.pause(Duration::from_secs(*after_s));
                }
                let next = self.lifecycle.steady_ms() + pause_ms(&error, row.attempts);
                let row = OutboxRow {
                    attempts: row.attempts + u32::from(counts(&error)),
                    ..row
                };
                let note = error.to_string();
                self.record(&row, OutboxState::Waiting, note, next).await
            }
            Err(error) => {
                self.notifier
                    .alert(true, format!("{kind} on {place} dead-lettered: {error}"));
                let note = error.to_string();
                self.record(&row, OutboxState::Dropped, note, 0).await
            }
        }
    }

    async fn send(&self, pull: &Pull, publication: &Publication) -> Result<String, HostError> {
        if self.durable.notice().is_some() {
            return Err(HostError::NotAsked(RECOVERED.into()));
        }
        if self.store.settings().github.dry_run {
            return Err(HostError::NotAsked("a dry run sends nothing".into()));
        }
        if self.client.token(&pull.repository).is_none() {
            let why = "there is no token for this repository";
            return Err(HostError::NotAsked(why.into()));
        }
        let github = self.client.get(&pull.repository)?;
        let now = github.pull(pull).await?;
        now.is_at(pull)?;
        if *publication == Publication::Merge && !now.open {
            return Ok("it is closed already".into());
        }
        github.publish(pull, publication).await
    }

    async fn record(
        &self,
        row: &OutboxRow,
        state: OutboxState,
        note: String,
        next_ms: i64,
    ) -> Result<(), JournalError> {
        let note = clean_line(&self.store.redactor().text(&note), 300);
        let at_ms = self.lifecycle.wall_ms();
        let attempts = row.attempts;
        let journal = &self.durable.journal;
        self.durable
            .persist(|| journal.outbox_tried(row.id, state, note.clone(), attempts, at_ms, next_ms))
            .await
    }
}

/// The token may be renewed, or given the right that it lacks.
fn is_refusal(error: &HostError) -> bool {
    matches!(
        error,
        HostError::Refused {
            status: 401 | 403 | 404,
            ..
        }
    )
}

fn may_go_well(error: &HostError) -> bool {
    error.is_passing() || is_refusal(error)
}

/// Whether it was really tried: what may not be sent now waits as long as it must.
fn counts(error: &HostError) -> bool {
    !matches!(error, HostError::NotAsked(_) | HostError::Limited { .. })
}

fn pause_ms(error: &HostError, attempts: u32) -> i64 {
    match error {
        // The client pauses for as long as it was asked to.
        HostError::Limited { after_s, .. } => {
            after_s.saturating_mul(1_000).cast_signed().min(LONGEST_MS)
        }
        HostError::NotAsked(_) => CLOSED_MS,
        _ => (FIRST_MS << attempts.min(20)).min(LONGEST_MS),
    }
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
        state: row.state.into(),
        attempts: row.attempts,
        note: Untrusted::new(row.note),
        created_ms: row.created_ms,
        next_ms: row.next_ms,
    }
}
