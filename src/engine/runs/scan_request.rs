//! What a scan is given and returns.

use crate::engine::protocol::command::LinterReport;
use crate::engine::protocol::command::Refused;
use crate::engine::protocol::identity::RunIdentity;
use crate::review::diff::DiffError;
use crate::review::finding::FilterMode;
use crate::review::policy::Policy;
use crate::review::redact::Redactor;
use crate::review::scan::ScanLimits;
use crate::review::scan::Scanned;
use crate::review::scan::Scanner;
use crate::text::{Untrusted, clean_line};
use std::path::Path;

/// How a subject is scanned.
pub struct ScanRequest<'a> {
    /// Removes secrets from what is kept.
    pub redactor: &'a Redactor,
    /// The rules.
    pub policy: &'a Policy,
    /// Which findings count.
    pub filter: FilterMode,
    /// Bounds.
    pub limits: ScanLimits,
    /// What other linters found.
    pub linters: &'a [LinterReport],
    /// The workspace's folder.
    pub workspace: Option<&'a Path>,
}

impl ScanRequest<'_> {
    /// A scanner that does as requested.
    pub fn scanner<'s>(&'s self, cancelled: &'s dyn Fn() -> bool) -> Scanner<'s> {
        Scanner::new(self.redactor, self.limits, cancelled)
            .under(self.policy)
            .filtering(self.filter)
    }
}

/// What the rules found in the subject.
#[derive(Default)]
pub struct ScanOutcome {
    /// Findings, coverage, redacted diff.
    pub scanned: Scanned,
    /// There was a diff with at least one file.
    pub has_diff: bool,
    /// Hash of the policy files in the commit that a range begins with, where the workspace lies in that
    /// repository.
    pub base_policy: Option<String>,
    /// What the folder or the range says it is about, redacted.
    pub identity: Option<RunIdentity>,
}

/// The diff is read; what other linters found comes last, since it is compared with what the diff adds.
///
/// # Errors
/// A linter's report cannot be read.
pub fn finish(
    mut scanner: Scanner<'_>,
    files: u32,
    linters: &[LinterReport],
) -> Result<ScanOutcome, Refused> {
    let (failed, read): (Vec<_>, Vec<_>) = linters.iter().partition(|l| l.failure.is_some());
    for report in read {
        scanner
            .linter(&report.name, &report.content.0)
            .map_err(|e| Refused::input(format!("{}: {e}", clean_line(&report.name, 80))))?;
    }
    let mut scanned = scanner.finish();
    for report in failed {
        let place = Untrusted::new(format!("({})", clean_line(&report.name, 80)));
        let why = clean_line(report.failure.as_deref().unwrap_or_default(), 300);
        scanned.coverage.skip(&place, why);
        scanned.coverage.files_total += 1;
    }
    Ok(ScanOutcome {
        scanned,
        has_diff: files > 0,
        base_policy: None,
        identity: None,
    })
}

/// What a folder says it is about: its own name.
pub fn of_folder(dir: &Path, redactor: &Redactor) -> RunIdentity {
    let whole = dir.canonicalize();
    let name = whole.as_deref().unwrap_or(dir).file_name();
    RunIdentity {
        repository: name.map(|n| Untrusted::new(redactor.text(&n.to_string_lossy()))),
        ..RunIdentity::default()
    }
}

/// An error of reading a diff, as a refusal.
pub fn refusal(error: DiffError) -> Refused {
    match error {
        DiffError::Cancelled => Refused::Stopping,
        other => Refused::input(other),
    }
}
