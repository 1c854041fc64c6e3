//! Whether what the operator wrote is in effect, and nothing that protects is switched off.

use super::code::Code;
use super::facts::Facts;
use super::finding::Findings;
use crate::engine::protocol::snapshot::Snapshot;
use crate::workspace::trust::Trust;

pub(super) fn judge(snapshot: &Snapshot, facts: &Facts, found: &mut Findings) {
    for text in &facts.targets_missed {
        found.warn(Code::TargetMissed, text.clone());
    }
    let flags = snapshot.flags;
    for (on, what) in [
        (flags.circuit_breaker, "breakers are switched off"),
        (flags.bulkhead, "pools are switched off"),
        (flags.rate_limiter, "rate limits are switched off"),
        (flags.retry, "retries are switched off"),
    ] {
        if !on {
            found.warn(Code::ProtectionOff, what);
        }
    }
    if facts.settings_broken {
        found.warn(
            Code::SettingsBroken,
            "the edited settings are not in effect",
        );
    }
    let workspace = &snapshot.workspace;
    if workspace.kept_last_good {
        found.warn(Code::WorkspaceBroken, "a broken edit is not in effect");
    } else if workspace.errors > 0 {
        found.warn(
            Code::WorkspaceErrors,
            format!("{} errors in the workspace", workspace.errors),
        );
    }
    if workspace.trust == Trust::Changed {
        found.warn(
            Code::WorkspaceChanged,
            "the workspace changed since it was trusted",
        );
    }
}
