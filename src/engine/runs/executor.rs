//! A run's life: it waits for its turn, carries out its steps, decides, reports. Each finished step is on disk
//! before the next thing happens, so that a crash costs at most the steps that were running.

use std::collections::{BTreeSet, HashMap};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use futures_util::FutureExt as _;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::engine::code_host::change::{ChangeFetcher, ChangeWait, Download};
use crate::engine::code_host::dismissals::Dismissed;
use crate::engine::code_host::publisher::Publisher;
use crate::engine::config::caches::WorkspaceCaches;
use crate::engine::config::reload::Reloader;
use crate::engine::config::store::ConfigStore;
use crate::engine::durable::Durable;
use crate::engine::failpoint;
use crate::engine::lifecycle::Lifecycle;
use crate::engine::memory::index::MemoryIndex;
use crate::engine::memory::record;
use crate::engine::models::access::Models;
use crate::engine::notifier::Notifier;
use crate::engine::protocol::event::Event;
use crate::engine::protocol::run::{
    Cause, Decision, Input, Plan, RunResult, RunState, Step, StepStatus,
};
use crate::engine::runs::completion::{Completion, Ended};
use crate::engine::runs::decision::{Facts, decide};
use crate::engine::runs::numbered_diff::NumberedDiff;
use crate::engine::runs::phase_board::PhaseBoard;
use crate::engine::runs::projection::{
    RunLabel, coverage_with, fill_rule_verdicts, first_view, put_step, with_worst,
};
use crate::engine::runs::registry::{LiveRun, RunRegistry};
use crate::engine::runs::step::{StepContext, StepRunner};
use crate::journal::{JournalError, NewRun, RunRow, RunStatus, StepRow};
use crate::resilience::clock::lock;
use crate::resilience::policy::elapsed_ms;
use crate::review::finding::Suppressed;
use crate::workspace::Workspace;
use crate::workspace::events::Strategy;
use crate::workspace::knowledge::Knowledge;

/// One per engine.
pub struct Executor {
    /// Clock, tasks, stop.
    pub lifecycle: Arc<Lifecycle>,
    /// Events and alerts.
    pub notifier: Arc<Notifier>,
    /// The policy.
    pub store: Arc<ConfigStore>,
    /// The workspace for the next run.
    pub reloader: Arc<Reloader>,
    /// Knowledge documents.
    pub caches: Arc<WorkspaceCaches>,
    /// Where steps are kept.
    pub durable: Arc<Durable>,
    /// Runs in memory.
    pub registry: Arc<RunRegistry>,
    /// The budget of each run.
    pub models: Arc<Models>,
    /// Fetches a webhook's change.
    pub changes: Arc<ChangeFetcher>,
    /// Carries out a step.
    pub steps: Arc<StepRunner>,
    /// What is published.
    pub publisher: Arc<Publisher>,
    /// Remembers reviews.
    pub memory: Arc<MemoryIndex>,
    /// Ends the run.
    pub completion: Arc<Completion>,
}

impl Executor {
    /// Enters a run into the live list and starts it.
    pub fn launch(self: &Arc<Self>, new: &NewRun, plan: &Plan, input: &Input, resumed: bool) {
        let live = Arc::new(LiveRun {
            view: Mutex::new(first_view(new, plan, input)),
            label: RunLabel::new(new, input),
            pull: input.change.as_ref().map(|c| c.pull.clone()),
            phases: PhaseBoard::new(
                Arc::clone(&self.lifecycle.clock),
                Arc::clone(&self.notifier),
            ),
            started_ms: Mutex::new(None),
            change: ChangeWait::default(),
            cancel: CancellationToken::new(),
            superseded: Mutex::default(),
        });
        self.registry.rate.tick(self.lifecycle.now());
        if !self.registry.insert(&new.id, &live) {
            return; // A caller that asked again was first.
        }
        if self.lifecycle.is_drained() {
            // The drain took its list before this run was in it.
            live.cancel.cancel();
        }
        let (executor, id) = (Arc::clone(self), new.id.clone());
        let to_fetch = input.change.clone().filter(|change| change.to_fetch);
        let accepted_ms = new.created_ms;
        self.lifecycle.spawn(async move {
            let life = async {
                let download = match &to_fetch {
                    Some(change) => {
                        let fetch = executor.changes.download(
                            &live.cancel,
                            &live.change,
                            change,
                            accepted_ms,
                        );
                        Some(fetch.await?)
                    }
                    None => None,
                };
                executor.carry_out(&id, &live, resumed, download).await
            };
            let problem = match AssertUnwindSafe(life).catch_unwind().await {
                Ok(Ok(())) => return,
                // The engine stops, and the run resumes later.
                Ok(Err(JournalError::Closed)) => {
                    return tracing::info!(run = id, "run interrupted");
                }
                Ok(Err(error)) => error.to_string(),
                Err(_) => "it panicked; this is a defect, please report it".to_owned(),
            };
            // It stays unfinished in the journal: the next start continues it, or sets it aside.
            executor.registry.remove(&id);
            executor
                .notifier
                .alert(true, format!("run {id} cannot go on: {problem}"));
        });
    }

    async fn carry_out(
        &self,
        id: &str,
        live: &Arc<LiveRun>,
        resumed: bool,
        download: Option<Download>,
    ) -> Result<(), JournalError> {
        let slot = self.slot(live, resumed).await?;
        let journal = &self.durable.journal;
        let Some(mut row) = journal.run(id).await? else {
            return Err(JournalError::Row(
                "it is not in the journal any more".into(),
            ));
        };
        if row.finished_ms.is_some() {
            // It ran between its intake and this: nothing of it happens twice.
            self.registry.remove(id);
            self.notifier.mark_changed();
            return Ok(());
        }
        let began = self.lifecycle.now();
        let started_ms = row.started_ms.unwrap_or_else(|| self.lifecycle.wall_ms());
        let plan: Arc<Plan> = Arc::new(serde_json::from_str(&row.new.plan)?);
        let mut input: Input = serde_json::from_str(&row.new.input)?;
        if slot.is_some() {
            *lock(&live.started_ms) = Some(started_ms);
            self.durable
                .persist(|| journal.start(id, started_ms))
                .await?;
            failpoint::reached("run-started");
            self.notifier.publish(Event::RunStarted {
                run: id.to_owned(),
                resumed,
            });
            if let Some(download) = download
                && self.changes.keep(download, &mut row, &mut input).await?
            {
                let mut view = lock(&live.view);
                view.coverage = input.coverage.clone();
                view.size = input.size;
                view.suppressed.clone_from(&input.suppressed);
            }
        }
        let dismissed = self.dismissed(&input).await?;
        dismissed.apply(&mut input);
        lock(&live.view).suppressed.clone_from(&input.suppressed);
        let input = Arc::new(input);
        let done = journal.steps(id).await?;
        let workspace = self.reloader.workspace().await;
        self.begin_view(live, &plan, &workspace, &done, resumed);
        if resumed {
            let spent = lock(&live.view).cost_usd();
            self.models.service.spend().seed_run(id, spent);
        }
        let context = Arc::new(StepContext {
            run: id.to_owned(),
            correlation: row.new.correlation.clone(),
            event: row.new.event.clone(),
            plan,
            input,
            numbered: NumberedDiff::new(&row.new.diff),
            diff: Arc::from(row.new.diff.as_str()),
            workspace,
            phases: Arc::clone(&live.phases),
            knowledge: self.knowledge(live, id).await,
            dismissed: Arc::new(dismissed),
        });
        fill_rule_verdicts(&mut lock(&live.view), &context.workspace, &context.input);
        self.run_steps(live, &context, &done).await?;
        self.decide(live, &row, &context, (began, started_ms))
            .await?;
        drop(slot);
        Ok(())
    }

    /// Waits for a place; `None`: the run was cancelled while it waited. A run that was active at a crash takes
    /// all places: if it brings the engine down again, no other is blamed.
    async fn slot(
        &self,
        live: &LiveRun,
        alone: bool,
    ) -> Result<Option<OwnedSemaphorePermit>, JournalError> {
        let places = if alone { self.registry.slot_count } else { 1 };
        tokio::select! {
            biased;
            () = self.lifecycle.stopping.cancelled() => Err(JournalError::Closed),
            () = live.cancel.cancelled() => Ok(None),
            slot = Arc::clone(&self.registry.slots).acquire_many_owned(places) =>
                slot.map(Some).map_err(|_| JournalError::Closed),
        }
    }

    /// Carries out the steps that are missing, by the strategy of the plan.
    async fn run_steps(
        &self,
        live: &Arc<LiveRun>,
        context: &Arc<StepContext>,
        done: &[StepRow],
    ) -> Result<(), JournalError> {
        let plan = &context.plan;
        let finished: BTreeSet<&str> = done.iter().map(|s| s.agent_id.as_str()).collect();
        // An event may name an agent twice; it is one agent.
        let mut seen = BTreeSet::new();
        let missing: Vec<String> = plan
            .agents
            .iter()
            .filter(|a| seen.insert(a.as_str()) && !finished.contains(a.as_str()))
            .cloned()
            .collect();
        let groups: Vec<Vec<String>> = match plan.strategy {
            Strategy::Parallel => vec![missing],
            Strategy::Sequential => missing.into_iter().map(|a| vec![a]).collect(),
        };
        for group in groups {
            if live.cancel.is_cancelled() {
                break;
            }
            self.run_group(live, context, group).await?;
        }
        Ok(())
    }

    /// All steps have ended, or the run was cancelled: decision, publications, end.
    async fn decide(
        &self,
        live: &Arc<LiveRun>,
        row: &RunRow,
        context: &StepContext,
        (began, started_ms): (Instant, i64),
    ) -> Result<(), JournalError> {
        let (plan, input) = (&context.plan, &context.input);
        let mut view: RunResult = lock(&live.view).clone();
        let cancelled = live.cancel.is_cancelled();
        view.coverage = coverage_with(input, &view.agents);
        let approved = !cancelled && self.publisher.approved_before(input).await?;
        let facts = Facts {
            plan,
            input,
            coverage: &view.coverage,
            steps: &view.agents,
            approved,
        };
        view.evidence = facts.evidence();
        let decision = if cancelled {
            let superseded = lock(&live.superseded).clone();
            let why = superseded.as_deref().unwrap_or("the run was cancelled");
            let reason = with_worst(why, &view);
            Decision::unfinished(Cause::Cancelled, reason)
        } else {
            decide(&facts)
        };
        view.stale = view.agents.iter().any(|s| s.stale);
        let of_models = view.agents.iter().flat_map(|s| s.suppressed.clone());
        let of_models: Vec<Suppressed> = of_models.collect();
        for accepted in of_models {
            if !view.suppressed.contains(&accepted) {
                view.suppressed.push(accepted);
            }
        }
        let now = self.lifecycle.now();
        view.duration_ms = Some(elapsed_ms(began, now));
        let (state, status) = if cancelled {
            (RunState::Cancelled, RunStatus::Cancelled)
        } else {
            (RunState::Finished, RunStatus::Finished)
        };
        view.state = state;
        view.decision = Some(decision);
        if !cancelled {
            let took = now.saturating_duration_since(began);
            self.registry.latency.record(took, now);
        }
        let approval = self.publisher.hold(&context.workspace, plan, input, &view);
        let memory = record::of_run(&view, input, self.lifecycle.wall_ms());
        self.completion
            .conclude(Ended {
                new: &row.new,
                view,
                status,
                label: live.label.clone(),
                started_ms: Some(started_ms),
                approval,
                memory,
            })
            .await
    }

    /// The live view at the beginning: earlier steps, and what a person should know.
    fn begin_view(
        &self,
        live: &LiveRun,
        plan: &Plan,
        workspace: &Workspace,
        done: &[StepRow],
        resumed: bool,
    ) {
        let mut view = lock(&live.view);
        view.state = RunState::Running;
        if resumed {
            view.notes.push("resumed after a restart".into());
        }
        if plan.policy_hash != workspace.policy_hash || plan.rules_hash != self.store.policy().hash
        {
            view.notes
                .push("agents, events or rules changed since this run was accepted".into());
        }
        for step in done {
            put_step(&mut view, step);
        }
    }

    /// What is dismissed in the repository that a run is about. Kept findings stay as they are: a dismissal that is
    /// taken back counts for no later run.
    async fn dismissed(&self, input: &Input) -> Result<Dismissed, JournalError> {
        let Some(change) = &input.change else {
            return Ok(Dismissed::default());
        };
        let journal = &self.durable.journal;
        let rows = journal.dismissals_of(&change.pull.repository).await?;
        let settings = self.store.settings();
        let kept = &settings.github.not_dismissable;
        Ok(Dismissed::new(rows, kept, self.lifecycle.wall_ms()))
    }

    async fn knowledge(&self, live: &LiveRun, run: &str) -> Arc<Knowledge> {
        let (knowledge, error) = self.caches.documents().await;
        let failures = knowledge
            .failures
            .iter()
            .map(|f| format!("knowledge left out: {f}"));
        lock(&live.view).notes.extend(failures);
        if let Some(error) = error {
            tracing::warn!(run, "knowledge cannot be read: {error}");
        }
        knowledge
    }

    /// Carries out steps at the same time.
    async fn run_group(
        &self,
        live: &Arc<LiveRun>,
        context: &Arc<StepContext>,
        agents: Vec<String>,
    ) -> Result<(), JournalError> {
        let mut tasks = JoinSet::new();
        let mut names = HashMap::new();
        for agent in agents {
            with_step(live, &agent, |s| {
                s.status = StepStatus::Running;
                s.started_at = Some(self.lifecycle.wall_ms());
            });
            self.notifier.publish(Event::StepStarted {
                run: context.run.clone(),
                agent: agent.clone(),
            });
            let (steps, context, id) =
                (Arc::clone(&self.steps), Arc::clone(context), agent.clone());
            let handle = tasks.spawn(async move { steps.run(&context, &id).await });
            names.insert(handle.id(), agent);
        }
        loop {
            let ended = tokio::select! {
                biased;
                () = self.lifecycle.stopping.cancelled() => return Err(JournalError::Closed),
                () = live.cancel.cancelled() => {
                    tasks.abort_all();
                    for agent in names.into_values() {
                        let phases = live.phases.close(&agent);
                        with_step(live, &agent, |s| if !s.status.is_over() {
                            (s.status, s.phases) = (StepStatus::Cancelled, phases);
                        });
                    }
                    return Ok(());
                }
                ended = tasks.join_next_with_id() => ended,
            };
            let (id, step) = match ended {
                None => return Ok(()),
                Some(Ok((id, step))) => (id, step),
                Some(Err(error)) => {
                    let id = error.id();
                    let agent = names.get(&id).cloned().unwrap_or_default();
                    let step = Step {
                        status: StepStatus::Failed,
                        error: Some("the step panicked; this is a defect, please report it".into()),
                        ..Step::queued(&agent)
                    };
                    (id, step)
                }
            };
            names.remove(&id);
            self.keep_step(live, context, &step).await?;
        }
    }

    /// Writes a finished step down, then shows it.
    async fn keep_step(
        &self,
        live: &LiveRun,
        context: &StepContext,
        step: &Step,
    ) -> Result<(), JournalError> {
        let run = &context.run;
        let row = StepRow {
            run_id: run.to_owned(),
            agent_id: step.agent_id.clone(),
            finished_ms: self.lifecycle.wall_ms(),
            result: serde_json::to_string(step)?,
        };
        let memory = (!context.plan.simulated)
            .then(|| record::of_step(run, &context.event, &context.input, &context.diff, step))
            .flatten();
        failpoint::reached("step-computed");
        let journal = &self.durable.journal;
        let kept = self
            .durable
            .persist(|| journal.step(row.clone(), memory.clone()))
            .await?;
        failpoint::reached("step-kept");
        if let (Some(item), Some(number)) = (&memory, kept) {
            self.memory.insert(item, number);
        }
        with_step(live, &step.agent_id, |s| *s = step.clone());
        self.notifier.publish(Event::StepFinished {
            run: run.to_owned(),
            agent: step.agent_id.clone(),
            status: step.status,
        });
        Ok(())
    }
}

fn with_step(live: &LiveRun, agent: &str, change: impl FnOnce(&mut Step)) {
    if let Some(step) = lock(&live.view)
        .agents
        .iter_mut()
        .find(|s| s.agent_id == agent)
    {
        change(step);
    }
}
