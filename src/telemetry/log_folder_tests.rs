//! A full folder loses its oldest lines; whoever looks finds the newest.

use super::*;

const TODAY: &str = "2026-11-21";

fn names(dir: &Path) -> Vec<String> {
    let all = files(dir).unwrap();
    let name = |f: &LogFile| f.path.file_name().unwrap().to_string_lossy().into_owned();
    all.iter().map(name).collect()
}

fn text(dir: &Path) -> String {
    let all = files(dir).unwrap();
    all.iter()
        .map(|f| fs::read_to_string(&f.path).unwrap())
        .collect()
}

fn total(dir: &Path) -> u64 {
    files(dir).unwrap().iter().map(|f| f.bytes).sum()
}

#[test]
fn older_day_that_fills_the_allowance_goes_and_todays_lines_stay() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("bsm.2026-11-19.jsonl"), "x".repeat(199_900)).unwrap();
    let mut log = LogFolder::open(dir.path(), 7, 200_000, TODAY).unwrap();
    for n in 0..3 {
        log.append(
            &format!("{{\"n\":{n},\"pad\":\"{}\"}}\n", "p".repeat(200)),
            TODAY,
        )
        .unwrap();
    }
    assert_eq!(names(dir.path()), ["bsm.2026-11-21.jsonl"]);
    assert_eq!(text(dir.path()).lines().count(), 3);
}

#[test]
fn todays_oldest_lines_go_when_today_alone_fills_the_allowance() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = LogFolder::open(dir.path(), 7, 8_000, TODAY).unwrap();
    for n in 0..1_000 {
        log.append(
            &format!("{{\"n\":{n},\"pad\":\"{}\"}}\n", "p".repeat(80)),
            TODAY,
        )
        .unwrap();
        assert!(total(dir.path()) <= 8_000, "{n}");
    }
    let kept: Vec<u64> = text(dir.path())
        .lines()
        .map(|l| {
            serde_json::from_str::<Value>(l).unwrap()["n"]
                .as_u64()
                .unwrap()
        })
        .collect();
    // The newest, without a gap, in order, and most of the allowance.
    let first = kept[0];
    assert_eq!(kept, (first..1_000).collect::<Vec<_>>());
    assert!(kept.len() > 60, "{}", kept.len());
}

#[test]
fn file_larger_than_the_allowance_is_closed_and_removed() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("bsm.2026-11-21.jsonl"), "x".repeat(50_000)).unwrap();
    let mut log = LogFolder::open(dir.path(), 7, 10_000, TODAY).unwrap();
    log.append("{\"n\":1}\n", TODAY).unwrap();
    assert_eq!(text(dir.path()), "{\"n\":1}\n");
}

#[test]
fn newest_days_are_kept_and_foreign_files_are_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let foreign = [
        "notes.jsonl",
        "bsm.x.jsonl",
        "bsm.2026-11-01.jsonl.gz",
        "bsm.2026-11-01.a.jsonl",
    ];
    for name in foreign {
        fs::write(dir.path().join(name), "mine").unwrap();
    }
    for day in 15..20 {
        fs::write(dir.path().join(format!("bsm.2026-11-{day}.jsonl")), "l\n").unwrap();
        fs::write(
            dir.path().join(format!("bsm.2026-11-{day}.000001.jsonl")),
            "l\n",
        )
        .unwrap();
    }
    let mut log = LogFolder::open(dir.path(), 3, 10_000, TODAY).unwrap();
    let kept = ["18.000001", "18", "19.000001", "19", "21"];
    assert_eq!(
        names(dir.path()),
        kept.map(|d| format!("bsm.2026-11-{d}.jsonl"))
    );
    log.append("{}\n", "2026-11-22").unwrap();
    let kept = ["19.000001", "19", "21", "22"];
    assert_eq!(
        names(dir.path()),
        kept.map(|d| format!("bsm.2026-11-{d}.jsonl"))
    );
    for name in foreign {
        assert!(dir.path().join(name).exists(), "{name}");
    }
}

#[test]
fn file_that_was_removed_is_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = LogFolder::open(dir.path(), 7, 10_000, TODAY).unwrap();
    log.append("{\"n\":1}\n", TODAY).unwrap();
    fs::remove_file(dir.path().join("bsm.2026-11-21.jsonl")).unwrap();
    log.open.as_mut().unwrap().looked = Instant::now().checked_sub(LOOK_EVERY).unwrap();
    log.append("{\"n\":2}\n", TODAY).unwrap();
    assert_eq!(text(dir.path()), "{\"n\":2}\n");
}

#[test]
fn line_that_is_too_long_is_cut_and_stays_json() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = LogFolder::open(dir.path(), 7, 256 << 20, TODAY).unwrap();
    let long = "ä\u{202e}".repeat(200_000);
    let line = serde_json::json!({"timestamp": "t", "level": "WARN", "message": long, "run": "r1"});
    log.append(&format!("{line}\n"), TODAY).unwrap();
    let many: Map<String, Value> = (0..20_000).map(|n| (n.to_string(), 1.into())).collect();
    log.append(&format!("{}\n", Value::Object(many)), TODAY)
        .unwrap();
    log.append(&format!("{}\n", "no json ".repeat(20_000)), TODAY)
        .unwrap();
    let text = text(dir.path());
    let lines: Vec<Value> = text
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    assert_eq!((lines.len(), lines[0]["run"].as_str()), (3, Some("r1")));
    assert!(
        lines[0]["message"]
            .as_str()
            .unwrap()
            .ends_with(" bytes cut)")
    );
    assert!(
        lines[1]["message"]
            .as_str()
            .unwrap()
            .contains("bytes was left out")
    );
    assert!(text.lines().all(|l| l.len() as u64 <= LONGEST_LINE));
    assert!(!text.contains('\u{202e}'), "still harmless to print");
}

#[test]
fn line_that_cannot_be_written_is_an_error_and_the_next_one_is_tried_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = LogFolder::open(dir.path(), 7, 10_000, TODAY).unwrap();
    let tomorrow = dir.path().join("bsm.2026-11-22.jsonl");
    fs::create_dir(&tomorrow).unwrap();
    assert!(log.append("{\"n\":1}\n", "2026-11-22").is_err());
    fs::remove_dir(&tomorrow).unwrap();
    log.append("{\"n\":2}\n", "2026-11-22").unwrap();
    assert_eq!(text(dir.path()), "{\"n\":2}\n");
}

#[test]
fn older_days_are_removed_on_demand_but_not_today() {
    let dir = tempfile::tempdir().unwrap();
    for name in [
        "bsm.2026-11-10.jsonl",
        "bsm.2026-11-20.jsonl",
        "bsm.2026-11-21.jsonl",
    ] {
        fs::write(dir.path().join(name), "l\n").unwrap();
    }
    let would = remove_older(dir.path(), "2026-11-20", TODAY, true).unwrap();
    assert_eq!((would.len(), names(dir.path()).len()), (1, 3));
    let gone = remove_older(dir.path(), "2026-12-24", TODAY, false).unwrap();
    assert_eq!(gone.len(), 2);
    assert_eq!(names(dir.path()), ["bsm.2026-11-21.jsonl"]);
}
