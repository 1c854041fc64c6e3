//! A webhook: what it means, whether it came before, and the run it starts. On disk before it is answered.
//!
//! Why the change is not fetched here: GitHub waits ten seconds for an answer and does not ask again.

use std::sync::Arc;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::code_host::github::{self, Delivery};
use crate::code_host::{CommentEvent, Pull};
use crate::engine::code_host::comments::{self, CommentJob};
use crate::engine::code_host::filters::over_cost;
use crate::engine::code_host::published::Published;
use crate::engine::code_host::stats::PublicationStatus;
use crate::engine::code_host::triage::triage;
use crate::engine::config::store::ConfigStore;
use crate::engine::durable::Durable;
use crate::engine::lifecycle::Lifecycle;
use crate::engine::notifier::Notifier;
use crate::engine::protocol::command::{Refused, Reply, Trigger};
use crate::engine::protocol::github::Webhook;
use crate::engine::protocol::run::Input;
use crate::engine::protocol::run::{Evidence, Plan, RunResult, RunState};
use crate::engine::runs::intake::{Intake, PreparedRun};
use crate::journal::{
    CommentTask, DeliveryResult, DeliveryRow, JournalError, Outcome, PullRef, RunStatus,
};
use crate::state::hex;
use crate::text::clean_line;

/// A body up to this size (bytes) is read where it is.
const READ_AT_ONCE: usize = 256 << 10;
/// Comments of one pull request that wait at most.
const WAITING: u32 = 20;

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
            Outcome::Comment => self.asks(&delivery).await?,
            other => (other, note),
        };
        let before = match outcome {
            Outcome::Run => self.decided_before(&webhook.named, &delivery).await?,
            _ => None,
        };
        let keys = self.keys(&webhook.delivery, &digest, &delivery, outcome);
        let prepared = match outcome {
            // It is shown again, and nothing is reviewed.
            Outcome::Run if before.is_some() => None,
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
        let run = prepared.as_ref().map(|p| p.new.id.clone());
        let run = run.or_else(|| before.clone());
        let row = self.row(&webhook.delivery, &delivery, (outcome, &note), run);
        let new = prepared.as_ref().map(|p| p.new.clone());
        self.durable.check_intake()?;
        let known = delivery.pull.as_ref();
        // A comment changes nothing that we leave there.
        let marks = !matches!(outcome, Outcome::Refused | Outcome::Comment);
        let pull = known.filter(|_| marks).map(pull_ref);
        let comment = self.comment_task(&webhook.delivery, &delivery, outcome)?;
        let journal = &self.durable.journal;
        let kept = journal.deliver(row, keys, new, pull, comment).await?;
        // Into the file that the next start reads.
        match (&kept, &prepared) {
            (DeliveryResult::New, Some(prepared)) => {
                self.intake.confirm_files(&prepared.new.id).await?;
            }
            _ => self.durable.check_files()?,
        }
        let by = (actor, correlation);
        let (run, repeated) = self
            .begun(kept, before, prepared.as_ref(), outcome, by)
            .await?;
        self.status.wake_outbox.notify_one();
        if outcome == Outcome::Comment {
            self.status.wake_comments.notify_one();
        }
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

    /// By what a webhook is known to be the same as an earlier one.
    fn keys(&self, id: &str, digest: &str, delivery: &Delivery, outcome: Outcome) -> Vec<String> {
        let mut keys = vec![format!("delivery:{id}"), format!("body:{digest}")];
        let meaning = delivery.meaning.as_ref();
        match outcome {
            Outcome::Comment => keys.extend(meaning.map(|m| format!("meaning:{m}"))),
            Outcome::Run => {
                let policy = &self.store.workspace().policy_hash;
                keys.extend(meaning.map(|m| format!("meaning:{m}+{policy}")));
            }
            _ => {}
        }
        keys
    }

    /// The run of a webhook that is on disk, begun where it is new, and whether it came before.
    async fn begun(
        &self,
        kept: DeliveryResult,
        before: Option<String>,
        prepared: Option<&PreparedRun>,
        outcome: Outcome,
        (actor, correlation): (&str, &str),
    ) -> Result<(Option<String>, bool), Refused> {
        Ok(match kept {
            DeliveryResult::New if before.is_some() => {
                self.status.count(|s| s.repeated += 1);
                (before, true)
            }
            DeliveryResult::New => {
                self.count(outcome);
                (prepared.map(|p| self.intake.launch(p)), false)
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
        })
    }

    fn count(&self, outcome: Outcome) {
        self.status.count(|s| match outcome {
            Outcome::Run => s.runs += 1,
            Outcome::Skipped => s.skipped += 1,
            Outcome::Unmapped => s.unmapped += 1,
            Outcome::Refused => s.refused += 1,
            Outcome::Comment => s.comments += 1,
        });
    }

    /// Whether one more review stays within what a pull request may cost.
    async fn within_cost(&self, delivery: &Delivery) -> Result<(Outcome, String), Refused> {
        let go = (Outcome::Run, String::new());
        let Some(pull) = &delivery.pull else {
            return Ok(go);
        };
        if pull.is_merge_group() {
            return Ok(go);
        }
        let filters = self.store.settings().github.filters_of(&pull.repository);
        let place = (pull.repository.as_str(), pull.number);
        let over = over_cost(&self.durable.journal, &filters, place).await?;
        Ok(over.map_or(go, |note| (Outcome::Skipped, note)))
    }

    /// The run that has decided about exactly this commit on its way into this branch, under the policy and with the
    /// agents of now: another event about the same is no reason to review it again.
    async fn decided_before(
        &self,
        named: &str,
        delivery: &Delivery,
    ) -> Result<Option<String>, Refused> {
        let (Some(pull), "pull_request") = (&delivery.pull, named) else {
            return Ok(None);
        };
        let base = pull.base.as_deref().unwrap_or_default();
        let workspace = self.store.workspace();
        let Some((rule, true)) = workspace.events.rule(&delivery.event) else {
            return Ok(None);
        };
        let journal = &self.durable.journal;
        let all = journal
            .pull_decisions(&pull.repository, &pull.head_sha, base)
            .await?;
        let rules = &self.store.policy().hash;
        let asks_models = !self.lifecycle.mode.offline && self.intake.models.service.wanted();
        let is_same = |plan: &Plan, run: &RunResult| {
            let asked = plan.models_wanted && !plan.offline;
            run.state == RunState::Finished
                && !matches!(run.evidence, Evidence::Partial | Evidence::Simulated)
                && plan.policy_hash == workspace.policy_hash
                && plan.rules_hash == *rules
                && asked == asks_models
                && rule.agents.iter().all(|agent| plan.agents.contains(agent))
        };
        // Only the newest counts: it is the one that is shown.
        let newest = all.iter().find(|d| !d.event.starts_with("check_"));
        Ok(newest.and_then(|decision| {
            let plan: Plan = serde_json::from_str(&decision.plan).ok()?;
            let run: RunResult = serde_json::from_str(&decision.result).ok()?;
            is_same(&plan, &run).then(|| decision.run.clone())
        }))
    }

    /// Whether a comment that may ask for something does: a reply only where remarks of ours are.
    async fn asks(&self, delivery: &Delivery) -> Result<(Outcome, String), Refused> {
        let (Some(repository), Some(comment)) = (&delivery.repository, &delivery.comment) else {
            return Ok((Outcome::Skipped, String::new()));
        };
        let journal = &self.durable.journal;
        let key = comment_key(repository, comment);
        let (waiting, _) = journal.comments_counted(&key, "").await?;
        if waiting >= WAITING {
            let note = format!("{waiting} comments of this pull request wait already");
            return Ok((Outcome::Skipped, note));
        }
        let is_reply = !comments::is_command(&comment.text);
        if is_reply {
            let row = journal.pull(&key).await?;
            let published = row.map(|row| Published::parse(&row.published));
            if published.is_none_or(|p| p.remarks.is_empty()) {
                return Ok((Outcome::Skipped, "no remark of ours is there".into()));
            }
        }
        let what = if is_reply { "a reply" } else { "a command" };
        Ok((Outcome::Comment, format!("{what} that waits")))
    }

    /// What is kept of a comment that asks for something.
    fn comment_task(
        &self,
        id: &str,
        delivery: &Delivery,
        outcome: Outcome,
    ) -> Result<Option<CommentTask>, Refused> {
        let (Outcome::Comment, Some(repository), Some(comment)) =
            (outcome, &delivery.repository, &delivery.comment)
        else {
            return Ok(None);
        };
        let job = CommentJob::new(repository, None, comment, &self.store.redactor());
        let kind = if job.is_command() { "command" } else { "reply" };
        Ok(Some(CommentTask {
            id: id.to_owned(),
            pull_key: comment_key(repository, comment),
            author: comment.author.clone(),
            kind: kind.to_owned(),
            task: serde_json::to_string(&job).map_err(JournalError::from)?,
            created_ms: self.lifecycle.wall_ms(),
        }))
    }

    fn row(
        &self,
        id: &str,
        delivery: &Delivery,
        (outcome, note): (Outcome, &str),
        run: Option<String>,
    ) -> DeliveryRow {
        let redactor = self.store.redactor();
        let place = match (&delivery.pull, &delivery.repository, &delivery.comment) {
            (Some(pull), ..) => pull.place(),
            (None, Some(repository), Some(comment)) => format!("{repository}#{}", comment.number),
            (None, Some(repository), None) => repository.clone(),
            (None, None, _) => String::new(),
        };
        DeliveryRow {
            id: id.to_owned(),
            at_ms: self.lifecycle.wall_ms(),
            event: clean_line(&redactor.text(&delivery.event), 120),
            place: clean_line(&redactor.text(&place), 220),
            outcome,
            note: note.to_owned(),
            run,
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

/// The key of the pull request that a comment is on.
fn comment_key(repository: &str, comment: &CommentEvent) -> String {
    format!("{}#{}", repository.to_ascii_lowercase(), comment.number)
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
