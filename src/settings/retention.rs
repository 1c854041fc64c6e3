//! How much is kept of what grows: reports, memory, the audit trail, copies of the journal. 0 means "no bound for
//! this reason". Log files have their own settings (`logs`), runs have `engine.runsKept`.

use serde::{Deserialize, Serialize};

/// Report files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct ReportSettings {
    /// Reports older than this are removed, days; 0: however old.
    pub days: u32,
    /// The oldest reports are removed until all take no more than this, bytes; 0: as much as they take.
    pub max_bytes: u64,
}

impl Default for ReportSettings {
    fn default() -> Self {
        Self {
            days: 90,
            max_bytes: 1 << 30,
        }
    }
}

/// The audit trail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct AuditSettings {
    /// A file of this size is closed and a new one begun, bytes.
    pub max_bytes: u64,
    /// Closed files whose last line is older than this are removed, days; 0: however old.
    pub days: u32,
}

impl Default for AuditSettings {
    fn default() -> Self {
        Self {
            max_bytes: 16 << 20,
            days: 365,
        }
    }
}

/// Copies of the journal in the state directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct BackupSettings {
    /// The newest so many are kept, of those before a migration and of those in `backups/` each.
    pub keep: u32,
}

impl Default for BackupSettings {
    fn default() -> Self {
        Self { keep: 7 }
    }
}

/// Past reviews: what is removed (0: nothing for that reason), and who is told of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct MemorySettings {
    /// An agent's prompt gets the past reviews most like the change.
    pub in_prompt: bool,
    /// Items older than this go, days.
    pub days: u32,
    /// All but the newest so many go.
    pub items: u64,
    /// The oldest go until the texts take no more than this, bytes.
    pub bytes: u64,
}

impl Default for MemorySettings {
    fn default() -> Self {
        Self {
            in_prompt: false,
            days: 180,
            items: 100_000,
            bytes: 0,
        }
    }
}
