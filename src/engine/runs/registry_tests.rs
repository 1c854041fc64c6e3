//! Lists of runs when there are more than fit.

use super::*;
use crate::engine::protocol::run::{Input, Plan};
use crate::engine::protocol::snapshot::Mode;
use crate::engine::runs::projection::first_view;
use crate::journal::NewRun;
use crate::resilience::clock::SystemClock;

fn live(n: u32, state: RunState) -> (String, Arc<LiveRun>) {
    let plan: Plan = serde_json::from_value(serde_json::json!({
        "strategy": "parallel", "outcome": "review", "agents": [], "stepTimeoutMs": 1, "ownRule": true,
        "offline": true, "modelsWanted": false, "simulated": false, "policyHash": "", "rulesHash": "",
        "rulesComplete": true,
    }))
    .unwrap();
    let new = NewRun {
        id: format!("job_{n:04}_aaaaaa"),
        created_ms: i64::from(n),
        ..NewRun::default()
    };
    let mut view = first_view(&new, &plan, &Input::default());
    view.state = state;
    let run = LiveRun {
        view: Mutex::new(view),
        title: None,
        started_ms: Mutex::new(None),
        cancel: CancellationToken::new(),
    };
    (new.id, Arc::new(run))
}

#[tokio::test]
async fn briefs_more_live_runs_than_fit_keep_the_running_ones() {
    let lifecycle = Lifecycle::new(Arc::new(SystemClock), Mode::default());
    let registry = RunRegistry::new(&lifecycle, 2);
    for n in 0..100 {
        let state = if n < 2 {
            RunState::Running
        } else {
            RunState::Queued
        };
        let (id, run) = live(n, state);
        assert!(registry.insert(&id, &run));
    }
    let briefs = registry.at_once().briefs;
    assert_eq!(briefs.len(), LISTED);
    let running: Vec<i64> = briefs
        .iter()
        .filter(|b| b.state == RunState::Running)
        .map(|b| b.created_ms)
        .collect();
    assert_eq!(
        running,
        [1, 0],
        "the two oldest, last in a list of newest first"
    );
    assert_eq!(briefs[0].created_ms, 99);
}

#[test]
fn outcome_counts_missing_evidence_as_undecided_and_leaves_cancelled_runs_out() {
    use crate::engine::protocol::run::Decision;
    let of = |cause: Cause, evidence: Evidence, state: RunState| {
        let (_, run) = live(1, state);
        let mut view = lock(&run.view).clone();
        view.evidence = evidence;
        view.decision = Some(Decision::unfinished(cause, String::new()));
        outcome(&view)
    };
    let ended = RunState::Finished;
    for (cause, evidence, state, wanted) in [
        (
            Cause::AllApprove,
            Evidence::Full,
            ended,
            Some(RunOutcome::Full),
        ),
        (
            Cause::RulesOnly,
            Evidence::Offline,
            ended,
            Some(RunOutcome::Full),
        ),
        (
            Cause::Finding,
            Evidence::Partial,
            ended,
            Some(RunOutcome::Partial),
        ),
        (
            Cause::EvidencePartial,
            Evidence::Partial,
            ended,
            Some(RunOutcome::Undecided),
        ),
        (
            Cause::Quarantined,
            Evidence::Partial,
            RunState::Failed,
            Some(RunOutcome::Undecided),
        ),
        (
            Cause::Cancelled,
            Evidence::Partial,
            RunState::Cancelled,
            None,
        ),
        (Cause::NothingToReview, Evidence::Full, ended, None),
    ] {
        assert_eq!(of(cause, evidence, state), wanted, "{cause:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn run_that_ends_is_never_in_two_lists_nor_in_none() {
    let lifecycle = Lifecycle::new(Arc::new(SystemClock), Mode::default());
    let registry = RunRegistry::new(&lifecycle, 2);
    let runs: Vec<_> = (0..200).map(|n| live(n, RunState::Running)).collect();
    for (id, run) in &runs {
        assert!(registry.insert(id, run));
    }
    let (ending, now) = (Arc::clone(&registry), lifecycle.now());
    let ends = std::thread::spawn(move || {
        for (_, run) in runs {
            let view = lock(&run.view).clone();
            let brief = summary(&view, None, None, Some(1));
            ending.retire(&view, Action::Pass, brief, now);
        }
    });
    loop {
        let all = registry.at_once();
        let counts = all.counts;
        assert_eq!(u64::from(counts.running) + counts.finished, 200);
        let decided: u64 = all.decisions.iter().map(|d| d.count).sum();
        assert_eq!(decided, counts.finished);
        if counts.finished == 200 {
            break;
        }
    }
    ends.join().unwrap();
}
