//! Damage where the check at start does not look.

use std::os::unix::fs::FileExt as _;
use std::path::Path;

use futures_util::future::join_all;
use rusqlite::Connection;

use super::journal_tests::{finish, run};
use super::*;

/// More records than the check at start reads.
const RUNS: usize = 1_100;

async fn large(path: &Path) -> Journal {
    let journal = Journal::open(path).unwrap();
    let runs = (0..RUNS).map(|n| journal.intake(run(&format!("job_{n}"), "d")));
    assert!(join_all(runs).await.iter().all(Result::is_ok));
    journal
}

/// Passes over the journal; the damage, or how many records were read.
fn verified(journal: &Journal) -> Result<u64, String> {
    let mut verification = journal.verification().unwrap();
    loop {
        match verification.step().unwrap() {
            Piece::More => {}
            Piece::Whole { records } => return Ok(records),
            Piece::Damage(what) => return Err(what),
        }
    }
}

fn execute(path: &Path, sql: &str) {
    let connection = Connection::open(path).unwrap();
    assert_eq!(connection.execute(sql, []).unwrap(), 1);
}

#[tokio::test]
async fn damage_in_an_old_record_is_found_in_the_background_and_repaired_at_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bsm.db");
    let journal = large(&path).await;
    assert_eq!(verified(&journal), Ok(RUNS as u64));
    journal.close();
    execute(
        &path,
        "UPDATE records SET body = zeroblob(9) WHERE sequence = 5",
    );
    let journal = Journal::open(&path).unwrap();
    assert_eq!(journal.notes(), &JournalNotes::default());
    let damage = verified(&journal).unwrap_err();
    assert_eq!(damage, "the bytes of record 5 have changed");
    // A start that does not know of it does not look there; one that does reads all of it.
    journal.close();
    let journal = Journal::open(&path).unwrap();
    assert_eq!(journal.notes(), &JournalNotes::default());
    journal.mark_damaged(&damage).await.unwrap();
    journal.close();
    let journal = Journal::open(&path).unwrap();
    let healed = journal.notes().healed.as_ref().unwrap();
    assert_eq!(healed.damage, damage);
    assert_eq!(journal.recent(5_000).await.unwrap().len(), RUNS);
    assert!(verified(&journal).is_ok());
    journal.close();
    assert_eq!(Journal::open(&path).unwrap().notes().healed, None);
}

#[tokio::test]
async fn old_record_that_is_damaged_is_found_by_whoever_asks_for_the_whole_journal() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bsm.db");
    large(&path).await.close();
    execute(
        &path,
        "UPDATE records SET body = zeroblob(9) WHERE sequence = 5",
    );
    let journal = Journal::open_whole(&path).unwrap();
    assert!(journal.notes().healed.is_some());
}

#[tokio::test]
async fn page_that_is_lost_while_an_engine_works_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bsm.db");
    let journal = large(&path).await;
    journal.close();
    let journal = Journal::open(&path).unwrap();
    let root: i64 = journal
        .read(|c| {
            let sql = "SELECT rootpage FROM sqlite_schema WHERE name = 'runs_by_time'";
            c.query_row(sql, [], |r| r.get(0))
        })
        .await
        .unwrap();
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    let at = (root.unsigned_abs() - 1) * 4_096;
    file.write_all_at(&[0; 4_096], at).unwrap();
    assert!(verified(&journal).is_err());
}

#[tokio::test]
async fn journal_that_was_suspected_for_nothing_is_not_suspected_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bsm.db");
    let journal = Journal::open(&path).unwrap();
    journal.intake(run("job_1", "d")).await.unwrap();
    journal.mark_damaged("a mistake").await.unwrap();
    journal.close();
    let journal = Journal::open(&path).unwrap();
    assert_eq!(journal.notes(), &JournalNotes::default());
    let suspect = journal.read(|c| meta::get(c, meta::SUSPECT)).await.unwrap();
    assert_eq!(suspect, None);
}

/// Of two versions of a decision healing keeps the stricter; the record of the other stays in the log.
#[tokio::test]
async fn decision_that_healing_made_stricter_is_no_damage_at_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bsm.db");
    let journal = Journal::open(&path).unwrap();
    journal.intake(run("job_1", "d")).await.unwrap();
    journal.finish(finish("job_1", "pass")).await.unwrap();
    journal.close();
    execute(&path, "UPDATE runs SET action = 'block_pr'");
    let journal = Journal::open(&path).unwrap();
    assert!(journal.notes().healed.is_some());
    journal.close();
    let journal = Journal::open(&path).unwrap();
    assert_eq!(journal.notes().healed, None);
    assert!(verified(&journal).is_ok());
    let row = journal.run("job_1").await.unwrap().unwrap();
    assert_eq!(row.action.as_deref(), Some("block_pr"));
    journal.close();
    // Milder than its record it never becomes.
    execute(&path, "UPDATE runs SET action = 'approve_and_merge'");
    let journal = Journal::open(&path).unwrap();
    assert!(journal.notes().healed.is_some());
}
