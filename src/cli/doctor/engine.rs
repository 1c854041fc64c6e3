//! The running engine: what it says of itself, check by check.

use super::report::Line;
use crate::cli::local_engine::LocalEngine;
use crate::engine::protocol::health::Level;
use crate::engine::protocol::snapshot::Snapshot;

/// Whether an engine runs, and everything that its judge of health found.
pub(super) fn lines(engine: &LocalEngine) -> Vec<Line> {
    const NAME: &str = "engine";
    match engine {
        LocalEngine::Stopped => vec![Line::pass(
            NAME,
            "none runs here; its files are looked at without it",
        )],
        LocalEngine::OneRun => vec![Line::pass(NAME, "one run is at work; it ends by itself")],
        LocalEngine::Running { pid, snapshot } => {
            let pid = pid.map_or_else(String::new, |pid| format!(", process {pid}"));
            match snapshot {
                Ok(snapshot) => {
                    let mut lines = vec![Line::pass(NAME, format!("it runs and answers{pid}"))];
                    lines.extend(health(snapshot));
                    lines
                }
                Err(why) => vec![Line::fail(
                    NAME,
                    format!("it runs and does not answer{pid}: {why}"),
                    "look at `bsm logs`; docs/runbooks/engine-down.md",
                )],
            }
        }
    }
}

/// One line for each check, and one for each reason of those that do not pass.
pub(super) fn health(snapshot: &Snapshot) -> Vec<Line> {
    let mut lines = Vec::new();
    for check in &snapshot.checks {
        let name = format!("engine-{}", check.name);
        let of = snapshot.reasons.iter().filter(|r| r.check == check.name);
        let before = lines.len();
        lines.extend(of.map(|r| Line::new(r.level, &name, &r.message, Some(&r.runbook))));
        if lines.len() == before {
            lines.push(Line::new(
                check.level,
                &name,
                "nothing to complain about",
                None,
            ));
        }
    }
    if snapshot.checks.is_empty() {
        lines.push(Line::new(
            Level::Warn,
            "engine-health",
            "the engine lists no checks",
            Some("use the same version of bsm on both sides"),
        ));
    }
    lines
}
