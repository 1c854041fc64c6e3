//! Which report files are too old or too many. Only files that this workspace's runs wrote are ever removed: those
//! with a report's name that a run in the journal names, or that the index lists.
//!
//! The index (`reports.index` in the state directory) remembers the names of reports whose runs are not in the
//! journal any more. It is written before runs are removed from the journal.

//!
//! A folder may hold hundreds of thousands of reports: their names are read one after the other, never all at once.

use std::collections::HashSet;
use std::fs::File;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{self, BufRead as _, BufReader, BufWriter, Write as _};
use std::path::Path;

use crate::engine::runs::report::{BEFORE_RECOVERY, ReportFolder};
use crate::files::{FileError, Root};
use crate::state::{StateDir, private_file};

const INDEX: &str = "reports.index";
/// The index while it is written.
const NEW_INDEX: &str = "reports.index.new";
/// A temporary file that is older was left behind by a crash, milliseconds.
const ORPHANED_MS: i64 = 3_600_000;

/// How much is kept.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Reports made before this go, wall time in milliseconds; 0: none by age.
    pub older_than_ms: i64,
    /// The oldest go until all take no more bytes; 0: however much.
    pub max_bytes: u64,
}

/// A report's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportFile {
    /// Its name.
    pub name: String,
    /// When its run was accepted, from the name; wall time in milliseconds.
    pub made_ms: i64,
    /// Bytes.
    pub bytes: u64,
}

/// The reports that this workspace's runs wrote, the oldest first. `named`: the names that runs in the journal have.
///
/// # Errors
/// The folder or the index cannot be read.
pub fn own_reports(
    folder: &ReportFolder,
    state: &StateDir,
    named: &[String],
) -> Result<Vec<ReportFile>, FileError> {
    let known = Known::read(state, named)?;
    let mut found = Vec::new();
    known.visit(folder, |name, made_ms, bytes| {
        found.push(ReportFile {
            name: name.to_owned(),
            made_ms,
            bytes,
        });
    })?;
    found.sort_by(|a, b| (a.made_ms, &a.name).cmp(&(b.made_ms, &b.name)));
    Ok(found)
}

/// Removes the reports beyond the limits, and temporary files that a crash left; then the index has those that stay,
/// and runs may go from the journal. `dry_run`: only counts. Number and bytes of those that went.
///
/// # Errors
/// A file could not be read, written or removed; the others were removed all the same.
pub fn prune(
    folder: &ReportFolder,
    state: &StateDir,
    named: &[String],
    limits: Limits,
    (now_ms, dry_run): (i64, bool),
) -> Result<(u64, u64), FileError> {
    let known = Known::read(state, named)?;
    let mut sizes = Vec::new();
    known.visit(folder, |_, made_ms, bytes| sizes.push((made_ms, bytes)))?;
    let Some(newest_to_go) = newest_beyond(&mut sizes, limits) else {
        if !dry_run {
            remove_orphans(folder, now_ms)?;
            known.write_index(folder, state)?;
        }
        return Ok((0, 0));
    };
    let mut gone = Vec::new();
    let mut bytes_gone = 0;
    known.visit(folder, |name, made_ms, bytes| {
        if made_ms <= newest_to_go {
            gone.push(name.to_owned());
            bytes_gone += bytes;
        }
    })?;
    if dry_run {
        return Ok((gone.len() as u64, bytes_gone));
    }
    let removed = remove(folder, &gone);
    remove_orphans(folder, now_ms)?;
    known.write_index(folder, state)?;
    removed.map(|()| (gone.len() as u64, bytes_gone))
}

/// The time of the newest report that goes; `None`: none goes. All reports of one second go together.
fn newest_beyond(sizes: &mut [(i64, u64)], limits: Limits) -> Option<i64> {
    sizes.sort_unstable();
    let mut total: u64 = sizes.iter().map(|(_, bytes)| bytes).sum();
    let mut newest = None;
    for (made_ms, bytes) in sizes.iter() {
        let old = *made_ms < limits.older_than_ms;
        let much = limits.max_bytes > 0 && total > limits.max_bytes;
        if !old && !much {
            break;
        }
        total -= bytes;
        newest = Some(*made_ms);
    }
    newest
}

/// The names that are known as reports of this workspace's runs, as hashes.
struct Known {
    names: HashSet<u64>,
    /// What the index on disk has: the number of its names, and their hashes combined.
    index: (u64, u64),
}

impl Known {
    fn read(state: &StateDir, named: &[String]) -> Result<Self, FileError> {
        let path = state.path().join(INDEX);
        let mut names: HashSet<u64> = named.iter().map(|n| hash(n)).collect();
        let mut index = (0, 0);
        let failed = |error| FileError::Io(INDEX.into(), error);
        match crate::files::open_plain(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
            Ok(file) => {
                for line in BufReader::new(file).lines() {
                    let hash = hash(&line.map_err(failed)?);
                    names.insert(hash);
                    index = (index.0 + 1, index.1 ^ hash);
                }
            }
        }
        Ok(Self { names, index })
    }

    /// Calls `each` with name, time and bytes of every report that is known.
    fn visit(
        &self,
        folder: &ReportFolder,
        mut each: impl FnMut(&str, i64, u64),
    ) -> Result<(), FileError> {
        visit(folder, |name, bytes, _| {
            let report = name.split_once(BEFORE_RECOVERY).map_or(name, |(r, _)| r);
            if let Some(made_ms) = made_at(report)
                && (self.names.contains(&hash(report)) || self.names.contains(&hash(name)))
            {
                each(name, made_ms, bytes);
            }
        })
    }

    /// Writes the index: the names of the reports that are there.
    fn write_index(&self, folder: &ReportFolder, state: &StateDir) -> Result<(), FileError> {
        let mut there = (0, 0);
        self.visit(folder, |name, _, _| {
            there = (there.0 + 1, there.1 ^ hash(name));
        })?;
        if there == self.index {
            return Ok(());
        }
        let failed = |error| FileError::Io(INDEX.into(), error);
        let (new, path) = (state.path().join(NEW_INDEX), state.path().join(INDEX));
        let file = private_file(&new, false).map_err(|e| failed(io::Error::other(e)))?;
        file.set_len(0).map_err(failed)?;
        let mut writer = BufWriter::new(file);
        let mut written = Ok(());
        self.visit(folder, |name, _, _| {
            if written.is_ok() {
                written = writeln!(writer, "{name}");
            }
        })?;
        written
            .and_then(|()| writer.flush())
            .and_then(|()| writer.get_ref().sync_all())
            .and_then(|()| std::fs::rename(&new, &path))
            .and_then(|()| File::open(state.path())?.sync_all())
            .map_err(failed)
    }
}

fn hash(name: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish()
}

/// Calls `each` with name, bytes and last change of every plain file of the folder. A folder that is not there has
/// none.
fn visit(folder: &ReportFolder, each: impl FnMut(&str, u64, i64)) -> Result<(), FileError> {
    match Root::open(&folder.base)?.visit(Path::new(&folder.relative), each) {
        Err(error) if error.is_missing() => Ok(()),
        other => other,
    }
}

/// Removes files by their names; the first that could not be removed is the error.
fn remove(folder: &ReportFolder, names: &[String]) -> Result<(), FileError> {
    let root = Root::open(&folder.base)?;
    let mut first_error = None;
    for name in names {
        match root.remove_file(&Path::new(&folder.relative).join(name)) {
            Ok(()) => {}
            Err(error) if error.is_missing() => {}
            Err(error) => {
                first_error.get_or_insert(error);
            }
        }
    }
    first_error.map_or(Ok(()), Err)
}

/// Removes reports that a crash left half written.
fn remove_orphans(folder: &ReportFolder, now_ms: i64) -> Result<(), FileError> {
    let mut orphans = Vec::new();
    visit(folder, |name, _, changed_ms| {
        if is_temporary(name) && now_ms - changed_ms > ORPHANED_MS {
            orphans.push(name.to_owned());
        }
    })?;
    remove(folder, &orphans)
}

/// `agents-summary-2026-11-21T10-00-00Z-<run id>.md`: when; `None`: it is no report's name.
fn made_at(name: &str) -> Option<i64> {
    let rest = name.strip_prefix("agents-summary-")?.strip_suffix(".md")?;
    let (time, id) = rest.split_at_checked("2026-11-21T10-00-00Z".len())?;
    let id = id.strip_prefix('-')?;
    if id.is_empty()
        || !id
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    {
        return None;
    }
    let time = jiff::civil::DateTime::strptime("%Y-%m-%dT%H-%M-%SZ", time).ok()?;
    let time = time.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(time.timestamp().as_millisecond())
}

/// `.agents-summary-….md.0123abcd.tmp`: a report that was being written.
fn is_temporary(name: &str) -> bool {
    let report = name
        .strip_prefix('.')
        .and_then(|n| n.strip_suffix(".tmp"))
        .and_then(|n| n.rsplit_once('.'))
        .filter(|(_, random)| random.len() == 8 && random.bytes().all(|b| b.is_ascii_hexdigit()));
    report.is_some_and(|(report, _)| made_at(report).is_some())
}

#[cfg(test)]
#[path = "reports_tests.rs"]
mod tests;
