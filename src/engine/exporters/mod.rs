//! Findings in the forms that other tools read: SARIF, rdjsonl, GitLab's Code Quality, JUnit, GitHub's
//! annotations, Azure's issues.
//!
//! Why one value for all: a run and a scan have the same findings and coverage, and each form writes every
//! finding once, with the agents that decide by it. What was not reviewed is in every form that has a place
//! for it: a file that nobody read must not look like a file without findings.

mod annotations;
mod azure;
mod code_quality;
mod junit;
mod rdjson;
mod sarif;

pub use annotations::annotations;
pub use azure::{azure_data, azure_issues};
pub use code_quality::code_quality;
pub use junit::junit;
pub use rdjson::rdjsonl;
pub use sarif::sarif;

use crate::engine::protocol::run::{Decision, Evidence, RunResult, RunState};
use crate::review::finding::{Coverage, Finding, Severity, Suppressed};
use crate::review::scan::Scanned;
use crate::text::Untrusted;

/// A finding and the agents that decide by it.
pub struct Reported<'a> {
    /// The finding.
    pub finding: &'a Finding,
    /// Ids of agents; none in a scan.
    pub agents: Vec<&'a str>,
}

/// What is exported.
pub struct Export<'a> {
    /// Every finding once, the worst first.
    pub findings: Vec<Reported<'a>>,
    /// What was found and is accepted.
    pub suppressed: &'a [Suppressed],
    /// How much was reviewed.
    pub coverage: &'a Coverage,
    /// What kind of review it was, for tools that keep several apart.
    pub category: String,
    /// It came to its end.
    pub complete: bool,
    /// The exit code of the command.
    pub exit_code: u8,
    /// Of a run: its id, its decision, its evidence, and whether it was simulated.
    pub run: Option<(&'a str, Option<&'a Decision>, Evidence, bool)>,
}

impl<'a> Export<'a> {
    /// Of a run.
    pub fn of_run(run: &'a RunResult) -> Self {
        let decision = run.decision.as_ref();
        Self {
            findings: findings_of(run),
            suppressed: &run.suppressed,
            coverage: &run.coverage,
            category: crate::text::clean_line(&run.event, 80),
            complete: run.state == RunState::Finished,
            exit_code: decision.map_or(1, |d| d.action.exit_code()),
            run: Some((&run.run_id, decision, run.evidence, run.simulated)),
        }
    }

    /// Of a scan by rules alone.
    pub fn of_scan(scanned: &'a Scanned, exit_code: u8) -> Self {
        let mut findings: Vec<Reported<'a>> = scanned
            .findings
            .iter()
            .map(|finding| Reported {
                finding,
                agents: Vec::new(),
            })
            .collect();
        findings.sort_by_key(|r| std::cmp::Reverse(r.finding.severity));
        Self {
            findings,
            suppressed: &scanned.suppressed,
            coverage: &scanned.coverage,
            category: "scan".into(),
            complete: true,
            exit_code,
            run: None,
        }
    }

    /// A file for what is about the change as a whole.
    fn any_file(&self) -> Untrusted {
        let of_finding = || self.findings.iter().find_map(|r| r.finding.file.clone());
        let first = self.coverage.first_file.clone();
        first
            .or_else(of_finding)
            .unwrap_or_else(|| Untrusted::from("."))
    }
}

/// Every finding of a run once, the worst first, with the agents that decide by it.
pub(super) fn findings_of(run: &RunResult) -> Vec<Reported<'_>> {
    let mut all: Vec<Reported<'_>> = Vec::new();
    for step in &run.agents {
        for finding in &step.findings {
            match all.iter_mut().find(|r| r.finding == finding) {
                Some(known) => known.agents.push(&step.agent_id),
                None => all.push(Reported {
                    finding,
                    agents: vec![&step.agent_id],
                }),
            }
        }
    }
    all.sort_by_key(|r| std::cmp::Reverse(r.finding.severity));
    all
}

/// Text without two `#` beside each other: runners take `##[...]` and `##vso[...]` as commands wherever they stand.
pub fn apart(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c == '#' && out.ends_with('#') {
            out.push(' ');
        }
        out.push(c);
    }
    out
}

/// Three steps that most of these forms have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Error,
    Warning,
    Note,
}

fn level(severity: Severity) -> Level {
    match severity {
        Severity::Critical | Severity::High => Level::Error,
        Severity::Medium => Level::Warning,
        Severity::Low | Severity::Info => Level::Note,
    }
}

#[cfg(test)]
mod tests;
