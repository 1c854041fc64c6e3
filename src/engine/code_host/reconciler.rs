//! The reconciler: whenever something about a pull request changes, it brings what was left there to what should
//! be there, again and again until both are equal.
//!
//! Why not a queue of messages: a message says what was true when it was written. By the time it can be sent, the
//! pull request may have another commit, another branch or another decision.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use crate::code_host::{Publication, Pull};
use crate::engine::code_host::approvals::Approvals;
use crate::engine::code_host::journal_store::{JournalStore, PullServices, place};
use crate::engine::code_host::pass::{PassSettings, pass};
use crate::engine::code_host::retries::LONGEST_MS;
use crate::engine::code_host::stats::PublicationStatus;
use crate::engine::code_host::unasked_host::UnaskedHost;
use crate::engine::periodic;
use crate::engine::protocol::github::PublicationView;
use crate::journal::{JournalError, OutboxRow, PullRow};
use crate::text::Untrusted;

/// Longest time between two passes, for approvals that nobody decides on.
const TICK: Duration = Duration::from_secs(30);
/// Where nothing may be sent after the journal was recovered, the time until the next look, milliseconds.
const RECOVERED_MS: i64 = 60_000;

/// One per engine.
pub struct Reconciler {
    /// What its passes need.
    pub services: Arc<PullServices>,
    /// Expires approvals that wait too long.
    pub approvals: Arc<Approvals>,
    /// Figures, and the signal that wakes it.
    pub status: Arc<PublicationStatus>,
    /// Until now nothing was sent: what was only shown meanwhile is looked at again.
    pub was_dry: AtomicBool,
}

impl Reconciler {
    /// Works on what is due, until the engine stops.
    pub async fn run(self: Arc<Self>) {
        let wake = Some(&self.status.wake_outbox);
        let what = "pull requests cannot be brought up to date";
        periodic::repeat(&self.services.lifecycle, what, TICK, wake, || self.work()).await;
    }

    /// One pass over everything that is due; returns when the next is, wall time in milliseconds. What waits does
    /// so by the machine's own count: a clock that is set neither holds it up nor hurries it.
    async fn work(&self) -> Result<Option<i64>, JournalError> {
        self.approvals.expire().await?;
        let journal = &self.services.durable.journal;
        if self.services.store.settings().github.dry_run {
            self.was_dry.store(true, Relaxed);
        } else if self.was_dry.swap(false, Relaxed) {
            for row in journal.pulls_shown().await? {
                let now_ms = self.services.lifecycle.wall_ms();
                journal.mark_pull(row.pull, now_ms).await?;
            }
        }
        let until = loop {
            if let Some(until) = self.services.client.paused_until_ms() {
                break Some(until);
            }
            let rows = journal
                .pulls_due(self.services.lifecycle.steady_ms(), LONGEST_MS)
                .await?;
            if rows.is_empty() {
                break None;
            }
            for row in rows {
                if self.services.lifecycle.is_stopping() {
                    return Err(JournalError::Closed);
                }
                tokio::select! {
                    // It goes on after the next start; doing it twice is the same as once.
                    () = self.services.lifecycle.stopping.cancelled() => return Err(JournalError::Closed),
                    done = self.reconcile(&row) => done?,
                }
                self.status.recount().await?;
                if self.services.client.paused_until_ms().is_some() {
                    break;
                }
            }
        };
        self.status.recount().await?;
        match until {
            Some(until) => Ok(Some(until)),
            None => {
                let set_by =
                    self.services.lifecycle.wall_ms() - self.services.lifecycle.steady_ms();
                Ok(journal.pulls_next().await?.map(|next| next + set_by))
            }
        }
    }

    async fn reconcile(&self, row: &PullRow) -> Result<(), JournalError> {
        let settings = self.services.store.settings();
        let github = &settings.github;
        let place = place(row);
        if self.services.durable.notice().is_some() {
            // Nothing leaves this machine on the word of old rows.
            let next = self.services.lifecycle.steady_ms() + RECOVERED_MS;
            return self.services.settle(row, Some(next)).await;
        }
        // Only what the operator trusts decides what is done with the operator's token.
        if !self.services.store.workspace().trust.is_trusted() {
            let text = format!(
                "nothing is published on {place}: the workspace is not trusted (bsm trust)"
            );
            self.services
                .notifier
                .raise("workspace-not-trusted", &row.key, text);
            return self.services.settle(row, None).await;
        }
        let web = web(&github.api_url);
        let with = PassSettings {
            publish: github.publish,
            web: web.as_deref(),
        };
        let store = JournalStore::new(&self.services, github.dry_run);
        if github.dry_run {
            return pass(&UnaskedHost::dry(row), &store, row, with).await;
        }
        if self.services.client.token(&row.pull.repository).is_none() {
            return self.services.settle(row, None).await;
        }
        match self.services.client.get(&row.pull.repository) {
            Ok(host) => pass(&*host, &store, row, with).await,
            Err(error) => pass(&UnaskedHost::closed(row, error), &store, row, with).await,
        }
    }
}

/// Where people look at a host whose API is there; `None`: not known.
pub fn web(api: &str) -> Option<String> {
    let api = api.trim_end_matches('/');
    if api == "https://api.github.com" {
        return Some("https://github.com".into());
    }
    api.strip_suffix("/api/v3").map(str::to_owned)
}

/// An entry of the outbox as it is shown.
pub fn view(row: OutboxRow) -> PublicationView {
    let publication: Option<Publication> = serde_json::from_str(&row.publication).ok();
    let place =
        serde_json::from_str::<Pull>(&row.pull).map_or_else(|_| String::new(), |p| p.place());
    let kind = publication.as_ref().map_or("unknown", |p| p.kind());
    let says = publication
        .as_ref()
        .map_or_else(String::new, Publication::says);
    PublicationView {
        id: row.id,
        run: row.run,
        place: Untrusted::new(place),
        kind: kind.to_owned(),
        says: Untrusted::new(says),
        publication,
        state: row.state.into(),
        attempts: row.attempts,
        note: Untrusted::new(row.note),
        created_ms: row.created_ms,
        next_ms: row.next_ms,
    }
}
