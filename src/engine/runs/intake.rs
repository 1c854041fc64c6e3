//! Intake, the one way into a run: the rules scan the raw change once; what is kept is redacted; the run is on
//! disk before it is acknowledged.
//!
//! Why before the acknowledgement: a run that was accepted must end in the same decision whatever happens to
//! this process, and the raw change is never written down.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use crate::code_host::Pull;
use crate::engine::audit::{Audit, CommandLine};
use crate::engine::config::reload::Reloader;
use crate::engine::config::store::ConfigStore;
use crate::engine::durable::Durable;
use crate::engine::failpoint;
use crate::engine::lifecycle::Lifecycle;
use crate::engine::models::access::Models;
use crate::engine::notifier::Notifier;
use crate::engine::protocol::command::{Refused, Reply, Subject, Trigger};
use crate::engine::protocol::event::Event;
use crate::engine::protocol::github::Change;
use crate::engine::protocol::run::{Input, Plan};
use crate::engine::runs::executor::Executor;
use crate::engine::runs::registry::RunRegistry;
use crate::engine::runs::report;
use crate::engine::runs::scan::scan;
use crate::engine::runs::scan_request::{ScanOutcome, ScanRequest};
use crate::journal::{JournalError, NewRun};
use crate::review::finding::FilterMode;
use crate::review::policy::Policy;
use crate::review::redact::Redactor;
use crate::review::scan::ScanLimits;
use crate::text::clean_line;
use crate::workspace::Workspace;
use crate::workspace::events::{EventRule, OutcomeKind};

/// A run that can be accepted.
pub struct PreparedRun {
    /// What is kept.
    pub new: NewRun,
    /// Agents, strategy, policy.
    pub plan: Plan,
    /// What the rules found.
    pub input: Input,
}

/// One per engine.
pub struct Intake {
    /// Clock, mode, stop.
    pub lifecycle: Arc<Lifecycle>,
    /// Events.
    pub notifier: Arc<Notifier>,
    /// Settings, policy, redactor.
    pub store: Arc<ConfigStore>,
    /// The workspace for the next run.
    pub reloader: Arc<Reloader>,
    /// Where runs are kept.
    pub durable: Arc<Durable>,
    /// Whether a run takes its command's line along.
    pub audit: Arc<Audit>,
    /// The queue.
    pub registry: Arc<RunRegistry>,
    /// Whether a model can be asked.
    pub models: Arc<Models>,
    /// Carries the run out.
    pub executor: Arc<Executor>,
}

impl Intake {
    /// Accepts a run: on disk when this returns. `about`: the command, where its line in the audit trail is about
    /// this run.
    ///
    /// # Errors
    /// The trigger cannot be used, no agent is selected, the queue is full, or the journal cannot be
    /// written.
    pub async fn accept(
        &self,
        trigger: Trigger,
        actor: &str,
        correlation: &str,
        about: Option<&CommandLine>,
    ) -> Result<Reply, Refused> {
        let prepared = self.prepare(trigger, None, actor, correlation).await?;
        let defaulted = !prepared.plan.own_rule && prepared.new.requested_event != "default";
        self.admit(&prepared, defaulted, about).await
    }

    /// Accepts a kept run once more, with what was scanned as it was kept.
    ///
    /// # Errors
    /// There is no such run, its event has no rule any more, the queue is full, or the journal cannot be
    /// written.
    pub async fn rerun(
        &self,
        id: &str,
        actor: &str,
        correlation: &str,
        about: Option<&CommandLine>,
    ) -> Result<Reply, Refused> {
        let prepared = self.prepare_rerun(id, actor, correlation).await?;
        self.admit(&prepared, false, about).await
    }

    /// Writes a prepared run to the journal, with the command's line for the audit trail, and launches it.
    pub(super) async fn admit(
        &self,
        prepared: &PreparedRun,
        defaulted: bool,
        about: Option<&CommandLine>,
    ) -> Result<Reply, Refused> {
        let accepted = |run: String, defaulted| Reply::Accepted {
            run,
            correlation: prepared.new.correlation.clone(),
            defaulted,
        };
        self.durable.check_intake()?;
        let line = about
            .filter(|_| self.audit.keeps())
            .map(|about| about.line(self.lifecycle.wall_ms(), &prepared.new.id));
        let text = line.as_ref().and_then(|l| crate::text::json(l).ok());
        let journal = &self.durable.journal;
        match journal.intake_audited(prepared.new.clone(), text).await {
            Ok(record) => {
                // Into the file that the next start reads.
                self.confirm_files(&prepared.new.id).await?;
                if let (Some(about), Some(line)) = (about, line) {
                    about.keep(line, record);
                }
                failpoint::reached("intake-kept");
            }
            Err(JournalError::Duplicate(first)) => {
                // A crash may have cut the first one off: it continues now.
                self.continue_kept(&first).await?;
                return Ok(accepted(first, false));
            }
            Err(error) => return Err(error.into()),
        }
        Ok(accepted(self.launch(prepared), defaulted))
    }

    /// The file that a run was written into is the one that the next start reads. Where it is not, the run is taken
    /// back in it: its caller is told that it is refused, and an operator may put the file back.
    ///
    /// # Errors
    /// A file of the journal is gone or was replaced.
    pub async fn confirm_files(&self, id: &str) -> Result<(), JournalError> {
        let checked = self.durable.check_files();
        if checked.is_err() {
            // What cannot be taken back either is in a file that is gone.
            let _ = self.durable.journal.take_back(vec![id.to_owned()]).await;
        }
        checked
    }

    /// Starts a run that is on disk; returns its id.
    pub fn launch(&self, prepared: &PreparedRun) -> String {
        let PreparedRun { new, plan, input } = prepared;
        tracing::info!(
            run = new.id,
            corr = new.correlation,
            event = %clean_line(&new.requested_event, 80),
            actor = new.actor,
            "run accepted"
        );
        self.executor.launch(new, plan, input, false);
        self.notifier.publish(Event::RunQueued {
            run: new.id.clone(),
        });
        new.id.clone()
    }

    /// Continues a kept run that nobody works on.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub async fn continue_kept(&self, id: &str) -> Result<(), JournalError> {
        let Some(row) = self.durable.journal.run(id).await? else {
            return Ok(());
        };
        if row.finished_ms.is_some() || self.registry.get(id).is_some() {
            return Ok(());
        }
        let plan: Plan = serde_json::from_str(&row.new.plan)?;
        let input: Input = serde_json::from_str(&row.new.input)?;
        if plan.simulated == self.lifecycle.mode.simulated {
            self.executor
                .launch(&row.new, &plan, &input, row.starts > 0);
        }
        Ok(())
    }

    /// Scans what a run is about; nothing is kept yet. `pull`: its change is fetched later.
    ///
    /// # Errors
    /// As [`Self::accept`], but for the journal.
    pub async fn prepare(
        &self,
        mut trigger: Trigger,
        pull: Option<Pull>,
        actor: &str,
        correlation: &str,
    ) -> Result<PreparedRun, Refused> {
        self.refuse_when_full()?;
        if !trigger.payload.is_null() && !trigger.payload.is_object() {
            return Err(Refused::input("the payload is not a JSON object"));
        }
        let requested = crate::text::cut(trigger.event.trim(), 120).to_owned();
        if requested.is_empty() {
            return Err(Refused::input("the event has no name"));
        }
        let workspace = self.reloader.workspace().await;
        let (rule, own_rule) = rule_for(&workspace, &requested)?;
        let (redactor, policy) = (self.store.redactor(), self.store.policy());
        let scans_folder = rule.outcome == OutcomeKind::Health && trigger.subject.is_none();
        let subject = match trigger.subject.take() {
            None if scans_folder => self.store.root.clone().map(|dir| Subject::Folder { dir }),
            other => other,
        };
        let outcome = self.scan(subject, &mut trigger, &redactor, &policy).await?;
        // A change in the workspace's own repository is judged by the policy of the commit it is based on.
        let other_policy = outcome
            .base_policy
            .as_ref()
            .is_some_and(|hash| *hash != workspace.policy_hash);
        let lost = lost_rules(&policy, &redactor);
        let plan = Plan {
            own_rule,
            offline: self.lifecycle.mode.offline || trigger.offline,
            rules_hash: policy.hash.clone(),
            rules_complete: lost.is_empty(),
            ..self.plan(&workspace, rule, other_policy)
        };
        let plan = Plan {
            models_wanted: !plan.offline && self.models.service.wanted(),
            ..plan
        };
        let (diff, input) = self.input(&trigger, outcome, rule, pull, &redactor);
        let input = Input {
            notes: [input.notes, lost, policy_notes(&workspace, other_policy)].concat(),
            ..input
        };
        let found = workspace.events.find(&requested);
        let event = found.map_or("default", |found| found.name).to_owned();
        let (id, now_ms) = self.new_id();
        let new = NewRun {
            report_name: report::file_name(&id, now_ms),
            id,
            created_ms: now_ms,
            event,
            requested_event: redactor.text(&requested),
            correlation: correlation.to_owned(),
            actor: actor.to_owned(),
            // Only its hash is kept: a key may be anything, a token too.
            idempotency: trigger
                .idempotency_key
                .map(|key| crate::state::hex(&Sha256::digest(key))),
            plan: serde_json::to_string(&plan).map_err(JournalError::from)?,
            input: serde_json::to_string(&input).map_err(JournalError::from)?,
            diff,
        };
        failpoint::reached("intake-scanned");
        // The scan may have taken seconds.
        self.refuse_when_full()?;
        Ok(PreparedRun { new, plan, input })
    }

    /// Runs the rules on a thread of their own.
    async fn scan(
        &self,
        subject: Option<Subject>,
        trigger: &mut Trigger,
        redactor: &Arc<Redactor>,
        policy: &Arc<Policy>,
    ) -> Result<ScanOutcome, Refused> {
        let limits = ScanLimits {
            kept_bytes: self.store.settings().engine.diff_kept_bytes,
            ..ScanLimits::default()
        };
        let filter: FilterMode = trigger.filter.unwrap_or(policy.filter);
        let linters = std::mem::take(&mut trigger.linters);
        let (redactor, policy) = (Arc::clone(redactor), Arc::clone(policy));
        let root = self.store.root.clone();
        let stop = self.lifecycle.stopping.clone();
        tokio::task::spawn_blocking(move || {
            let request = ScanRequest {
                redactor: &redactor,
                policy: &policy,
                filter,
                limits,
                linters: &linters,
                workspace: root.as_deref(),
            };
            scan(subject, &request, &|| stop.is_cancelled())
        })
        .await
        .map_err(|_| {
            Refused::input("looking at the change failed; this is a defect, please report it")
        })?
    }

    /// What of a plan comes from the workspace, the settings and the mode.
    fn plan(&self, workspace: &Workspace, rule: &EventRule, other_policy: bool) -> Plan {
        let settings = self.store.settings();
        Plan {
            strategy: rule.strategy,
            outcome: rule.outcome,
            agents: rule.agents.clone(),
            step_timeout_ms: rule
                .step_timeout_ms
                .unwrap_or(settings.engine.step_timeout_ms),
            own_rule: false,
            offline: false,
            models_wanted: false,
            simulated: self.lifecycle.mode.simulated,
            policy_hash: workspace.policy_hash.clone(),
            rules_hash: String::new(),
            rules_complete: false,
            coverage_floor: settings.review.coverage_floor,
            policy_trusted: workspace.trust.is_trusted() && !other_policy,
            offline_approval: settings.review.offline_approval,
        }
    }

    /// The redacted diff, and what else of the scan is kept.
    fn input(
        &self,
        trigger: &Trigger,
        outcome: ScanOutcome,
        rule: &EventRule,
        pull: Option<Pull>,
        redactor: &Redactor,
    ) -> (String, Input) {
        let ScanOutcome {
            scanned,
            has_diff,
            identity,
            ..
        } = outcome;
        let input = Input {
            payload: redactor.json(&trigger.payload),
            findings: scanned.findings,
            coverage: scanned.coverage,
            size: scanned.size,
            suppressed: scanned.suppressed,
            notes: scanned.notes,
            documentation: scanned.documentation,
            head_sha: head_sha(&trigger.payload),
            identity,
            has_diff,
            nothing_to_review: rule.needs_diff && !has_diff && pull.is_none(),
            missing: None,
            not_kept: scanned.not_kept,
            change: pull.map(|pull| Change {
                pull,
                to_fetch: rule.needs_diff,
                needs_diff: rule.needs_diff,
            }),
        };
        (scanned.redacted, input)
    }

    /// A kept run as a new one, under the rules and settings of now.
    pub(super) async fn prepare_rerun(
        &self,
        id: &str,
        actor: &str,
        correlation: &str,
    ) -> Result<PreparedRun, Refused> {
        let row = self.durable.journal.run(id).await?;
        let row = row.ok_or_else(|| Refused::not_found("run", id))?;
        let old: Plan = serde_json::from_str(&row.new.plan).map_err(JournalError::from)?;
        let mut input: Input = serde_json::from_str(&row.new.input).map_err(JournalError::from)?;
        if input.change.as_ref().is_some_and(|c| c.to_fetch) {
            // It could not be fetched then; it may be fetched now.
            input.missing = None;
        }
        let workspace = self.reloader.workspace().await;
        let (rule, own_rule) = workspace
            .events
            .rule(&row.new.event)
            .ok_or_else(|| Refused::not_found("event", &row.new.event))?;
        let offline = old.offline || self.lifecycle.mode.offline;
        let now = self.plan(&workspace, rule, false);
        let plan = Plan {
            own_rule: own_rule && row.new.event != "default",
            offline,
            models_wanted: !offline && self.models.service.wanted(),
            // Findings are those of the rules that scanned it, and of the base that it had.
            rules_hash: old.rules_hash,
            rules_complete: old.rules_complete,
            policy_trusted: old.policy_trusted && now.policy_trusted,
            step_timeout_ms: old.step_timeout_ms,
            ..now
        };
        self.refuse_when_full()?;
        let (new_id, now_ms) = self.new_id();
        let new = NewRun {
            report_name: report::file_name(&new_id, now_ms),
            id: new_id,
            created_ms: now_ms,
            correlation: correlation.to_owned(),
            actor: actor.to_owned(),
            idempotency: None,
            plan: serde_json::to_string(&plan).map_err(JournalError::from)?,
            input: serde_json::to_string(&input).map_err(JournalError::from)?,
            ..row.new
        };
        Ok(PreparedRun { new, plan, input })
    }

    /// A drained engine accepts nothing; the queue is bounded, and what does not fit is refused before any
    /// work is done for it.
    fn refuse_when_full(&self) -> Result<(), Refused> {
        if self.lifecycle.is_drained() {
            self.registry.count_refused();
            return Err(Refused::Drained);
        }
        let waiting = self.registry.live_count();
        let engine = &self.store.settings().engine;
        if waiting < engine.queue.saturating_add(engine.max_concurrent_runs) {
            return Ok(());
        }
        self.registry.count_not_accepted(self.lifecycle.now());
        Err(Refused::Busy { waiting })
    }

    /// A new run's id, and the time in it.
    fn new_id(&self) -> (String, i64) {
        let now_ms = self.lifecycle.wall_ms();
        let random: String = std::iter::repeat_with(fastrand::alphanumeric)
            .take(6)
            .map(|c| c.to_ascii_lowercase())
            .collect();
        (format!("job_{now_ms}_{random}"), now_ms)
    }
}

/// The rule for an event, and whether it is the event's own.
fn rule_for<'a>(workspace: &'a Workspace, event: &str) -> Result<(&'a EventRule, bool), Refused> {
    let shown = clean_line(event, 80);
    let (rule, own) = workspace
        .events
        .rule(event)
        .ok_or_else(|| Refused::NoAgent {
            reason: format!("event {shown} selects no agent and there is no default"),
        })?;
    if rule.agents.is_empty() {
        return Err(Refused::NoAgent {
            reason: format!("event {shown} selects no agent"),
        });
    }
    Ok((rule, own))
}

/// Rules that could not be used, as notes.
fn lost_rules(policy: &Policy, redactor: &Redactor) -> Vec<String> {
    let lost = policy.lost().chain(redactor.rules().lost());
    lost.take(20)
        .map(|w| {
            let (rule, what) = (clean_line(&w.rule, 120), clean_line(&w.what, 200));
            format!("left out: {rule}: {what}")
        })
        .collect()
}

/// What of the policy a reader of the run should know.
fn policy_notes(workspace: &Workspace, other_policy: bool) -> Vec<String> {
    let mut notes = Vec::new();
    if !workspace.trust.is_trusted() {
        let ignored = workspace
            .problems
            .iter()
            .filter(|p| p.message.raw().contains("not trusted"));
        notes.push("the workspace is not trusted: its settings, agents and rules take nothing away from the built-in policy, and nothing is approved (bsm trust)".into());
        notes.extend(ignored.take(20).map(crate::workspace::Problem::line_text));
    }
    if other_policy {
        notes.push("the policy files of the base commit differ from the ones in effect, so nothing is approved; run it without a resident engine, or check the base out".into());
    }
    notes
}

/// The commit that the payload is about.
fn head_sha(payload: &serde_json::Value) -> Option<String> {
    let places = [
        "/pull_request/head/sha",
        "/check_suite/head_sha",
        "/check_run/head_sha",
        "/merge_group/head_sha",
        "/head_sha",
    ];
    let sha = places.iter().find_map(|p| payload.pointer(p)?.as_str())?;
    crate::code_host::github::is_sha(sha).then(|| sha.to_ascii_lowercase())
}
