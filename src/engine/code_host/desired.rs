//! What should be true of a pull request: a pure function of its commit and branch, the newest decision about
//! exactly these, and the settings.
//!
//! Why pure: whether something is called a success, and when a success is taken back, must be readable on one
//! page and testable for every order of events.

use std::collections::BTreeMap;

use crate::code_host::LineComment;
use crate::code_host::github::remark_marker;
use crate::engine::code_host::comment;
use crate::engine::code_host::standing::{
    Decided, Hold, Standing, findings_of, fingerprint, short,
};
use crate::engine::protocol::run::{Action, Cause, Evidence, RunResult, RunState};
use crate::engine::runs::numbered_diff::NumberedDiff;
use crate::review::finding::{Finding, Severity};
use crate::text::{clean_line, markdown, markdown_block};

/// Labels of ours begin with it.
pub const LABEL: &str = "bsm: ";
/// The label of an approval.
pub const APPROVED: &str = "bsm: approved";
/// Longest status, characters, as GitHub has it.
const DESCRIPTION: usize = 140;
/// Remarks of one review.
const REMARKS: usize = 30;
/// Longest text of a remark, characters.
const REMARK: usize = 1_500;

/// A state and a line about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GateState {
    /// success, failure, error or pending.
    pub state: &'static str,
    /// At most 140 characters.
    pub description: String,
}

/// What should be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Desired {
    /// The gate on the newest commit.
    pub gate: GateState,
    /// The comment's text; `None`: whatever is there stays.
    pub comment: Option<String>,
    /// Our label; `None`: none of ours.
    pub label: Option<&'static str>,
    /// The review that should stand: APPROVE, REQUEST_CHANGES; `None`: none.
    pub review: Option<&'static str>,
    /// Remarks on lines.
    pub remarks: Vec<LineComment>,
    /// Fingerprints of everything that is found, whether it is on a line or not; `None`: not known.
    pub found: Option<BTreeMap<String, String>>,
    /// The summary of a review.
    pub summary: String,
    /// The decision's run, for markers.
    pub run: String,
    /// It should be merged.
    pub merge: bool,
}

/// The gate's context: a branch requires its own, so that a retarget fails closed.
pub fn context(base: Option<&str>) -> String {
    match base {
        Some(base) => format!("bsm/review ({})", clean_line(base, 200)),
        None => "bsm/review".into(),
    }
}

/// What should be true of an open pull request.
pub fn desired(standing: &Standing<'_>) -> Desired {
    let gate = gate_of(standing);
    let nothing = Desired {
        gate: gate.clone(),
        comment: None,
        label: None,
        review: None,
        remarks: Vec::new(),
        found: None,
        summary: String::new(),
        run: String::new(),
        merge: false,
    };
    let Some(decided) = standing.decision else {
        return nothing;
    };
    let run = &decided.run;
    if standing.now.draft || standing.hold != Hold::Free {
        return nothing;
    }
    let Some(decision) = &run.decision else {
        return nothing;
    };
    let full = run.evidence == Evidence::Full && run.state == RunState::Finished;
    let found = (run.state == RunState::Finished).then(|| found_of(run));
    Desired {
        comment: Some(comment::text(standing, decided)),
        label: full.then(|| label_of(decision.action)),
        review: match decision.action {
            Action::ApproveAndMerge if full && standing.may_approve => Some("APPROVE"),
            Action::RequestChanges | Action::BlockPr if full => Some("REQUEST_CHANGES"),
            _ => None,
        },
        remarks: remarks_of(decided),
        found,
        summary: format!(
            "{}: {}",
            decision.action.as_str(),
            markdown(decision.reason.raw(), 400)
        ),
        run: run.run_id.clone(),
        merge: full
            && decided.proved
            && gate.state == "success"
            && decision.action == Action::ApproveAndMerge,
        ..nothing
    }
}

fn label_of(action: Action) -> &'static str {
    match action {
        Action::ApproveAndMerge | Action::Pass => APPROVED,
        Action::ManualReview => "bsm: needs a person",
        Action::RequestChanges => "bsm: changes requested",
        Action::BlockPr => "bsm: blocked",
    }
}

fn gate_of(standing: &Standing<'_>) -> GateState {
    let pending = |description: &str| GateState {
        state: "pending",
        description: description.into(),
    };
    if standing.now.draft {
        return pending("a draft; it is reviewed when it is ready");
    }
    match (standing.decision, standing.hold) {
        (None, _) if standing.under_review => pending("under review"),
        (None, _) => pending("this commit has not been reviewed"),
        (Some(_), Hold::Waiting) => pending("decided; publishing waits for an approval"),
        (Some(_), Hold::Denied) => GateState {
            state: "error",
            description: "decided; publishing was denied".into(),
        },
        (Some(decided), Hold::Free) => state_of(&decided.run),
    }
}

/// What a decision says in a status. Success is said where it approves, and nowhere else.
pub fn state_of(run: &RunResult) -> GateState {
    let Some(decision) = &run.decision else {
        return GateState {
            state: "error",
            description: "no decision".into(),
        };
    };
    let evidence = run.evidence;
    let state = match decision.action {
        Action::ManualReview if decision.cause == Some(Cause::Cancelled) => "pending",
        _ if run.state != RunState::Finished => "error",
        Action::BlockPr | Action::RequestChanges => "failure",
        _ if matches!(evidence, Evidence::Partial | Evidence::Simulated) => "error",
        Action::ManualReview => "pending",
        Action::ApproveAndMerge | Action::Pass => "success",
    };
    let reason = clean_line(decision.reason.raw(), 300);
    let text = format!(
        "{} ({}): {reason}",
        decision.action.as_str(),
        evidence.as_str()
    );
    let mut description: String = text.chars().take(DESCRIPTION).collect();
    if description.len() < text.len() {
        description.pop();
        description.push('…');
    }
    GateState { state, description }
}

fn found_of(run: &RunResult) -> BTreeMap<String, String> {
    let line = |f: &Finding| {
        let place = crate::engine::runs::report::place(f);
        format!(
            "{} `{}` {place}",
            f.severity.as_str(),
            clean_line(&f.rule, 80).replace('`', "")
        )
    };
    findings_of(run)
        .into_iter()
        .take(500)
        .map(|f| (fingerprint(f), line(f)))
        .collect()
}

/// Remarks on lines that the host shows: all others are in the comment alone.
fn remarks_of(decided: &Decided) -> Vec<LineComment> {
    let shown = NumberedDiff::new(&decided.diff);
    findings_of(&decided.run)
        .into_iter()
        .filter(|f| f.severity >= Severity::Medium)
        .filter_map(|f| {
            let (path, line) = (f.file.as_ref()?.raw(), f.line?);
            shown.shows(path, line).then(|| remark(f, path, line))
        })
        .take(REMARKS)
        .collect()
}

fn remark(finding: &Finding, path: &str, line: u32) -> LineComment {
    let fingerprint = fingerprint(finding);
    let mut body = format!(
        "{}\n**{}** `{}`: {}",
        remark_marker(&fingerprint),
        finding.severity.as_str(),
        clean_line(&finding.rule, 80).replace('`', ""),
        markdown_block(finding.message.raw(), REMARK)
    );
    let one_line = finding.end_line.is_none_or(|end| end == line);
    if let Some(suggestion) = finding.suggestion.as_ref().filter(|_| one_line) {
        let text = suggestion.raw();
        if !text.contains("```") && crate::text::clean_block(text, 10_000) == text {
            body.push_str(&format!("\n\n```suggestion\n{text}\n```"));
        }
    }
    body.push_str(&format!("\n\n<sub>finding `{}`</sub>", short(&fingerprint)));
    LineComment {
        path: path.to_owned(),
        line,
        body,
        fingerprint,
    }
}

#[cfg(test)]
#[path = "desired_tests.rs"]
mod tests;
