//! Which report files are too old or too many. Only files that this workspace's runs wrote are ever removed: those
//! with a report's name that a run in the journal names, or that the index lists.
//!
//! The index (`reports.index` in the state directory) remembers the names of reports whose runs are not in the
//! journal any more. It is written before runs are removed from the journal.

use std::collections::BTreeSet;
use std::path::Path;

use crate::engine::runs::report::ReportFolder;
use crate::files::{FileError, Root};
use crate::state::StateDir;

const INDEX: &str = "reports.index";
/// The index is not larger: a million names.
const MOST_INDEX: u64 = 64 << 20;
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
    named: Vec<String>,
) -> Result<Vec<ReportFile>, FileError> {
    let mut known: BTreeSet<String> = named.into_iter().collect();
    known.extend(read_index(state)?);
    let Some((root, names)) = listed(folder)? else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    for name in names {
        let Some(made_ms) = made_at(&name).filter(|_| known.contains(&name)) else {
            continue;
        };
        // It may go between the two looks.
        if let Ok((bytes, _)) = root.size_and_time(&Path::new(&folder.relative).join(&name)) {
            found.push(ReportFile {
                name,
                made_ms,
                bytes,
            });
        }
    }
    found.sort_by(|a, b| (a.made_ms, &a.name).cmp(&(b.made_ms, &b.name)));
    Ok(found)
}

/// Of `reports` (the oldest first) those beyond the limits, which are taken out of it.
pub fn take_beyond(reports: &mut Vec<ReportFile>, limits: Limits) -> Vec<ReportFile> {
    let mut total: u64 = reports.iter().map(|r| r.bytes).sum();
    let mut gone = 0;
    for report in reports.iter() {
        let old = report.made_ms < limits.older_than_ms;
        let much = limits.max_bytes > 0 && total > limits.max_bytes;
        if !old && !much {
            break;
        }
        total -= report.bytes;
        gone += 1;
    }
    reports.drain(..gone).collect()
}

/// Removes reports, and temporary files that a crash left. What could not be removed is put back into `kept`, with
/// the first reason.
///
/// # Errors
/// The first file that could not be removed.
pub fn remove(
    folder: &ReportFolder,
    gone: Vec<ReportFile>,
    kept: &mut Vec<ReportFile>,
    now_ms: i64,
) -> Result<(), FileError> {
    let Some((root, names)) = listed(folder)? else {
        return Ok(());
    };
    let relative = Path::new(&folder.relative);
    for name in names.iter().filter(|n| is_temporary(n)) {
        let path = relative.join(name);
        if root
            .size_and_time(&path)
            .is_ok_and(|(_, changed)| now_ms - changed > ORPHANED_MS)
        {
            root.remove_file(&path)?;
        }
    }
    let mut first_error = None;
    for report in gone {
        match root.remove_file(&relative.join(&report.name)) {
            Ok(()) => {}
            Err(error) if error.is_missing() => {}
            Err(error) => {
                first_error.get_or_insert(error);
                kept.push(report);
            }
        }
    }
    first_error.map_or(Ok(()), Err)
}

/// Writes the index: the names of the reports that are there. Runs may go from the journal after it.
///
/// # Errors
/// It cannot be written.
pub fn write_index(state: &StateDir, reports: &[ReportFile]) -> Result<(), FileError> {
    let mut text = String::new();
    for report in reports {
        text.push_str(&report.name);
        text.push('\n');
    }
    if read_index_text(state)? == text {
        return Ok(());
    }
    Root::open(state.path())?.write_atomic(Path::new(INDEX), text.as_bytes(), 0o600)
}

fn read_index(state: &StateDir) -> Result<Vec<String>, FileError> {
    let text = read_index_text(state)?;
    Ok(text.lines().map(str::to_owned).collect())
}

fn read_index_text(state: &StateDir) -> Result<String, FileError> {
    match Root::open(state.path())?.read_text(Path::new(INDEX), MOST_INDEX) {
        Err(error) if error.is_missing() => Ok(String::new()),
        other => other,
    }
}

/// The folder's handle and its files; `None`: there is no folder.
fn listed(folder: &ReportFolder) -> Result<Option<(Root, Vec<String>)>, FileError> {
    let root = Root::open(&folder.base)?;
    match root.list(Path::new(&folder.relative)) {
        Ok(names) => Ok(Some((root, names))),
        Err(error) if error.is_missing() => Ok(None),
        Err(error) => Err(error),
    }
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
