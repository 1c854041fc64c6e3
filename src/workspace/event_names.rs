//! Names of events: which stand for others, which end something, and what a pattern fits.

/// Events of GitHub that mean what another one means: reviewed by its rule where they have none of their own.
/// The first of the others that has a rule counts.
pub const ALIASES: &[(&str, &[&str])] = &[
    (
        "pull_request.reopened",
        &["pull_request.opened", "pull_request.synchronize"],
    ),
    ("pull_request.edited", CHANGED),
    ("pull_request.ready_for_review", CHANGED),
    ("check_run.rerequested", CHANGED),
    ("check_run.requested_action", CHANGED),
    ("check_suite.rerequested", CHANGED),
    ("merge_group.checks_requested", CHANGED),
];

const CHANGED: &[&str] = &["pull_request.synchronize", "pull_request.opened"];

/// Events that end something: a pattern never starts a run for one, only an entry of its own does.
pub const ENDINGS: &[&str] = &["pull_request.closed", "pull_request.converted_to_draft"];

/// Whether a name is a pattern: one `*` in it.
pub fn is_pattern(name: &str) -> bool {
    name.contains('*')
}

/// Whether a pattern with one `*` fits an event. A second `*` fits only itself.
pub(super) fn fits(pattern: &str, event: &str) -> bool {
    let Some((before, after)) = pattern.split_once('*') else {
        return false;
    };
    event.len() >= before.len() + after.len() && event.starts_with(before) && event.ends_with(after)
}
