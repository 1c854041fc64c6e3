//! The rules over a range of commits: its diff, its commit messages, secrets that only its history holds, and
//! the proof that it is documentation.

use std::collections::HashSet;
use std::path::Path;

use crate::engine::protocol::command::Refused;
use crate::engine::protocol::identity::{RunIdentity, short_sha};
use crate::engine::runs::scan_request::{ScanOutcome, ScanRequest, finish, of_folder, refusal};
use crate::review::commit_scan::{self, CommitScanError};
use crate::review::diff::{DiffError, Sink as _, parse};
use crate::review::documentation::{Documentation, DocumentationCheck};
use crate::review::finding::FilterMode;
use crate::review::finding::Finding;
use crate::review::redact::Redactor;
use crate::review::scan::Scanner;
use crate::review::{folder, git, images};
use crate::text::{Untrusted, cut};
use crate::workspace::policy_files;

/// Most commits of a range whose messages are scanned.
const MOST_COMMITS: usize = 1_000;

/// Scans a range (`A..B`, `A...B`) of a repository.
///
/// # Errors
/// The repository or the range cannot be read, or `cancelled` said so.
pub fn scan(
    repo: &Path,
    range: &str,
    request: &ScanRequest<'_>,
    cancelled: &dyn Fn() -> bool,
) -> Result<ScanOutcome, Refused> {
    let ends = git::ends(repo, range)?;
    let content = |path: &str| {
        let files = git::files_at(repo, &ends.to, &[path.to_owned()], images::LARGEST).ok()?;
        files.into_iter().find(|f| f.path == path)?.bytes
    };
    let fresh = || request.scanner(cancelled).reading(&content);
    let mut scanner = fresh();
    let mut diff = git::diff(repo, &ends)?;
    let reader = diff
        .reader()
        .ok_or_else(|| Refused::input("git gave no output"))?;
    let parsed = parse(reader, &mut scanner);
    diff.finish()?;
    let files = parsed.map_err(refusal)?;
    let commits = git::commits(repo, &ends, MOST_COMMITS + 1)?;
    for commit in &commits {
        scanner.commit(commit);
    }
    if request.filter != FilterMode::Added {
        let all = request.filter == FilterMode::All;
        let wanted = |path: &str| all || scanner.touches(path);
        let (whole, count) = folder::scan_commit(repo, &ends.to, wanted, fresh())?;
        scanner.beside(whole, count);
    }
    let prose = scanner.is_about_prose();
    let mut outcome = finish(scanner, files, request.linters)?;
    let newest = commits.first().map(|c| c.subject.trim());
    let redacted = |text: &str| Untrusted::new(cut(&request.redactor.text(text), 120));
    outcome.identity = Some(RunIdentity {
        title: newest.filter(|t| !t.is_empty()).map(redacted),
        head_sha: short_sha(&ends.to),
        branch: Some(redacted(range)),
        ..of_folder(repo, request.redactor)
    });
    if commits.len() > 1 {
        add_history(&mut outcome, repo, &ends, fresh, request.redactor)?;
    }
    if prose {
        let proof = documentation(repo, &ends, cancelled)?;
        outcome.scanned.documentation = proof.redacted(request.redactor);
    }
    if let Some(root) = request.workspace {
        outcome.base_policy = policy_files::of_base(root, repo, &ends.from)?.map(|f| f.hash());
    }
    Ok(outcome)
}

/// Adds secrets that only the history of the range holds.
fn add_history<'a>(
    outcome: &mut ScanOutcome,
    repo: &Path,
    ends: &git::Ends,
    scanner: impl Fn() -> Scanner<'a>,
    redactor: &Redactor,
) -> Result<(), Refused> {
    let found = &mut outcome.scanned.findings;
    let (more, all) = secrets_in_history(repo, ends, scanner, redactor, found)?;
    found.extend(more);
    found.sort_by_key(|f| std::cmp::Reverse(f.severity));
    if !all {
        let place = Untrusted::new("(commits of the range)");
        let why = "they hold more findings than are looked through".to_owned();
        outcome.scanned.coverage.skip(&place, why);
        outcome.scanned.coverage.files_total += 1;
    }
    Ok(())
}

/// Secrets that a commit of a range adds and a later one takes out: merged, they stay in the history. And
/// whether every commit was looked through.
fn secrets_in_history<'a>(
    repo: &Path,
    ends: &git::Ends,
    scanner: impl Fn() -> Scanner<'a>,
    redactor: &Redactor,
    known: &[Finding],
) -> Result<(Vec<Finding>, bool), Refused> {
    /// Most findings of a range's commits that are looked through.
    const MOST: usize = 10_000;
    let scanned = commit_scan::scan(repo, ends, scanner, MOST).map_err(|error| match error {
        CommitScanError::Diff(DiffError::Cancelled) => Refused::Stopping,
        other => Refused::input(other),
    })?;
    let prints = |f: &Finding| [f.fingerprint.clone(), f.identity.clone()];
    let mut seen: HashSet<String> = known.iter().flat_map(prints).flatten().collect();
    let is_secret = |f: &Finding| redactor.rules().rule(&f.rule).is_some_and(|r| r.secret);
    let secrets = scanned.findings.into_iter().filter(is_secret);
    let new = secrets.filter(|f| {
        let known = prints(f).iter().flatten().any(|print| seen.contains(print));
        seen.extend(prints(f).into_iter().flatten());
        !known
    });
    let found = new
        .map(|finding| {
            let commit = finding.commit.as_deref().unwrap_or_default();
            let message = format!(
                "{} Commit {} of this range adds it, and it stays in the history.",
                finding.message.raw(),
                cut(commit, 10)
            );
            // Its line is that commit's, not one of the change.
            Finding {
                message: Untrusted::new(message),
                line: None,
                column: None,
                end_line: None,
                end_column: None,
                utf16_columns: None,
                suggestion: None,
                ..finding
            }
        })
        .collect();
    Ok((found, scanned.notes.is_empty()))
}

/// The proof that a range is documentation, with the whole of each file in sight.
fn documentation(
    repo: &Path,
    ends: &git::Ends,
    cancelled: &dyn Fn() -> bool,
) -> Result<Documentation, Refused> {
    if cancelled() {
        return Err(Refused::Stopping);
    }
    let mut diff = git::diff_in_full(repo, ends)?;
    let reader = diff
        .reader()
        .ok_or_else(|| Refused::input("git gave no output"))?;
    let mut check = DocumentationCheck::of_whole_files();
    let parsed = parse(reader, &mut check);
    diff.finish()?;
    parsed.map_err(refusal)?;
    let proof = check.finish();
    if !proof.proven {
        return Ok(proof);
    }
    Ok(match git::included_by(repo, ends)? {
        Some((file, by)) => Documentation::refuted(format!("{file}: it is read by {by}")),
        None => proof,
    })
}
