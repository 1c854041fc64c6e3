//! What happened while the journal was opened.

use std::path::PathBuf;

/// What happened while the journal was opened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JournalNotes {
    /// It was damaged, and made again from what could be read.
    pub healed: Option<Healed>,
    /// The copy made before migrating.
    pub backup: Option<PathBuf>,
    /// The file with the record count was not there: whether records are missing is not known.
    pub unproven: bool,
    /// What an operator has to acknowledge before publications, schedules and spending go on.
    pub notice: Option<String>,
}

/// How a damaged journal was made again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Healed {
    /// What was wrong with it.
    pub damage: String,
    /// The damaged file, where it was moved to.
    pub kept_as: PathBuf,
    /// Records that were found whole.
    pub records: usize,
    /// Rows that were found in the tables alone.
    pub rows: usize,
    /// Only its indexes were damaged: they were made again, and nothing was lost.
    pub only_indexes: bool,
}
