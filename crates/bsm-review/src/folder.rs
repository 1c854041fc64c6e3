//! Looks at a folder instead of a change: its tracked files with the same packs, and what a healthy
//! repository has.
//!
//! Why not a walk of everything: what git does not track (build output, a developer's notes) is not
//! the repository. Without git the folder is walked, hidden folders and build output left out.

use std::path::{Path, PathBuf};

use super::diff::{Change, FileHead, Hunk, LINE_OVERLAP, LINE_WINDOW, Line, Side, Sink as _};
use super::git;
use super::scan::{Scanned, Scanner};
use crate::remark::Noted;
use bsm_base::files::{FileError, Root};
use bsm_base::text::Untrusted;

/// Largest file looked at, bytes.
const LARGEST: u64 = 1 << 20;
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
    for id in health(&files) {
        scanner.note(Noted::whole(id, None));
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
                scanner.note(Noted {
                    detail: Some(format!("{size} bytes.")),
                    ..Noted::file("quality/huge-file", &name)
                });
                scanner.skip(&name, "larger than 1 MiB");
            }
            Err(FileError::Outside(_)) => scanner.skip(&name, "a symbolic link"),
            Err(FileError::NotFound(_)) => scanner.skip(&name, "tracked, but not in the folder"),
            Err(_) => scanner.skip(&name, "it cannot be read"),
        }
    }
    Ok(scanner.finish())
}

/// Looks into the files of a commit as they are: those that `wanted` names; also says how many these are, binary
/// ones left out. A change's own lines have been looked at already; this is for `--filter-mode file` and `all`.
///
/// # Errors
/// When git cannot give them.
pub fn scan_commit(
    dir: &Path,
    commit: &str,
    wanted: impl Fn(&str) -> bool,
    scanner: Scanner<'_>,
) -> Result<(Scanned, u32), git::GitError> {
    let mut scanner = scanner.of_folder();
    let asked = std::cell::Cell::new(0u32);
    let wanted = |path: &str| {
        let yes = wanted(path);
        asked.set(asked.get() + u32::from(yes));
        yes && asked.get() as usize <= MOST_FILES
    };
    git::contents(dir, commit, LARGEST, wanted, |blob| {
        let raw = Untrusted::new(blob.path);
        match blob.bytes {
            Some(bytes) if bytes.contains(&0) => asked.set(asked.get() - 1),
            Some(bytes) => feed(&mut scanner, &raw, &bytes),
            None => scanner.skip(&raw, "larger than 1 MiB"),
        }
        !super::diff::Sink::cancelled(&scanner)
    })?;
    Ok((scanner.finish(), asked.get()))
}

/// A picture or the like is no gap in a health check's evidence, but it is not counted as looked at
/// either; source code with NUL bytes in it is hiding something.
fn binary(scanner: &mut Scanner<'_>, name: &Untrusted) {
    if crate::structural_checks::is_source(name.raw()) {
        scanner.note(Noted::file("hidden-text/nul-bytes", name));
        scanner.skip(name, "it has NUL bytes");
    } else {
        scanner.note(Noted::file("quality/binary-tracked", name));
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
        needs_hunk: false,
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
            at = end - LINE_OVERLAP;
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

/// What a healthy repository has and this one has not: ids of checks.
pub(super) fn health(files: &[PathBuf]) -> Vec<&'static str> {
    let names: Vec<String> = files
        .iter()
        .map(|f| f.to_string_lossy().to_ascii_lowercase())
        .collect();
    let at_top = |stems: &[&str]| {
        names.iter().filter(|n| !n.contains('/')).any(|name| {
            stems.iter().any(|stem| {
                name.strip_prefix(stem)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '-']))
            })
        })
    };
    let owners = names
        .iter()
        .any(|n| n.rsplit('/').next() == Some("codeowners"));
    let manifest = |n: &str| names.iter().any(|f| f == n);
    let unlocked = (manifest("cargo.toml")
        && names.iter().any(|n| n == "src/main.rs")
        && !manifest("cargo.lock"))
        || (manifest("package.json")
            && ![
                "package-lock.json",
                "yarn.lock",
                "pnpm-lock.yaml",
                "bun.lock",
                "npm-shrinkwrap.json",
            ]
            .iter()
            .any(|lock| manifest(lock)));
    [
        ("quality/empty-repository", files.is_empty()),
        ("governance/no-readme", !at_top(&["readme"])),
        (
            "governance/no-licence",
            !at_top(&["license", "licence", "copying", "unlicense"]),
        ),
        ("governance/no-codeowners", !owners),
        ("governance/no-gitignore", !at_top(&[".gitignore"])),
        (
            "governance/no-security-policy",
            !names.iter().any(|n| {
                n.rsplit('/')
                    .next()
                    .is_some_and(|n| n.starts_with("security."))
            }),
        ),
        ("supply-chain/no-lock-file", unlocked),
    ]
    .into_iter()
    .filter_map(|(id, lacks)| lacks.then_some(id))
    .collect()
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
