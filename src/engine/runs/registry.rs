//! Runs in memory: those that are queued or running, the newest that ended, and what is counted of them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::engine::lifecycle::Lifecycle;
use crate::engine::protocol::run::{Action, Cause, Evidence, RunResult, RunState};
use crate::engine::protocol::snapshot::{DecisionCount, RunCounts, RunSummary};
use crate::engine::runs::projection::summary;
use crate::resilience::clock::lock;
use crate::telemetry::availability::{OutcomeStats, Outcomes, RunOutcome};
use crate::telemetry::latency::Latency;
use crate::telemetry::rate::Rate;
use crate::text::Untrusted;

/// Runs in the snapshot, and ended runs kept for it.
const LISTED: usize = 40;

/// A run that has not ended.
pub struct LiveRun {
    /// As it is now.
    pub view: Mutex<RunResult>,
    /// Its title in lists.
    pub title: Option<Untrusted>,
    /// First started, wall time in milliseconds.
    pub started_ms: Mutex<Option<i64>>,
    /// Stops it.
    pub cancel: CancellationToken,
}

impl LiveRun {
    fn summary(&self) -> RunSummary {
        let started_ms = *lock(&self.started_ms);
        summary(&lock(&self.view), self.title.clone(), started_ms, None)
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
    live: Mutex<BTreeMap<String, Arc<LiveRun>>>,
    /// Newest first.
    ended: Mutex<VecDeque<RunSummary>>,
    finished: AtomicU64,
    failed: AtomicU64,
    undecided: AtomicU64,
    /// How the last hour's runs came out.
    outcomes: Outcomes,
    /// Runs refused because the queue was full or the engine drained.
    refused: AtomicU64,
    decisions: Mutex<Vec<DecisionCount>>,
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
            live: Mutex::default(),
            ended: Mutex::default(),
            finished: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            undecided: AtomicU64::new(0),
            outcomes: Outcomes::new(now),
            refused: AtomicU64::new(0),
            decisions: Mutex::default(),
        })
    }

    /// Enters a run; false when it is there already.
    pub fn insert(&self, id: &str, run: &Arc<LiveRun>) -> bool {
        let mut live = lock(&self.live);
        if live.contains_key(id) {
            return false;
        }
        live.insert(id.to_owned(), Arc::clone(run));
        true
    }

    /// The run, if it has not ended.
    pub fn get(&self, id: &str) -> Option<Arc<LiveRun>> {
        lock(&self.live).get(id).cloned()
    }

    /// Removes a run that does not end here.
    pub fn remove(&self, id: &str) {
        lock(&self.live).remove(id);
    }

    /// Moves a run from the live ones to those that ended.
    pub fn retire(&self, id: &str, brief: RunSummary) {
        self.remove(id);
        self.push_ended(brief);
    }

    /// Adds an ended run as the newest.
    pub fn push_ended(&self, brief: RunSummary) {
        let mut ended = lock(&self.ended);
        ended.push_front(brief);
        ended.truncate(LISTED);
    }

    /// Runs that have not ended.
    pub fn live_count(&self) -> u32 {
        lock(&self.live).len() as u32
    }

    /// Their ids.
    pub fn ids(&self) -> Vec<String> {
        lock(&self.live).keys().cloned().collect()
    }

    /// Cancels every run that has not ended; returns their ids.
    pub fn cancel_all(&self) -> Vec<String> {
        let live = lock(&self.live);
        live.values().for_each(|run| run.cancel.cancel());
        live.keys().cloned().collect()
    }

    /// Runs by state.
    pub fn counts(&self) -> RunCounts {
        let (total, running) = {
            let live = lock(&self.live);
            let running = live.values().filter(|run| run.is_running()).count() as u32;
            (live.len() as u32, running)
        };
        RunCounts {
            running,
            queued: total.saturating_sub(running),
            finished: self.finished.load(Relaxed),
            failed: self.failed.load(Relaxed),
            undecided: self.undecided.load(Relaxed),
        }
    }

    /// Running, queued and ended runs, at most 40, newest first. Where there are more, running runs go before
    /// queued ones and these before ended ones.
    pub fn briefs(&self) -> Vec<RunSummary> {
        let mut briefs: Vec<RunSummary> = {
            let live = lock(&self.live);
            // Ids begin with their time: the last entries are the newest.
            let (running, queued): (Vec<_>, Vec<_>) =
                live.values().rev().partition(|run| run.is_running());
            let all = running.into_iter().chain(queued).take(LISTED);
            all.map(|run| run.summary()).collect()
        };
        let room = LISTED - briefs.len();
        briefs.extend(lock(&self.ended).iter().take(room).cloned());
        briefs.sort_by(|a, b| {
            b.created_ms
                .cmp(&a.created_ms)
                .then_with(|| b.id.cmp(&a.id))
        });
        briefs
    }

    /// A run was refused.
    pub fn count_refused(&self) {
        self.refused.fetch_add(1, Relaxed);
    }

    /// Runs that were refused.
    pub fn refused(&self) -> u64 {
        self.refused.load(Relaxed)
    }

    /// When the oldest run that still waits for its turn was accepted, wall time in milliseconds.
    pub fn oldest_queued_ms(&self) -> Option<i64> {
        let live = lock(&self.live);
        let waiting = live.values().map(|run| lock(&run.view));
        let waiting = waiting.filter(|view| view.state == RunState::Queued);
        waiting.map(|view| view.created_at).min()
    }

    /// A run could not be kept and was refused.
    pub fn count_not_kept(&self, now: Instant) {
        self.count_refused();
        self.outcomes.record(RunOutcome::Refused, now);
    }

    /// How the last hour's runs came out.
    pub fn outcomes(&self, now: Instant) -> OutcomeStats {
        self.outcomes.stats(now)
    }

    /// A run ended.
    pub fn count_ended(&self, view: &RunResult, action: Action, now: Instant) {
        self.finished.fetch_add(1, Relaxed);
        if view.state == RunState::Failed {
            self.failed.fetch_add(1, Relaxed);
        }
        if let Some(outcome) = outcome(view) {
            if outcome == RunOutcome::Undecided {
                self.undecided.fetch_add(1, Relaxed);
            }
            self.outcomes.record(outcome, now);
        }
        let evidence = view.evidence;
        let mut all = lock(&self.decisions);
        let same = |d: &&mut DecisionCount| d.action == action && d.evidence == evidence;
        match all.iter_mut().find(same) {
            Some(one) => one.count += 1,
            None => all.push(DecisionCount {
                action,
                evidence,
                count: 1,
            }),
        }
    }

    /// Decisions by action and evidence.
    pub fn decisions(&self) -> Vec<DecisionCount> {
        lock(&self.decisions).clone()
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
