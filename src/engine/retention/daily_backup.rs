//! The daily copy of the journal: made when the newest is a day old, checked, kept with those before it.

use crate::engine::retention::files;
use crate::journal::JournalError;
use crate::journal::backup::{self, BackupInfo};
use crate::state::StateDir;

/// Between two copies. A little less than a day: the pass that finds it due comes every ten minutes.
const EVERY_MS: i64 = 86_400_000 - 600_000;

/// Copies the journal if the newest copy is a day old, or there is none. Blocking.
///
/// # Errors
/// The copy could not be made, or is not whole.
pub fn if_due(state: &StateDir, now_ms: i64) -> Result<Option<BackupInfo>, JournalError> {
    if made_ms(state)
        .iter()
        .any(|made| (0..EVERY_MS).contains(&(now_ms - made)))
    {
        return Ok(None);
    }
    let target = state
        .new_backup()
        .map_err(|e| JournalError::ReadOnly(e.to_string()))?;
    backup::create(&state.journal(), &target).map(Some)
}

/// When each copy was made, wall time in milliseconds. Some may be from the future: the clock was ahead.
fn made_ms(state: &StateDir) -> Vec<i64> {
    let found = files::plain_files(&state.path().join(files::BACKUPS), files::is_backup);
    found
        .unwrap_or_default()
        .iter()
        .map(|file| file.changed_ms)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Journal;

    #[test]
    fn copy_is_made_once_a_day_and_at_once_when_there_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::at(dir.path().join("s"));
        state.prepare().unwrap();
        let journal = Journal::open(&state.journal()).unwrap();
        let now_ms = jiff::Timestamp::now().as_millisecond();
        let first = if_due(&state, now_ms).unwrap().unwrap();
        assert!(first.path.starts_with(state.backups()));
        assert_eq!(if_due(&state, now_ms + 3_600_000).unwrap(), None);
        assert!(if_due(&state, now_ms + 86_400_000).unwrap().is_some());
        // A clock that was set back is no reason to wait for years, nor for a copy at every pass.
        assert!(if_due(&state, now_ms - 86_400_000).unwrap().is_some());
        journal.close();
    }
}
