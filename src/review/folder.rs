//! Looks at a folder instead of a change: its tracked files with the same packs, and what a healthy
//! repository has.
//!
//! Why not a walk of everything: what git does not track (build output, a developer's notes) is not
//! the repository. Without git the folder is walked, hidden folders and build output left out.

use std::path::{Path, PathBuf};

use super::diff::{Change, FileHead, Hunk, LINE_WINDOW, Line, Side, Sink as _};
use super::finding::{Finding, Severity};
use super::git;
use super::scan::{Scanned, Scanner};
use crate::files::{FileError, Root};
use crate::text::Untrusted;

/// Largest file looked at, bytes.
const LARGEST: u64 = 1 << 20;
/// How much two windows of a long line share, bytes.
const OVERLAP: usize = 1024;
/// Most files looked at.
const MOST_FILES: usize = 20_000;

/// Scans the folder; `scanner` is fresh.
///
/// # Errors
/// When the folder itself cannot be opened.
pub fn scan(dir: &Path, scanner: Scanner<'_>) -> Result<Scanned, FileError> {
    let root = Root::open(dir)?;
    let mut scanner = scanner.of_folder();
    let mut files = git::tracked_files(dir).unwrap_or_else(|_| walk(dir));
    files.sort();
    for finding in health(&files) {
        scanner.add(finding);
    }
    if files.len() > MOST_FILES {
        scanner.skip(
            &Untrusted::new("(folder)"),
            &format!(
                "{} files, more than the {MOST_FILES} that are looked at",
                files.len()
            ),
        );
        files.truncate(MOST_FILES);
    }
    for path in files {
        if super::diff::Sink::cancelled(&scanner) {
            scanner.skip(&Untrusted::new("(folder)"), "cancelled");
            break;
        }
        let raw = Untrusted::new(path.to_string_lossy());
        let name = scanner.shown(&raw);
        match root.read(&path, LARGEST) {
            Ok(bytes) if bytes.contains(&0) => binary(&mut scanner, &name),
            Ok(bytes) => feed(&mut scanner, &raw, &bytes),
            Err(FileError::TooLarge { size, .. }) => {
                let message =
                    format!("{size} bytes in the repository: keep large files elsewhere.");
                scanner.add(Finding::about_file(
                    "quality/huge-file",
                    Severity::Medium,
                    &name,
                    message,
                ));
                scanner.skip(&name, "larger than 1 MiB");
            }
            Err(FileError::Outside(_)) => scanner.skip(&name, "a symbolic link"),
            Err(FileError::NotFound(_)) => scanner.skip(&name, "tracked, but not in the folder"),
            Err(_) => scanner.skip(&name, "it cannot be read"),
        }
    }
    Ok(scanner.finish())
}

/// A picture or the like is no gap in a health check's evidence, but it is not counted as looked at
/// either; source code with NUL bytes in it is hiding something.
fn binary(scanner: &mut Scanner<'_>, name: &Untrusted) {
    if super::checks::is_source(name.raw()) {
        let message = "Source code with NUL bytes: it was not looked at.";
        scanner.add(Finding::about_file(
            "hidden-text/nul-bytes",
            Severity::High,
            name,
            message,
        ));
        scanner.skip(name, "it has NUL bytes");
    } else {
        let message = "A binary file is tracked.";
        scanner.add(Finding::about_file(
            "quality/binary-tracked",
            Severity::Info,
            name,
            message,
        ));
    }
}

/// One file as if all its lines were added.
fn feed(scanner: &mut Scanner<'_>, path: &Untrusted, bytes: &[u8]) {
    let head = FileHead {
        path: path.clone(),
        old_path: None,
        change: Change::Modified,
        modes: (None, None),
        binary: false,
        unread: None,
    };
    scanner.file(&head);
    let mut lines = Vec::new();
    for (index, line) in bytes.split(|b| *b == b'\n').enumerate() {
        let number = u32::try_from(index + 1).unwrap_or(u32::MAX);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let mut at = 0;
        loop {
            // Windows of a long line overlap, so that a match is not cut in two.
            let end = line.len().min(at + LINE_WINDOW);
            let text = line[at..end].to_vec();
            lines.push(Line {
                side: Side::Added,
                number,
                text,
            });
            if end == line.len() {
                break;
            }
            at = end - OVERLAP;
        }
    }
    if !lines.is_empty() {
        scanner.hunk(&Hunk {
            lines,
            repeated: 0,
            held_back: 0,
        });
    }
    scanner.file_end(None);
}

/// What a healthy repository has.
fn health(files: &[PathBuf]) -> Vec<Finding> {
    let at_top = |stems: &[&str]| {
        files
            .iter()
            .filter(|f| f.components().count() == 1)
            .any(|f| {
                let name = f.to_string_lossy().to_ascii_lowercase();
                stems.iter().any(|s| {
                    name == *s
                        || name.starts_with(&format!("{s}."))
                        || name.starts_with(&format!("{s}-"))
                })
            })
    };
    let has = |end: &str| {
        files
            .iter()
            .any(|f| f.to_string_lossy().to_ascii_lowercase().ends_with(end))
    };
    let mut findings = Vec::new();
    let mut missing = |rule: &str, severity, message: &str| {
        findings.push(Finding::whole(rule, severity, message));
    };
    if files.is_empty() {
        missing(
            "quality/empty-repository",
            Severity::Medium,
            "There are no files to look at.",
        );
    }
    if !at_top(&["readme"]) {
        missing(
            "governance/no-readme",
            Severity::Medium,
            "No README at the top: say what this is and how to run it.",
        );
    }
    if !at_top(&["license", "licence", "copying", "unlicense"]) {
        missing(
            "governance/no-licence",
            Severity::Medium,
            "No licence at the top: nobody may use this.",
        );
    }
    if !has("codeowners") {
        missing(
            "governance/no-codeowners",
            Severity::Info,
            "No CODEOWNERS: nobody is asked by default.",
        );
    }
    if !at_top(&[".gitignore"]) {
        missing(
            "governance/no-gitignore",
            Severity::Low,
            "No .gitignore: build output will be committed one day.",
        );
    }
    findings
}

fn walk(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(dir.join(&folder)) else {
            continue;
        };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let path = folder.join(&name);
            let Ok(kind) = entry.file_type() else {
                continue;
            };
            let hidden = name.to_string_lossy().starts_with('.');
            let built = matches!(
                name.to_str(),
                Some("target" | "node_modules" | "dist" | "reports")
            );
            if kind.is_dir() && !hidden && !built && path.components().count() < 40 {
                folders.push(path);
            } else if kind.is_file() {
                found.push(path);
            }
            if found.len() > MOST_FILES {
                return found;
            }
        }
    }
    found
}
