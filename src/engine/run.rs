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
use super::decision::{GATES, decide, evidence};
use super::report;
use super::step::{StepContext, carry_out};
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
    });
}

/// Takes up what an earlier process left: unfinished runs, and reports that were decided but not written.
/// Runs are in the live list when this returns; what must write first goes on in the background, so that
/// a full disk cannot keep the console from opening.
pub async fn resume(core: &Arc<Core>) -> Result<usize, JournalError> {
    let rows = core.journal.unfinished().await?;
    let count = rows.len();
    for row in rows {
        let plan: Result<Plan, _> = serde_json::from_str(&row.new.plan);
        let input: Result<Input, _> = serde_json::from_str(&row.new.input);
        match (plan, input) {
            (Ok(plan), Ok(_))
                if row.finished_ms.is_none() && plan.simulated != core.mode.simulated =>
            {
                let mode = if plan.simulated {
                    "under --simulate"
                } else {
                    "with real models"
                };
                core.alert(
                    false,
                    format!(
                        "run {} was taken in {mode} and waits for such an engine",
                        row.new.id
                    ),
                );
            }
            (Ok(plan), Ok(input)) if row.finished_ms.is_none() && row.starts < MOST_STARTS => {
                launch(core, &row.new, &plan, &input, row.starts > 0);
                if row.cancel
                    && let Some(live) = core.live(&row.new.id)
                {
                    live.cancel.cancel();
                }
            }
            (Ok(plan), Ok(input)) => {
                let core = Arc::clone(core);
                core.clone().tasks.spawn(async move {
                    let done = if row.finished_ms.is_some() {
                        write_report(
                            &core,
                            &row.new,
                            row.report_text.as_deref().unwrap_or_default(),
                        )
                        .await
                    } else {
                        quarantine(&core, &row, &plan, &input).await
                    };
                    if let Err(error) = done {
                        tracing::warn!(run = row.new.id, "not taken up: {error}");
                    }
                });
            }
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

/// Goes on with a kept run that nobody works on (asked for again after a crash).
pub async fn take_up(core: &Arc<Core>, id: &str) -> Result<(), JournalError> {
    let Some(row) = core.journal.run(id).await? else {
        return Ok(());
    };
    if row.finished_ms.is_some() || core.live(id).is_some() {
        return Ok(());
    }
    let json = |e: serde_json::Error| JournalError::Sqlite(e.to_string());
    let plan: Plan = serde_json::from_str(&row.new.plan).map_err(json)?;
    let input: Input = serde_json::from_str(&row.new.input).map_err(json)?;
    if plan.simulated == core.mode.simulated {
        launch(core, &row.new, &plan, &input, row.starts > 0);
    }
    Ok(())
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
        workspace: core.workspace.load_full(),
        knowledge: knowledge(core, live, id).await,
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
    view.evidence = evidence(&view.agents, plan.offline || !plan.models_wanted);
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
        decide(
            &plan,
            &input,
            &view.coverage,
            &view.agents,
            view.evidence,
            approved_before(core, &input).await?,
        )
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

/// Whether the four gates have approved this very commit, in a run that is kept.
async fn approved_before(core: &Core, input: &Input) -> Result<bool, JournalError> {
    let Some(sha) = &input.head_sha else {
        return Ok(false);
    };
    let plans = core.journal.approving_plans(sha).await?;
    Ok(plans
        .iter()
        .filter_map(|p| serde_json::from_str::<Plan>(p).ok())
        .any(|plan| {
            !plan.simulated
                && GATES
                    .iter()
                    .all(|gate| plan.agents.iter().any(|a| a == gate))
        }))
}

/// The live view at the beginning: earlier steps, and what a person should know.
fn begin_view(core: &Core, live: &LiveRun, plan: &Plan, done: &[StepRow], resumed: bool) {
    let mut view = lock(&live.view);
    view.state = RunState::Running;
    if resumed {
        view.notes.push("resumed after a restart".into());
    }
    if plan.policy_hash != core.workspace.load().policy_hash || plan.rules_hash != packs::hash() {
        view.notes
            .push("agents, events or rules changed since this run was taken in".into());
    }
    for step in done {
        put(&mut view, step);
    }
}

async fn knowledge(core: &Arc<Core>, live: &LiveRun, run: &str) -> Arc<Knowledge> {
    let root = core.root.clone();
    let redactor = core.redactor.load_full();
    let load = move || async move {
        tokio::task::spawn_blocking(move || {
            let mut knowledge = crate::workspace::knowledge::load(root.as_deref())?;
            for document in &mut knowledge.documents {
                document.text = Untrusted::new(redactor.text(document.text.raw()));
            }
            Ok(knowledge)
        })
        .await
        .unwrap_or_else(|_| Err("reading it failed".into()))
    };
    match core.knowledge_cache.get("documents", load).await {
        Ok((knowledge, _)) => {
            let failures = knowledge
                .failures
                .iter()
                .map(|f| format!("knowledge left out: {f}"));
            lock(&live.view).notes.extend(failures);
            knowledge
        }
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
) -> Result<(), JournalError> {
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
        keep_step(core, live, &context.run, &step).await?;
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
        let mut result: RunResult = serde_json::from_str(result).ok()?;
        if !row.report_written && result.report.take().is_some() {
            result.notes.push("the report could not be written yet; its text is kept, see `bsm runs show ID --report`".into());
        }
        return Some(result);
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
