//! A journal whose file was hit, whose disk is full, or which is not there: what was acknowledged stays, what
//! was refused is not kept, and nothing becomes milder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::journal_tests::{finish, run, step};
use super::*;

const ACTIONS: [&str; 4] = ["block_pr", "request_changes", "manual_review", "pass"];

/// How strict an action is.
fn rank(action: &str) -> usize {
    ACTIONS.len() - ACTIONS.iter().position(|a| *a == action).unwrap()
}

/// Runs `job_0` and so on: three in four decided, one step each.
async fn fill(journal: &Journal, runs: usize) -> BTreeMap<String, Option<&'static str>> {
    let mut expected = BTreeMap::new();
    for n in 0..runs {
        let id = format!("job_{n}");
        let diff = format!("+line {n}\n").repeat(n * 7 % 300);
        journal.intake(run(&id, &diff)).await.unwrap();
        journal.start(&id, 5).await.unwrap();
        journal.step(step(&id, "x", "1"), None).await.unwrap();
        let action = (n % 4 != 3).then(|| ACTIONS[n % 3]);
        if let Some(action) = action {
            journal.finish(finish(&id, action)).await.unwrap();
        }
        expected.insert(id, action);
    }
    expected
}

/// Copies a journal as it is on disk now, with its log and its head.
fn copied(from: &Path, to: &Path) -> PathBuf {
    std::fs::create_dir_all(to).unwrap();
    let target = to.join("bsm.db");
    for end in ["", "-wal", ".head"] {
        let name = format!("{}{end}", from.display());
        if Path::new(&name).exists() {
            std::fs::copy(&name, format!("{}{end}", target.display())).unwrap();
        }
    }
    target
}

fn change(path: &Path, edit: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = std::fs::read(path).unwrap();
    edit(&mut bytes);
    std::fs::write(path, bytes).unwrap();
}

fn wal_of(path: &Path) -> PathBuf {
    PathBuf::from(format!("{}-wal", path.display()))
}

/// One random damage; its description.
fn damage(path: &Path, random: &mut fastrand::Rng) -> String {
    let wal = wal_of(path);
    let has_wal = std::fs::metadata(&wal).is_ok_and(|m| m.len() > 32);
    let file = if has_wal && random.bool() {
        wal
    } else {
        path.to_path_buf()
    };
    let length = std::fs::metadata(&file).unwrap().len() as usize;
    let at = random.usize(..length);
    let name = file.file_name().unwrap().to_string_lossy().into_owned();
    match random.u8(..5) {
        0 => {
            change(&file, |b| b[at] ^= 1 << random.u8(..8));
            format!("{name}: one bit at {at}")
        }
        1 => {
            let page = at / 4_096 * 4_096;
            change(&file, |b| {
                let end = (page + 4_096).min(b.len());
                b[page..end].fill(0);
            });
            format!("{name}: page at {page} zeroed")
        }
        2 => {
            change(&file, |b| {
                let end = (at + 2_048).min(b.len());
                for byte in &mut b[at..end] {
                    *byte = random.u8(..);
                }
            });
            format!("{name}: torn at {at}")
        }
        3 => {
            change(&file, |b| b.truncate(at));
            format!("{name}: cut at {at} of {length}")
        }
        _ => {
            change(&file, |b| {
                let end = 100.min(b.len());
                b[..end].fill(0);
            });
            format!("{name}: header zeroed")
        }
    }
}

/// Runs that SQLite itself still reads from a damaged file.
fn seen_by_sqlite(path: &Path) -> usize {
    let count = |c: rusqlite::Connection| {
        c.query_row("SELECT count(*) FROM runs", [], |r| r.get::<_, i64>(0))
    };
    connect::reader(path)
        .ok()
        .and_then(|c| count(c).ok())
        .map_or(0, |n| n as usize)
}

/// Runs that the `.recover` command of SQLite's own shell finds; `None`: `BSM_SQLITE3` names no such shell.
fn found_by_recover(path: &Path) -> Option<Vec<String>> {
    let shell = |arguments: &[&str], input: &[u8]| {
        use std::io::Write as _;
        use std::process::{Command, Stdio};
        let mut child = Command::new(std::env::var_os("BSM_SQLITE3")?)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let mut stdin = child.stdin.take()?;
        let input = input.to_vec();
        let feed = std::thread::spawn(move || stdin.write_all(&input));
        let output = child.wait_with_output().ok()?;
        let _ = feed.join();
        Some(output.stdout)
    };
    let copy = copied(path, &path.with_file_name("shell"));
    let copy = copy.to_str()?;
    let sql = shell(&[copy, ".recover"], b"")?;
    let rebuilt = format!("{copy}.rebuilt");
    shell(&[&rebuilt], &sql)?;
    let mut found = Vec::new();
    for query in [
        "SELECT id FROM runs",
        "SELECT c0 FROM lost_and_found WHERE nfield >= 20 AND c0 LIKE 'job_%'",
    ] {
        let ids = shell(&[&rebuilt, query], b"")?;
        found.extend(String::from_utf8_lossy(&ids).lines().map(str::to_owned));
    }
    found.sort();
    found.dedup();
    Some(found)
}

/// How many damages are tried: few in every test run, more by hand.
fn cases() -> u64 {
    std::env::var("BSM_DAMAGE_CASES")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(40)
}

#[tokio::test]
async fn journal_damaged_at_random_keeps_decisions_as_strict_as_they_were() {
    let dir = tempfile::tempdir().unwrap();
    let original = dir.path().join("bsm.db");
    let journal = Journal::open(&original).unwrap();
    let expected = fill(&journal, 60).await;
    let closed = copied(&original, &dir.path().join("closed"));
    Journal::open(&closed).unwrap().close();
    let (mut healed, mut refused, mut lost, mut shell_found, mut kept) = (0, 0, 0, 0, 0);
    for seed in 0..cases() {
        let mut random = fastrand::Rng::with_seed(seed);
        let from = if seed % 2 == 0 { &original } else { &closed };
        let path = copied(from, &dir.path().join(format!("case-{seed}")));
        let what = damage(&path, &mut random);
        let before = std::fs::read(&path).unwrap();
        let by_shell = found_by_recover(&path).unwrap_or_default();
        let opened = match Journal::open(&path) {
            Ok(opened) => opened,
            Err(error) => {
                assert!(
                    matches!(
                        error,
                        JournalError::Damaged { .. } | JournalError::NotAJournal { .. }
                    ),
                    "{seed} {what}: {error}"
                );
                assert_eq!(
                    std::fs::read(&path).unwrap(),
                    before,
                    "{seed} {what}: touched"
                );
                assert!(
                    by_shell.is_empty(),
                    "{seed} {what}: {error}, but .recover found {by_shell:?}"
                );
                eprintln!("{seed} {what}: {error}");
                refused += 1;
                continue;
            }
        };
        healed += usize::from(opened.notes().healed.is_some());
        let rows = opened.recent(1_000).await.unwrap();
        kept += rows.len();
        for row in &rows {
            let was = expected.get(&row.new.id).copied().flatten();
            let is = row.action.as_deref().filter(|_| row.finished_ms.is_some());
            match (was, is) {
                (Some(was), Some(is)) => {
                    assert!(
                        rank(is) >= rank(was),
                        "{seed} {what}: {} {was} {is}",
                        row.new.id
                    );
                }
                (None, Some(is)) => panic!("{seed} {what}: {} decided {is}", row.new.id),
                (Some(_), None) => {
                    lost += 1;
                    assert!(
                        opened.notes().notice.is_some(),
                        "{seed} {what}: said by nobody"
                    );
                }
                (None, None) => {}
            }
        }
        shell_found += by_shell.len();
        for id in &by_shell {
            assert!(
                rows.iter().any(|r| r.new.id == *id),
                "{seed} {what}: .recover found {id}"
            );
        }
        if rows.len() < expected.len() {
            assert!(
                opened.notes().notice.is_some(),
                "{seed} {what}: said by nobody"
            );
        }
        opened.close();
        std::fs::remove_dir_all(path.parent().unwrap()).unwrap();
    }
    eprintln!(
        "{} damages: {healed} healed, {refused} refused; {kept} runs kept ({shell_found} found by .recover), {lost} decisions lost",
        cases()
    );
    assert!(healed > 0);
    journal.close();
}

#[tokio::test]
async fn journal_with_one_bit_flipped_in_the_log_keeps_the_decision_behind_it() {
    let dir = tempfile::tempdir().unwrap();
    let original = dir.path().join("bsm.db");
    let journal = Journal::open(&original).unwrap();
    fill(&journal, 8).await;
    let length = std::fs::metadata(wal_of(&original)).unwrap().len();
    journal.intake(run("job_last", "d")).await.unwrap();
    journal
        .finish(finish("job_last", "block_pr"))
        .await
        .unwrap();
    let path = copied(&original, &dir.path().join("hit"));
    // The first frame of the newest transactions: SQLite ignores it and all after it, and calls it whole.
    change(&wal_of(&path), |b| b[length as usize + 24 + 8] ^= 1);
    assert!(seen_by_sqlite(&copied(&path, &dir.path().join("look"))) < 9);
    let opened = Journal::open(&path).unwrap();
    let notice = opened.notes().notice.clone().unwrap();
    assert!(
        notice.contains("was damaged (it ends at record"),
        "{notice}"
    );
    let row = opened.run("job_last").await.unwrap().unwrap();
    assert_eq!(row.action.as_deref(), Some("block_pr"));
}

#[tokio::test]
async fn journal_cut_behind_its_head_is_not_taken_for_whole() {
    let dir = tempfile::tempdir().unwrap();
    let original = dir.path().join("bsm.db");
    let journal = Journal::open(&original).unwrap();
    fill(&journal, 4).await;
    let path = copied(&original, &dir.path().join("cut"));
    std::fs::remove_file(wal_of(&path)).unwrap();
    let opened = Journal::open(&path);
    let said = match &opened {
        Ok(opened) => opened.notes().notice.clone().unwrap_or_default(),
        Err(error) => error.to_string(),
    };
    assert!(said.contains("damaged"), "{said}");
}

#[tokio::test]
async fn journal_that_is_gone_or_empty_or_foreign_is_refused_and_not_touched() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bsm.db");
    let journal = Journal::open(&path).unwrap();
    fill(&journal, 2).await;
    journal.close();
    assert!(!wal_of(&path).exists(), "a clean stop leaves one file");
    let whole = std::fs::read(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let gone = Journal::open(&path).err().unwrap();
    assert!(matches!(gone, JournalError::Missing { .. }), "{gone}");
    let read = Journal::read_only(&path).err().unwrap();
    assert!(matches!(read, JournalError::Missing { .. }), "{read}");
    assert!(!path.exists());
    for foreign in [b"".to_vec(), b"a text, no database".repeat(400)] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bsm.db");
        drop(crate::state::private_file(&path, false).unwrap());
        std::fs::write(&path, &foreign).unwrap();
        let error = Journal::open(&path).err().unwrap();
        assert!(matches!(error, JournalError::NotAJournal { .. }), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), foreign);
    }
    std::fs::write(&path, whole).unwrap();
    let back = Journal::open(&path).unwrap();
    assert_eq!(back.notes(), &JournalNotes::default());
}

#[tokio::test]
async fn backup_taken_while_runs_come_in_restores_to_the_same_records() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bsm.db");
    let journal = Journal::open(&path).unwrap();
    fill(&journal, 20).await;
    let copy = dir.path().join("copy.db");
    let info = backup::create(&path, &copy).unwrap();
    assert_eq!(info.runs, 20);
    assert!(backup::create(&path, &copy).is_err(), "never over another");
    fill_more(&journal).await;
    journal.close();
    let elsewhere = dir.path().join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    let target = elsewhere.join("bsm.db");
    let (restored, kept) = backup::restore(&target, &copy, 7).unwrap();
    assert_eq!((restored.records, kept), (info.records, None));
    let opened = Journal::open(&target).unwrap();
    assert!(opened.notes().notice.as_ref().unwrap().contains("copy.db"));
    assert_eq!(opened.recent(100).await.unwrap().len(), 20);
    // Over one that is there: that is kept.
    let (_, kept) = backup::restore(&path, &copy, 7).unwrap();
    let old = backup::inspect(&kept.unwrap()).unwrap();
    assert_eq!(old.runs, 21);
    change(&copy, |b| {
        let middle = b.len() / 2;
        b[middle..middle + 4_096].fill(7);
    });
    assert!(backup::restore(&path, &copy, 7).is_err());
    assert_eq!(backup::inspect(&path).unwrap().runs, 20);
}

async fn fill_more(journal: &Journal) {
    journal.intake(run("job_more", "d")).await.unwrap();
}

#[tokio::test]
async fn journal_whose_log_lost_its_header_is_read_from_its_frames() {
    let dir = tempfile::tempdir().unwrap();
    let original = dir.path().join("bsm.db");
    let journal = Journal::open(&original).unwrap();
    fill(&journal, 8).await;
    let path = copied(&original, &dir.path().join("hit"));
    change(&wal_of(&path), |b| b[..100].fill(0));
    let opened = Journal::open(&path).unwrap();
    assert_eq!(opened.recent(100).await.unwrap().len(), 8);
}
