//! Agents that an operator stopped, in a small file beside the journal as well.
//!
//! Why twice: a stop is a person's word against an agent. It outlives a damaged journal and a restored backup.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::journal::error::JournalError;

fn path_of(journal: &Path) -> PathBuf {
    PathBuf::from(format!("{}.stops", journal.display()))
}

/// The agents in the file; none where there is no file.
pub(super) fn read(journal: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path_of(journal)).unwrap_or_default();
    text.lines()
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Replaces the file: one agent a line.
///
/// # Errors
/// The folder cannot be written.
pub(super) fn write(journal: &Path, agents: &[String]) -> Result<(), JournalError> {
    let path = path_of(journal);
    let part = PathBuf::from(format!("{}.part", path.display()));
    let io = |e: std::io::Error| JournalError::io(&path, &e);
    let _ = std::fs::remove_file(&part);
    let mut file = crate::state::private_file(&part, false)
        .map_err(|e| JournalError::ReadOnly(e.to_string()))?;
    file.write_all(format!("{}\n", agents.join("\n")).as_bytes())
        .and_then(|()| file.sync_all())
        .and_then(|()| std::fs::rename(&part, &path))
        .map_err(io)
}
