//! Which keys a workspace's own file may set, and which one that is not trusted may: a workspace decides how it is
//! reviewed, never where keys go, what is kept or what is spent.

use serde_json::Value;

/// Keys that a workspace's file may not set: they decide where keys may go, what is kept and what is spent.
const NOT_FROM_WORKSPACE: &[&str] = &[
    "keyHosts",
    "egress",
    "egressAllowedHosts",
    "safeMode",
    "logs",
    "engine.runsKept",
    "budgets",
    "api",
    "gateway",
    "github",
    "approvers",
    "approvals",
    "memory",
    "reports",
    "audit",
    "backups",
    "safeDirectories",
];

/// Keys by which a workspace that is not trusted could make a review milder, or choose who reviews.
const NOT_UNTRUSTED: &[&str] = &["review", "defaultModel", "fallback", "search"];

fn is_beneath(key: &str, keys: &[&str]) -> bool {
    keys.iter().any(|k| {
        key.strip_prefix(k)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    })
}

/// Why a workspace may not set a key to this value.
pub(super) fn refused(key: &str, value: &Value, trusted: bool) -> Option<&'static str> {
    let word = value.as_str();
    if is_beneath(key, NOT_FROM_WORKSPACE) {
        return Some("only your own settings or the environment may set it");
    }
    // A workspace may ask for more care, never for less.
    if key == "review.offlineApproval" {
        return (word != Some("never")).then_some("a workspace may only set it to never");
    }
    let stricter = match key {
        "review.signOff" => value.as_bool() == Some(true),
        "review.filterMode" => matches!(word, Some("file" | "all")),
        _ => false,
    };
    (!trusted && !stricter && is_beneath(key, NOT_UNTRUSTED))
        .then_some("the workspace is not trusted (bsm trust)")
}
