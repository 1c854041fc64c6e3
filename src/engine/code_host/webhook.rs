//! A webhook: what it means, whether it came before, and the run it starts. On disk before it is answered.
//!
//! Why the change is not fetched here: GitHub waits ten seconds for an answer and does not ask again.

use std::sync::Arc;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::code_host::Pull;
use crate::code_host::github::{self, Delivery};
use crate::engine::code_host::stats::PublicationStatus;
use crate::engine::code_host::triage::triage;
use crate::engine::config::store::ConfigStore;
use crate::engine::durable::Durable;
use crate::engine::lifecycle::Lifecycle;
use crate::engine::notifier::Notifier;
use crate::engine::protocol::command::{Refused, Reply, Trigger};
use crate::engine::protocol::github::Webhook;
use crate::engine::protocol::run::Input;
use crate::engine::runs::intake::{Intake, PreparedRun};
use crate::journal::{DeliveryResult, DeliveryRow, Outcome, PullRef, RunStatus};
use crate::state::hex;
use crate::text::clean_line;

/// A body up to this size (bytes) is read where it is.
const READ_AT_ONCE: usize = 256 << 10;

/// Accepts webhooks whose signature was good. One per engine.
pub struct Webhooks {
    /// Clock.
    pub lifecycle: Arc<Lifecycle>,
    /// The snapshot's signal.
    pub notifier: Arc<Notifier>,
    /// Settings, workspace, redactor.
    pub store: Arc<ConfigStore>,
    /// Where deliveries are kept.
    pub durable: Arc<Durable>,
    /// Starts their runs.
    pub intake: Arc<Intake>,
    /// Figures.
    pub status: Arc<PublicationStatus>,
}

impl Webhooks {
    /// Accepts a webhook: on disk, with its run, when this returns.
    ///
    /// # Errors
    /// The delivery is malformed, its repository is not listed, or its run is refused.
    pub async fn deliver(
        &self,
        webhook: Webhook,
        actor: &str,
        correlation: &str,
    ) -> Result<Reply, Refused> {
        if !github::is_delivery_id(&webhook.delivery) {
            return Err(Refused::input("X-GitHub-Delivery names no delivery"));
        }
        let bytes = webhook.body.0;
        let (delivery, body, digest) = read(webhook.named.clone(), bytes).await?;
        let (outcome, note) = triage(
            &webhook.named,
            &delivery,
            &self.store.settings().github,
            &self.store.workspace().events,
        );
        let (outcome, note) = match outcome {
            Outcome::Run => self.within_cost(&delivery).await?,
            other => (other, note),
        };
        let mut keys = vec![
            format!("delivery:{}", webhook.delivery),
            format!("body:{digest}"),
        ];
        if outcome == Outcome::Run
            && let Some(meaning) = &delivery.meaning
        {
            let policy = &self.store.workspace().policy_hash;
            keys.push(format!("meaning:{meaning}+{policy}"));
        }
        let prepared = match outcome {
            Outcome::Run => {
                let trigger = Trigger {
                    event: delivery.event.clone(),
                    payload: body,
                    ..Trigger::default()
                };
                let pull = delivery.pull.clone();
                Some(
                    self.intake
                        .prepare(trigger, pull, actor, correlation)
                        .await?,
                )
            }
            _ => None,
        };
        let row = self.row(
            &webhook.delivery,
            &delivery,
            outcome,
            &note,
            prepared.as_ref(),
        );
        let new = prepared.as_ref().map(|p| p.new.clone());
        self.durable.check_intake()?;
        let known = delivery.pull.as_ref();
        let pull = known.filter(|_| outcome != Outcome::Refused).map(pull_ref);
        let kept = self.durable.journal.deliver(row, keys, new, pull).await?;
        // Into the file that the next start reads.
        match (&kept, &prepared) {
            (DeliveryResult::New, Some(prepared)) => {
                self.intake.confirm_files(&prepared.new.id).await?;
            }
            _ => self.durable.check_files()?,
        }
        let (run, repeated) = match kept {
            DeliveryResult::New => {
                self.count(outcome);
                (prepared.map(|p| self.intake.launch(&p)), false)
            }
            DeliveryResult::OtherBody => {
                self.status.count(|s| s.refused += 1);
                self.notifier.mark_changed();
                let reason = "X-GitHub-Delivery came before with another body".to_owned();
                return Err(Refused::Conflict { reason });
            }
            DeliveryResult::Again(first) => {
                self.status.count(|s| s.repeated += 1);
                let run = match first {
                    Some(first) => Some(self.redeliver(&first, actor, correlation).await?),
                    None => None,
                };
                (run, true)
            }
        };
        self.status.wake_outbox.notify_one();
        self.notifier.mark_changed();
        if outcome == Outcome::Refused {
            return Err(Refused::Forbidden { reason: note });
        }
        Ok(Reply::Delivered {
            outcome: outcome.into(),
            run,
            repeated,
            note,
        })
    }

    fn count(&self, outcome: Outcome) {
        self.status.count(|s| match outcome {
            Outcome::Run => s.runs += 1,
            Outcome::Skipped => s.skipped += 1,
            Outcome::Unmapped => s.unmapped += 1,
            Outcome::Refused => s.refused += 1,
        });
    }

    /// Whether one more review stays within what a pull request may cost.
    async fn within_cost(&self, delivery: &Delivery) -> Result<(Outcome, String), Refused> {
        let go = (Outcome::Run, String::new());
        let Some(pull) = &delivery.pull else {
            return Ok(go);
        };
        let settings = self.store.settings();
        let most = settings.github.filters_of(&pull.repository).pull_usd;
        if most <= 0.0 || pull.is_merge_group() {
            return Ok(go);
        }
        let journal = &self.durable.journal;
        let cost = journal.pull_cost(&pull.repository, pull.number).await?;
        if cost < most {
            return Ok(go);
        }
        let note =
            format!("its reviews have cost ${cost:.2} of ${most:.2} (github.filters.pullUsd)");
        Ok((Outcome::Skipped, note))
    }

    fn row(
        &self,
        id: &str,
        delivery: &Delivery,
        outcome: Outcome,
        note: &str,
        prepared: Option<&PreparedRun>,
    ) -> DeliveryRow {
        let redactor = self.store.redactor();
        let place = match (&delivery.pull, &delivery.repository) {
            (Some(pull), _) => pull.place(),
            (None, Some(repository)) => repository.clone(),
            (None, None) => String::new(),
        };
        DeliveryRow {
            id: id.to_owned(),
            at_ms: self.lifecycle.wall_ms(),
            event: clean_line(&redactor.text(&delivery.event), 120),
            place: clean_line(&redactor.text(&place), 220),
            outcome,
            note: note.to_owned(),
            run: prepared.map(|p| p.new.id.clone()),
            repeats: 0,
        }
    }

    /// It came before: the first one's run, or a new one if that failed or never had its change.
    async fn redeliver(
        &self,
        first: &str,
        actor: &str,
        correlation: &str,
    ) -> Result<String, Refused> {
        let journal = &self.durable.journal;
        // A crash may have cut it off.
        self.intake.continue_kept(first).await?;
        let Some(row) = journal.run(first).await? else {
            return Ok(first.to_owned());
        };
        let without_change = || {
            serde_json::from_str::<Input>(&row.new.input)
                .is_ok_and(|input| input.change.is_some_and(|c| c.to_fetch))
        };
        let over = row.finished_ms.is_some();
        let again = matches!(row.status, RunStatus::Failed | RunStatus::Cancelled);
        if !over || (!again && !without_change()) {
            return Ok(first.to_owned());
        }
        match self.intake.rerun(first, actor, correlation, None).await? {
            Reply::Accepted { run, .. } => {
                journal.redeliver(first, &run).await?;
                Ok(run)
            }
            _ => Ok(first.to_owned()),
        }
    }
}

/// What a body says, what of it is kept, and its hash. A large one is read on a thread of its own.
async fn read(named: String, bytes: Vec<u8>) -> Result<(Delivery, Value, String), Refused> {
    let size = bytes.len();
    let work = move || {
        let body: Value = serde_json::from_slice(&bytes)
            .map_err(|e| Refused::input(format!("the body is no JSON: {e}")))?;
        let delivery = github::read(&named, &body).map_err(Refused::input)?;
        Ok((delivery, github::kept(body), hex(&Sha256::digest(&bytes))))
    };
    if size <= READ_AT_ONCE {
        return work();
    }
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| Refused::input("the body cannot be read"))?
}

/// A pull request as its row.
fn pull_ref(pull: &Pull) -> PullRef {
    PullRef {
        repository: pull.repository.clone(),
        repository_id: pull.repository_id,
        number: pull.number,
        head: pull.head_sha.clone(),
        base: pull.base.clone().unwrap_or_default(),
    }
}
