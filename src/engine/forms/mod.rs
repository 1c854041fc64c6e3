//! A run's findings in the forms that other tools read: SARIF, rdjsonl, GitHub's annotations.
//!
//! Why from the run: what is shown here is what was decided by, no more. A finding that several agents
//! decide by is written once, with their names.

mod annotations;
mod rdjson;
mod sarif;

pub use annotations::annotations;
pub use rdjson::rdjsonl;
pub use sarif::sarif;

use super::types::run::RunResult;
use crate::review::finding::{Finding, Severity};

/// A finding and the agents that decide by it.
struct Told<'a> {
    finding: &'a Finding,
    agents: Vec<&'a str>,
}

/// Every finding once, the worst first.
fn told(run: &RunResult) -> Vec<Told<'_>> {
    let mut all: Vec<Told<'_>> = Vec::new();
    for step in &run.agents {
        for finding in &step.findings {
            match all.iter_mut().find(|t| t.finding == finding) {
                Some(known) => known.agents.push(&step.agent_id),
                None => all.push(Told {
                    finding,
                    agents: vec![&step.agent_id],
                }),
            }
        }
    }
    all.sort_by_key(|t| std::cmp::Reverse(t.finding.severity));
    all
}

/// Three steps that all of these forms have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Error,
    Warning,
    Note,
}

fn step(severity: Severity) -> Step {
    match severity {
        Severity::Critical | Severity::High => Step::Error,
        Severity::Medium => Step::Warning,
        Severity::Low | Severity::Info => Step::Note,
    }
}

#[cfg(test)]
mod tests;
