//! What only the shape of a change shows: kinds of files, deleted tests, size, policy.
//!
//! Each check is a few lines here; what it is called, how bad it is and what to do stand with the rules in
//! `crates/bsm-review/rules/`, where its examples are, too.

use std::sync::LazyLock;

use memchr::memmem::{self, Finder};

use super::diff::{Change, FileHead, Hunk, Side};
use crate::remark::Noted;
use bsm_base::text::Untrusted;

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
    /// A program wrote it: by its name, or because its first lines say so.
    pub generated: bool,
    /// Highest line of the new file that the diff shows: it has at least so many.
    pub last_line: u32,
}

/// The rule id of a touched policy file: the decision names it (an approval must not follow).
pub const POLICY_FILE: &str = "governance/policy-file";

/// The rule whose paths are manifests and lock files in forms that are not read.
pub(super) const UNREAD_MANIFEST: &str = "supply-chain/unread-manifest";

/// Checks on one file's head. `decides`: says of a path that the workspace's policy is made of it.
pub fn file(head: &FileHead, shown: &Untrusted, decides: impl Fn(&str) -> bool) -> Vec<Noted> {
    let mut notes = Vec::new();
    let mut note = |id| notes.push(Noted::file(id, shown));
    let names = [Some(&head.path), head.old_path.as_ref()];
    let mut names = names.into_iter().flatten().map(Untrusted::raw);
    if names.any(|p| is_policy(p) || decides(p)) {
        note(POLICY_FILE);
    }
    let there = head.change != Change::Deleted;
    if head.modes.1 == Some(SYMLINK) && there {
        note("security/symlink");
    }
    if head.modes.1 == Some(SUBMODULE) {
        note("security/submodule");
    }
    if head.modes.1 == Some(0o100_755) && head.modes.0.is_none_or(|old| old == 0o100_644) {
        note("security/executable");
    }
    if head.binary && there {
        note("quality/binary");
    }
    notes
}

/// Git's modes of what is no plain file.
pub(super) const SYMLINK: u32 = 0o120_000;
pub(super) const SUBMODULE: u32 = 0o160_000;

/// A symbolic link whose target (`target`, as it stands in the diff) leads out of the repository.
pub fn link(head: &FileHead, shown: &Untrusted, target: &str) -> Option<Noted> {
    let mut depth = 0i64;
    for _ in head.path.raw().matches('/') {
        depth += 1;
    }
    let leaves = target.starts_with('/')
        || target.split('/').any(|part| {
            depth += match part {
                ".." => -1,
                "" | "." => 0,
                _ => 1,
            };
            depth < 0
        });
    (head.modes.1 == Some(SYMLINK) && leaves).then(|| Noted {
        detail: Some(format!(
            "It leads to {}.",
            bsm_base::text::clean_line(target, 120)
        )),
        ..Noted::file("security/symlink-outside", shown)
    })
}

/// A letter in a name that Unicode's compatibility normalisation (NFKC) makes an ASCII one.
pub(super) fn has_compatibility_letter(text: &[u8]) -> bool {
    use unicode_normalization::UnicodeNormalization as _;
    if text.is_ascii() {
        return false;
    }
    let Ok(text) = std::str::from_utf8(text) else {
        return false;
    };
    let named = |c: char| c.is_ascii_alphanumeric() || c == '_';
    // Superscripts and fractions are no part of a name; ordinal marks stand in prose.
    let disguised = |c: char| {
        let part_of_name = c.is_alphabetic() || matches!(c, '\u{ff10}'..='\u{ff19}' | '\u{ff3f}');
        !c.is_ascii() && part_of_name && std::iter::once(c).nfkc().all(named)
    };
    let chars: Vec<char> = text.chars().collect();
    chars.iter().enumerate().any(|(index, c)| {
        if !disguised(*c) {
            return false;
        }
        let near = |at: Option<usize>| at.and_then(|i| chars.get(i)).copied();
        let (before, after) = (near(index.checked_sub(1)), near(Some(index + 1)));
        // A number in full-width digits is a number.
        let is = |other: Option<char>| {
            other.is_some_and(|o| {
                named(o) || (disguised(o) && (o.is_alphabetic() || c.is_alphabetic()))
            })
        };
        match c {
            'ª' | 'º' => is(before) && is(after),
            _ => is(before) || is(after),
        }
    })
}

/// A file that programs read, by its name.
pub(super) fn is_program_text(path: &str) -> bool {
    const MORE: [&str; 14] = [
        "sh", "bash", "zsh", "ps1", "psm1", "pl", "lua", "r", "jl", "tf", "yml", "yaml", "toml",
        "json",
    ];
    is_source(path)
        || path
            .rsplit_once('.')
            .is_some_and(|(_, end)| MORE.contains(&end.to_ascii_lowercase().as_str()))
}

/// A file whose content lies elsewhere: a pointer of Git LFS or git-annex. Says which.
pub(super) fn pointer(head: &FileHead, hunk: &Hunk) -> Option<&'static str> {
    let link = head.modes.1 == Some(SYMLINK);
    for line in hunk
        .lines
        .iter()
        .filter(|l| l.side != Side::Removed && l.number <= 2)
    {
        let text = line.text.as_slice();
        let begins = |mark: &str| text.starts_with(mark.as_bytes());
        if begins("version https://git-lfs.github.com/spec/")
            || begins("version https://hawser.github.com/spec/")
        {
            return Some("a Git LFS pointer: the content is not in the diff");
        }
        if begins("/annex/objects/") || (link && memmem::find(text, b".git/annex/").is_some()) {
            return Some("a git-annex pointer: the content is not in the diff");
        }
    }
    None
}

/// What a file loses: lines that say under which licence it is, rules that say who is asked.
#[derive(Debug, Default)]
pub(super) struct Losses {
    licence: (bool, bool),
    owners: std::collections::BTreeMap<String, (bool, bool)>,
}

impl Losses {
    /// Takes in what a hunk shows.
    pub(super) fn hunk(&mut self, path: &str, hunk: &Hunk) {
        let owners = path.rsplit('/').next() == Some("CODEOWNERS");
        for line in &hunk.lines[hunk.repeated..] {
            let mark = |of: &mut (bool, bool)| match line.side {
                Side::Removed => of.0 = true,
                Side::Added => of.1 = true,
                Side::Context => {}
            };
            if line.side != Side::Context && says_licence(&line.text) {
                mark(&mut self.licence);
            }
            if owners {
                let text = String::from_utf8_lossy(&line.text);
                let pattern = text.split_whitespace().next().unwrap_or_default();
                if !pattern.is_empty() && !pattern.starts_with('#') && self.owners.len() < 10_000 {
                    mark(self.owners.entry(pattern.to_owned()).or_default());
                }
            }
        }
    }

    /// What it lost, at the file's end.
    pub(super) fn remarks(&self, change: Change, shown: &Untrusted) -> Vec<Noted> {
        let mut notes = Vec::new();
        if self.licence == (true, false) && change != Change::Deleted {
            notes.push(Noted::file("governance/licence-header-removed", shown));
        }
        if self.owners.values().any(|of| *of == (true, false)) {
            notes.push(Noted::file("governance/owners-removed", shown));
        }
        notes
    }
}

fn says_licence(line: &[u8]) -> bool {
    // Made once: this is asked of every line that changes. Put together, so that it is no header itself.
    static TAG: LazyLock<Finder<'_>> =
        LazyLock::new(|| Finder::new(concat!("SPDX-License", "-Identifier:")));
    static WORD: LazyLock<Finder<'_>> = LazyLock::new(|| Finder::new("opyright"));
    let marked = |line: &[u8]| {
        let mut marks = ["(c)", "(C)", "©"].iter();
        marks.any(|mark| memmem::find(line, mark.as_bytes()).is_some())
    };
    TAG.find(line).is_some() || (WORD.find(line).is_some() && marked(line))
}

/// Checks on all files together.
pub fn whole_change(files: &[FileSummary]) -> Vec<Noted> {
    const LARGE: u32 = 2_000;
    let mut notes: Vec<Noted> = files
        .iter()
        .filter(|f| f.change == Change::Deleted && is_test(f.path.raw()) && is_source(f.path.raw()))
        .map(|f| Noted::file("quality/deleted-test", &f.path))
        .collect();
    let touched = |test: bool| {
        files.iter().filter(move |f| {
            f.added > 0 && is_source(f.path.raw()) && is_test(f.path.raw()) == test
        })
    };
    let (sources, tests) = (touched(false).count(), touched(true).count());
    let lines = |test| touched(test).map(|f| f.added).fold(0, u32::saturating_add);
    if sources >= 2 && tests == 0 {
        let detail = format!("{sources} source files, {} lines.", lines(false));
        notes.push(Noted::whole("quality/test-ratio", detail));
    }
    let emptied = files.iter().filter(|f| {
        f.change == Change::Modified
            && is_test(f.path.raw())
            && f.removed >= 20
            && f.added * 4 < f.removed
            && f.removed > f.last_line
    });
    notes.extend(emptied.map(|f| Noted {
        detail: Some(format!("−{} +{} lines.", f.removed, f.added)),
        ..Noted::file("quality/test-emptied", &f.path)
    }));
    let added: u32 = files
        .iter()
        .filter(|f| !f.generated)
        .map(|f| f.added)
        .fold(0, u32::saturating_add);
    if added > LARGE {
        let detail = format!("{added} lines added.");
        notes.push(Noted::whole("quality/large-change", detail));
    }
    notes
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
            | ".bsmbaseline.json"
            | "registry.yaml"
            | "events.yaml"
            | "models.yaml"
    ) || ["data/agents", "data/knowledge"].iter().any(|folder| {
        // Beneath it, or something else in its place.
        lower.match_indices(folder).any(|(at, _)| {
            let rest = &lower[at + folder.len()..];
            (at == 0 || lower.as_bytes()[at - 1] == b'/')
                && (rest.is_empty() || rest.starts_with('/'))
        })
    })
}

pub(super) fn is_test(path: &str) -> bool {
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

/// True for the names of files that programs write.
pub(super) fn is_generated(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    matches!(
        name,
        "Cargo.lock"
            | "package-lock.json"
            | "yarn.lock"
            | "pnpm-lock.yaml"
            | "go.sum"
            | "poetry.lock"
            | "uv.lock"
            | "composer.lock"
            | "npm-shrinkwrap.json"
            | "Gemfile.lock"
    ) || name.contains(".min.")
        || [".snap", ".pb.go", "_pb2.py", ".g.dart", ".svg"]
            .iter()
            .any(|end| name.ends_with(end))
}

/// True for a line by which a file says that a program wrote it.
pub(super) fn says_generated(line: &[u8]) -> bool {
    // Put together here, so that this file does not say it of itself.
    let marks = [concat!("@", "generated"), concat!("DO NOT", " EDIT")];
    marks
        .iter()
        .any(|mark| memmem::find(line, mark.as_bytes()).is_some())
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
            generated: is_generated(path),
            last_line: 0,
        }
    }

    fn rules(files: &[FileSummary]) -> Vec<String> {
        whole_change(files)
            .into_iter()
            .map(|n| n.id.to_owned())
            .collect()
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
            "data/agents",
            "data/knowledge/review-policy.md",
        ] {
            assert!(is_policy(path), "{path}");
        }
        assert!(!is_policy("src/registry.rs") && !is_policy("data/agents.md"));
    }
}
