//! What the judge is told beside the snapshot's figures: collected by `health_facts`, or by hand in a test.

use crate::telemetry::disk_space::DiskSpace;

/// What the newest trial write found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Probe {
    /// None has ended yet.
    #[default]
    NotYetKnown,
    /// None is made: the journal is in memory, and nothing is kept.
    NotNeeded,
    /// The journal can be written.
    Written,
    /// It cannot: why.
    Failed(String),
    /// The write has not ended in time, this many seconds.
    Pending(u64),
}

/// A file system that the engine fills.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// What lies on it, for a sentence: "the state directory".
    pub holds: &'static str,
    /// What is left; none: the system does not say, and why.
    pub space: Result<DiskSpace, String>,
}

/// A file of the state directory that is not the one the engine works with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostFile {
    /// Its name.
    pub name: String,
    /// Another file is in its place.
    pub replaced: bool,
}

impl LostFile {
    /// What happened to it, and what helps.
    pub fn sentence(&self) -> String {
        let what = if self.replaced { "replaced" } else { "deleted" };
        format!("{} was {what} while the engine runs", self.name)
    }
}

/// Everything beside the snapshot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// Wall time, milliseconds.
    pub now_ms: i64,
    /// The newest trial write.
    pub probe: Probe,
    /// Some write of finished work fails right now.
    pub writes_failing: bool,
    /// The journal was recovered, and no operator has acknowledged it.
    pub journal_notice: Option<String>,
    /// Files that are gone or replaced.
    pub lost_files: Vec<LostFile>,
    /// The newest run or webhook that was refused because it could not be kept: wall time in milliseconds, why.
    pub intake_refused: Option<(i64, String)>,
    /// File systems that are filled.
    pub disks: Vec<Disk>,
    /// Log lines were lost a short while ago.
    pub log_lines_lost: bool,
    /// Lines of the audit trail were lost a short while ago.
    pub audit_lines_lost: bool,
    /// When the oldest queued run was accepted, wall time in milliseconds.
    pub oldest_queued_ms: Option<i64>,
    /// When the oldest waiting publication was made, wall time in milliseconds.
    pub oldest_publication_ms: Option<i64>,
    /// Somebody set the wall clock.
    pub clock_was_set: bool,
    /// A broken edit of the settings is not in effect.
    pub settings_broken: bool,
    /// Alerts of missed targets that are not over.
    pub targets_missed: Vec<String>,
}
