//! Lists of runs when there are more than fit.

use super::*;
use crate::engine::notifier::Notifier;
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
        label: RunLabel::default(),
        phases: PhaseBoard::new(Arc::new(SystemClock), Notifier::new(Arc::new(SystemClock))),
        started_ms: Mutex::new(None),
        change: ChangeWait::default(),
        cancel: CancellationToken::new(),
        pull: None,
        superseded: Mutex::default(),
    };
    (new.id, Arc::new(run))
}

#[tokio::test]
async fn briefs_list_every_live_run_and_count_what_is_beyond_the_bound() {
    let lifecycle = Lifecycle::new(Arc::new(SystemClock), Mode::default());
    let registry = RunRegistry::new(&lifecycle, 2);
    for n in 0..LIVE as u32 {
        let state = if n < 2 {
            RunState::Running
        } else {
            RunState::Queued
        };
        let (id, run) = live(n, state);
        assert!(registry.insert(&id, &run));
    }
    let all = registry.at_once();
    assert_eq!((all.briefs.len(), all.left_out), (LIVE, 0));
    for n in LIVE as u32..LIVE as u32 + 5 {
        let (id, run) = live(n, RunState::Queued);
        assert!(registry.insert(&id, &run));
    }
    let all = registry.at_once();
    assert_eq!((all.briefs.len(), all.left_out), (LIVE, 5));
    let briefs = all.briefs;
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
    assert_eq!(briefs[0].created_ms, 204);
    let bytes = serde_json::to_vec(&briefs[0]).unwrap().len();
    assert!(bytes < 1_024, "one live run takes {bytes} bytes");
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
            let brief = summary(&view, &RunLabel::default(), None, Some(1), None);
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
