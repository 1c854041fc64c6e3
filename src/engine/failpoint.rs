//! Places where a test makes the process die, one at each arrow of a run's life.
//!
//! Why by name and not by time: a random kill finds the wide gaps; the narrow ones (a step computed and
//! not yet written, a decision written and its report not) must be hit on purpose. Release builds have
//! none of this.

/// Dies here, as kill -9 would, when `BSM_FAILPOINT` names this place (debug builds only).
pub fn reached(name: &str) {
    #[cfg(debug_assertions)]
    if std::env::var_os("BSM_FAILPOINT").is_some_and(|wanted| wanted == name) {
        std::process::abort();
    }
    #[cfg(not(debug_assertions))]
    let _ = name;
}

/// Every place, in the order a run passes them.
pub const ALL: &[&str] = &[
    "intake-scanned",
    "intake-kept",
    "run-started",
    "step-computed",
    "step-kept",
    "decision-made",
    "decision-kept",
    "report-written",
];
