//! The trail after rotation, restarts, crashes, full disks, and after somebody changed it.

use super::*;
use crate::engine::audit::{Audit, Broken, expire, files, verify};
use crate::journal::{Journal, NewRun};

fn entry(n: u64) -> Entry {
    Entry {
        line: line(n),
        record: None,
    }
}

fn line(n: u64) -> AuditLine {
    AuditLine {
        at: format!("2026-11-21T10:{:02}:00Z", n % 60),
        actor: "test".into(),
        command: "trigger".into(),
        object: format!("object {n}"),
        correlation: "c".into(),
        result: "x".repeat(100),
    }
}

fn path(dir: &tempfile::TempDir) -> PathBuf {
    dir.path().join("audit.jsonl")
}

fn trail(dir: &tempfile::TempDir, lines: std::ops::Range<u64>, max_bytes: u64) -> Trail {
    let mut trail = Trail::open(&path(dir), max_bytes).unwrap();
    trail.mend().unwrap();
    for n in lines {
        trail.append(&[entry(n)]).unwrap();
    }
    trail
}

fn broken_at(path: &Path) -> u64 {
    match verify(path) {
        Err(Broken::Line { line, .. }) => line,
        other => panic!("{other:?}"),
    }
}

#[test]
fn chain_goes_on_across_files_and_restarts() {
    let dir = tempfile::tempdir().unwrap();
    drop(trail(&dir, 0..5, 1_000));
    drop(trail(&dir, 5..12, 1_000));
    let all = files(&path(&dir)).unwrap();
    assert!(all.len() >= 3, "{all:?}");
    for file in &all {
        assert!(std::fs::metadata(file).unwrap().len() <= 1_000);
    }
    let verified = verify(&path(&dir)).unwrap();
    let (lines, first, last) = (verified.lines, verified.first, verified.last);
    assert_eq!((lines, first, last, verified.lost), (12, 1, 12, 0));
    let text = std::fs::read_to_string(&all[0]).unwrap();
    let zeros = "0".repeat(64);
    assert!(
        text.starts_with(&format!(r#"{{"seq":1,"prev":"{zeros}","at":"2026"#)),
        "{text}"
    );
}

#[test]
fn line_that_was_changed_taken_out_or_put_in_is_found() {
    let dir = tempfile::tempdir().unwrap();
    drop(trail(&dir, 0..6, 1 << 20));
    let path = path(&dir);
    let good = std::fs::read_to_string(&path).unwrap();
    let write = |lines: Vec<&str>| std::fs::write(&path, lines.join("\n") + "\n").unwrap();
    let lines: Vec<&str> = good.lines().collect();
    // Found at the line after the one that was changed.
    std::fs::write(&path, good.replace("object 2", "object 9")).unwrap();
    assert_eq!(broken_at(&path), 4);
    write(
        lines
            .iter()
            .enumerate()
            .filter(|(n, _)| *n != 2)
            .map(|(_, l)| *l)
            .collect(),
    );
    assert_eq!(broken_at(&path), 3);
    let mut more = lines.clone();
    more.insert(2, r#"{"at":"2026-11-21T10:00:00Z","command":"approve"}"#);
    write(more);
    assert_eq!(broken_at(&path), 3);
    let mut swapped = lines.clone();
    swapped.swap(1, 2);
    write(swapped);
    assert_eq!(broken_at(&path), 2);
    std::fs::write(&path, &good).unwrap();
    assert_eq!(verify(&path).unwrap().lines, 6);
}

#[test]
fn whole_file_that_is_missing_in_the_middle_is_found() {
    let dir = tempfile::tempdir().unwrap();
    drop(trail(&dir, 0..12, 1_000));
    let all = files(&path(&dir)).unwrap();
    std::fs::remove_file(&all[1]).unwrap();
    assert_eq!(broken_at(&path(&dir)), 1);
}

#[test]
fn line_that_a_crash_cut_off_is_removed_and_the_trail_says_so() {
    let dir = tempfile::tempdir().unwrap();
    drop(trail(&dir, 0..3, 1 << 20));
    let path = path(&dir);
    let mut file = private_file(&path, true).unwrap();
    file.write_all(br#"{"seq":4,"prev":"ab"#).unwrap();
    assert_eq!(broken_at(&path), 4);
    drop(trail(&dir, 3..4, 1 << 20));
    assert_eq!(verify(&path).unwrap().lines, 5);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(
        text.contains("19 bytes of a line that a crash cut off"),
        "{text}"
    );
}

#[test]
fn trail_of_an_older_program_is_continued() {
    let dir = tempfile::tempdir().unwrap();
    let path = path(&dir);
    let mut file = private_file(&path, true).unwrap();
    file.write_all(b"{\"at\":\"2026-01-01T00:00:00Z\",\"actor\":\"cli\"}\n{\"at\":\"x\"}\n")
        .unwrap();
    drop(trail(&dir, 0..2, 1 << 20));
    let verified = verify(&path).unwrap();
    assert_eq!(
        (verified.unchained, verified.lines, verified.first),
        (2, 2, 1)
    );
    // The chain holds the last of the old lines as well.
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("\"at\":\"x\"", "\"at\":\"y\"")).unwrap();
    assert_eq!(broken_at(&path), 3);
}

#[test]
fn only_the_oldest_files_expire_and_the_rest_still_verifies() {
    let dir = tempfile::tempdir().unwrap();
    drop(trail(&dir, 0..12, 1_000));
    let path = path(&dir);
    let before = files(&path).unwrap();
    let old: jiff::Timestamp = "2026-11-21T10:05:00Z".parse().unwrap();
    let would = expire(&path, old.as_millisecond(), true).unwrap();
    assert_eq!(files(&path).unwrap(), before, "a dry run removes nothing");
    let gone = expire(&path, old.as_millisecond(), false).unwrap();
    assert_eq!((gone.clone(), gone.is_empty()), (would, false));
    assert_eq!(files(&path).unwrap(), before[gone.len()..]);
    let verified = verify(&path).unwrap();
    assert_eq!((verified.last, verified.first > 1), (12, true));
    // The file that is written is never removed.
    expire(&path, i64::MAX, false).unwrap();
    assert_eq!(files(&path).unwrap(), [path]);
}

#[test]
fn trail_that_was_removed_while_it_is_written_is_begun_again_with_its_numbers() {
    let dir = tempfile::tempdir().unwrap();
    let mut trail = trail(&dir, 0..3, 1 << 20);
    std::fs::remove_file(path(&dir)).unwrap();
    trail.append(&[entry(3)]).unwrap();
    let verified = verify(&path(&dir)).unwrap();
    assert_eq!((verified.first, verified.lines), (4, 1));
}

#[tokio::test]
async fn line_that_cannot_be_written_is_counted_and_its_number_is_missing() {
    let dir = tempfile::tempdir().unwrap();
    let path = path(&dir);
    let audit = Audit::open(Some(&path), 1 << 20).unwrap();
    audit.write(line(0)).await;
    // A folder at its place: the file can be neither written nor made anew.
    let aside = dir.path().join("aside");
    std::fs::rename(&path, &aside).unwrap();
    std::fs::create_dir(&path).unwrap();
    audit.write(line(1)).await;
    assert_eq!(audit.lost(), 1);
    std::fs::remove_dir(&path).unwrap();
    std::fs::rename(&aside, &path).unwrap();
    audit.write(line(2)).await;
    let verified = verify(&path).unwrap();
    assert_eq!((verified.lines, verified.last, verified.lost), (2, 3, 1));
}

fn lines_of(path: &Path) -> Vec<AuditLine> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect()
}

/// The line of a run that the journal has accepted, and the number of its record.
async fn kept_run(journal: &Journal, n: u64) -> (AuditLine, i64) {
    let new = NewRun {
        id: format!("job_{n}"),
        ..NewRun::default()
    };
    let mut line = line(n);
    line.correlation = format!("c{n}");
    line.result.clone_from(&new.id);
    let text = serde_json::to_string(&line).unwrap();
    let record = journal.intake_audited(new, Some(text)).await.unwrap();
    (line, record)
}

/// A machine that lost power: the journal is synced, the end of the trail is not.
#[tokio::test]
async fn line_that_the_trail_lost_is_added_from_the_journal_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = path(&dir);
    let journal = Journal::open(&dir.path().join("bsm.db")).unwrap();
    let audit = Audit::open(Some(&path), 1 << 20).unwrap();
    let mut expected = Vec::new();
    for n in 0..6 {
        let (line, record) = kept_run(&journal, n).await;
        audit.write_kept(line.clone(), record).await;
        expected.push(line);
    }
    drop(audit);
    // Accepted in the journal, refused to the caller: its line is not true.
    kept_run(&journal, 90).await;
    journal.take_back(vec!["job_90".into()]).await.unwrap();
    let whole = std::fs::read_to_string(&path).unwrap();
    let kept: Vec<&str> = whole.lines().take(3).collect();
    std::fs::write(&path, kept.join("\n") + "\n").unwrap();
    for _ in 0..2 {
        let audit = Audit::open(Some(&path), 1 << 20).unwrap();
        audit.add_missing(&journal).await.unwrap();
        assert_eq!(lines_of(&path), expected);
        assert_eq!(verify(&path).unwrap().lines, 6);
    }
}

#[tokio::test]
async fn trail_without_a_line_of_a_run_gets_those_of_the_newest_runs() {
    let dir = tempfile::tempdir().unwrap();
    let path = path(&dir);
    let journal = Journal::open(&dir.path().join("bsm.db")).unwrap();
    let (first, _) = kept_run(&journal, 1).await;
    let audit = Audit::open(Some(&path), 1 << 20).unwrap();
    audit.add_missing(&journal).await.unwrap();
    audit.write(line(2)).await;
    assert_eq!(lines_of(&path), [first, line(2)]);
}

#[test]
fn lines_with_a_record_are_synced_together_and_before_any_other_is_answered() {
    let dir = tempfile::tempdir().unwrap();
    let mut trail = trail(&dir, 0..1, 1 << 20);
    for record in 1..=3 {
        let kept = Entry {
            line: line(9),
            record: Some(record),
        };
        trail.append(&[kept]).unwrap();
        assert_eq!(trail.unsynced(), record.unsigned_abs());
    }
    trail.append(&[entry(4)]).unwrap();
    assert_eq!(trail.unsynced(), 0);
    assert_eq!(trail.recorded().unwrap().newest, Some(3));
    assert_eq!(verify(&path(&dir)).unwrap().lines, 5);
}
