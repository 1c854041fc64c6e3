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

/// Removes all but the newest `keep` files that fit; `dry_run`: only names them.
///
/// # Errors
/// When the folder cannot be read or a file cannot be removed.
pub fn keep_newest(
    folder: &Path,
    keep: u32,
    fits: impl Fn(&str) -> bool,
    dry_run: bool,
) -> io::Result<Vec<StateFile>> {
    let mut all = plain_files(folder, fits)?;
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
        let would = keep_newest(dir.path(), 2, is_migration_backup, true).unwrap();
        let gone = keep_newest(dir.path(), 2, is_migration_backup, false).unwrap();
        assert_eq!(would, gone);
        let names: Vec<&str> = gone.iter().map(|f| f.name.as_str()).collect();
        assert_eq!(names, ["bsm.db.before-1-x", "bsm.db.before-2-x"]);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 7);
        let none = keep_newest(&dir.path().join("backups"), 2, is_backup, false).unwrap();
        assert!(none.is_empty());
    }
}
