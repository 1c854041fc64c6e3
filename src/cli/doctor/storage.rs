//! The state directory: its mode, owner and file system, the disk, the journal, the logs.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::report::Line;
use crate::engine::observe::health::disk_findings;
use crate::engine::observe::health::facts::Disk;
use crate::journal::Journal;
use crate::state::{StateDir, StateError, create_private, is_network};
use crate::telemetry::disk_space::DiskSpace;
use crate::telemetry::log_files::LogSettings;
use crate::telemetry::resources::folder_bytes;

/// Longest path of a socket, bytes (Linux: 108 with the closing zero).
const SOCKET_PATH: usize = 107;

/// Whether it is there, private, ours and local. Nothing is created.
pub(super) fn directory(state: &StateDir) -> Line {
    const NAME: &str = "state-directory";
    let path = state.path();
    let Ok(meta) = std::fs::symlink_metadata(path) else {
        return Line::pass(
            NAME,
            format!("{} is made at the first start", path.display()),
        );
    };
    if meta.is_dir() && meta.mode() & 0o700 != 0o700 {
        return Line::fail(
            NAME,
            format!(
                "{}: its own user may not use it (mode {:04o})",
                path.display(),
                meta.mode() & 0o777
            ),
            "chmod 700 it",
        );
    }
    if is_network(path) {
        return Line::fail(
            NAME,
            StateError::Network(path.to_path_buf()).to_string(),
            "set XDG_STATE_HOME to a folder on a local disk",
        );
    }
    // It exists: this only checks it.
    match create_private(path) {
        Ok(()) => Line::pass(NAME, format!("{} is private and local", path.display())),
        Err(error @ StateError::NotPrivate { .. }) => Line::fail(
            NAME,
            error.to_string(),
            "chmod 700 and chown it, or set XDG_STATE_HOME",
        ),
        Err(error) => Line::fail(
            NAME,
            error.to_string(),
            "set XDG_STATE_HOME to a folder of your own",
        ),
    }
}

/// The socket's path has a limit. At the first start a shorter one is chosen where the own one is too long.
pub(super) fn socket(state: &StateDir) -> Option<Line> {
    let length = state.socket().as_os_str().len();
    (length > SOCKET_PATH && state.path().exists()).then(|| {
        Line::fail(
            "socket",
            format!("the socket's path has {length} bytes, {SOCKET_PATH} are allowed"),
            "set XDG_STATE_HOME to a shorter folder",
        )
    })
}

/// The disks of the state directory and of the reports, by the judge of health.
pub(super) fn disks(folders: &[(&'static str, &Path)]) -> Vec<Line> {
    let look = |(holds, path): &(&'static str, &Path)| Disk {
        holds,
        space: DiskSpace::of(path).map_err(|e| e.to_string()),
    };
    disk_lines(&folders.iter().map(look).collect::<Vec<_>>())
}

pub(super) fn disk_lines(disks: &[Disk]) -> Vec<Line> {
    let found = disk_findings(disks);
    if found.is_empty() {
        return vec![Line::pass("disk", "enough bytes and inodes are left")];
    }
    let line = |f: &crate::engine::observe::health::Finding| {
        Line::new(f.level, "disk", &f.message, Some(&f.code.runbook()))
    };
    found.iter().map(line).collect()
}

/// Whether the journal can be read, and when its newest run was accepted.
pub(super) fn journal(state: &StateDir) -> (Line, Option<i64>) {
    const NAME: &str = "journal";
    const PAGE: &str = "docs/runbooks/journal.md";
    let path = state.journal();
    match std::fs::metadata(&path) {
        Ok(meta) if meta.len() == 0 => {
            let sentence = format!("{} is empty", path.display());
            return (Line::fail(NAME, sentence, PAGE), None);
        }
        Ok(meta) if meta.mode() & 0o077 != 0 => {
            let sentence = format!(
                "{} can be read by others (mode {:04o})",
                path.display(),
                meta.mode() & 0o777
            );
            return (Line::fail(NAME, sentence, "chmod 600 it"), None);
        }
        _ => {}
    }
    let journal = match Journal::read_only(&path) {
        Ok(None) => return (Line::pass(NAME, "none yet"), None),
        Ok(Some(journal)) => journal,
        Err(error) => return (Line::fail(NAME, error.to_string(), PAGE), None),
    };
    let read = journal.damage().and_then(|damage| {
        let newest = journal.recent(1)?.first().map(|row| row.new.created_ms);
        Ok((damage, journal.notice()?, newest))
    });
    match read {
        Ok((Some(damage), _, newest)) => {
            let sentence = format!("{} is damaged: {damage}", path.display());
            (Line::fail(NAME, sentence, "bsm state repair"), newest)
        }
        Ok((None, Some(notice), newest)) => {
            let next = "read it, then `bsm state repair --acknowledge`";
            (Line::fail(NAME, notice, next), newest)
        }
        Ok((None, None, newest)) => {
            let sentence = "its tables can be read and its records are all there";
            (Line::pass(NAME, sentence), newest)
        }
        Err(error) => (Line::fail(NAME, error.to_string(), PAGE), None),
    }
}

/// Whether the logs have room in what they are allowed.
pub(super) fn logs(state: &StateDir, settings: &LogSettings) -> Line {
    const NAME: &str = "logs";
    let taken = folder_bytes(&state.logs());
    let allowed = settings.max_bytes;
    if taken >= allowed {
        return Line::warn(
            NAME,
            format!("the log files take {taken} bytes, logs.maxBytes allows {allowed}"),
            "raise logs.maxBytes, or lower logs.level; docs/runbooks/log-lines-lost.md",
        );
    }
    Line::pass(NAME, format!("{taken} of {allowed} bytes"))
}
