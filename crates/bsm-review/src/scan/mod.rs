//! Runs the packs over a diff's pieces: findings, coverage, and the redacted text that is kept.
//!
//! Why once: the rules see the raw change here and nowhere else. What leaves this room is findings
//! without secrets and a redacted copy; everything later (journal, prompts, reports, a resumed run)
//! works from those.

mod identity;
mod matching;
mod removed;
mod reporting;
mod sink;
mod types;

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use super::commits;
use super::dependencies::Dependencies;
use super::diff::FileHead;
use super::documentation::{Documentation, DocumentationCheck};
use super::encoding::Wide;
use super::finding::{ChangeSize, Coverage, Finding, Severity, Suppressed};
use super::images;
use super::policy::{Assets, Policy};
use super::redact::Redactor;
use crate::changed_lines::Touched;
use crate::commit_message::Commit;
use crate::finding::FilterMode;
use crate::structural_checks;
use crate::structural_checks::{FileSummary, Losses};
use crate::workflows::WorkflowText;
use bsm_base::text::Untrusted;

/// Bounds of one scan.
#[derive(Debug, Clone, Copy)]
pub struct ScanLimits {
    /// Bytes of redacted diff kept.
    pub kept_bytes: usize,
    /// Findings kept.
    pub findings: usize,
    /// Time spent on one file.
    pub file_time: Duration,
}

impl Default for ScanLimits {
    fn default() -> Self {
        Self {
            kept_bytes: 4 << 20,
            findings: 1_000,
            file_time: Duration::from_secs(5),
        }
    }
}

/// Everything a scan gives.
#[derive(Debug, Default)]
pub struct Scanned {
    /// What the rules found.
    pub findings: Vec<Finding>,
    /// How much was looked at.
    pub coverage: Coverage,
    /// Lines and files.
    pub size: ChangeSize,
    /// The diff with secrets replaced, up to the limit.
    pub redacted: String,
    /// Files whose redacted text did not fit; a model cannot see them.
    pub not_kept: Vec<Untrusted>,
    /// Accepted findings.
    pub suppressed: Vec<Suppressed>,
    /// Remarks for people.
    pub notes: Vec<String>,
    /// Whether the change is documentation and nothing else.
    pub documentation: Documentation,
}

/// A [`Sink`](super::diff::Sink) that scans.
pub struct Scanner<'a> {
    redactor: &'a Redactor,
    limits: ScanLimits,
    cancelled: &'a dyn Fn() -> bool,
    policy: &'a Policy,
    filter: FilterMode,
    out: Scanned,
    summaries: Vec<FileSummary>,
    commits: Vec<Commit>,
    more_commits: bool,
    touched: Touched,
    documentation: DocumentationCheck,
    /// Gives the new content of a file, where images may count as reviewed.
    images: Option<&'a dyn Fn(&str) -> Option<Vec<u8>>>,
    /// How often each entry of the baseline has spoken.
    known_used: HashMap<usize, u32>,
    seen: HashSet<(String, u32, Option<String>)>,
    current: Option<Current>,
    per_rule: HashMap<(String, String), u32>,
    /// The mildest that is listed.
    mildest: Severity,
    /// Findings beyond what is listed: of the same rule and file, or milder than all that are.
    not_listed: u32,
    of_change: bool,
    /// Every finding with what matched, where the caller wants to make a baseline of them.
    known: Option<&'a mut dyn FnMut(&Finding, &[u8])>,
}

/// The file that is being read.
struct Current {
    head: FileHead,
    /// Its path, redacted.
    path: Untrusted,
    began: Instant,
    reason: Option<String>,
    summary: FileSummary,
    kept_all: bool,
    dependencies: Option<Dependencies>,
    losses: Losses,
    removed: types::RemovedMatches,
    workflow: Option<WorkflowText>,
    /// The operator does not want it reviewed.
    ignored: bool,
    /// Nothing more of it is looked at or kept.
    stopped: bool,
    /// What an earlier hunk of it was written in.
    wide: Option<Wide>,
}

const TOO_LONG: &str = "it took longer than its time";
const UNREAD_MANIFEST: &str = "a manifest or lock file whose format is not read";
const UNDECODABLE: &str = "UTF-16 or UTF-32 that cannot be decoded";
/// Most findings of one rule in one file that are listed.
const MOST_OF_A_RULE: u32 = 100;
/// Most files of one change that are looked at.
const MOST_FILES: u32 = 50_000;
/// Most commits whose messages are looked at.
const MOST_COMMITS: usize = 1_000;
/// Most suppressed findings that are listed.
const MOST_SUPPRESSED: usize = 1_000;

impl Current {
    fn too_long(&mut self) {
        self.reason = Some(TOO_LONG.to_owned());
        self.stopped = true;
    }
}

static NO_POLICY: LazyLock<Policy> = LazyLock::new(Policy::default);

impl<'a> Scanner<'a> {
    /// A scanner; `cancelled` is asked once a hunk.
    pub fn new(
        redactor: &'a Redactor,
        limits: ScanLimits,
        cancelled: &'a dyn Fn() -> bool,
    ) -> Self {
        Self {
            redactor,
            limits,
            cancelled,
            policy: &NO_POLICY,
            filter: FilterMode::Added,
            out: Scanned::default(),
            summaries: Vec::new(),
            commits: Vec::new(),
            more_commits: false,
            touched: Touched::default(),
            documentation: DocumentationCheck::default(),
            images: None,
            known_used: HashMap::new(),
            seen: HashSet::new(),
            current: None,
            per_rule: HashMap::new(),
            mildest: Severity::Critical,
            not_listed: 0,
            of_change: true,
            known: None,
        }
    }

    /// With what the operator's workspace says.
    #[must_use]
    pub fn under(self, policy: &'a Policy) -> Self {
        Self {
            policy,
            filter: policy.filter,
            ..self
        }
    }

    /// With another filter than the policy's.
    #[must_use]
    pub fn filtering(self, filter: FilterMode) -> Self {
        Self { filter, ..self }
    }

    /// With a way to read whole files, for images.
    #[must_use]
    pub fn reading(self, images: &'a dyn Fn(&str) -> Option<Vec<u8>>) -> Self {
        Self {
            images: Some(images),
            ..self
        }
    }

    /// A binary file that is a whole image, where the operator lets images count as reviewed.
    fn is_read_image(&self, head: &FileHead) -> bool {
        let path = head.path.raw();
        if !head.binary || self.policy.assets != Assets::Allow || !images::is_named_image(path) {
            return false;
        }
        let content = self.images.and_then(|read| read(path));
        content.is_some_and(|bytes| images::is_whole_image(&bytes))
    }

    /// Shows every finding with what matched to `known`.
    #[must_use]
    pub fn telling(self, known: &'a mut dyn FnMut(&Finding, &[u8])) -> Self {
        Self {
            known: Some(known),
            ..self
        }
    }

    /// For a folder as it is: what is only about a change is left out.
    #[must_use]
    pub fn of_folder(self) -> Self {
        Self {
            of_change: false,
            ..self
        }
    }

    /// Adds what only the whole change shows, and hands everything over.
    pub fn finish(mut self) -> Scanned {
        if self.of_change {
            for noted in structural_checks::whole_change(&self.summaries) {
                self.note(noted);
            }
        }
        let commits = std::mem::take(&mut self.commits);
        for noted in commits::check(&commits, self.policy.sign_off, self.redactor) {
            self.note(noted);
        }
        if self.not_listed > 0 {
            self.out.notes.push(format!(
                "{} more findings are not listed: milder than those that are, or more than {MOST_OF_A_RULE} of one rule in one file",
                self.not_listed
            ));
        }
        identity::number(&mut self.out.findings, &mut self.out.suppressed);
        self.out.documentation = std::mem::take(&mut self.documentation)
            .finish()
            .redacted(self.redactor);
        self.out.findings.sort_by(|a, b| {
            b.severity
                .cmp(&a.severity)
                .then_with(|| a.file.cmp(&b.file))
                .then(a.line.cmp(&b.line))
                .then_with(|| a.rule.cmp(&b.rule))
        });
        self.out
    }
}

#[cfg(test)]
mod tests;
