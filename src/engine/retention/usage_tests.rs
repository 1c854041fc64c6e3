//! Figures from files and tables whose times are known.

use super::*;
use std::time::{Duration, UNIX_EPOCH};

const NOW: i64 = 1_790_000_000_000;

fn part(bound: Option<Bound>, items: u64, bytes: u64, age_days: i64, per_day: Option<f64>) -> Part {
    Part {
        name: "x".into(),
        bytes,
        items: Some(items),
        oldest_ms: Some(NOW - age_days * DAY_MS),
        bound,
        next: None,
        bytes_per_day: per_day,
        items_per_day: per_day,
        full: Full::Unknown,
    }
}

fn bound(days: Option<u64>, bytes: Option<u64>, items: Option<u64>) -> Option<Bound> {
    Some(Bound {
        store: Store::Reports,
        days,
        bytes,
        items,
        settings: Vec::new(),
        first_to_go: String::new(),
    })
}

#[test]
fn full_is_the_first_bound_reached_and_unknown_where_the_rate_is() {
    let of = |bound, items, bytes, age, rate| full(&part(bound, items, bytes, age, rate), NOW);
    let all = bound(Some(90), Some(1_000), None);
    assert_eq!(of(all.clone(), 1, 500, 10, Some(50.0)), Full::Days(10.0));
    assert_eq!(of(all.clone(), 1, 500, 10, Some(1.0)), Full::ByAge);
    assert_eq!(of(all.clone(), 1, 1_000, 10, Some(1.0)), Full::Now);
    assert_eq!(of(all.clone(), 1, 500, 91, Some(1.0)), Full::Now);
    assert_eq!(of(all, 1, 500, 10, None), Full::Unknown);
    assert_eq!(
        of(bound(None, None, Some(100)), 40, 0, 1, Some(20.0)),
        Full::Days(3.0)
    );
    assert_eq!(of(bound(Some(7), None, None), 40, 0, 1, None), Full::ByAge);
    assert_eq!(of(None, 1, 1, 1, Some(1.0)), Full::NoBound);
}

#[test]
fn disk_growth_is_unknown_when_a_large_part_has_no_rate() {
    let bounded = |bytes, rate, full| Part {
        full,
        ..part(bound(None, Some(u64::MAX), None), 1, bytes, 1, rate)
    };
    let grows = bounded(10, Some(100.0), Full::Days(1.0));
    let small = bounded(10, None, Full::Unknown);
    let large = bounded(SMALL, None, Full::Unknown);
    let at_bound = bounded(SMALL, Some(1_000.0), Full::Now);
    let sum = |parts: &[&Part]| {
        let parts: Vec<Part> = parts.iter().map(|p| (*p).clone()).collect();
        growth(&parts, &[])
    };
    assert_eq!(sum(&[&grows, &small, &at_bound]), Some(100.0));
    assert_eq!(sum(&[&grows, &large]), None);
    assert_eq!(sum(&[&at_bound]), None);
}

#[test]
fn state_directory_is_measured_part_by_part() {
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::at(dir.path().join("state"));
    state.prepare().unwrap();
    let folder = ReportFolder::for_workspace(None, &state);
    let journal = Journal::open(&state.journal()).unwrap();
    journal.close();
    let write = |name: &str, bytes: usize, age_ms: i64| {
        let path = state.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, "x".repeat(bytes)).unwrap();
        let changed = UNIX_EPOCH + Duration::from_millis((NOW - age_ms).cast_unsigned());
        std::fs::File::open(&path)
            .unwrap()
            .set_modified(changed)
            .unwrap();
    };
    write("logs/bsm.2026-09-19.jsonl", 3_000, 2 * DAY_MS);
    write("logs/bsm.2026-09-21.jsonl", 1_000, 0);
    write("logs/notes.txt", 9_999, 0);
    write("bsm.db.before-3-x", 500, 30 * DAY_MS);
    write("backups/bsm-1.db", 700, DAY_MS);
    write("bsm.db.corrupt-x", 800, DAY_MS);
    write("fingerprint.salt", 32, DAY_MS);
    write("reports/agents-summary-2026-09-01T00-00-00Z-r1.md", 10, 0);
    let usage = measure(&state, &folder, &Settings::default(), NOW);
    assert_eq!(usage.problems, Vec::<String>::new());
    let of = |name: &str| usage.files.iter().find(|p| p.name == name).unwrap();
    let logs = of("logs");
    assert_eq!((logs.bytes, logs.items), (4_000, Some(2)));
    assert_eq!(logs.next.as_deref(), Some("bsm.2026-09-19.jsonl"));
    // 4,000 bytes since the midnight of the 19th.
    let rate = logs.bytes_per_day.unwrap();
    assert!((1_300.0..2_000.0).contains(&rate), "{rate}");
    assert_eq!(
        (of("migration backups").bytes, of("backups").bytes),
        (500, 700)
    );
    assert_eq!(of("migration backups").bytes_per_day, None);
    assert_eq!((of("damaged journals").bytes, of("other").bytes), (800, 32));
    // No run names it: it is not ours.
    assert_eq!(of("reports").bytes, 0);
    assert_eq!(
        of("journal").bytes,
        std::fs::metadata(state.journal()).unwrap().len() + 512,
        "with its head"
    );
    // What is not folded into the file yet is in its log.
    let in_journal: u64 = usage.journal.iter().map(|p| p.bytes).sum();
    let on_disk = of("journal").bytes + of("write-ahead log").bytes;
    assert!(
        in_journal > 0 && in_journal <= on_disk,
        "{in_journal} of {on_disk}"
    );
    assert_eq!(
        usage
            .journal
            .iter()
            .find(|p| p.name == "runs")
            .unwrap()
            .items,
        Some(0)
    );
}

#[test]
fn workspace_without_state_has_nothing_and_no_problem() {
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::at(dir.path().join("none"));
    let folder = ReportFolder::for_workspace(Some(dir.path()), &state);
    let usage = measure(&state, &folder, &Settings::default(), NOW);
    assert_eq!((usage.problems.len(), usage.total_bytes), (0, 0));
    assert_eq!(usage.disk_free_bytes, None);
}
