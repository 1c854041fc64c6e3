//! Names of commits: ranges and their ends, the default branch.

use crate::git::command::GitError;
use crate::git::command::git;
use crate::git::command::output;
use crate::git::command::run;
use std::path::Path;
use std::path::PathBuf;

/// Resolves a revision to a commit's id.
pub fn resolve(dir: &Path, revision: &str) -> Result<String, GitError> {
    let shown = || bsm_base::text::clean_line(revision, 80);
    let mut command = git(dir);
    command
        .args(["rev-parse", "--verify", "--quiet", "--end-of-options"])
        .arg(format!("{revision}^{{commit}}"));
    let out = match run(command, dir)? {
        Ok(out) => String::from_utf8_lossy(&out).trim().to_owned(),
        Err(message) if message.is_empty() => return Err(GitError::NoRevision(shown())),
        Err(message) => {
            return Err(GitError::Failed {
                dir: dir.to_path_buf(),
                message,
            });
        }
    };
    let is_id = (40..=64).contains(&out.len()) && out.bytes().all(|b| b.is_ascii_hexdigit());
    if is_id {
        Ok(out)
    } else {
        Err(GitError::NoRevision(shown()))
    }
}

/// The newest commit; before the first one, the id of a tree without files: what is staged is compared with it.
pub fn newest_or_nothing(dir: &Path) -> Result<String, GitError> {
    match resolve(dir, "HEAD") {
        Err(GitError::NoRevision(_)) => {
            let mut command = git(dir);
            command.args(["hash-object", "-t", "tree", "/dev/null"]);
            let id = output(command, dir)?;
            Ok(String::from_utf8_lossy(&id).trim().to_owned())
        }
        resolved => resolved,
    }
}

/// Two commits, by id: what is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ends {
    /// Before.
    pub from: String,
    /// After.
    pub to: String,
}

/// Resolves `A..B`, `A...B` (since their merge base) or `A` (to HEAD).
pub fn ends(dir: &Path, range: &str) -> Result<Ends, GitError> {
    if !dir.is_dir() {
        let message = "no such folder".to_owned();
        return Err(GitError::Failed {
            dir: dir.to_path_buf(),
            message,
        });
    }
    let bad = || GitError::NotARange(bsm_base::text::clean_line(range, 80));
    let (from, to, since_base) = match range.split_once("...") {
        Some((from, to)) => (from, to, true),
        None => match range.split_once("..") {
            Some((from, to)) => (from, to, false),
            None => (range, "HEAD", false),
        },
    };
    if range.is_empty() || from.starts_with('-') || to.starts_with('-') || to.contains("..") {
        return Err(bad());
    }
    let or_head = |r: &str| {
        if r.is_empty() {
            "HEAD".to_owned()
        } else {
            r.to_owned()
        }
    };
    let (mut from, to) = (resolve(dir, &or_head(from))?, resolve(dir, &or_head(to))?);
    if since_base {
        let mut command = git(dir);
        command.args(["merge-base", &from, &to]);
        from = match run(command, dir)? {
            Ok(out) => String::from_utf8_lossy(&out).trim().to_owned(),
            Err(message) => {
                return Err(GitError::Failed {
                    dir: dir.to_path_buf(),
                    message: format!("no merge base: {message}"),
                });
            }
        };
    }
    Ok(Ends { from, to })
}

/// The top folder of the working tree that a folder lies in.
pub fn top(dir: &Path) -> Result<PathBuf, GitError> {
    use std::os::unix::ffi::OsStringExt as _;
    let mut command = git(dir);
    command.args(["rev-parse", "--show-toplevel"]);
    let mut out = output(command, dir)?;
    if out.last() == Some(&b'\n') {
        out.pop();
    }
    Ok(PathBuf::from(std::ffi::OsString::from_vec(out)))
}

/// The branch that others leave from: the remote's own word, else a usual name.
pub fn default_branch(dir: &Path) -> Result<Option<String>, GitError> {
    let mut command = git(dir);
    command.args(["symbolic-ref", "--quiet", "refs/remotes/origin/HEAD"]);
    if let Ok(out) = run(command, dir)? {
        let name = String::from_utf8_lossy(&out).trim().to_owned();
        if resolve(dir, &name).is_ok() {
            return Ok(Some(name));
        }
    }
    for name in [
        "origin/main",
        "origin/master",
        "main",
        "master",
        "trunk",
        "develop",
    ] {
        match resolve(dir, name) {
            Ok(_) => return Ok(Some(name.to_owned())),
            Err(GitError::NoRevision(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}
