//! Runs in memory: those that are queued or running, the newest that ended, and what is counted of them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::code_host::Pull;
use crate::engine::code_host::change::ChangeWait;
use crate::engine::lifecycle::Lifecycle;
use crate::engine::protocol::decision_stats::DecisionStats;
use crate::engine::protocol::run::{Action, Cause, Evidence, RunResult, RunState};
use crate::engine::protocol::snapshot::{DecisionCount, RunCounts, RunSummary};
use crate::engine::runs::decision_history::DecisionHistory;
use crate::engine::runs::phase_board::PhaseBoard;
use crate::engine::runs::projection::{RunLabel, summary};
use crate::resilience::clock::lock;
use crate::telemetry::availability::{OutcomeStats, Outcomes, RunOutcome};
use crate::telemetry::latency::Latency;
use crate::telemetry::rate::Rate;
use crate::telemetry::slots::Slots;
use crate::text::Untrusted;

/// The window of what is recent, seconds: as charts have it.
pub const RECENT_S: u64 = 900;
/// Slots of it, seconds.
const SLOT_S: u64 = 10;
/// Runs in the snapshot while fewer are live, and ended runs kept for it.
const LISTED: usize = 40;
/// Most live runs in the snapshot.
const LIVE: usize = 200;

/// A run that has not ended.
pub struct LiveRun {
    /// As it is now.
    pub view: Mutex<RunResult>,
    /// What it is called in lists.
    pub label: RunLabel,
    /// What its agents do with providers.
    pub phases: Arc<PhaseBoard>,
    /// The pull request that it is about.
    pub pull: Option<Pull>,
    /// First started, wall time in milliseconds.
    pub started_ms: Mutex<Option<i64>>,
    /// What it waits for before it has its change.
    pub change: ChangeWait,
    /// Stops it.
    pub cancel: CancellationToken,
    /// Why it was stopped, where something newer takes its place.
    pub superseded: Mutex<Option<String>>,
}

impl LiveRun {
    fn summary(&self) -> RunSummary {
        let started_ms = *lock(&self.started_ms);
        let view = lock(&self.view);
        let summary = summary(&view, &self.label, started_ms, None, Some(&self.phases));
        let waits = self.change.says();
        RunSummary {
            why: waits.map(Untrusted::new).or(summary.why),
            ..summary
        }
    }

    /// All of it at this moment, with what its agents do.
    pub fn view_now(&self) -> RunResult {
        let mut view = lock(&self.view).clone();
        for step in view.agents.iter_mut().filter(|s| !s.status.is_over()) {
            step.phases = self.phases.of(&step.agent_id);
        }
        view.notes.extend(self.change.says());
        view
    }

    fn is_running(&self) -> bool {
        lock(&self.view).state == RunState::Running
    }
}

/// One per engine.
pub struct RunRegistry {
    /// Places for running runs.
    pub slots: Arc<Semaphore>,
    /// How many there are.
    pub slot_count: u32,
    /// Time from start to decision.
    pub latency: Latency,
    /// Runs accepted.
    pub rate: Rate,
    /// Lists and counts, under one lock: a run is never in two of them, nor in none.
    runs: Mutex<Runs>,
    /// How the last hour's runs came out.
    outcomes: Outcomes,
    /// What was decided in the last hour.
    history: DecisionHistory,
    /// Runs refused because the queue was full or the engine drained.
    refused: AtomicU64,
    /// Those that were not accepted though the engine is not drained, of late.
    refused_of_late: Mutex<Slots<u64>>,
}

#[derive(Default)]
struct Runs {
    live: BTreeMap<String, Arc<LiveRun>>,
    /// Newest first.
    ended: VecDeque<RunSummary>,
    finished: u64,
    failed: u64,
    undecided: u64,
    decisions: Vec<DecisionCount>,
}

/// All runs at one moment.
pub struct RunsAtOnce {
    /// Runs by state.
    pub counts: RunCounts,
    /// Running and queued runs, at most 200, and ended ones up to 40 in all, newest first. Of more than 200 the
    /// running ones go before the queued ones.
    pub briefs: Vec<RunSummary>,
    /// Live runs that are not in it.
    pub left_out: u32,
    /// Decisions by action and evidence.
    pub decisions: Vec<DecisionCount>,
}

impl RunRegistry {
    /// Empty, with places for `concurrent` running runs.
    pub fn new(lifecycle: &Lifecycle, concurrent: u32) -> Arc<Self> {
        let now = lifecycle.now();
        Arc::new(Self {
            slots: Arc::new(Semaphore::new(concurrent as usize)),
            slot_count: concurrent,
            latency: Latency::new(now),
            rate: Rate::new(now),
            runs: Mutex::default(),
            outcomes: Outcomes::new(now),
            history: DecisionHistory::new(now),
            refused_of_late: Mutex::new(Slots::new(now, SLOT_S, RECENT_S / SLOT_S)),
            refused: AtomicU64::new(0),
        })
    }

    /// Enters a run; false when it is there already.
    pub fn insert(&self, id: &str, run: &Arc<LiveRun>) -> bool {
        let mut runs = lock(&self.runs);
        if runs.live.contains_key(id) {
            return false;
        }
        runs.live.insert(id.to_owned(), Arc::clone(run));
        true
    }

    /// The run, if it has not ended.
    pub fn get(&self, id: &str) -> Option<Arc<LiveRun>> {
        lock(&self.runs).live.get(id).cloned()
    }

    /// Whether a run about this commit on its way into this branch has not ended.
    pub fn is_reviewing(&self, pull: &Pull) -> bool {
        let same = |p: &Pull| {
            p.repository.eq_ignore_ascii_case(&pull.repository)
                && p.head_sha == pull.head_sha
                && p.base == pull.base
        };
        lock(&self.runs)
            .live
            .values()
            .any(|run| run.pull.as_ref().is_some_and(same))
    }

    /// Cancels the runs about a pull request that are about none of these commits and branches; returns their ids.
    pub fn cancel_superseded(
        &self,
        (repository, number): (&str, u64),
        kept: &[(&str, &str)],
        reason: &str,
    ) -> Vec<String> {
        let stays = |p: &Pull| {
            let base = p.base.as_deref().unwrap_or_default();
            kept.contains(&(p.head_sha.as_str(), base))
        };
        let same = |p: &Pull| p.number == number && p.repository.eq_ignore_ascii_case(repository);
        let runs = lock(&self.runs);
        let superseded = runs.live.iter().filter(|(_, run)| {
            let pull = run.pull.as_ref();
            pull.is_some_and(|p| same(p) && !stays(p)) && !run.cancel.is_cancelled()
        });
        superseded
            .map(|(id, run)| {
                *lock(&run.superseded) = Some(reason.to_owned());
                run.cancel.cancel();
                id.clone()
            })
            .collect()
    }

    /// Removes a run that does not end here.
    pub fn remove(&self, id: &str) {
        lock(&self.runs).live.remove(id);
    }

    /// A run ended: it is counted, and moves from the live ones to those that ended.
    pub fn retire(&self, view: &RunResult, action: Action, brief: RunSummary, now: Instant) {
        let outcome = outcome(view);
        let ended_ms = brief.finished_ms.unwrap_or(view.created_at);
        let mut runs = lock(&self.runs);
        runs.finished += 1;
        runs.failed += u64::from(view.state == RunState::Failed);
        runs.undecided += u64::from(outcome == Some(RunOutcome::Undecided));
        runs.count_decision(action, view.evidence);
        runs.live.remove(&view.run_id);
        runs.push_ended(brief);
        drop(runs);
        if let Some(outcome) = outcome {
            self.outcomes.record(outcome, now);
            self.history.record(action, ended_ms, now);
        }
    }

    /// Decisions of the last hour; approvals are not known here.
    pub fn decision_stats(&self, now: Instant) -> DecisionStats {
        let late = lock(&self.refused_of_late);
        let last_run_ms = lock(&self.runs).ended.front().and_then(|r| r.finished_ms);
        DecisionStats {
            full_percent: self.outcomes.stats(now).availability(),
            recent: self.outcomes.within(Duration::from_secs(RECENT_S), now),
            refused: late.running(now).map(|(_, count)| count).sum(),
            last_run_ms,
            ..self.history.stats(now)
        }
    }

    /// How the runs of the last `span` came out.
    pub fn outcomes_within(&self, span: Duration, now: Instant) -> OutcomeStats {
        self.outcomes.within(span, now)
    }

    /// Adds an ended run as the newest.
    pub fn push_ended(&self, brief: RunSummary) {
        lock(&self.runs).push_ended(brief);
    }

    /// Runs that have not ended.
    pub fn live_count(&self) -> u32 {
        lock(&self.runs).live.len() as u32
    }

    /// Their ids.
    pub fn ids(&self) -> Vec<String> {
        lock(&self.runs).live.keys().cloned().collect()
    }

    /// Cancels every run that has not ended; returns their ids.
    pub fn cancel_all(&self) -> Vec<String> {
        let runs = lock(&self.runs);
        runs.live.values().for_each(|run| run.cancel.cancel());
        runs.live.keys().cloned().collect()
    }

    /// Lists and counts, all of the same moment.
    pub fn at_once(&self) -> RunsAtOnce {
        let runs = lock(&self.runs);
        // Ids begin with their time: the last entries are the newest.
        let (running, queued): (Vec<_>, Vec<_>) =
            runs.live.values().rev().partition(|run| run.is_running());
        let counts = RunCounts {
            running: running.len() as u32,
            queued: queued.len() as u32,
            finished: runs.finished,
            failed: runs.failed,
            undecided: runs.undecided,
        };
        let live = running.into_iter().chain(queued).take(LIVE);
        let mut briefs: Vec<RunSummary> = live.map(|run| run.summary()).collect();
        let left_out = (runs.live.len() - briefs.len()) as u32;
        let room = LISTED.saturating_sub(briefs.len());
        briefs.extend(runs.ended.iter().take(room).cloned());
        briefs.sort_by(|a, b| {
            b.created_ms
                .cmp(&a.created_ms)
                .then_with(|| b.id.cmp(&a.id))
        });
        RunsAtOnce {
            counts,
            briefs,
            left_out,
            decisions: runs.decisions.clone(),
        }
    }

    /// A run was refused because the engine is drained.
    pub fn count_refused(&self) {
        self.refused.fetch_add(1, Relaxed);
    }

    /// A run was refused though the engine is not drained: the queue is full, or it could not be kept.
    pub fn count_not_accepted(&self, now: Instant) {
        self.count_refused();
        *lock(&self.refused_of_late).at(now) += 1;
    }

    /// Runs that were refused.
    pub fn refused(&self) -> u64 {
        self.refused.load(Relaxed)
    }

    /// When the oldest run that still waits for its turn was accepted, wall time in milliseconds.
    pub fn oldest_queued_ms(&self) -> Option<i64> {
        let runs = lock(&self.runs);
        let waiting = runs.live.values().map(|run| lock(&run.view));
        let waiting = waiting.filter(|view| view.state == RunState::Queued);
        waiting.map(|view| view.created_at).min()
    }

    /// A run could not be kept and was refused.
    pub fn count_not_kept(&self, now: Instant) {
        self.count_not_accepted(now);
        self.outcomes.record(RunOutcome::Refused, now);
    }

    /// How the last hour's runs came out.
    pub fn outcomes(&self, now: Instant) -> OutcomeStats {
        self.outcomes.stats(now)
    }
}

impl Runs {
    fn push_ended(&mut self, brief: RunSummary) {
        self.ended.push_front(brief);
        self.ended.truncate(LISTED);
    }

    fn count_decision(&mut self, action: Action, evidence: Evidence) {
        let same = |d: &&mut DecisionCount| d.action == action && d.evidence == evidence;
        match self.decisions.iter_mut().find(same) {
            Some(one) => one.count += 1,
            None => self.decisions.push(DecisionCount {
                action,
                evidence,
                count: 1,
            }),
        }
    }
}

/// How a run came out; `None`: it says nothing about the engine, because a person cancelled it or there was
/// nothing to review.
fn outcome(view: &RunResult) -> Option<RunOutcome> {
    let decision = view.decision.as_ref();
    match decision.and_then(|d| d.cause) {
        Some(Cause::Cancelled | Cause::NothingToReview | Cause::NoAgent) => None,
        Some(Cause::EvidencePartial | Cause::Quarantined) => Some(RunOutcome::Undecided),
        _ if view.state == RunState::Failed || decision.is_none() => Some(RunOutcome::Undecided),
        _ if view.evidence == Evidence::Partial => Some(RunOutcome::Partial),
        _ => Some(RunOutcome::Full),
    }
}

#[cfg(test)]
#[path = "registry_tests.rs"]
mod tests;
