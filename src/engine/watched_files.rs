//! Files of the state directory that must stay what they were: journal, WAL, lock and socket.
//!
//! Why: SQLite goes on writing into a file that was deleted or replaced, and what is written there is lost with
//! the process. (Device, inode) says whether a name still means the file that was opened.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use crate::engine::observe::health::facts::LostFile;
use crate::resilience::clock::lock;
use crate::state::StateDir;
use crate::text::clean_line;

/// Device and inode.
type FileId = (u64, u64);

/// The files by name, and which file each name must mean; `None`: it was not there yet.
pub struct WatchedFiles {
    files: Mutex<BTreeMap<PathBuf, Option<FileId>>>,
    /// Every file was there at a look that began after so many commits of the journal, plus one; 0: one was not.
    seen_after: AtomicU64,
}

impl WatchedFiles {
    /// Those of a state directory whose journal is open.
    pub fn of(state: &StateDir) -> Arc<Self> {
        let journal = state.journal();
        let mut wal = journal.clone().into_os_string();
        wal.push("-wal");
        Self::new([journal, wal.into(), state.path().join("engine.lock")])
    }

    /// None: nothing is kept.
    pub fn none() -> Arc<Self> {
        Self::new([])
    }

    fn new(paths: impl IntoIterator<Item = PathBuf>) -> Arc<Self> {
        let files = paths.into_iter().map(|path| {
            let id = id_of(&path);
            (path, id)
        });
        Arc::new(Self {
            files: Mutex::new(files.collect()),
            seen_after: AtomicU64::new(0),
        })
    }

    /// From now on this name must mean the file that it means now.
    pub fn adopt(&self, path: &Path) {
        lock(&self.files).insert(path.to_path_buf(), id_of(path));
        self.seen_after.store(0, Relaxed);
    }

    /// It may go.
    pub fn forget(&self, path: &Path) {
        lock(&self.files).remove(path);
    }

    /// Those that are gone or replaced. A file that appears for the first time is watched from then on.
    pub fn lost(&self) -> Vec<LostFile> {
        let mut lost = Vec::new();
        for (path, known) in lock(&self.files).iter_mut() {
            let now = id_of(path);
            match *known {
                None => *known = now,
                Some(id) if now == Some(id) => {}
                Some(_) => lost.push(LostFile {
                    name: name_of(path),
                    replaced: now.is_some(),
                }),
            }
        }
        if !lost.is_empty() {
            self.seen_after.store(0, Relaxed);
        }
        lost
    }

    /// As [`Self::lost`], unless a look after the newest commit found all of them: of those that share a commit one
    /// looks for all.
    pub fn lost_after(&self, commits: u64) -> Vec<LostFile> {
        if self.seen_after.load(Relaxed) > commits {
            return Vec::new();
        }
        let lost = self.lost();
        if lost.is_empty() {
            self.seen_after.fetch_max(commits + 1, Relaxed);
        }
        lost
    }
}

/// `None`: there is no such file.
fn id_of(path: &Path) -> Option<FileId> {
    let meta = std::fs::symlink_metadata(path).ok()?;
    Some((meta.dev(), meta.ino()))
}

fn name_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    clean_line(&name, 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_deleted_or_replaced_is_lost_until_the_same_one_is_back() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::at(dir.path());
        let away = dir.path().join("away");
        std::fs::write(state.journal(), "a").unwrap();
        let watched = WatchedFiles::of(&state);
        assert_eq!(
            watched.lost(),
            [],
            "no lock and no WAL yet: nothing is lost"
        );
        let journal = |replaced| LostFile {
            name: "bsm.db".into(),
            replaced,
        };
        std::fs::rename(state.journal(), &away).unwrap();
        assert_eq!(watched.lost(), [journal(false)]);
        std::fs::write(state.journal(), "b").unwrap();
        assert_eq!(watched.lost(), [journal(true)]);
        std::fs::rename(&away, state.journal()).unwrap();
        assert_eq!(watched.lost(), []);
    }

    #[test]
    fn file_deleted_between_two_commits_is_found_after_the_next_one() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::at(dir.path());
        std::fs::write(state.journal(), "a").unwrap();
        let watched = WatchedFiles::of(&state);
        assert_eq!(watched.lost_after(7), []);
        let away = dir.path().join("away");
        std::fs::rename(state.journal(), &away).unwrap();
        assert_eq!(watched.lost_after(7), [], "no commit since the last look");
        assert_eq!(watched.lost_after(8).len(), 1);
        // What was found is not forgotten, and what is back is seen.
        assert_eq!(watched.lost_after(7).len(), 1);
        std::fs::rename(&away, state.journal()).unwrap();
        assert_eq!(watched.lost_after(8), []);
        std::fs::rename(state.journal(), &away).unwrap();
        assert_eq!(
            watched.lost().len(),
            1,
            "a look that nobody's write asked for"
        );
        assert_eq!(watched.lost_after(8).len(), 1);
    }

    #[test]
    fn file_that_appears_later_is_watched_from_then_on_and_an_adopted_one_anew() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::at(dir.path());
        let watched = WatchedFiles::of(&state);
        let wal = dir.path().join("bsm.db-wal");
        std::fs::write(&wal, "").unwrap();
        assert_eq!(watched.lost(), []);
        std::fs::remove_file(&wal).unwrap();
        assert_eq!(
            watched.lost()[0].sentence(),
            "bsm.db-wal was deleted while the engine runs"
        );
        std::fs::write(&wal, "").unwrap();
        watched.adopt(&wal);
        assert_eq!(watched.lost(), []);
    }
}
