//! The journal when all is well, when the disk is full, and when its file is not what it should be.

use super::*;
use rusqlite::Connection;
use std::os::unix::fs::PermissionsExt as _;

pub(super) fn run(id: &str, diff: &str) -> NewRun {
    NewRun {
        id: id.into(),
        created_ms: 1,
        event: "e".into(),
        requested_event: "e".into(),
        correlation: "c".into(),
        actor: "test".into(),
        idempotency: Some(format!("key-{id}")),
        plan: "{}".into(),
        input: "{}".into(),
        diff: diff.into(),
        report_name: "r.md".into(),
    }
}

pub(super) fn step(run: &str, agent: &str, result: &str) -> StepRow {
    StepRow {
        run_id: run.into(),
        agent_id: agent.into(),
        finished_ms: 2,
        result: result.into(),
    }
}

pub(super) fn finish(id: &str, action: &str) -> Finish {
    Finish {
        id: id.into(),
        status: RunStatus::Finished,
        at_ms: 9,
        result: "{}".into(),
        brief: format!(r#"{{"id":"{id}"}}"#),
        action: action.into(),
        report: "text".into(),
        publications: Vec::new(),
        approval: None,
        memory: None,
    }
}

#[tokio::test]
async fn a_life_of_a_run_in_memory_and_on_disk() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bsm.db");
    for journal in [Journal::in_memory().unwrap(), Journal::open(&path).unwrap()] {
        journal.intake(run("a", "d")).await.unwrap();
        assert!(
            matches!(journal.intake(run("a", "d")).await, Err(JournalError::Duplicate(id)) if id == "a")
        );
        journal.start("a", 5).await.unwrap();
        journal.step(step("a", "x", "1"), None).await.unwrap();
        journal.step(step("a", "x", "2"), None).await.unwrap(); // never twice
        assert_eq!(journal.steps("a").await.unwrap(), [step("a", "x", "1")]);
        assert_eq!(journal.unfinished().await.unwrap().len(), 1);
        journal.finish(finish("a", "block_pr")).await.unwrap();
        journal.finish(finish("a", "pass")).await.unwrap(); // the first decision stays
        let row = journal.run("a").await.unwrap().unwrap();
        assert_eq!(
            (row.action.as_deref(), row.starts, row.status),
            (Some("block_pr"), 1, RunStatus::Finished)
        );
        assert_eq!(
            journal.unfinished().await.unwrap().len(),
            1,
            "its report is not written yet"
        );
        journal.report_written("a").await.unwrap();
        assert!(journal.unfinished().await.unwrap().is_empty());
        journal.intake(run("b", "d")).await.unwrap();
        assert_eq!(journal.prune(1, i64::MAX).await.unwrap(), 1);
        assert!(journal.run("a").await.unwrap().is_none());
        assert!(journal.steps("a").await.unwrap().is_empty());
    }
    let read = Journal::read_only(&path).unwrap().unwrap();
    assert_eq!(read.count(RunStatus::Queued).unwrap(), 1);
    assert!(
        Journal::read_only(&dir.path().join("none"))
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn its_files_are_private() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(&dir.path().join("bsm.db")).unwrap();
    journal.intake(run("a", "d")).await.unwrap();
    let mut seen = 0;
    for entry in std::fs::read_dir(dir.path()).unwrap().flatten() {
        assert_eq!(
            entry.metadata().unwrap().permissions().mode() & 0o777,
            0o600,
            "{:?}",
            entry.path()
        );
        seen += 1;
    }
    assert!(seen >= 2, "the journal and its -wal");
}

#[tokio::test]
async fn a_full_disk_acknowledges_nothing_and_heals() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(&dir.path().join("bsm.db")).unwrap();
    journal.intake(run("a", "d")).await.unwrap();
    journal.limit_pages(20).await.unwrap();
    let big = "x".repeat(200_000);
    assert!(matches!(
        journal.intake(run("b", &big)).await,
        Err(JournalError::Full)
    ));
    assert!(journal.run("b").await.unwrap().is_none());
    journal.limit_pages(1_000_000).await.unwrap();
    journal.intake(run("b", &big)).await.unwrap();
    assert_eq!(
        journal.run("b").await.unwrap().unwrap().new.diff.len(),
        200_000
    );
}

#[tokio::test]
async fn one_bad_job_does_not_take_its_neighbours_back() {
    let journal = Journal::in_memory().unwrap();
    let jobs: Vec<_> = (0..50)
        .map(|i| {
            let journal = journal.clone();
            tokio::spawn(async move {
                if i % 5 == 0 {
                    journal.step(step("nobody", "x", "1"), None).await.map(drop)
                } else {
                    journal.intake(run(&format!("r{i}"), "d")).await
                }
            })
        })
        .collect();
    let mut failed = 0;
    for job in jobs {
        failed += usize::from(job.await.unwrap().is_err());
    }
    assert_eq!((failed, journal.recent(100).await.unwrap().len()), (10, 40));
}

#[test]
fn journal_of_a_newer_program_and_an_impossible_path_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bsm.db");
    Journal::open(&path).unwrap().close();
    let connection = Connection::open(&path).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    assert!(matches!(
        Journal::open(&path),
        Err(JournalError::Newer { found: 99, .. })
    ));
    let not_a_folder = path.join("bsm.db");
    assert!(matches!(
        Journal::open(&not_a_folder),
        Err(JournalError::ReadOnly(_) | JournalError::Io { .. })
    ));
}

#[tokio::test]
async fn publication_is_due_whatever_the_clock_did_meanwhile() {
    const HOUR: i64 = 3_600_000;
    let journal = Journal::in_memory().unwrap();
    let now = 1_790_000_000_000;
    journal.intake(run("a", "d")).await.unwrap();
    let mut ended = finish("a", "pass");
    // The clock was a year ahead when it was made.
    ended.at_ms = now + 8_760 * HOUR;
    ended.publications = vec![NewPublication {
        pull: r#"{"repository":"o/r","number":1}"#.into(),
        publication: "{}".into(),
        state: OutboxState::Waiting,
    }];
    journal.finish(ended).await.unwrap();
    let due = async || journal.outbox_due(now, HOUR).await.unwrap();
    let entry = due().await.pop().unwrap();
    let waits = async |next_ms: i64| {
        let (state, note) = (OutboxState::Waiting, String::new());
        let tried = journal.outbox_tried(entry.id, state, note, 1, now, next_ms);
        tried.await.unwrap();
        due().await.is_empty()
    };
    assert!(waits(now + 5_000).await, "its time has not come");
    assert!(!waits(now - 1).await, "its time has come");
    assert!(!waits(now + 2 * HOUR).await, "nothing waits for so long");
}
