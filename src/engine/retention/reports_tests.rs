//! Only what bsm wrote goes, the oldest first.

use super::*;
use std::collections::BTreeSet;

use crate::engine::runs::report::file_name;

const DAY: i64 = 86_400_000;
const NOW: i64 = 1_790_000_000_000;

struct World {
    _dir: tempfile::TempDir,
    folder: ReportFolder,
    state: StateDir,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::at(dir.path().join("state"));
        state.prepare().unwrap();
        std::fs::create_dir_all(dir.path().join("work/reports")).unwrap();
        let folder = ReportFolder {
            base: dir.path().join("work"),
            relative: "reports".into(),
            mode: (0o755, 0o644),
        };
        Self {
            _dir: dir,
            folder,
            state,
        }
    }

    fn write(&self, name: &str, bytes: usize) {
        std::fs::write(self.folder.path_of(name), "x".repeat(bytes)).unwrap();
    }

    fn names(&self) -> BTreeSet<String> {
        std::fs::read_dir(self.folder.base.join("reports"))
            .into_iter()
            .flatten()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    /// A pass as retention makes it.
    fn prune(&self, named: &[String], limits: Limits) -> usize {
        let run = |dry_run| {
            let passed = prune(&self.folder, &self.state, named, limits, (NOW, dry_run));
            passed.unwrap().0 as usize
        };
        let (before, would) = (self.names(), run(true));
        assert_eq!(self.names(), before, "a dry run removes nothing");
        let count = run(false);
        assert_eq!(count, would);
        count
    }
}

fn of_day(age: i64) -> String {
    file_name(&format!("run{age}"), NOW - age * DAY)
}

#[test]
fn old_reports_go_and_a_users_own_files_stay() {
    let world = World::new();
    let own: Vec<String> = [100, 91, 89, 1].into_iter().map(of_day).collect();
    for name in &own {
        world.write(name, 10);
    }
    // A name like a report's that no run has; names that are none; a link with a report's name.
    let foreign = [
        file_name("somebody", NOW - 400 * DAY),
        "notes.md".to_owned(),
        "agents-summary-2020-01-01T00-00-00Z-.md".to_owned(),
        "agents-summary-latest.md".to_owned(),
    ];
    for name in &foreign {
        world.write(name, 10);
    }
    let mut named = own.clone();
    named.push("notes.md".into());
    named.push("../state/secret".into());
    let link = of_day(300);
    std::os::unix::fs::symlink("notes.md", world.folder.path_of(&link)).unwrap();
    named.push(link.clone());
    let limits = Limits {
        older_than_ms: NOW - 90 * DAY,
        max_bytes: 0,
    };
    assert_eq!(world.prune(&named, limits), 2);
    let mut want: BTreeSet<String> = foreign.into_iter().collect();
    want.extend([own[2].clone(), own[3].clone(), link]);
    assert_eq!(world.names(), want);
}

#[test]
fn reports_whose_runs_left_the_journal_are_still_known_by_the_index() {
    let world = World::new();
    let own: Vec<String> = [10, 5].into_iter().map(of_day).collect();
    for name in &own {
        world.write(name, 10);
    }
    let none = Limits {
        older_than_ms: 0,
        max_bytes: 0,
    };
    assert_eq!(world.prune(&own, none), 0);
    let old = Limits {
        older_than_ms: NOW - 7 * DAY,
        ..none
    };
    assert_eq!(world.prune(&[], old), 1);
    assert_eq!(world.names(), BTreeSet::from([own[1].clone()]));
}

#[test]
fn oldest_reports_go_until_the_rest_fits() {
    let world = World::new();
    let own: Vec<String> = [4, 3, 2, 1].into_iter().map(of_day).collect();
    for name in &own {
        world.write(name, 100);
    }
    let limits = Limits {
        older_than_ms: 0,
        max_bytes: 250,
    };
    assert_eq!(world.prune(&own, limits), 2);
    assert_eq!(world.names(), own[2..].iter().cloned().collect());
    assert_eq!(world.prune(&own, limits), 0);
}

#[test]
fn temporary_files_of_a_crash_are_removed_when_they_are_old() {
    let world = World::new();
    let report = of_day(1);
    let temporary = format!(".{report}.0123abcd.tmp");
    let other = ".notes.md.0123abcd.tmp".to_owned();
    for name in [&temporary, &other] {
        world.write(name, 10);
        let file = std::fs::File::open(world.folder.path_of(name)).unwrap();
        let two_hours = std::time::Duration::from_millis((NOW - 7_200_000).cast_unsigned());
        file.set_modified(std::time::UNIX_EPOCH + two_hours)
            .unwrap();
    }
    let fresh = format!(".{report}.89abcdef.tmp");
    world.write(&fresh, 10);
    let limits = Limits {
        older_than_ms: 0,
        max_bytes: 0,
    };
    world.prune(&[], limits);
    assert_eq!(world.names(), BTreeSet::from([other, fresh]));
}

#[test]
fn folder_that_is_not_there_has_no_reports() {
    let world = World::new();
    std::fs::remove_dir_all(world.folder.base.join("reports")).unwrap();
    let limits = Limits {
        older_than_ms: NOW,
        max_bytes: 1,
    };
    assert_eq!(world.prune(&[of_day(1)], limits), 0);
}
