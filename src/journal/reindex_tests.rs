//! A journal of which an index was hit, and nothing else; and one of which more was.

use std::path::Path;

use super::journal_tests::{finish, run, step};
use super::*;

const PAGE: usize = 4_096;

/// A closed journal of decided runs.
async fn filled(path: &Path, runs: usize) {
    let journal = Journal::open(path).unwrap();
    for n in 0..runs {
        let id = format!("job_{n:04}");
        journal.intake(run(&id, &"d".repeat(300))).await.unwrap();
        journal.start(&id, 5).await.unwrap();
        journal.step(step(&id, "x", "1"), None).await.unwrap();
        journal.finish(finish(&id, "block_pr")).await.unwrap();
    }
    journal.close();
}

/// The root page of a table or an index.
fn root_of(path: &Path, name: &str) -> usize {
    let connection = rusqlite::Connection::open(path).unwrap();
    let sql = "SELECT rootpage FROM sqlite_schema WHERE name = ?1";
    let page: u32 = connection.query_row(sql, [name], |r| r.get(0)).unwrap();
    page as usize
}

fn zero(path: &Path, page: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[(page - 1) * PAGE..page * PAGE].fill(0);
    std::fs::write(path, bytes).unwrap();
}

#[tokio::test]
async fn journal_with_a_bad_page_in_an_index_gets_a_new_index_and_loses_nothing() {
    for index in ["runs_by_status", "sqlite_autoindex_runs_1", "runs_by_time"] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bsm.db");
        filled(&path, 200).await;
        zero(&path, root_of(&path, index));
        let journal = Journal::open(&path).unwrap();
        let notes = journal.notes().clone();
        let healed = notes.healed.unwrap();
        assert!(healed.only_indexes, "{index}: {healed:?}");
        assert_eq!((notes.notice, notes.unproven), (None, false), "{index}");
        assert_eq!(journal.recent(1_000).await.unwrap().len(), 200);
        let row = journal.run("job_0042").await.unwrap().unwrap();
        assert_eq!(row.action.as_deref(), Some("block_pr"));
        assert_eq!(journal.steps("job_0042").await.unwrap().len(), 1);
        let again = journal.intake(run("job_0042", "d")).await;
        assert!(
            matches!(again, Err(JournalError::Duplicate(_))),
            "{again:?}"
        );
        journal.intake(run("job_new", "d")).await.unwrap();
        journal.close();
        assert!(healed.kept_as.exists());
        let whole = Journal::open(&path).unwrap();
        assert_eq!(whole.notes(), &JournalNotes::default(), "{index}");
    }
}

#[tokio::test]
async fn journal_with_a_bad_page_in_a_table_is_repaired_and_needs_an_acknowledgement() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bsm.db");
    filled(&path, 200).await;
    zero(&path, root_of(&path, "runs_by_status"));
    zero(&path, root_of(&path, "runs"));
    let journal = Journal::open(&path).unwrap();
    let healed = journal.notes().healed.clone().unwrap();
    assert!(!healed.only_indexes && journal.notes().notice.is_some());
    assert_eq!(journal.recent(1_000).await.unwrap().len(), 200);
}

#[tokio::test]
async fn journal_with_a_bad_index_and_missing_records_is_not_called_whole() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bsm.db");
    filled(&path, 50).await;
    let connection = rusqlite::Connection::open(&path).unwrap();
    let newest = "DELETE FROM records WHERE sequence = (SELECT max(sequence) FROM records)";
    assert_eq!(connection.execute(newest, []).unwrap(), 1);
    connection.close().unwrap();
    zero(&path, root_of(&path, "runs_by_status"));
    let journal = Journal::open(&path).unwrap();
    assert!(journal.notes().notice.is_some());
}
