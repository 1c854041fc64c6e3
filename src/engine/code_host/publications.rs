//! What a decision leaves at GitHub: one comment, a status, and with full evidence a review, a label and,
//! where it is allowed, the merge.
//!
//! Why a pure function: whether something is called a success, and what it says of its evidence, must be
//! readable on one page.

use std::fmt::Write as _;

use crate::code_host::{LineComment, Publication, Pull};
use crate::engine::protocol::run::{Action, Evidence, RunResult, RunState};
use crate::engine::runs::report::place;
use crate::review::finding::{Finding, Severity};
use crate::settings::Publish;
use crate::text::{clean_line, cut, markdown};

/// Found again by this.
const MARKER: &str = "<!-- bsm:decision -->";
/// Whose status it is.
const CONTEXT: &str = "bsm/review";
/// Labels of ours begin with it.
const LABEL: &str = "bsm: ";
/// Longest status, characters, as GitHub has it.
const DESCRIPTION: usize = 140;
/// Findings in a comment.
const LISTED: usize = 30;
/// Remarks on lines.
const ON_LINES: usize = 30;

/// What is left there, in this order. `merges`: the four reviewers approved this very commit.
pub(super) fn of(run: &RunResult, pull: &Pull, wanted: Publish, merges: bool) -> Vec<Publication> {
    let mut out = Vec::new();
    if wanted.comment {
        out.push(Publication::Comment {
            marker: MARKER.into(),
            body: format!("{MARKER}\n{}", body(run, pull)),
        });
    }
    if wanted.status {
        let (state, description) = status(run);
        out.push(Publication::Status {
            state: state.into(),
            description,
            context: CONTEXT.into(),
        });
    }
    // Less than full evidence is stated, and acts on nothing.
    if run.evidence != Evidence::Full || run.state != RunState::Finished {
        return out;
    }
    let Some(decision) = &run.decision else {
        return out;
    };
    if wanted.labels {
        let word = match decision.action {
            Action::ApproveAndMerge | Action::Pass => "approved",
            Action::ManualReview => "needs a person",
            Action::RequestChanges => "changes requested",
            Action::BlockPr => "blocked",
        };
        out.push(Publication::Label {
            add: format!("{LABEL}{word}"),
            prefix: LABEL.into(),
        });
    }
    if wanted.review {
        let event = match decision.action {
            Action::ApproveAndMerge => "APPROVE",
            Action::RequestChanges | Action::BlockPr => "REQUEST_CHANGES",
            Action::ManualReview | Action::Pass => "COMMENT",
        };
        let marker = format!("<!-- bsm:review {} -->", run.run_id);
        let summary = markdown(decision.reason.raw(), 400);
        out.push(Publication::Review {
            event: event.into(),
            body: format!("{marker}\n{}: {summary}", decision.action.as_str()),
            marker,
            comments: remarks(run),
        });
    }
    if wanted.merge && merges && decision.action == Action::ApproveAndMerge {
        out.push(Publication::Merge);
    }
    out
}

/// State and description. Success is said where the decision is one, and nowhere else.
fn status(run: &RunResult) -> (&'static str, String) {
    let Some(decision) = &run.decision else {
        return ("error", "no decision".into());
    };
    let evidence = run.evidence;
    let state = match decision.action {
        _ if run.state != RunState::Finished => "error",
        Action::BlockPr | Action::RequestChanges => "failure",
        _ if matches!(evidence, Evidence::Partial | Evidence::Simulated) => "error",
        Action::ManualReview => "pending",
        Action::ApproveAndMerge | Action::Pass => "success",
    };
    let reason = clean_line(decision.reason.raw(), 300);
    let said = format!(
        "{} ({}): {reason}",
        decision.action.as_str(),
        evidence.as_str()
    );
    let mut description: String = said.chars().take(DESCRIPTION).collect();
    if description.len() < said.len() {
        description.pop();
        description.push('…');
    }
    (state, description)
}

fn body(run: &RunResult, pull: &Pull) -> String {
    let mut out = String::new();
    // Writing into a String cannot fail.
    let _ = write_body(&mut out, run, pull);
    out
}

fn write_body(out: &mut String, run: &RunResult, pull: &Pull) -> std::fmt::Result {
    let (action, reason) = run
        .decision
        .as_ref()
        .map_or(("no decision", ""), |d| (d.action.as_str(), d.reason.raw()));
    writeln!(out, "## `{action}`\n\n{}\n", markdown(reason, 400))?;
    let evidence = match run.evidence {
        Evidence::Full => "full: rules and models",
        Evidence::Offline => "offline: rules alone, no model looked at it",
        Evidence::Partial => "partial: a model or the change was wanted and could not be had",
        Evidence::Simulated => "simulated: no real model looked at it",
    };
    let stale = if run.stale {
        "; some answers were stale"
    } else {
        ""
    };
    let c = &run.coverage;
    writeln!(out, "- Evidence: **{evidence}**{stale}")?;
    writeln!(
        out,
        "- {}, +{} −{} lines, at {}",
        c.summary(),
        run.size.added,
        run.size.removed,
        cut(&pull.head_sha, 12)
    )?;
    for step in &run.agents {
        let verdict = step
            .verdict
            .map_or("none", crate::review::verdict::Verdict::as_str);
        let model = step
            .model
            .as_deref()
            .map_or("rules alone".into(), |m| markdown(m, 80));
        writeln!(
            out,
            "- {}: {verdict} ({model})",
            markdown(&step.agent_id, 80)
        )?;
    }
    let mut findings = findings(run);
    findings.sort_by_key(|f| std::cmp::Reverse(f.severity));
    if !findings.is_empty() {
        writeln!(
            out,
            "\n| severity | rule | place | finding |\n|---|---|---|---|"
        )?;
    }
    for f in findings.iter().take(LISTED) {
        let place = place(f);
        writeln!(
            out,
            "| {} | {} | {place} | {} |",
            f.severity.as_str(),
            markdown(&f.rule, 80),
            markdown(f.message.raw(), 300)
        )?;
    }
    if findings.len() > LISTED {
        writeln!(out, "\n{} more are in the report.", findings.len() - LISTED)?;
    }
    writeln!(out, "\n<sub>run `{}`</sub>", run.run_id)
}

/// Each finding once, whoever reports it.
fn findings(run: &RunResult) -> Vec<&Finding> {
    let mut all: Vec<&Finding> = Vec::new();
    for finding in run.agents.iter().flat_map(|s| &s.findings) {
        if !all.contains(&finding) {
            all.push(finding);
        }
    }
    all
}

fn remarks(run: &RunResult) -> Vec<LineComment> {
    let on_line = |f: &&Finding| f.line.is_some() && f.severity >= Severity::Medium;
    findings(run)
        .into_iter()
        .filter(on_line)
        .filter_map(|f| {
            Some(LineComment {
                path: f.file.as_ref()?.raw().to_owned(),
                line: f.line?,
                body: format!(
                    "{} ({}): {}",
                    f.severity.as_str(),
                    markdown(&f.rule, 80),
                    markdown(f.message.raw(), 300)
                ),
            })
        })
        .take(ON_LINES)
        .collect()
}

#[cfg(test)]
#[path = "publications_tests.rs"]
mod tests;
