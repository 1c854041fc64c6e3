//! What grows is bounded: pruning on demand, what it removes and what it leaves alone.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::path::Path;

use crate::support::*;
use bsm::engine::Handle;
use bsm::engine::audit;
use bsm::engine::protocol::command::{Command, Reply};
use bsm::engine::protocol::retention::{Pruned, Store};

async fn prune(handle: &Handle, older_than_days: Option<u32>, dry_run: bool) -> Pruned {
    let asked = Command::Prune {
        older_than_days,
        dry_run,
    };
    let Reply::Pruned(pruned) = command(handle, asked).await.unwrap() else {
        unreachable!("a pruning answers with what it removed")
    };
    pruned
}

fn items(pruned: &Pruned) -> Vec<(Store, u64)> {
    pruned.removed.iter().map(|r| (r.store, r.items)).collect()
}

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prune_removes_what_is_beyond_its_bound_and_writes_it_into_the_trail() {
    let state = state_folder();
    let mut start = Start::new(state.path());
    start.settings.engine.runs_kept = 2;
    start.settings.backups.keep = 1;
    let handle = start.go().await;
    for _ in 0..5 {
        finish(&handle, trigger("pull_request.opened", DOCS)).await;
    }
    for n in 1..4 {
        std::fs::write(state.path().join(format!("bsm.db.before-{n}-x")), "copy").unwrap();
    }
    let reports = state.path().join("reports");
    assert_eq!(names(&reports).len(), 5);
    let want = [(Store::Runs, 3), (Store::MigrationBackups, 2)];
    assert_eq!(items(&prune(&handle, None, true).await), want);
    assert_eq!(
        handle.journal().recent(10).await.unwrap().len(),
        5,
        "a dry run"
    );
    assert_eq!(items(&prune(&handle, None, false).await), want);
    assert_eq!(handle.journal().recent(10).await.unwrap().len(), 2);
    assert_eq!(items(&prune(&handle, None, false).await), []);
    assert_eq!(
        names(&reports).len(),
        5,
        "reports have a bound of their own"
    );
    handle.stop(std::time::Duration::from_secs(5)).await;
    let path = state.path().join("audit.jsonl");
    assert_eq!(audit::verify(&path).unwrap().lines, 8);
    let trail = std::fs::read_to_string(path).unwrap();
    let said = "removed 3 runs, 2 migration backups";
    assert!(
        trail.contains(r#""command":"prune""#) && trail.contains(said),
        "{trail}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reports_of_runs_that_left_the_journal_are_pruned_and_a_users_files_are_not() {
    let (state, work) = (state_folder(), tempfile::tempdir().unwrap());
    let start = |most: u64| {
        let mut start = Start::new(state.path());
        start.root = Some(work.path());
        start.settings.engine.runs_kept = 1;
        start.settings.reports.max_bytes = most;
        start
    };
    let handle = start(1 << 30).go().await;
    for _ in 0..3 {
        finish(&handle, trigger("pull_request.opened", DOCS)).await;
    }
    let reports = work.path().join("reports");
    let own = ["agents-summary-2020-01-01T00-00-00Z-mine.md", "notes.md"];
    for name in own {
        std::fs::write(reports.join(name), "mine").unwrap();
    }
    assert_eq!(
        items(&prune(&handle, None, false).await),
        [(Store::Runs, 2)]
    );
    handle.stop(std::time::Duration::from_secs(5)).await;
    let handle = start(1).go().await;
    assert_eq!(
        items(&prune(&handle, None, false).await),
        [(Store::Reports, 3)]
    );
    assert_eq!(names(&reports), own.map(String::from).into());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn older_than_reaches_what_the_bounds_still_keep() {
    let state = state_folder();
    let handle = Start::new(state.path()).go().await;
    finish(&handle, trigger("pull_request.opened", DOCS)).await;
    let logs = state.path().join("logs");
    std::fs::create_dir(&logs).unwrap();
    std::fs::write(logs.join("bsm.2020-01-01.jsonl"), "{}\n").unwrap();
    let today = jiff::Timestamp::now()
        .strftime("bsm.%Y-%m-%d.jsonl")
        .to_string();
    std::fs::write(logs.join(&today), "{}\n").unwrap();
    assert_eq!(
        items(&prune(&handle, Some(1), false).await),
        [(Store::Logs, 1)]
    );
    assert_eq!(names(&logs), [today].into());
    assert_eq!(
        handle.journal().recent(10).await.unwrap().len(),
        1,
        "a run of today"
    );
}
