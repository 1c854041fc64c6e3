//! A run's life: waits for its turn, carries its steps out, decides, reports. Each finished step is on
//! disk before the next thing happens, so that a crash costs at most the steps that were at work.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::core::{Core, LiveRun};
use super::decision::{decide, evidence};
use super::report;
use super::step::{StepContext, StepDone, carry_out};
use super::types::command::payload_title;
use super::types::event::Event;
use super::types::run::{
    Action, Decision, Evidence, Input, Plan, RunResult, RunState, Step, StepStatus,
};
use super::types::snapshot::{RunBrief, StepBrief};
use crate::journal::{Finish, JournalError, NewRun, RunRow, RunStatus, StepRow};
use crate::resilience::clock::lock;
use crate::resilience::policy::elapsed_ms;
use crate::review::finding::Coverage;
use crate::review::packs;
use crate::text::Untrusted;
use crate::workspace::events::Strategy;
use crate::workspace::knowledge::Knowledge;

/// A run found active after this many starts is set aside: it may be what brought the engine down.
const MOST_STARTS: u32 = 2;

/// Enters a run into the live list and sends it on its way.
pub fn launch(core: &Arc<Core>, new: &NewRun, plan: &Plan, input: &Input, resumed: bool) {
    let live = Arc::new(LiveRun {
        view: Mutex::new(first_view(new, plan, input)),
        title: payload_title(&input.payload),
        started_ms: Mutex::new(None),
        cancel: CancellationToken::new(),
    });
    lock(&core.live).insert(new.id.clone(), Arc::clone(&live));
    let (task_core, id) = (Arc::clone(core), new.id.clone());
    core.tasks.spawn(async move {
        if let Err(error) = live_through(&task_core, &id, &live, resumed).await {
            // Only a journal that is closed ends here: the engine stops, and the run resumes later.
            tracing::info!(run = id, "run interrupted: {error}");
        }
    });
}

/// Takes up what an earlier process left: unfinished runs, and reports that were decided but not written.
pub async fn resume(core: &Arc<Core>) -> Result<usize, JournalError> {
    let rows = core.journal.unfinished().await?;
    let count = rows.len();
    for row in rows {
        if row.finished_ms.is_some() {
            write_report(
                core,
                &row.new,
                row.report_text.as_deref().unwrap_or_default(),
            )
            .await?;
            continue;
        }
        let plan: Result<Plan, _> = serde_json::from_str(&row.new.plan);
        let input: Result<Input, _> = serde_json::from_str(&row.new.input);
        match (plan, input) {
            (Ok(plan), Ok(input)) if row.starts < MOST_STARTS => {
                launch(core, &row.new, &plan, &input, row.starts > 0);
            }
            (Ok(plan), Ok(input)) => quarantine(core, &row, &plan, &input).await?,
            _ => core.alert(
                true,
                format!(
                    "run {} in the journal cannot be read and is left alone",
                    row.new.id
                ),
            ),
        }
    }
    Ok(count)
}

async fn quarantine(
    core: &Arc<Core>,
    row: &RunRow,
    plan: &Plan,
    input: &Input,
) -> Result<(), JournalError> {
    let mut view = first_view(&row.new, plan, input);
    for step in core.journal.steps(&row.new.id).await? {
        put(&mut view, &step);
    }
    let reason = format!(
        "the engine stopped {} times while it was active; it is set aside",
        row.starts
    );
    core.alert(true, format!("run {}: {reason}", row.new.id));
    view.decision = Some(Decision {
        action: Action::ManualReview,
        reason: Untrusted::new(reason),
        rule: 6,
        automated: false,
    });
    view.state = RunState::Failed;
    view.evidence = Evidence::Partial;
    conclude(
        core,
        &row.new,
        view,
        RunStatus::Failed,
        payload_title(&input.payload),
        row.started_ms,
    )
    .await
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
    let row = core.journal.run(id).await?.ok_or(JournalError::Closed)?;
    let began = core.clock.now();
    let started_ms = row.started_ms.unwrap_or_else(|| core.clock.wall_ms());
    let json = |e: serde_json::Error| JournalError::Sqlite(e.to_string());
    let plan: Arc<Plan> = Arc::new(serde_json::from_str(&row.new.plan).map_err(json)?);
    let input: Arc<Input> = Arc::new(serde_json::from_str(&row.new.input).map_err(json)?);
    if slot.is_some() {
        *lock(&live.started_ms) = Some(started_ms);
        core.persist(|| core.journal.start(id, started_ms)).await?;
        core.tell(Event::RunStarted {
            run: id.to_owned(),
            resumed,
        });
    }
    let done = core.journal.steps(id).await?;
    begin_view(core, live, &plan, &done, resumed);
    let context = Arc::new(StepContext {
        run: id.to_owned(),
        correlation: row.new.correlation.clone(),
        event: row.new.event.clone(),
        plan: Arc::clone(&plan),
        input: Arc::clone(&input),
        diff: Arc::from(row.new.diff.as_str()),
        knowledge: knowledge(core, id).await,
    });
    let finished: BTreeSet<&str> = done.iter().map(|s| s.agent_id.as_str()).collect();
    // An event may name an agent twice; it is one agent.
    let mut seen = BTreeSet::new();
    let missing: Vec<String> = plan
        .agents
        .iter()
        .filter(|a| seen.insert(a.as_str()) && !finished.contains(a.as_str()))
        .cloned()
        .collect();
    let mut left_out: Vec<Untrusted> = Vec::new();
    let groups: Vec<Vec<String>> = match plan.strategy {
        Strategy::Parallel => vec![missing],
        Strategy::Sequential => missing.into_iter().map(|a| vec![a]).collect(),
    };
    for group in groups {
        if live.cancel.is_cancelled() {
            break;
        }
        left_out.extend(carry_out_group(core, live, &context, group).await?);
    }
    let mut view = lock(&live.view).clone();
    let cancelled = live.cancel.is_cancelled();
    view.coverage = coverage_with(
        &input,
        left_out,
        view.agents.iter().any(|s| s.model.is_some()),
    );
    view.evidence = evidence(&view.agents, plan.offline);
    view.stale = view.agents.iter().any(|s| s.stale);
    let took = elapsed_ms(began, core.clock.now());
    view.duration_ms = Some(took);
    let (state, status) = if cancelled {
        (RunState::Cancelled, RunStatus::Cancelled)
    } else {
        (RunState::Finished, RunStatus::Finished)
    };
    view.state = state;
    view.decision = Some(if cancelled {
        Decision {
            action: Action::ManualReview,
            reason: Untrusted::new("the run was cancelled"),
            rule: 6,
            automated: false,
        }
    } else {
        decide(&plan, &input, &view.coverage, &view.agents, view.evidence)
    });
    if !cancelled {
        let now = core.clock.now();
        core.run_latency
            .record(now.saturating_duration_since(began), now);
    }
    conclude(
        core,
        &row.new,
        view,
        status,
        live.title.clone(),
        Some(started_ms),
    )
    .await?;
    drop(slot);
    Ok(())
}

/// The live view at the beginning: earlier steps, and what a person should know.
fn begin_view(core: &Core, live: &LiveRun, plan: &Plan, done: &[StepRow], resumed: bool) {
    let mut view = lock(&live.view);
    view.state = RunState::Running;
    if resumed {
        view.notes.push("resumed after a restart".into());
        if plan.policy_hash != core.workspace.load().policy_hash || plan.rules_hash != packs::hash()
        {
            view.notes
                .push("agents, events or rules changed since this run was taken in".into());
        }
    }
    for step in done {
        put(&mut view, step);
    }
}

async fn knowledge(core: &Arc<Core>, run: &str) -> Arc<Knowledge> {
    let root = core.root.clone();
    let load = move || async move {
        tokio::task::spawn_blocking(move || crate::workspace::knowledge::load(root.as_deref()))
            .await
            .unwrap_or_else(|_| Err("reading it failed".into()))
    };
    match core.knowledge_cache.get("documents", load).await {
        Ok((knowledge, _)) => knowledge,
        Err(error) => {
            tracing::warn!(run, "knowledge cannot be read: {error}");
            Arc::default()
        }
    }
}

/// Carries steps out at the same time; returns files that a model could not see.
async fn carry_out_group(
    core: &Arc<Core>,
    live: &Arc<LiveRun>,
    context: &Arc<StepContext>,
    agents: Vec<String>,
) -> Result<Vec<Untrusted>, JournalError> {
    let mut tasks = JoinSet::new();
    let mut names = std::collections::HashMap::new();
    for agent in agents {
        with_step(live, &agent, |s| s.status = StepStatus::Running);
        core.tell(Event::StepStarted {
            run: context.run.clone(),
            agent: agent.clone(),
        });
        let (core, context, id) = (Arc::clone(core), Arc::clone(context), agent.clone());
        let handle = tasks.spawn(async move { carry_out(&core, &context, &id).await });
        names.insert(handle.id(), agent);
    }
    let mut left_out = Vec::new();
    loop {
        let ended = tokio::select! {
            biased;
            () = core.stopping.cancelled() => return Err(JournalError::Closed),
            () = live.cancel.cancelled() => {
                tasks.abort_all();
                for agent in names.into_values() {
                    with_step(live, &agent, |s| if !s.status.is_over() { s.status = StepStatus::Cancelled });
                }
                return Ok(left_out);
            }
            ended = tasks.join_next_with_id() => ended,
        };
        let (id, done) = match ended {
            None => return Ok(left_out),
            Some(Ok((id, done))) => (id, done),
            Some(Err(error)) => {
                let id = error.id();
                let agent = names.get(&id).cloned().unwrap_or_default();
                let step = Step {
                    status: StepStatus::Failed,
                    error: Some("the step panicked; this is a defect, please report it".into()),
                    ..Step::queued(&agent)
                };
                (
                    id,
                    StepDone {
                        step,
                        left_out: Vec::new(),
                    },
                )
            }
        };
        names.remove(&id);
        keep_step(core, live, &context.run, &done.step).await?;
        left_out.extend(done.left_out);
    }
}

async fn keep_step(
    core: &Arc<Core>,
    live: &LiveRun,
    run: &str,
    step: &Step,
) -> Result<(), JournalError> {
    let row = StepRow {
        run_id: run.to_owned(),
        agent_id: step.agent_id.clone(),
        finished_ms: core.clock.wall_ms(),
        result: serde_json::to_string(step).map_err(|e| JournalError::Sqlite(e.to_string()))?,
    };
    core.persist(|| core.journal.step(row.clone())).await?;
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
fn coverage_with(input: &Input, left_out: Vec<Untrusted>, model: bool) -> Coverage {
    let mut coverage = input.coverage.clone();
    if model {
        let unique: BTreeSet<Untrusted> = left_out
            .into_iter()
            .chain(input.not_kept.iter().cloned())
            .collect();
        for path in &unique {
            coverage.skip(
                path,
                "not shown to the model: the change is larger than its room",
            );
        }
    }
    coverage
}

/// Decision, report, journal, file, lists: the end of every run.
async fn conclude(
    core: &Arc<Core>,
    new: &NewRun,
    mut view: RunResult,
    status: RunStatus,
    title: Option<Untrusted>,
    started_ms: Option<i64>,
) -> Result<(), JournalError> {
    let action = view
        .decision
        .as_ref()
        .map_or(Action::ManualReview, |d| d.action);
    if let Some(folder) = &core.reports {
        view.report = Some(
            folder
                .base
                .join(&folder.relative)
                .join(&new.report_name)
                .display()
                .to_string(),
        );
    }
    let text = report::render(&view);
    let at_ms = core.clock.wall_ms();
    let finish = Finish {
        id: new.id.clone(),
        status,
        at_ms,
        result: serde_json::to_string(&view).map_err(|e| JournalError::Sqlite(e.to_string()))?,
        action: action.word().to_owned(),
        report: text.clone(),
    };
    core.persist(|| core.journal.finish(finish.clone())).await?;
    write_report(core, new, &text).await?;
    core.counters.finished.fetch_add(1, Relaxed);
    if status == RunStatus::Failed {
        core.counters.failed.fetch_add(1, Relaxed);
    }
    tracing::info!(
        run = new.id,
        corr = new.correlation,
        action = action.word(),
        ms = view.duration_ms,
        "run ended"
    );
    core.retire(&new.id, brief(&view, title, started_ms, Some(at_ms)));
    core.tell(Event::RunFinished {
        run: new.id.clone(),
        action,
    });
    Ok(())
}

/// Writes the report's file, on the async or on the blocking path (a feature flag decides).
async fn write_report(core: &Arc<Core>, new: &NewRun, text: &str) -> Result<(), JournalError> {
    let Some(folder) = core.reports.clone() else {
        return core.journal.report_written(&new.id).await;
    };
    let (name, text) = (new.report_name.clone(), text.to_owned());
    let result = if core.settings.load().flags.async_file_io {
        let saved = tokio::task::spawn_blocking(move || report::save(&folder, &name, &text)).await;
        saved.unwrap_or_else(|_| {
            Err(crate::files::FileError::NotAFile(
                new.report_name.clone().into(),
            ))
        })
    } else {
        report::save(&folder, &name, &text)
    };
    match result {
        Ok(_) => core.persist(|| core.journal.report_written(&new.id)).await,
        Err(error) => {
            // The text is in the journal; the next start tries again.
            core.alert(
                true,
                format!(
                    "the report of {} cannot be written: {}",
                    new.id,
                    crate::text::clean_line(&error.to_string(), 300)
                ),
            );
            Ok(())
        }
    }
}

fn first_view(new: &NewRun, plan: &Plan, input: &Input) -> RunResult {
    let mut seen = BTreeSet::new();
    RunResult {
        schema_version: 1,
        run_id: new.id.clone(),
        correlation_id: new.correlation.clone(),
        event: new.event.clone(),
        requested_event: (new.requested_event != new.event)
            .then(|| Untrusted::new(new.requested_event.clone())),
        state: RunState::Queued,
        strategy: plan.strategy,
        simulated: plan.simulated,
        evidence: if plan.offline {
            Evidence::Offline
        } else {
            Evidence::Partial
        },
        stale: false,
        coverage: input.coverage.clone(),
        size: input.size,
        decision: None,
        agents: plan
            .agents
            .iter()
            .filter(|a| seen.insert(a.as_str()))
            .map(|a| Step::queued(a))
            .collect(),
        report: None,
        created_at: new.created_ms,
        duration_ms: None,
        notes: Vec::new(),
    }
}

fn put(view: &mut RunResult, row: &StepRow) {
    if let Ok(step) = serde_json::from_str::<Step>(&row.result)
        && let Some(place) = view.agents.iter_mut().find(|s| s.agent_id == step.agent_id)
    {
        *place = step;
    }
}

/// A run's entry in lists.
pub fn brief(
    view: &RunResult,
    title: Option<Untrusted>,
    started_ms: Option<i64>,
    finished_ms: Option<i64>,
) -> RunBrief {
    RunBrief {
        id: view.run_id.clone(),
        event: view
            .requested_event
            .clone()
            .unwrap_or_else(|| Untrusted::new(view.event.clone())),
        title,
        state: view.state,
        steps: view
            .agents
            .iter()
            .map(|s| StepBrief {
                agent: s.agent_id.clone(),
                status: s.status,
                verdict: s.verdict,
            })
            .collect(),
        action: view.decision.as_ref().map(|d| d.action),
        rule: view.decision.as_ref().map(|d| d.rule),
        reason: view
            .decision
            .as_ref()
            .map(|d| Untrusted::new(crate::text::cut(d.reason.raw(), 200))),
        evidence: view.decision.as_ref().map(|_| view.evidence),
        simulated: view.simulated,
        created_ms: view.created_at,
        started_ms,
        finished_ms,
    }
}

/// A run of the journal as a whole result, finished or not.
pub fn from_row(row: &RunRow, steps: &[StepRow]) -> Option<RunResult> {
    if let Some(result) = &row.result {
        return serde_json::from_str(result).ok();
    }
    let plan: Plan = serde_json::from_str(&row.new.plan).ok()?;
    let input: Input = serde_json::from_str(&row.new.input).ok()?;
    let mut view = first_view(&row.new, &plan, &input);
    if row.status == RunStatus::Running {
        view.state = RunState::Running;
    }
    for step in steps {
        put(&mut view, step);
    }
    Some(view)
}

/// A run of the journal's list.
pub fn brief_of_row(row: &RunRow) -> Option<RunBrief> {
    let view = from_row(row, &[])?;
    let payload = serde_json::from_str::<Input>(&row.new.input)
        .ok()
        .and_then(|i| payload_title(&i.payload));
    Some(brief(&view, payload, row.started_ms, row.finished_ms))
}
