//! The files of a workspace that decide how changes are reviewed, read once: from its folder, or from the
//! commit that a change is based on.

use std::path::Path;

use crate::file_set::FileSet;
use crate::files::{FileError, Root};
use crate::review::git::{self, GitError};
use crate::review::policy as review;

/// Settings of a workspace.
pub const SETTINGS: &str = "bsm.yaml";
/// The list of agents.
pub const AGENT_LIST: &str = "data/agents/index.json";
/// The list of knowledge documents.
pub const KNOWLEDGE_LIST: &str = "data/knowledge/index.json";
/// Folders all of whose files decide.
const FOLDERS: [&str; 2] = ["agents", "data/agents"];

/// Reads them from a folder, beneath its handle.
pub fn of_folder(root: &Root) -> FileSet {
    let mut names: Vec<String> = named();
    for folder in FOLDERS {
        let files = root.list(Path::new(folder)).unwrap_or_default();
        names.extend(files.into_iter().map(|f| format!("{folder}/{f}")));
    }
    let mut files = FileSet::default();
    let read = |files: &mut FileSet, names: Vec<String>| {
        for name in names {
            files.add(&name, root.read(Path::new(&name), review::LARGEST));
        }
    };
    read(&mut files, names);
    for _ in 0..ROUNDS {
        let more = listed(&files);
        if more.is_empty() {
            break;
        }
        read(&mut files, more);
    }
    files
}

/// Reads them from a commit; `prefix` is the workspace's folder beneath the repository's top (empty: the top
/// itself).
///
/// # Errors
/// When git cannot give them.
pub fn of_commit(repository: &Path, commit: &str, prefix: &str) -> Result<FileSet, GitError> {
    let beneath = |name: &str| match prefix {
        "" => name.to_owned(),
        prefix => format!("{prefix}/{name}"),
    };
    let mut wanted = named();
    wanted.extend(FOLDERS.map(str::to_owned));
    let mut files = FileSet::default();
    for _ in 0..=ROUNDS {
        if wanted.is_empty() {
            break;
        }
        let paths: Vec<String> = wanted.iter().map(|name| beneath(name)).collect();
        for blob in git::files_at(repository, commit, &paths, review::LARGEST)? {
            let name = blob.path.strip_prefix(prefix).unwrap_or(&blob.path);
            let name = name.trim_start_matches('/').to_owned();
            let content = blob.bytes.ok_or_else(|| FileError::TooLarge {
                path: name.clone().into(),
                size: review::LARGEST + 1,
                max: review::LARGEST,
            });
            files.add(&name, content);
        }
        // What is listed and not in the commit is not asked for again.
        let before = wanted;
        wanted = listed(&files);
        wanted.retain(|name| !before.contains(name));
    }
    Ok(files)
}

/// The policy files of the commit that a change is based on, where the workspace lies in the repository that
/// is reviewed; `None` where it lies elsewhere.
///
/// # Errors
/// When git cannot give them.
pub fn of_base(root: &Path, repository: &Path, base: &str) -> Result<Option<FileSet>, GitError> {
    let top = git::top(repository)?;
    let (Ok(root), Ok(top)) = (root.canonicalize(), top.canonicalize()) else {
        return Ok(None);
    };
    match root.strip_prefix(&top).ok().and_then(Path::to_str) {
        Some(prefix) => of_commit(&top, base, prefix).map(Some),
        None => Ok(None),
    }
}

/// Files may name files that name files.
const ROUNDS: usize = 6;

fn named() -> Vec<String> {
    [SETTINGS, AGENT_LIST, KNOWLEDGE_LIST]
        .into_iter()
        .chain(review::NAMED)
        .map(str::to_owned)
        .collect()
}

/// Files that those read so far name, and that are not among them.
fn listed(files: &FileSet) -> Vec<String> {
    let list = |index: &str, key: &str, folder: &str| -> Vec<String> {
        let bytes = files
            .read(Path::new(index), crate::workspace::yaml_file::LARGEST_FILE)
            .unwrap_or_default();
        let value: serde_json::Value = serde_json::from_slice(bytes).unwrap_or_default();
        let names = value[key].as_array().into_iter().flatten();
        names
            .filter_map(|v| Some(format!("{folder}/{}", v.as_str()?)))
            .take(MOST)
            .collect()
    };
    let mut names = list(AGENT_LIST, "agents", "data/agents");
    names.extend(list(KNOWLEDGE_LIST, "documents", "data/knowledge"));
    names.extend(review::extended(files));
    names.retain(|name| !files.exists(Path::new(name)));
    names
}

/// Most files of one list.
const MOST: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_that_a_policy_file_names_is_among_them() {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("bsm.yaml", ""),
            ("agents/events.yaml", "version: 1"),
            (
                "data/agents/index.json",
                r#"{"agents": ["deep/a.yaml", "../../outside.yaml"]}"#,
            ),
            ("data/agents/deep/a.yaml", "id: a"),
            ("data/knowledge/index.json", r#"{"documents": ["k.md"]}"#),
            ("data/knowledge/k.md", "know"),
            (".gitleaks.toml", "[extend]\npath = \"./rules/./base.toml\""),
            ("rules/base.toml", "[extend]\npath = \"rules//more.toml\""),
            ("rules/more.toml", ""),
            ("src/main.rs", "fn main() {}"),
        ] {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        std::os::unix::fs::symlink("/etc/passwd", dir.path().join(".bsmignore")).unwrap();
        let files = of_folder(&Root::open(dir.path()).unwrap());
        let paths: Vec<&str> = files.paths().collect();
        assert_eq!(
            paths,
            [
                ".bsmignore",
                ".gitleaks.toml",
                "agents/events.yaml",
                "bsm.yaml",
                "data/agents/deep/a.yaml",
                "data/agents/index.json",
                "data/knowledge/index.json",
                "data/knowledge/k.md",
                "rules/base.toml",
                "rules/more.toml",
            ]
        );
        assert!(
            files.read(Path::new(".bsmignore"), 100).is_err(),
            "a link is not followed"
        );
    }
}
