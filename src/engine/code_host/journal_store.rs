//! What a pass over a pull request needs of the engine: decisions, approvals, plans and results in the journal.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::code_host::{Publication, Pull};
use crate::engine::code_host::client::GithubClient;
use crate::engine::code_host::published::Published;
use crate::engine::code_host::pull_store::{PullStore, Tried};
use crate::engine::code_host::standing::{Decided, Hold};
use crate::engine::config::store::ConfigStore;
use crate::engine::durable::Durable;
use crate::engine::failpoint;
use crate::engine::lifecycle::Lifecycle;
use crate::engine::notifier::Notifier;
use crate::engine::protocol::run::{Action, Plan, RunResult};
use crate::engine::runs::decision::{by_models, covers_gates};
use crate::engine::runs::registry::RunRegistry;
use crate::journal::{
    ApprovalState, JournalError, NewPublication, OutboxRow, OutboxState, Planned, PullDecision,
    PullRow,
};
use crate::resilience::clock::lock;
use crate::text::clean_line;

/// The alert about a publication that the host refuses.
const REFUSED: &str = "publication-refused";

/// The alert about a repository that was renamed.
const RENAMED: &str = "repository-renamed";

/// What passes need of the engine. One per engine.
pub struct PullServices {
    /// Clock and stop.
    pub lifecycle: Arc<Lifecycle>,
    /// Alerts.
    pub notifier: Arc<Notifier>,
    /// Settings and redactor.
    pub store: Arc<ConfigStore>,
    /// Where pull requests and publications are kept.
    pub durable: Arc<Durable>,
    /// Runs that have not ended.
    pub registry: Arc<RunRegistry>,
    /// Sends.
    pub client: Arc<GithubClient>,
    /// When the newest write was sent.
    pub last_write: Mutex<Option<Instant>>,
}

impl PullServices {
    /// Returns when the next write may be sent: hosts limit those that write faster.
    pub(super) async fn before_write(&self) {
        let spacing = Duration::from_millis(self.store.settings().github.write_spacing_ms);
        let due = (*lock(&self.last_write)).map(|last| last + spacing);
        if let Some(due) = due {
            tokio::time::sleep_until(due.into()).await;
        }
        *lock(&self.last_write) = Some(self.lifecycle.now());
    }

    /// A pass ended; `next_ms`: it is to be repeated then.
    ///
    /// # Errors
    /// The engine stops.
    pub(super) async fn settle(
        &self,
        row: &PullRow,
        next_ms: Option<i64>,
    ) -> Result<(), JournalError> {
        let journal = &self.durable.journal;
        self.durable
            .persist(|| journal.settle_pull(&row.key, row.revision, next_ms))
            .await
    }
}

/// `owner/name#7`, or `owner/name@commit`.
pub(super) fn place(row: &PullRow) -> String {
    clean_line(&row.key, 200)
}

/// The store of one pass.
pub(super) struct JournalStore<'a> {
    of: &'a PullServices,
    /// What is planned is shown, and never sent.
    dry: bool,
    /// Planned in this dry pass.
    shown: Mutex<Vec<(i64, Publication, u32)>>,
}

impl<'a> JournalStore<'a> {
    pub(super) fn new(of: &'a PullServices, dry: bool) -> Self {
        Self {
            of,
            dry,
            shown: Mutex::default(),
        }
    }

    fn note(&self, note: &str) -> String {
        clean_line(&self.of.store.redactor().text(note), 300)
    }

    async fn plan_as(
        &self,
        row: &PullRow,
        pull: &Pull,
        run: &str,
        (items, kept): (Vec<Publication>, Vec<i64>),
        state: OutboxState,
    ) -> Result<Vec<i64>, JournalError> {
        let pull = serde_json::to_string(pull)?;
        let items: Vec<Planned> = items
            .iter()
            .map(|publication| {
                Ok(Planned {
                    run: run.to_owned(),
                    publication: NewPublication {
                        pull: pull.clone(),
                        publication: serde_json::to_string(publication)?,
                        state,
                    },
                })
            })
            .collect::<Result<_, JournalError>>()?;
        let (journal, at_ms) = (&self.of.durable.journal, self.of.lifecycle.wall_ms());
        self.of
            .durable
            .persist(|| journal.plan_publications(&row.key, items.clone(), kept.clone(), at_ms))
            .await
    }
}

impl PullStore for JournalStore<'_> {
    async fn decided(
        &self,
        repository: &str,
        head: &str,
        base: &str,
    ) -> Result<Option<Decided>, JournalError> {
        let journal = &self.of.durable.journal;
        let all = journal.pull_decisions(repository, head, base).await?;
        let read = |d: &PullDecision| {
            let plan: Plan = serde_json::from_str(&d.plan).ok()?;
            let run: RunResult = serde_json::from_str(&d.result).ok()?;
            Some((plan, run))
        };
        // What ends after a check never takes the place of a review; a simulated answer is none.
        let mut reviews = all
            .iter()
            .filter(|d| !d.event.starts_with("check_"))
            .filter_map(read)
            .filter(|(plan, _)| !plan.simulated);
        let Some((newest_plan, newest)) = reviews.next() else {
            return Ok(None);
        };
        let approves = |run: &RunResult| {
            let action = run.decision.as_ref().map(|d| d.action);
            action == Some(Action::ApproveAndMerge)
        };
        let of_gates = if covers_gates(&newest_plan) {
            Some((newest_plan, newest.clone()))
        } else {
            reviews.find(|(plan, _)| covers_gates(plan))
        };
        let proved = of_gates.is_some_and(|(plan, run)| by_models(&plan) && approves(&run));
        let diff = journal
            .run(&newest.run_id)
            .await?
            .map_or_else(String::new, |r| r.new.diff);
        Ok(Some(Decided {
            run: newest,
            diff,
            proved,
        }))
    }

    async fn hold(&self, run: &str) -> Result<Hold, JournalError> {
        let approval = self.of.durable.journal.approval_of("publish", run).await?;
        Ok(match approval.map(|a| a.state) {
            None | Some(ApprovalState::Approved) => Hold::Free,
            Some(ApprovalState::Waiting) => Hold::Waiting,
            Some(ApprovalState::Denied | ApprovalState::Expired) => Hold::Denied,
        })
    }

    fn is_under_review(&self, pull: &Pull) -> bool {
        self.of.registry.is_reviewing(pull)
    }

    fn supersede(&self, row: &PullRow, kept: &[(&str, &str)], reason: &str) {
        let of = (row.pull.repository.as_str(), row.pull.number);
        for run in self.of.registry.cancel_superseded(of, kept, reason) {
            tracing::info!(run, "cancelled: {reason}");
        }
    }

    async fn planned(&self, row: &PullRow) -> Result<Vec<(i64, Publication, u32)>, JournalError> {
        if self.dry {
            return Ok(lock(&self.shown).clone());
        }
        let rows = self
            .of
            .durable
            .journal
            .publications_planned(&row.pull)
            .await?;
        let read = |row: OutboxRow| {
            let publication = serde_json::from_str(&row.publication).ok()?;
            Some((row.id, publication, row.attempts))
        };
        Ok(rows.into_iter().filter_map(read).collect())
    }

    async fn plan(
        &self,
        row: &PullRow,
        pull: &Pull,
        run: &str,
        items: Vec<Publication>,
        kept: Vec<i64>,
    ) -> Result<Vec<i64>, JournalError> {
        if !self.dry {
            let items = (items, kept);
            return self
                .plan_as(row, pull, run, items, OutboxState::Waiting)
                .await;
        }
        let new = items.clone();
        let numbers = self
            .plan_as(row, pull, run, (items, kept), OutboxState::Dry)
            .await?;
        let entries = numbers.iter().zip(new).map(|(id, p)| (*id, p, 0));
        lock(&self.shown).extend(entries);
        Ok(numbers)
    }

    async fn tried(
        &self,
        row: &PullRow,
        tried: Tried,
        published: &Published,
    ) -> Result<(), JournalError> {
        if self.dry {
            // Nothing was left there, so nothing is remembered.
            lock(&self.shown).retain(|(id, ..)| *id != tried.id);
            return Ok(());
        }
        failpoint::reached("published");
        let note = self.note(&tried.note);
        if tried.state == OutboxState::Done {
            tracing::info!(place = place(row), note, "published");
        } else {
            tracing::warn!(place = place(row), "not published yet: {note}");
        }
        let (journal, at_ms) = (&self.of.durable.journal, self.of.lifecycle.wall_ms());
        let kept = (row.key.clone(), published.to_json()?);
        self.of
            .durable
            .persist(|| {
                let outcome = (tried.state, note.clone());
                journal.published(
                    tried.id,
                    outcome,
                    tried.attempts,
                    at_ms,
                    tried.next_ms,
                    kept.clone(),
                )
            })
            .await
    }

    async fn settle(&self, row: &PullRow, next_ms: Option<i64>) -> Result<(), JournalError> {
        self.of.settle(row, next_ms).await
    }

    async fn renamed(
        &self,
        row: &PullRow,
        name: &str,
        repository_id: Option<u64>,
    ) -> Result<bool, JournalError> {
        let old = &row.pull.repository;
        let subject = format!("{} renamed", old.to_ascii_lowercase());
        let (old_shown, new) = (clean_line(old, 120), clean_line(name, 120));
        if !self.of.store.settings().github.lists(name) {
            // Under a name that is not listed nothing would be left there any more.
            let text = format!("{old_shown} is {new} now: list it under github.repositories");
            self.of.notifier.raise(RENAMED, &subject, text);
            return Ok(false);
        }
        let journal = &self.of.durable.journal;
        self.of
            .durable
            .persist(|| journal.rename_repository(old, name, repository_id))
            .await?;
        let text = format!("{old_shown} is {new} now, and is known by its new name");
        self.of.notifier.resolve(RENAMED, &subject, text);
        Ok(true)
    }

    fn now_ms(&self) -> i64 {
        self.of.lifecycle.steady_ms()
    }

    async fn before_write(&self) -> Result<(), JournalError> {
        if !self.dry {
            self.of.before_write().await;
        }
        Ok(())
    }

    fn pause(&self, time: Duration) {
        self.of.client.pause(time);
    }

    fn alarm(&self, subject: &str, text: String) {
        self.of.notifier.raise(REFUSED, subject, self.note(&text));
    }

    fn calm(&self, subject: &str, text: String) {
        self.of.notifier.resolve(REFUSED, subject, self.note(&text));
    }
}
