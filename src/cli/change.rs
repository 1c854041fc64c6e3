//! Which change a command looks at: a range of commits, what is staged, or a diff from a file or a pipe.
//!
//! Why here: whoever names a file reads it, and the policy that decides is that of the commit that the change
//! is based on.

use std::path::{Path, PathBuf};

use crate::cli::context::Base;
use crate::cli::failure::Failure;
use crate::cli::ownership::FOREIGN_HELP;
use crate::review::git::{self, GitError};

/// A range of commits of a repository.
#[derive(Debug, Clone)]
pub(super) struct Range {
    /// A folder of the repository.
    pub(super) repository: PathBuf,
    /// `A..B`, as it was given or found.
    pub(super) range: String,
}

impl Range {
    /// The branch that is checked out, since it left the default branch.
    pub(super) fn of_branch(repository: &Path) -> Result<Self, Failure> {
        if let Err(GitError::NoRevision(_)) = git::resolve(repository, "HEAD") {
            return Err(Failure::usage(
                "this repository has no commit yet",
                "Stage files and look at what is staged (--staged), or commit first.",
            ));
        }
        let base = git::default_branch(repository).map_err(failure)?.ok_or_else(|| {
            Failure::usage(
                "the default branch is not known: there is no origin/HEAD, main, master or trunk",
                "Name the range: BASE...HEAD, for example origin/develop...HEAD",
            )
        })?;
        Ok(Self {
            repository: repository.to_path_buf(),
            range: format!("{base}...HEAD"),
        })
    }

    /// Both ends, by id.
    pub(super) fn ends(&self) -> Result<git::Ends, Failure> {
        git::ends(&self.repository, &self.range).map_err(failure)
    }

    /// The commit whose policy decides.
    pub(super) fn base(&self) -> Result<Base, Failure> {
        Ok(Base {
            commit: self.ends()?.from,
            repository: self.repository.clone(),
        })
    }
}

/// What is staged, as a diff against the newest commit, and that commit. Before the first commit all of it is new.
pub(super) fn staged(repository: &Path) -> Result<(Vec<u8>, Base), Failure> {
    let head = git::newest_or_nothing(repository).map_err(failure)?;
    let bytes = git::staged(repository, &head).map_err(failure)?;
    let base = Base {
        repository: repository.to_path_buf(),
        commit: head,
    };
    Ok((bytes, base))
}

/// Changes that are in no commit: said, since a range does not hold them.
pub(super) fn warn_of_uncommitted(repository: &Path) {
    if let Ok(count @ 1..) = git::uncommitted(repository) {
        let files = if count == 1 { "file has" } else { "files have" };
        crate::cli::output::note(format!(
            "bsm: {count} {files} changes that are in no commit and are not reviewed (git add, then --staged)"
        ));
    }
}

/// What git could not do, and what to do about it.
pub(super) fn failure(error: GitError) -> Failure {
    let help = match &error {
        GitError::Foreign { .. } => FOREIGN_HELP,
        GitError::NoGit => "Install git, and put it into PATH.",
        GitError::NoRevision(_) => {
            "`git branch -a` lists what there is; a branch of the remote is fetched first: git fetch origin BRANCH"
        }
        _ => "Run it in a git repository; `bsm review --diff FILE` takes any diff.",
    };
    Failure::usage(error, help)
}
