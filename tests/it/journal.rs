//! The engine over a journal that was damaged: what was lost is said, decided by a person, and done once.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::time::Duration;

use crate::support::*;
use bsm::engine::Operator as _;
use bsm::engine::protocol::command::{Command, Refused};
use bsm::engine::protocol::run::{Action, RunResult, RunState};

/// Takes a run's decision out of the journal, record and row, as damage does.
fn lose_decision(journal: &Path, id: &str) {
    let connection = rusqlite::Connection::open(journal).unwrap();
    let undecided = "UPDATE runs SET finished_ms = NULL, action = NULL, result = NULL, status = 'running' WHERE id = ?1";
    assert_eq!(connection.execute(undecided, [id]).unwrap(), 1);
    let record = "DELETE FROM records WHERE kind = 'runDecided' AND subject = ?1";
    assert_eq!(connection.execute(record, [id]).unwrap(), 1);
}

async fn decided(handle: &bsm::engine::Handle, id: &str) -> RunResult {
    tokio::time::timeout(Duration::from_secs(20), handle.finished(id))
        .await
        .unwrap()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn run_whose_decision_was_lost_after_its_report_goes_to_a_person_and_is_not_run_again() {
    let state = state_folder();
    let up = upstream(|_, _| Wire::verdict("block")).await;
    let handle = Start::new(state.path()).upstream(&up.url).go().await;
    let run = finish(&handle, trigger("pull_request.opened", DOCS)).await;
    assert_eq!(run.decision.unwrap().action, Action::BlockPr);
    handle.stop(Duration::from_millis(200)).await;
    drop(handle);
    let asked = up.calls.lock().unwrap().len();
    lose_decision(&state.path().join("bsm.db"), &run.run_id);

    let mut start = Start::new(state.path()).upstream(&up.url);
    start.resident = true;
    let handle = start.go().await;
    let again = decided(&handle, &run.run_id).await;
    let decision = again.decision.unwrap();
    assert_eq!(
        (again.state, decision.action),
        (RunState::Failed, Action::ManualReview)
    );
    let reason = decision.reason.raw();
    assert!(reason.contains("its report says that it ended"), "{reason}");
    // What it said before is kept beside the new report.
    let reports = state.path().join("reports");
    // The decision is kept before its report is.
    let reported = async {
        loop {
            let row = handle.journal().run(&run.run_id).await.unwrap().unwrap();
            if row.report_written {
                return row;
            }
            tokio::task::yield_now().await;
        }
    };
    let row = tokio::time::timeout(Duration::from_secs(20), reported)
        .await
        .unwrap();
    let new = std::fs::read_to_string(reports.join(&row.new.report_name)).unwrap();
    let old = format!("{}.before-recovery", row.new.report_name);
    let old = std::fs::read_to_string(reports.join(old)).unwrap();
    assert!(
        new.contains("**manual_review**") || new.contains("manual\\_review"),
        "{new}"
    );
    assert!(
        old.contains("block_pr") || old.contains("block\\_pr"),
        "{old}"
    );
    assert_eq!(
        up.calls.lock().unwrap().len(),
        asked,
        "nobody was asked again"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn engine_over_a_recovered_journal_is_unhealthy_until_somebody_acknowledges_it() {
    let state = state_folder();
    let handle = Start::new(state.path()).go().await;
    let run = finish(&handle, trigger("pull_request.opened", DOCS)).await;
    handle.stop(Duration::from_millis(200)).await;
    drop(handle);
    lose_decision(&state.path().join("bsm.db"), &run.run_id);

    let mut start = Start::new(state.path());
    start.resident = true;
    let handle = start.go().await;
    let noticed = |s: &bsm::engine::protocol::snapshot::Snapshot| {
        s.reasons
            .iter()
            .any(|r| r.code == "journal-not-acknowledged")
    };
    let mut snapshots = handle.snapshots();
    assert!(noticed(&snapshots.borrow()), "from the first snapshot on");
    command(&handle, Command::AcknowledgeRecovery)
        .await
        .unwrap();
    let settled = snapshots.wait_for(|s| !noticed(s));
    tokio::time::timeout(Duration::from_secs(20), settled)
        .await
        .unwrap()
        .unwrap();
    let twice = command(&handle, Command::AcknowledgeRecovery).await;
    assert!(
        matches!(twice, Err(Refused::InvalidInput { .. })),
        "{twice:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn report_that_could_not_be_written_is_written_while_the_engine_runs() {
    let state = state_folder();
    let reports = state.path().join("reports");
    std::fs::write(&reports, "a file in the place of the folder").unwrap();
    let mut start = Start::new(state.path());
    start.resident = true;
    let handle = start.go().await;
    let run = finish(&handle, trigger("pull_request.opened", DOCS)).await;
    let mut snapshots = handle.snapshots();
    let said = snapshots.wait_for(|s| {
        s.alerts
            .iter()
            .any(|a| a.text.contains("it is tried again"))
    });
    let said = tokio::time::timeout(Duration::from_secs(20), said).await;
    assert!(said.unwrap().is_ok());
    std::fs::remove_file(&reports).unwrap();
    let written = async {
        loop {
            let row = handle.journal().run(&run.run_id).await.unwrap().unwrap();
            if row.report_written {
                return row;
            }
            tokio::task::yield_now().await;
        }
    };
    let row = tokio::time::timeout(Duration::from_secs(20), written)
        .await
        .unwrap();
    let text = std::fs::read_to_string(reports.join(&row.new.report_name)).unwrap();
    assert_eq!(Some(text), row.report_text);
    handle.stop(Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_in_an_old_record_is_found_while_the_engine_works_and_new_runs_are_refused() {
    let state = state_folder();
    let handle = Start::new(state.path()).go().await;
    let run = finish(&handle, trigger("pull_request.opened", DOCS)).await;
    let journal = handle.journal().clone();
    // More records than the check at start reads.
    let names: Vec<String> = (0..1_100).map(|n| format!("agent-{n}")).collect();
    let stops = names.iter().map(|name| journal.set_stopped(name, true));
    let stopped = futures_util::future::join_all(stops).await;
    assert!(stopped.iter().all(Result::is_ok));
    handle.stop(Duration::from_millis(200)).await;
    drop((handle, journal));
    let path = state.path().join("bsm.db");
    let connection = rusqlite::Connection::open(&path).unwrap();
    let sql = "UPDATE records SET body = zeroblob(9) WHERE kind = 'runAccepted'";
    assert_eq!(connection.execute(sql, []).unwrap(), 1);
    drop(connection);

    let start = || {
        let mut start = Start::new(state.path());
        start.resident = true;
        start.go()
    };
    let handle = start().await;
    let damaged = |s: &bsm::engine::protocol::snapshot::Snapshot| {
        s.reasons.iter().any(|r| r.code == "journal-damaged")
    };
    let mut snapshots = handle.snapshots();
    let found = snapshots.wait_for(|s| damaged(s));
    tokio::time::timeout(Duration::from_secs(20), found)
        .await
        .unwrap()
        .unwrap();
    let asked = Command::Trigger(trigger("pull_request.opened", DOCS));
    let refused = command(&handle, asked).await.unwrap_err();
    assert!(
        matches!(&refused, Refused::Journal { reason } if reason.contains("bsm state repair")),
        "{refused:?}"
    );
    let marked = async {
        while !handle.journal().is_marked_damaged().await.unwrap() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), marked)
        .await
        .unwrap();
    handle.stop(Duration::from_millis(200)).await;
    drop(handle);

    // The next start repairs it; what the run decided is what it was.
    let handle = start().await;
    assert!(handle.journal().notes().healed.is_some());
    assert!(!damaged(&handle.snapshots().borrow()));
    let kept = handle.journal().run(&run.run_id).await.unwrap().unwrap();
    let action = run.decision.unwrap().action;
    assert_eq!(kept.action.as_deref(), Some(action.as_str()));
}
