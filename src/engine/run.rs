//! A run's life: waits for its turn, carries its steps out, decides, reports. Each finished step is on
//! disk before the next thing happens, so that a crash costs at most the steps that were at work.

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};

use futures_util::FutureExt as _;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::core::{Core, LiveRun};
use super::decision::{Facts, GATES, at, decide};
use super::ending::{Leaving, conclude};
use super::failpoint;
use super::fetching;
use super::numbered_diff::NumberedDiff;
use super::step::{StepContext, by_rules, carry_out};
use super::types::command::payload_title;
use super::types::event::Event;
use super::types::run::{
    Action, Cause, Decision, Evidence, Input, Plan, RunResult, RunState, Step, StepStatus,
};
use super::views::{first_view, put};
use super::{approvals, outbox, publish, remembering};
use crate::github::Pull;
use crate::journal::{JournalError, NewPublication, NewRun, OutboxState, RunStatus, StepRow};
use crate::resilience::clock::lock;
use crate::resilience::policy::elapsed_ms;
use crate::review::finding::{Coverage, Severity};
use crate::text::Untrusted;
use crate::workspace::Workspace;
use crate::workspace::events::Strategy;
use crate::workspace::knowledge::Knowledge;

/// Enters a run into the live list and sends it on its way.
pub fn launch(core: &Arc<Core>, new: &NewRun, plan: &Plan, input: &Input, resumed: bool) {
    let live = Arc::new(LiveRun {
        view: Mutex::new(first_view(new, plan, input)),
        title: payload_title(&input.payload),
        started_ms: Mutex::new(None),
        cancel: CancellationToken::new(),
    });
    core.runs_rate.tick(core.clock.now());
    {
        let mut all = lock(&core.live);
        if all.contains_key(&new.id) {
            return; // Somebody who asked again was first.
        }
        all.insert(new.id.clone(), Arc::clone(&live));
    }
    if core.drained.load(Relaxed) {
        // The drain took its list before this run was in it.
        live.cancel.cancel();
    }
    let (task_core, id) = (Arc::clone(core), new.id.clone());
    let life = async move {
        let lived = live_through(&task_core, &id, &live, resumed);
        let problem = match AssertUnwindSafe(lived).catch_unwind().await {
            Ok(Ok(())) => return,
            // The engine stops, and the run resumes later.
            Ok(Err(JournalError::Closed)) => return tracing::info!(run = id, "run interrupted"),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "it panicked; this is a defect, please report it".to_owned(),
        };
        // It stays unfinished in the journal: the next start takes it up, or sets it aside.
        lock(&task_core.live).remove(&id);
        task_core.alert(true, format!("run {id} cannot go on: {problem}"));
    };
    core.tasks.spawn_on(life, &core.on);
}

async fn live_through(
    core: &Arc<Core>,
    id: &str,
    live: &Arc<LiveRun>,
    resumed: bool,
) -> Result<(), JournalError> {
    let slot = tokio::select! {
        biased;
        () = core.stopping.cancelled() => return Err(JournalError::Closed),
        () = live.cancel.cancelled() => None,
        slot = Arc::clone(&core.slots).acquire_owned() => Some(slot.map_err(|_| JournalError::Closed)?),
    };
    let mut row = core.journal.run(id).await?.ok_or(JournalError::Closed)?;
    if row.finished_ms.is_some() {
        // It ran between its intake and this: nothing of it happens twice.
        lock(&core.live).remove(id);
        core.dirty.notify_one();
        return Ok(());
    }
    let began = core.clock.now();
    let started_ms = row.started_ms.unwrap_or_else(|| core.clock.wall_ms());
    let json = |e: serde_json::Error| JournalError::Sqlite(e.to_string());
    let plan: Arc<Plan> = Arc::new(serde_json::from_str(&row.new.plan).map_err(json)?);
    let mut input: Input = serde_json::from_str(&row.new.input).map_err(json)?;
    if slot.is_some() {
        *lock(&live.started_ms) = Some(started_ms);
        core.persist(|| core.journal.start(id, started_ms)).await?;
        failpoint::reached("run-started");
        core.tell(Event::RunStarted {
            run: id.to_owned(),
            resumed,
        });
        fetching::complete(core, live, &mut row, &mut input).await?;
    }
    let input = Arc::new(input);
    let done = core.journal.steps(id).await?;
    begin_view(core, live, &plan, &done, resumed);
    if resumed {
        let spent = lock(&live.view).cost_usd();
        core.models.spend().seed_run(id, spent);
    }
    let context = Arc::new(StepContext {
        run: id.to_owned(),
        correlation: row.new.correlation.clone(),
        event: row.new.event.clone(),
        plan: Arc::clone(&plan),
        input: Arc::clone(&input),
        numbered: NumberedDiff::new(&row.new.diff),
        diff: Arc::from(row.new.diff.as_str()),
        workspace: core.workspace.load_full(),
        knowledge: knowledge(core, live, id).await,
    });
    stand_by_rules(&mut lock(&live.view), &context.workspace, &input);
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
        carry_out_group(core, live, &context, group).await?;
    }
    let mut view = lock(&live.view).clone();
    let cancelled = live.cancel.is_cancelled();
    view.coverage = coverage_with(&input, &view.agents);
    let approved = !cancelled && approved_before(core, &input).await?;
    let facts = Facts {
        plan: &plan,
        input: &input,
        coverage: &view.coverage,
        steps: &view.agents,
        approved,
    };
    view.evidence = facts.evidence();
    let decision = if cancelled {
        Decision::unfinished(Cause::Cancelled, with_worst("the run was cancelled", &view))
    } else {
        decide(&facts)
    };
    view.stale = view.agents.iter().any(|s| s.stale);
    let took = elapsed_ms(began, core.clock.now());
    view.duration_ms = Some(took);
    let (state, status) = if cancelled {
        (RunState::Cancelled, RunStatus::Cancelled)
    } else {
        (RunState::Finished, RunStatus::Finished)
    };
    view.state = state;
    view.decision = Some(decision);
    if !cancelled {
        let now = core.clock.now();
        core.run_latency
            .record(now.saturating_duration_since(began), now);
    }
    let mut leaving = publications(core, &context.workspace, &plan, &input, &view).await?;
    leaving.memory = remembering::of_run(&view, &input, core.clock.wall_ms());
    conclude(
        core,
        &row.new,
        view,
        status,
        live.title.clone(),
        Some(started_ms),
        leaving,
    )
    .await?;
    drop(slot);
    Ok(())
}

/// What the decision leaves at GitHub: of a webhook's run, with a token for its repository, never under
/// the simulator.
pub(super) async fn publications(
    core: &Core,
    workspace: &Workspace,
    plan: &Plan,
    input: &Input,
    view: &RunResult,
) -> Result<Leaving, JournalError> {
    let nothing = Leaving::default();
    let Some(change) = input.change.as_ref().filter(|_| !plan.simulated) else {
        return Ok(nothing);
    };
    // What decides what is done with the operator's token is what the operator trusts.
    if !workspace.trust.is_trusted() {
        let place = change.pull.place();
        core.alert(
            true,
            format!("nothing is published on {place}: the workspace is not trusted (bsm trust)"),
        );
        return Ok(nothing);
    }
    let settings = core.settings.load_full();
    let dry = settings.github.dry_run;
    if !dry && outbox::token(core, &change.pull.repository).is_none() {
        return Ok(nothing);
    }
    // A run of the gates is its own proof; another one needs theirs.
    let merges = covers_gates(plan) || proved(core, &change.pull).await?;
    let all = publish::of(view, &change.pull, settings.github.publish, merges);
    let holding: Vec<_> = plan
        .agents
        .iter()
        .filter_map(|a| workspace.agent(a))
        .filter(|a| approvals::needed(a))
        .collect();
    // The registry may leave it to the evidence: then full evidence is the approval.
    let by_evidence = view.evidence == Evidence::Full
        && view.decision.as_ref().is_some_and(|d| d.automated)
        && holding
            .iter()
            .all(|a| a.approval.kind == "automated" && !a.safety.requires_approval);
    let held = !holding.is_empty() && !by_evidence && !dry;
    let state = match (dry, held) {
        (true, _) => OutboxState::Dry,
        (_, true) => OutboxState::Held,
        _ => OutboxState::Waiting,
    };
    let json = |e: serde_json::Error| JournalError::Sqlite(e.to_string());
    let pull = serde_json::to_string(&change.pull).map_err(json)?;
    let mut publications = Vec::new();
    for publication in &all {
        publications.push(NewPublication {
            pull: pull.clone(),
            publication: serde_json::to_string(publication).map_err(json)?,
            state,
        });
    }
    let approval = (held && !publications.is_empty()).then(|| {
        let kinds: Vec<&str> = all.iter().map(crate::github::Publication::kind).collect();
        let action = view
            .decision
            .as_ref()
            .map_or("no decision", |d| d.action.word());
        let (place, kinds) = (change.pull.place(), kinds.join(", "));
        let what = format!("publishing {action} on {place} ({kinds})");
        let agents = holding.iter().map(|a| &***a);
        approvals::new(core, "publish", &view.run_id, what, agents)
    });
    Ok(Leaving {
        publications,
        approval,
        memory: None,
    })
}

fn covers_gates(plan: &Plan) -> bool {
    GATES
        .iter()
        .all(|gate| plan.agents.iter().any(|a| a == gate))
}

/// Whether the four gates have approved this very commit, in a run that is kept.
async fn approved_before(core: &Core, input: &Input) -> Result<bool, JournalError> {
    let Some(sha) = &input.head_sha else {
        return Ok(false);
    };
    let plans = core.journal.approving_plans(sha).await?;
    Ok(plans
        .iter()
        .filter_map(|p| serde_json::from_str::<Plan>(p).ok())
        .any(|plan| by_models(&plan) && covers_gates(&plan)))
}

/// Models were asked, real ones: what rules alone or simulated models say proves nothing.
fn by_models(plan: &Plan) -> bool {
    plan.models_wanted && !plan.offline && !plan.simulated
}

/// Whether a merge is proved: the newest run of the four gates on this very pull request and commit approved
/// it with models. A newer one that did not is the last word.
async fn proved(core: &Core, pull: &Pull) -> Result<bool, JournalError> {
    let decided = core
        .journal
        .decided(&pull.repository, pull.number, &pull.head_sha)
        .await?;
    let newest = decided
        .iter()
        .filter_map(|(plan, action)| Some((serde_json::from_str::<Plan>(plan).ok()?, action)))
        .find(|(plan, _)| !plan.simulated && covers_gates(plan));
    Ok(newest
        .is_some_and(|(plan, action)| by_models(&plan) && action == Action::ApproveAndMerge.word()))
}

/// The live view at the beginning: earlier steps, and what a person should know.
fn begin_view(core: &Core, live: &LiveRun, plan: &Plan, done: &[StepRow], resumed: bool) {
    let mut view = lock(&live.view);
    view.state = RunState::Running;
    if resumed {
        view.notes.push("resumed after a restart".into());
    }
    if plan.policy_hash != core.workspace.load().policy_hash
        || plan.rules_hash != core.policy.load().hash
    {
        view.notes
            .push("agents, events or rules changed since this run was taken in".into());
    }
    for step in done {
        put(&mut view, step);
    }
}

async fn knowledge(core: &Arc<Core>, live: &LiveRun, run: &str) -> Arc<Knowledge> {
    let (knowledge, error) = documents(core).await;
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

/// The workspace's documents, redacted; none, with the reason, where they cannot be read.
pub(super) async fn documents(core: &Arc<Core>) -> (Arc<Knowledge>, Option<String>) {
    let files = core.workspace.load().files.clone();
    let trusted = core.workspace.load().trust.is_trusted();
    let redactor = core.redactor.load_full();
    let clock = Arc::clone(&core.clock);
    let load = move |_| async move {
        let began = clock.now();
        let read = tokio::task::spawn_blocking(move || {
            // What nobody trusts tells no model how to judge.
            let files = files.as_deref().filter(|_| trusted);
            let mut knowledge = crate::workspace::knowledge::load(files)?;
            for document in &mut knowledge.documents {
                document.text = Untrusted::new(redactor.text(document.text.raw()));
            }
            Ok(knowledge)
        })
        .await
        .unwrap_or_else(|_| Err("reading it failed".into()));
        loaded("knowledge", elapsed_ms(began, clock.now()), &read);
        read
    };
    match core.knowledge_cache.get("documents", load).await {
        Ok((knowledge, _)) => (knowledge, None),
        Err(error) => (Arc::default(), Some(error.to_string())),
    }
}

/// A load of files that takes longer is worth a warning.
const SLOW_MS: u64 = 500;

/// Says in the log what a cache loaded: the cause behind a cache that is slow.
pub(super) fn loaded<T>(cache: &str, ms: u64, result: &Result<T, String>) {
    match result {
        Ok(_) if ms < SLOW_MS => tracing::info!(cache, ms, "cache loaded"),
        Ok(_) => tracing::warn!(cache, ms, "cache loaded slowly"),
        Err(error) => tracing::warn!(cache, ms, error, "cache not loaded"),
    }
}

/// Carries steps out at the same time; returns files that a model could not see.
async fn carry_out_group(
    core: &Arc<Core>,
    live: &Arc<LiveRun>,
    context: &Arc<StepContext>,
    agents: Vec<String>,
) -> Result<(), JournalError> {
    let mut tasks = JoinSet::new();
    let mut names = std::collections::HashMap::new();
    for agent in agents {
        with_step(live, &agent, |s| {
            s.status = StepStatus::Running;
            s.started_at = Some(core.clock.wall_ms());
        });
        core.tell(Event::StepStarted {
            run: context.run.clone(),
            agent: agent.clone(),
        });
        let (core, context, id) = (Arc::clone(core), Arc::clone(context), agent.clone());
        let handle = tasks.spawn(async move { carry_out(&core, &context, &id).await });
        names.insert(handle.id(), agent);
    }
    loop {
        let ended = tokio::select! {
            biased;
            () = core.stopping.cancelled() => return Err(JournalError::Closed),
            () = live.cancel.cancelled() => {
                tasks.abort_all();
                for agent in names.into_values() {
                    with_step(live, &agent, |s| if !s.status.is_over() { s.status = StepStatus::Cancelled });
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
        keep_step(core, live, context, &step).await?;
    }
}

/// Fills in what the rules say for every step that has not ended: a run that is cancelled, or set aside,
/// must not look as if nothing had been found.
pub(super) fn stand_by_rules(view: &mut RunResult, workspace: &Workspace, input: &Input) {
    for step in view.agents.iter_mut().filter(|s| !s.status.is_over()) {
        if let Some(agent) = workspace.agent(&step.agent_id) {
            let (findings, verdict) = by_rules(agent, input);
            (step.findings, step.verdict) = (findings, Some(verdict));
        }
    }
}

/// A reason with the worst thing that was found, so that it is not lost on the way to a person.
pub(super) fn with_worst(reason: &str, view: &RunResult) -> String {
    let all = view.agents.iter().flat_map(|s| &s.findings);
    let worst = all
        .filter(|f| f.severity >= Severity::High)
        .max_by_key(|f| f.severity);
    worst.map_or_else(
        || reason.to_owned(),
        |f| format!("{reason}; the rules found {}{}", f.rule, at(f)),
    )
}

async fn keep_step(
    core: &Arc<Core>,
    live: &LiveRun,
    context: &StepContext,
    step: &Step,
) -> Result<(), JournalError> {
    let run = &context.run;
    let row = StepRow {
        run_id: run.to_owned(),
        agent_id: step.agent_id.clone(),
        finished_ms: core.clock.wall_ms(),
        result: serde_json::to_string(step).map_err(|e| JournalError::Sqlite(e.to_string()))?,
    };
    let memory = (!context.plan.simulated)
        .then(|| remembering::of_step(run, &context.event, &context.input, &context.diff, step))
        .flatten();
    failpoint::reached("step-computed");
    let kept = core
        .persist(|| core.journal.step(row.clone(), memory.clone()))
        .await?;
    failpoint::reached("step-kept");
    if let (Some(item), Some(number)) = (&memory, kept) {
        remembering::index(&core.memory, item, number);
    }
    with_step(live, &step.agent_id, |s| *s = step.clone());
    core.tell(Event::StepFinished {
        run: run.to_owned(),
        agent: step.agent_id.clone(),
        status: step.status,
    });
    Ok(())
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

/// What rules and models together looked at.
fn coverage_with(input: &Input, steps: &[Step]) -> Coverage {
    let mut coverage = input.coverage.clone();
    if steps.iter().any(|s| s.model.is_some()) {
        let left_out = steps.iter().flat_map(|s| &s.left_out);
        let unique: BTreeSet<&Untrusted> = left_out.chain(&input.not_kept).collect();
        for path in unique {
            coverage.skip(
                path,
                "not shown to the model: the change is larger than its room",
            );
        }
    }
    coverage
}
