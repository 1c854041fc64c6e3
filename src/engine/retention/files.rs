//! Which files of the state directory are copies of the journal, and which of them are too many.

use std::io;
use std::path::Path;
use std::time::UNIX_EPOCH;

/// A file with what retention needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateFile {
    /// Its name.
    pub name: String,
    /// Bytes.
    pub bytes: u64,
    /// Last changed, wall time in milliseconds.
    pub changed_ms: i64,
}

/// Begins the name of a copy made before a migration, or before something else that changes the whole journal.
pub const BEFORE: &str = "bsm.db.before-";
/// The folder of copies that `bsm state backup` and the daily backup make.
pub const BACKUPS: &str = "backups";

/// Plain files of a folder whose names fit, the oldest first. A folder that is not there has none.
///
/// # Errors
/// When it cannot be read.
pub fn plain_files(folder: &Path, fits: impl Fn(&str) -> bool) -> io::Result<Vec<StateFile>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        // A file may go between the two looks; a link is none of ours.
        let Ok(meta) = entry.metadata() else { continue };
        if !meta.is_file() || !fits(&name) {
            continue;
        }
        let changed = meta.modified().ok();
        let changed = changed.and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        found.push(StateFile {
            name,
            bytes: meta.len(),
            changed_ms: changed.map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX)),
        });
    }
    found.sort_by(|a, b| (a.changed_ms, &a.name).cmp(&(b.changed_ms, &b.name)));
    Ok(found)
}

/// Whether a name in the state directory is that of a copy made before a migration.
pub fn is_migration_backup(name: &str) -> bool {
    name.starts_with(BEFORE)
}

/// Whether a name in `backups/` is that of a copy of the journal.
pub fn is_backup(name: &str) -> bool {
    name.starts_with("bsm") && name.contains(".db")
}

/// Whether a name in the state directory is that of a journal that was damaged, or that a backup replaced, or of what
/// lay beside one.
pub fn is_set_aside(name: &str) -> bool {
    ["bsm.db.corrupt-", "bsm.db.damaged-", "bsm.db.replaced-"]
        .iter()
        .any(|start| name.starts_with(start))
}

/// The name of a journal that was set aside, without the end of what lay beside it.
fn set_aside_journal(name: &str) -> &str {
    let ends = ["-wal", "-shm", ".head"];
    let journal = ends.iter().find_map(|end| name.strip_suffix(end));
    journal.unwrap_or(name)
}

/// Removes all but the newest `keep` journals that were set aside, each with what lay beside it; the newest always
/// stays. `dry_run`: only counts. How many journals, and their bytes.
///
/// # Errors
/// When the folder cannot be read or a file cannot be removed.
pub fn keep_set_aside(folder: &Path, keep: u32, dry_run: bool) -> io::Result<(u64, u64)> {
    let files = plain_files(folder, is_set_aside)?;
    // By the time in the name: that of the file is the time of its last write.
    let made = |name: &str| name.rsplit_once('-').map_or(name, |(_, at)| at).to_owned();
    let mut journals: Vec<&str> = files.iter().map(|f| set_aside_journal(&f.name)).collect();
    journals.sort_by_key(|name| (made(name), (*name).to_owned()));
    journals.dedup();
    let too_many = journals.len().saturating_sub(keep.max(1) as usize);
    let gone = &journals[..too_many];
    let mut bytes = 0;
    for file in &files {
        if gone.contains(&set_aside_journal(&file.name)) {
            bytes += file.bytes;
            if !dry_run {
                std::fs::remove_file(folder.join(&file.name))?;
            }
        }
    }
    Ok((gone.len() as u64, bytes))
}

/// Removes all but the newest `keep` files that fit; `dry_run`: only names them. A file from after `now_ms` was
/// made by a clock that was ahead: it is older than all others.
///
/// # Errors
/// When the folder cannot be read or a file cannot be removed.
pub fn keep_newest(
    folder: &Path,
    keep: u32,
    fits: impl Fn(&str) -> bool,
    (now_ms, dry_run): (i64, bool),
) -> io::Result<Vec<StateFile>> {
    let mut all = plain_files(folder, fits)?;
    // Stable: both parts stay in the order of their times.
    all.sort_by_key(|file| file.changed_ms <= now_ms);
    let too_many = all.len().saturating_sub(keep as usize);
    all.truncate(too_many);
    if !dry_run {
        for file in &all {
            std::fs::remove_file(folder.join(&file.name))?;
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, SystemTime};

    /// After every file of a test.
    const NOW: i64 = i64::MAX;

    #[test]
    fn all_but_the_newest_copies_go_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str, age: u64| {
            let file = std::fs::File::create(dir.path().join(name)).unwrap();
            let time = SystemTime::now() - Duration::from_secs(age * 3_600);
            file.set_modified(time).unwrap();
        };
        for (n, age) in [(1, 9), (2, 8), (3, 1), (4, 3)] {
            at(&format!("bsm.db.before-{n}-x"), age);
        }
        for name in ["bsm.db", "bsm.db.corrupt-x", "audit.jsonl", "before"] {
            at(name, 100);
        }
        std::os::unix::fs::symlink("bsm.db", dir.path().join("bsm.db.before-0-link")).unwrap();
        let would = keep_newest(dir.path(), 2, is_migration_backup, (NOW, true)).unwrap();
        let gone = keep_newest(dir.path(), 2, is_migration_backup, (NOW, false)).unwrap();
        assert_eq!(would, gone);
        let names: Vec<&str> = gone.iter().map(|f| f.name.as_str()).collect();
        assert_eq!(names, ["bsm.db.before-1-x", "bsm.db.before-2-x"]);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 7);
        let none = keep_newest(&dir.path().join("backups"), 2, is_backup, (NOW, false)).unwrap();
        assert!(none.is_empty());
    }

    #[test]
    fn journals_that_were_set_aside_go_with_their_sides_but_the_newest_never() {
        let dir = tempfile::tempdir().unwrap();
        for name in [
            "bsm.db",
            "bsm.db.replaced-20260101T000000000Z",
            "bsm.db.damaged-20260201T000000000Z",
            "bsm.db.damaged-20260201T000000000Z-wal",
            "bsm.db.damaged-20260201T000000000Z.head",
            "bsm.db.damaged-20260301T000000000Z",
        ] {
            std::fs::write(dir.path().join(name), "12345").unwrap();
        }
        assert_eq!(keep_set_aside(dir.path(), 2, true).unwrap(), (1, 5));
        assert_eq!(keep_set_aside(dir.path(), 2, false).unwrap(), (1, 5));
        assert_eq!(keep_set_aside(dir.path(), 0, false).unwrap(), (1, 15));
        assert_eq!(keep_set_aside(dir.path(), 0, false).unwrap(), (0, 0));
        let left = plain_files(dir.path(), |_| true).unwrap();
        let mut names: Vec<&str> = left.iter().map(|f| f.name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, ["bsm.db", "bsm.db.damaged-20260301T000000000Z"]);
    }

    #[test]
    fn copies_from_the_future_go_before_those_of_today() {
        let dir = tempfile::tempdir().unwrap();
        let now = SystemTime::now();
        let day = Duration::from_secs(86_400);
        for (name, time) in [
            ("bsm-1.db", now - 2 * day),
            ("bsm-2.db", now - day),
            ("bsm-3.db", now + 300 * day),
            ("bsm-4.db", now + 301 * day),
        ] {
            let file = std::fs::File::create(dir.path().join(name)).unwrap();
            file.set_modified(time).unwrap();
        }
        let since = now.duration_since(UNIX_EPOCH).unwrap();
        let now_ms = i64::try_from(since.as_millis()).unwrap();
        let gone = keep_newest(dir.path(), 2, is_backup, (now_ms, false)).unwrap();
        let names: Vec<&str> = gone.iter().map(|f| f.name.as_str()).collect();
        assert_eq!(names, ["bsm-3.db", "bsm-4.db"]);
    }
}
