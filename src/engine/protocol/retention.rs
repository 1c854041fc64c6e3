//! What grows, how much of it is kept, and what a pruning removed: data of the seam.

use serde::{Deserialize, Serialize};

/// Something that grows while the engine runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Store {
    /// Ended runs with their steps, in the journal.
    Runs,
    /// Past reviews and decisions, in the journal.
    Memory,
    /// Recorded snapshots, in the journal.
    History,
    /// Webhooks in the list, in the journal.
    Deliveries,
    /// Keys by which a webhook is known again, in the journal.
    DeliveryKeys,
    /// Decided approvals, in the journal.
    Approvals,
    /// Ended publications, in the journal.
    Outbox,
    /// Sums of costs by day, in the journal.
    Spend,
    /// Report files.
    Reports,
    /// Files of the audit trail.
    Audit,
    /// Log files.
    Logs,
    /// Copies of the journal made before a migration.
    MigrationBackups,
    /// Copies of the journal in `backups/`.
    Backups,
    /// Journals that were damaged, or that a backup replaced.
    DamagedJournals,
}

impl Store {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Runs => "runs",
            Self::Memory => "memory",
            Self::History => "history",
            Self::Deliveries => "deliveries",
            Self::DeliveryKeys => "delivery keys",
            Self::Approvals => "approvals",
            Self::Outbox => "outbox",
            Self::Spend => "spend",
            Self::Reports => "reports",
            Self::Audit => "audit",
            Self::Logs => "logs",
            Self::MigrationBackups => "migration backups",
            Self::Backups => "backups",
            Self::DamagedJournals => "damaged journals",
        }
    }
}

/// What a pruning removed of one store, or, of a dry run, would remove.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Removed {
    /// Of what.
    pub store: Store,
    /// Rows or files.
    pub items: u64,
    /// Bytes of the files; of rows unknown.
    pub bytes: Option<u64>,
}

/// One pruning.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pruned {
    /// Nothing was removed, only counted.
    pub dry_run: bool,
    /// What went; stores that lost nothing are not listed.
    pub removed: Vec<Removed>,
    /// What could not be done, as sentences.
    pub problems: Vec<String>,
}

impl Pruned {
    /// In one sentence.
    pub fn summary(&self) -> String {
        let each = self
            .removed
            .iter()
            .map(|r| format!("{} {}", r.items, r.store.as_str()));
        let list: Vec<String> = each.collect();
        let verb = if self.dry_run {
            "would remove"
        } else {
            "removed"
        };
        let what = if list.is_empty() {
            "nothing".to_owned()
        } else {
            list.join(", ")
        };
        match self.problems.len() {
            0 => format!("{verb} {what}"),
            n => format!("{verb} {what}; {n} problems: {}", self.problems.join("; ")),
        }
    }
}
