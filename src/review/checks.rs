//! What only the shape of a change shows: kinds of files, deleted tests, size, policy.
//!
//! Each check is a few lines here and an id like a rule's; the text rules are in `assets/rules/`.

use super::diff::{Change, FileHead};
use super::finding::{Finding, Severity};
use crate::text::Untrusted;

/// One file's part in the change.
#[derive(Debug, Clone)]
pub struct FileSummary {
    /// Its path, redacted.
    pub path: Untrusted,
    /// How it changes.
    pub change: Change,
    /// Lines added.
    pub added: u32,
    /// Lines removed.
    pub removed: u32,
    /// Binary.
    pub binary: bool,
}

/// The rule id of a touched policy file: the decision names it (an approval must not follow).
pub const POLICY_FILE: &str = "governance/policy-file";

/// Checks on one file's head.
pub fn file(head: &FileHead, shown: &Untrusted) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut found = |rule: &str, severity, message: &str| {
        findings.push(Finding::about_file(rule, severity, shown, message));
    };
    if [Some(&head.path), head.old_path.as_ref()]
        .into_iter()
        .flatten()
        .any(|p| is_policy(p.raw()))
    {
        found(
            POLICY_FILE,
            Severity::Medium,
            "The change touches a file that decides how changes are reviewed. A person must approve it.",
        );
    }
    if head.modes.1 == Some(0o120_000) && head.change != Change::Deleted {
        found(
            "security/symlink",
            Severity::Medium,
            "A symbolic link: check where it leads.",
        );
    }
    if head.modes.1 == Some(0o160_000) {
        found(
            "security/submodule",
            Severity::Medium,
            "A submodule changes: its content is not in this diff.",
        );
    }
    if head.modes.1 == Some(0o100_755) && head.modes.0.is_none_or(|old| old == 0o100_644) {
        found(
            "security/executable",
            Severity::Low,
            "The file becomes executable.",
        );
    }
    if head.binary && head.change != Change::Deleted {
        found(
            "quality/binary",
            Severity::Medium,
            "Binary content cannot be reviewed here.",
        );
    }
    findings
}

/// Checks on all files together.
pub fn whole_change(files: &[FileSummary]) -> Vec<Finding> {
    const LARGE: u32 = 2_000;
    let mut findings = Vec::new();
    for file in files
        .iter()
        .filter(|f| f.change == Change::Deleted && is_test(f.path.raw()))
    {
        let message = "A test file is deleted. Say in the change why it is no longer needed.";
        findings.push(Finding::about_file(
            "quality/deleted-test",
            Severity::Medium,
            &file.path,
            message,
        ));
    }
    let touched = |test: bool| {
        files
            .iter()
            .filter(|f| f.added > 0 && is_source(f.path.raw()) && is_test(f.path.raw()) == test)
            .count()
    };
    let (sources, tests) = (touched(false), touched(true));
    if sources >= 2 && tests == 0 {
        let message = format!("{sources} source files changed, no test.");
        findings.push(Finding::whole(
            "quality/test-ratio",
            Severity::Info,
            message,
        ));
    }
    let added: u32 = files
        .iter()
        .filter(|f| !is_generated(f.path.raw()))
        .map(|f| f.added)
        .fold(0, u32::saturating_add);
    if added > LARGE {
        let message =
            format!("{added} lines added: too much to review well at once. Split the change.");
        findings.push(Finding::whole(
            "quality/large-change",
            Severity::Medium,
            message,
        ));
    }
    findings
}

/// Files that decide how changes are reviewed, merged or run.
fn is_policy(path: &str) -> bool {
    let lower = path.to_ascii_lowercase();
    let name = lower.rsplit('/').next().unwrap_or(&lower);
    matches!(
        name,
        "codeowners"
            | "bsm.yaml"
            | ".gitleaks.toml"
            | ".bsmignore"
            | "registry.yaml"
            | "events.yaml"
            | "models.yaml"
    ) || lower.starts_with("data/agents/")
        || lower.contains("/data/agents/")
}

fn is_test(path: &str) -> bool {
    let lower = path.to_ascii_lowercase();
    let name = lower.rsplit('/').next().unwrap_or(&lower);
    lower
        .split('/')
        .any(|part| matches!(part, "test" | "tests" | "__tests__" | "spec" | "testing"))
        || ["_test.", ".test.", ".spec.", "_spec.", "_tests."]
            .iter()
            .any(|mark| name.contains(mark))
        || name.starts_with("test_")
}

/// True for the names that source code has.
pub fn is_source(path: &str) -> bool {
    const ENDINGS: &[&str] = &[
        "rs", "go", "py", "js", "mjs", "ts", "tsx", "jsx", "java", "kt", "c", "h", "cc", "cpp",
        "hpp", "cs", "rb", "php", "swift", "scala", "ex", "exs",
    ];
    path.rsplit_once('.')
        .is_some_and(|(_, end)| ENDINGS.contains(&end.to_ascii_lowercase().as_str()))
}

fn is_generated(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    matches!(
        name,
        "Cargo.lock"
            | "package-lock.json"
            | "yarn.lock"
            | "pnpm-lock.yaml"
            | "go.sum"
            | "poetry.lock"
            | "Gemfile.lock"
    ) || name.contains(".min.")
        || name.ends_with(".snap")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(path: &str, change: Change, added: u32) -> FileSummary {
        FileSummary {
            path: path.into(),
            change,
            added,
            removed: 0,
            binary: false,
        }
    }

    fn rules(files: &[FileSummary]) -> Vec<String> {
        whole_change(files).into_iter().map(|f| f.rule).collect()
    }

    #[test]
    fn the_whole_change_is_judged() {
        assert_eq!(
            rules(&[summary("tests/a.rs", Change::Deleted, 0)]),
            ["quality/deleted-test"]
        );
        assert_eq!(
            rules(&[
                summary("a.rs", Change::Modified, 3),
                summary("b.rs", Change::Added, 3)
            ]),
            ["quality/test-ratio"]
        );
        assert!(
            rules(&[
                summary("a.rs", Change::Modified, 3),
                summary("b.rs", Change::Added, 3),
                summary("a_test.go", Change::Added, 1)
            ])
            .is_empty()
        );
        assert_eq!(
            rules(&[summary("a.md", Change::Added, 3_000)]),
            ["quality/large-change"]
        );
        assert!(
            rules(&[
                summary("Cargo.lock", Change::Added, 3_000),
                summary("README.md", Change::Modified, 9)
            ])
            .is_empty()
        );
    }

    #[test]
    fn policy_files_are_known_wherever_they_lie() {
        for path in [
            ".github/CODEOWNERS",
            "bsm.yaml",
            "agents/events.yaml",
            "x/data/agents/a.yaml",
        ] {
            assert!(is_policy(path), "{path}");
        }
        assert!(!is_policy("src/registry.rs"));
    }
}
