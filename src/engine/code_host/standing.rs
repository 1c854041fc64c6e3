//! What is known about a pull request at one moment: its commit, the decision about it, what was left there.

use crate::code_host::{Pull, PullNow};
use crate::engine::code_host::published::{Published, digest};
use crate::engine::protocol::run::RunResult;
use crate::review::finding::Finding;

/// A decision, and what it was made about.
#[derive(Debug, Clone)]
pub struct Decided {
    /// The run.
    pub run: RunResult,
    /// The redacted diff that it was made about.
    pub diff: String,
    /// The four gates approved this commit with models.
    pub proved: bool,
}

/// Whether somebody must approve first that the decision is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// Nobody must, or somebody has.
    Free,
    /// Somebody must.
    Waiting,
    /// Somebody said no, or nobody said anything in time.
    Denied,
}

/// All that is known at this moment.
#[derive(Debug, Clone, Copy)]
pub struct Standing<'a> {
    /// The pull request at its newest commit.
    pub pull: &'a Pull,
    /// How the host has it.
    pub now: &'a PullNow,
    /// The newest decision about this commit on its way into this branch.
    pub decision: Option<&'a Decided>,
    /// A run about it has not ended.
    pub under_review: bool,
    /// Whether the decision may be published.
    pub hold: Hold,
    /// A review of ours could be dismissed again.
    pub may_approve: bool,
    /// What was left there.
    pub published: &'a Published,
    /// Where people look at the host, `https://github.com`.
    pub web: Option<&'a str>,
}

/// Each finding once, whoever reports it, the worst first.
pub fn findings_of(run: &RunResult) -> Vec<&Finding> {
    let mut all: Vec<&Finding> = Vec::new();
    for finding in run.agents.iter().flat_map(|s| &s.findings) {
        if !all.contains(&finding) {
            all.push(finding);
        }
    }
    all.sort_by_key(|f| std::cmp::Reverse(f.severity));
    all
}

/// A fingerprint as people are shown it.
pub fn short(fingerprint: &str) -> &str {
    crate::text::cut(fingerprint, 12)
}

/// By what a finding is known from commit to commit.
pub fn fingerprint(finding: &Finding) -> String {
    match &finding.identity {
        Some(identity) => identity.clone(),
        // A model's: what it says about which file; its line moves.
        None => digest(&format!(
            "{}\n{}\n{}",
            finding.rule,
            finding.file.as_ref().map_or("", |f| f.raw()),
            finding.message.raw()
        )),
    }
}
