//! Changes: the diff of a range, its commits, what is staged or in no commit.

use crate::commit_message::Commit;
use crate::git::command::GitDiff;
use crate::git::command::GitError;
use crate::git::command::git;
use crate::git::command::output;
use crate::git::command::started;
use crate::git::revisions::Ends;
use std::io::Read as _;
use std::path::Path;

/// Starts the diff between two commits.
pub fn diff(dir: &Path, ends: &Ends) -> Result<GitDiff, GitError> {
    diff_between(dir, &[&ends.from, &ends.to], 3)
}

/// The same with all of each file as context.
pub fn diff_in_full(dir: &Path, ends: &Ends) -> Result<GitDiff, GitError> {
    diff_between(dir, &[&ends.from, &ends.to], 1_000_000)
}

/// The form of every diff, whatever a repository's configuration says.
pub(crate) const FORM: [&str; 11] = [
    "--no-ext-diff",
    "--no-textconv",
    "--no-color",
    "--find-renames",
    "--full-index",
    "--src-prefix=a/",
    "--dst-prefix=b/",
    "--submodule=short",
    "--ignore-submodules=none",
    "--inter-hunk-context=0",
    "--no-relative",
];

pub(crate) fn diff_between(dir: &Path, ends: &[&str], context: u32) -> Result<GitDiff, GitError> {
    let mut command = git(dir);
    command
        .arg("diff")
        .arg(format!("--unified={context}"))
        .args(FORM)
        .args(ends)
        .arg("--");
    started(command, dir)
}

/// The messages of the commits between two, newest first, at most `most`.
pub fn commits(dir: &Path, ends: &Ends, most: usize) -> Result<Vec<Commit>, GitError> {
    let mut command = git(dir);
    command
        .args(["log", "-z", "--no-show-signature", "--format=%H%n%P%n%B"])
        .arg(format!("--max-count={most}"))
        .arg(format!("{}..{}", ends.from, ends.to))
        .arg("--");
    let out = output(command, dir)?;
    let texts = out.split(|b| *b == 0).filter(|t| !t.is_empty());
    Ok(texts
        .map(|text| {
            let text = String::from_utf8_lossy(text);
            let mut lines = text.splitn(4, '\n');
            let mut next = || lines.next().unwrap_or_default().to_owned();
            let (id, parents, subject, body) = (next(), next(), next(), next());
            Commit {
                id,
                subject,
                body,
                merge: parents.split(' ').count() > 1,
                cut: false,
            }
        })
        .collect())
}

/// The diff of what is staged against a commit.
pub fn staged(dir: &Path, from: &str) -> Result<Vec<u8>, GitError> {
    let mut diff = diff_between(dir, &["--cached", from], 3)?;
    let mut bytes = Vec::new();
    if let Some(mut reader) = diff.reader() {
        reader.read_to_end(&mut bytes)?;
    }
    diff.finish()?;
    Ok(bytes)
}

/// Paths of the files that a range adds or changes.
pub fn changed_files(dir: &Path, ends: &Ends) -> Result<Vec<String>, GitError> {
    let mut command = git(dir);
    command
        .args(["diff", "--name-only", "-z", "--diff-filter=d"])
        .args(["--no-ext-diff", "--no-textconv", "--no-renames"])
        .args(["--ignore-submodules=none", "--no-relative"])
        .args([&ends.from, &ends.to])
        .arg("--");
    let out = output(command, dir)?;
    let names = out.split(|b| *b == 0).filter(|n| !n.is_empty());
    Ok(names
        .map(|n| String::from_utf8_lossy(n).into_owned())
        .collect())
}

/// How many tracked files have changes that are in no commit.
pub fn uncommitted(dir: &Path) -> Result<usize, GitError> {
    let mut command = git(dir);
    command.args([
        "status",
        "--porcelain",
        "-z",
        "--untracked-files=no",
        "--ignore-submodules=all",
    ]);
    let out = output(command, dir)?;
    Ok(out.split(|b| *b == 0).filter(|e| e.len() > 3).count())
}

/// Starts the patches of all commits between two, oldest first: before each a line of a NUL and the commit's
/// id, its message, and a line of a NUL alone.
pub fn patches(dir: &Path, ends: &Ends) -> Result<GitDiff, GitError> {
    let mut command = git(dir);
    command
        .args([
            "log",
            "--reverse",
            "--patch",
            "--diff-merges=dense-combined",
        ])
        .args([
            "--format=%x00%H%n%B%n%x00",
            "--no-show-signature",
            "--unified=3",
        ])
        .args(FORM)
        .arg(format!("{}..{}", ends.from, ends.to))
        .arg("--");
    started(command, dir)
}
