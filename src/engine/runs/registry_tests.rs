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
    let briefs = registry.briefs();
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
