//! The rules over what a run is about: a diff, a range of commits, a folder or a sample. Blocking; nothing
//! here is kept, and nothing knows of runs.

use std::io::{BufRead, BufReader, Seek as _};
use std::path::Path;

use crate::engine::protocol::blob::DiffContent;
use crate::engine::protocol::command::{LinterReport, Refused, Subject};
use crate::engine::runs::range_scan;
use crate::review::diff::{DiffError, parse};
use crate::review::finding::FilterMode;
use crate::review::folder;
use crate::review::policy::Policy;
use crate::review::redact::Redactor;
use crate::review::scan::{ScanLimits, Scanned, Scanner};
use crate::text::clean_line;
use crate::workspace::built_in;

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
}

/// Runs the rules over the subject. Blocking: on a thread of its own.
///
/// # Errors
/// The subject cannot be read, or `cancelled` said so.
pub fn scan(
    subject: Option<Subject>,
    request: &ScanRequest<'_>,
    cancelled: &dyn Fn() -> bool,
) -> Result<ScanOutcome, Refused> {
    let scanner = || request.scanner(cancelled);
    let of_diff = |reader: &mut dyn BufRead| scan_diff(reader, scanner(), request.linters);
    match subject {
        None => Ok(ScanOutcome::default()),
        Some(Subject::Diff { diff }) => match diff {
            DiffContent::Bytes(bytes) => of_diff(&mut bytes.0.as_slice()),
            DiffContent::File(file) => {
                let mut file = &*file;
                file.rewind().map_err(Refused::input)?;
                of_diff(&mut BufReader::with_capacity(64 * 1024, file))
            }
        },
        Some(Subject::Sample { name }) => {
            let text = built_in::SAMPLES
                .iter()
                .find(|(n, _)| *n == name)
                .ok_or_else(|| Refused::not_found("sample", &name))?
                .1;
            of_diff(&mut text.as_bytes())
        }
        Some(Subject::Range { repo, range }) => range_scan::scan(&repo, &range, request, cancelled),
        Some(Subject::Folder { dir }) => {
            if !dir.is_dir() {
                return Err(Refused::input(format!("{}: no such folder", dir.display())));
            }
            let scanned = folder::scan(&dir, scanner()).map_err(Refused::input)?;
            // A listing of files is no diff to show to a model; findings and coverage are.
            Ok(ScanOutcome {
                scanned: Scanned {
                    redacted: String::new(),
                    not_kept: Vec::new(),
                    ..scanned
                },
                ..ScanOutcome::default()
            })
        }
    }
}

fn scan_diff(
    reader: &mut dyn BufRead,
    mut scanner: Scanner<'_>,
    linters: &[LinterReport],
) -> Result<ScanOutcome, Refused> {
    let files = parse(reader, &mut scanner).map_err(refusal)?;
    finish(scanner, files, linters)
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
    for report in linters {
        scanner
            .linter(&report.name, &report.content.0)
            .map_err(|e| Refused::input(format!("{}: {e}", clean_line(&report.name, 80))))?;
    }
    Ok(ScanOutcome {
        scanned: scanner.finish(),
        has_diff: files > 0,
        base_policy: None,
    })
}

/// An error of reading a diff, as a refusal.
pub fn refusal(error: DiffError) -> Refused {
    match error {
        DiffError::Cancelled => Refused::Stopping,
        other => Refused::input(other),
    }
}
