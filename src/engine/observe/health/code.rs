//! Every reason that the judge can give: its code, its check and its page. Codes and checks are stable: scripts
//! and alert rules go by them.

/// The checks, in the order in which they are listed.
pub const CHECKS: [&str; 16] = [
    "journal",
    "files",
    "intake",
    "disk",
    "logs",
    "drain",
    "providers",
    "evidence",
    "queue",
    "outbox",
    "clock",
    "budget",
    "targets",
    "protection",
    "settings",
    "workspace",
];

/// Why a check does not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Code {
    /// No trial write has ended since the start.
    JournalNotKnown,
    /// A trial write, or a write of finished work, failed.
    JournalNotWritable,
    /// A trial write has not ended for 3 seconds.
    JournalSlow,
    /// Damage was found in the journal while the engine works.
    JournalDamaged,
    /// The journal was recovered, and no operator has acknowledged it.
    JournalNotAcknowledged,
    /// Journal, WAL, lock or socket was deleted while the engine runs.
    FileGone,
    /// Another file is in the place of journal, WAL, lock or socket.
    FileReplaced,
    /// A run or a webhook was refused in the last minute because it could not be kept.
    IntakeRefused,
    /// The system does not say how full a disk is.
    DiskNotKnown,
    /// A disk has less than 10 % or 1 GiB left.
    DiskLow,
    /// A disk has less than 64 MiB left.
    DiskFull,
    /// A disk has less than 1,000 inodes left.
    InodesFull,
    /// Log lines were lost in the last 5 minutes.
    LogLinesLost,
    /// Lines of the audit trail were lost in the last 5 minutes.
    AuditLinesLost,
    /// An operator drained the engine.
    Drained,
    /// A provider failed; its breaker refuses calls.
    BreakerOpen,
    /// An operator isolated a provider.
    BreakerIsolated,
    /// A breaker lets single trials through.
    BreakerRecovering,
    /// A provider refused every key.
    KeysRefused,
    /// Fewer than 95 % of the last hour's runs (5 or more) ended with full evidence.
    EvidenceMissing,
    /// A queued run has waited for over 10 minutes.
    QueueOld,
    /// A publication has waited for over 30 minutes.
    OutboxOld,
    /// The wall clock was set by more than 10 minutes since the start.
    ClockSet,
    /// The day's budget is used up.
    BudgetUsed,
    /// A figure has missed its target for a while.
    TargetMissed,
    /// Breakers, pools, rate limits or retries are switched off.
    ProtectionOff,
    /// An edit of the settings has an error and is not in effect.
    SettingsBroken,
    /// An edit of the workspace has an error and is not in effect.
    WorkspaceBroken,
    /// The workspace has errors.
    WorkspaceErrors,
    /// The workspace changed since it was trusted.
    WorkspaceChanged,
}

impl Code {
    /// All of them.
    pub const ALL: [Self; 30] = [
        Self::JournalNotKnown,
        Self::JournalNotWritable,
        Self::JournalSlow,
        Self::JournalDamaged,
        Self::JournalNotAcknowledged,
        Self::FileGone,
        Self::FileReplaced,
        Self::IntakeRefused,
        Self::DiskNotKnown,
        Self::DiskLow,
        Self::DiskFull,
        Self::InodesFull,
        Self::LogLinesLost,
        Self::AuditLinesLost,
        Self::Drained,
        Self::BreakerOpen,
        Self::BreakerIsolated,
        Self::BreakerRecovering,
        Self::KeysRefused,
        Self::EvidenceMissing,
        Self::QueueOld,
        Self::OutboxOld,
        Self::ClockSet,
        Self::BudgetUsed,
        Self::TargetMissed,
        Self::ProtectionOff,
        Self::SettingsBroken,
        Self::WorkspaceBroken,
        Self::WorkspaceErrors,
        Self::WorkspaceChanged,
    ];

    /// The code, the check and the page's name.
    fn row(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::JournalNotKnown => ("journal-not-yet-known", "journal", "journal"),
            Self::JournalNotWritable => ("journal-not-writable", "journal", "journal"),
            Self::JournalSlow => ("journal-does-not-answer", "journal", "journal"),
            Self::JournalDamaged => ("journal-damaged", "journal", "journal"),
            Self::JournalNotAcknowledged => ("journal-not-acknowledged", "journal", "journal"),
            Self::FileGone => ("state-file-gone", "files", "state-files"),
            Self::FileReplaced => ("state-file-replaced", "files", "state-files"),
            Self::IntakeRefused => ("intake-refused", "intake", "journal"),
            Self::DiskNotKnown => ("disk-not-known", "disk", "disk-full"),
            Self::DiskLow => ("disk-low", "disk", "disk-full"),
            Self::DiskFull => ("disk-full", "disk", "disk-full"),
            Self::InodesFull => ("inodes-full", "disk", "disk-full"),
            Self::LogLinesLost => ("log-lines-lost", "logs", "log-lines-lost"),
            Self::AuditLinesLost => ("audit-lines-lost", "logs", "log-lines-lost"),
            Self::Drained => ("drained", "drain", "drained"),
            Self::BreakerOpen => ("breaker-open", "providers", "breaker-open"),
            Self::BreakerIsolated => ("breaker-isolated", "providers", "breaker-open"),
            Self::BreakerRecovering => ("breaker-recovering", "providers", "breaker-open"),
            Self::KeysRefused => ("keys-refused", "providers", "provider-not-ready"),
            Self::EvidenceMissing => ("evidence-missing", "evidence", "evidence-partial"),
            Self::QueueOld => ("queue-old", "queue", "queue-growing"),
            Self::OutboxOld => ("outbox-old", "outbox", "outbox"),
            Self::ClockSet => ("clock-set", "clock", "clock"),
            Self::BudgetUsed => ("budget-used", "budget", "budget"),
            Self::TargetMissed => ("target-missed", "targets", "health-degraded"),
            Self::ProtectionOff => ("protection-off", "protection", "health-degraded"),
            Self::SettingsBroken => ("settings-broken", "settings", "health-degraded"),
            Self::WorkspaceBroken => ("workspace-broken", "workspace", "workspace"),
            Self::WorkspaceErrors => ("workspace-errors", "workspace", "workspace"),
            Self::WorkspaceChanged => ("workspace-changed", "workspace", "workspace"),
        }
    }

    /// The code, as in JSON.
    pub fn as_str(self) -> &'static str {
        self.row().0
    }

    /// The check that it belongs to.
    pub fn check(self) -> &'static str {
        self.row().1
    }

    /// The page that says what to do, a path in the repository.
    pub fn runbook(self) -> String {
        format!("docs/runbooks/{}.md", self.row().2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn code_has_a_page_that_exists_and_a_check_that_is_listed() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        for code in Code::ALL {
            assert!(
                root.join(code.runbook()).is_file(),
                "{code:?}: {}",
                code.runbook()
            );
            assert!(CHECKS.contains(&code.check()), "{code:?}: {}", code.check());
        }
        let names: BTreeSet<&str> = Code::ALL.iter().map(|c| c.as_str()).collect();
        assert_eq!(names.len(), Code::ALL.len(), "codes differ");
        let used: BTreeSet<&str> = Code::ALL.iter().map(|c| c.check()).collect();
        assert_eq!(
            used,
            CHECKS.into_iter().collect(),
            "no check without a code"
        );
        let page = std::fs::read_to_string(root.join("docs/operations.md")).unwrap();
        for code in Code::ALL {
            let row = format!("| `{}` |", code.as_str());
            assert!(page.contains(&row), "docs/operations.md lacks {row}");
        }
    }
}
