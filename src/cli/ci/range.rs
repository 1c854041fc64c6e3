//! From the commits that a pipeline names to two that the clone holds, with the history between them.
//!
//! Why it fetches: most systems clone one commit. What is missing is fetched into refs of its own, deeper and
//! deeper, until the merge base is there and no commit of the change may be missing; else the error says the
//! line that the pipeline's file needs. A range that might be cut off is never reviewed as if it were whole.

use std::cell::RefCell;
use std::path::Path;
use std::time::Duration;

use super::pipeline::{Named, Pipeline};
use super::system::{System, line_for_history};
use crate::cli::change::failure;
use crate::cli::failure::Failure;
use crate::review::git::{self, CloneKind, Depth, Ends, GitError};

/// Where fetched commits are kept from git's garbage collection.
const HEAD: &str = "refs/bsm/ci/head";
const BASE: &str = "refs/bsm/ci/base";
/// The remote that CI systems clone from.
const REMOTE: &str = "origin";
/// Of one fetch.
const LIMIT: Duration = Duration::from_secs(180);
/// How far a shallow clone is deepened, in commits, before all of it is fetched.
const STEPS: [Depth; 4] = [
    Depth::Commits(50),
    Depth::Commits(500),
    Depth::Commits(5_000),
    Depth::All,
];

/// The range that a pipeline is about: from the merge base to its newest commit.
///
/// `forbidden`: why nothing may be fetched; `None`: it may.
///
/// # Errors
/// The clone lacks a commit or history that cannot be fetched, or the range is empty.
pub(super) fn find(
    repository: &Path,
    pipeline: &Pipeline,
    forbidden: Option<&'static str>,
) -> Result<Ends, Failure> {
    let finder = Finder {
        repository,
        pipeline,
        kind: git::clone_kind(repository).map_err(failure)?,
        forbidden,
        problem: RefCell::default(),
    };
    let ends = finder.find()?;
    if ends.from == ends.to {
        return Err(Failure::usage(
            format!(
                "nothing to review: {} adds no commit to its base",
                pipeline.head.shown()
            ),
            match pipeline.system {
                Some(System::CircleCi) => {
                    "Name the base: bsm ci --base << pipeline.git.base_revision >>"
                }
                _ => {
                    "Name the base: bsm ci --base REVISION, for example HEAD~1 for the newest commit."
                }
            },
        ));
    }
    Ok(ends)
}

struct Finder<'a> {
    repository: &'a Path,
    pipeline: &'a Pipeline,
    kind: CloneKind,
    forbidden: Option<&'static str>,
    /// What the newest fetch failed with.
    problem: RefCell<Option<GitError>>,
}

impl Finder<'_> {
    fn find(&self) -> Result<Ends, Failure> {
        let bases = self.bases()?;
        for base in &bases {
            if let Some(ends) = self.ends(base, None)? {
                return self.with_objects(ends);
            }
        }
        if self.forbidden.is_none() {
            for base in &bases {
                if let Some(ends) = self.fetched(base)? {
                    return self.with_objects(ends);
                }
            }
        }
        let base = bases.first().map_or_else(String::new, Named::shown);
        Err(self.lacking(&format!(
            "commit {}, its base {base}, or the history between them",
            self.pipeline.head.shown()
        )))
    }

    /// What the pipeline says, else the default branch.
    fn bases(&self) -> Result<Vec<Named>, Failure> {
        if !self.pipeline.bases.is_empty() {
            return Ok(self.pipeline.bases.clone());
        }
        let found = git::default_branch(self.repository).map_err(failure)?;
        let Some(name) = found else {
            return Err(Failure::usage(
                "the base is not known: the pipeline does not say it, and there is no origin/HEAD, main or master",
                "Name it: bsm ci --base origin/BRANCH",
            ));
        };
        let short = name.strip_prefix("refs/remotes/").unwrap_or(&name);
        let of_remote = short.strip_prefix("origin/");
        Ok(vec![match of_remote.and_then(|n| Named::branch(Some(n))) {
            Some(branch) => branch,
            None => Named::Local(name),
        }])
    }

    /// The commit of a name, as far as the clone knows it. `fetched`: the ref that it was fetched into.
    fn commit(&self, named: &Named, fetched: Option<&str>) -> Result<Option<String>, Failure> {
        let found = |revision: &str| match git::resolve(self.repository, revision) {
            Ok(id) => Ok(Some(id)),
            Err(GitError::NoRevision(_)) => Ok(None),
            Err(error) => Err(failure(error)),
        };
        match (named, fetched) {
            (Named::Commit { id, .. }, _) => found(id),
            (Named::Branch(_), Some(reference)) => found(reference),
            (Named::Branch(name), None) => found(&format!("refs/remotes/{REMOTE}/{name}")),
            (Named::Local(revision), _) => found(revision),
        }
    }

    /// Both ends, where the clone holds them and everything between.
    fn ends(&self, base: &Named, fetched: Option<&str>) -> Result<Option<Ends>, Failure> {
        let Some(to) = self.commit(&self.pipeline.head, None)? else {
            return Ok(None);
        };
        let Some(base) = self.commit(base, fetched)? else {
            return Ok(None);
        };
        let Some(from) = git::merge_base(self.repository, &base, &to).map_err(failure)? else {
            return Ok(None);
        };
        let ends = Ends { from, to };
        let whole = git::is_history_whole(self.repository, &ends).map_err(failure)?;
        Ok(whole.then_some(ends))
    }

    /// The same after fetching what is missing.
    fn fetched(&self, base: &Named) -> Result<Option<Ends>, Failure> {
        let Some(base_source) = self.source(base)? else {
            return Ok(None);
        };
        let steps: &[Depth] = if self.kind.shallow {
            &STEPS
        } else {
            &[Depth::AsNeeded]
        };
        for depth in steps {
            let still = git::clone_kind(self.repository).map_err(failure)?;
            if *depth == Depth::All && !still.shallow {
                break;
            }
            if !self.fetch(&base_source, *depth)? {
                break;
            }
            if let Some(ends) = self.ends(base, Some(BASE))? {
                return Ok(Some(ends));
            }
        }
        Ok(None)
    }

    /// Fetches both ends; false where that failed.
    fn fetch(&self, base: &str, depth: Depth) -> Result<bool, Failure> {
        let head = &self.pipeline.head;
        let mut sources: Vec<String> = self.source(head)?.into_iter().collect();
        if let Named::Commit {
            reference: Some(reference),
            ..
        } = head
        {
            // A remote may refuse ids and offer the same commit under a name.
            sources.push(reference.clone());
        }
        for source in sources {
            let refspecs = [format!("+{source}:{HEAD}"), format!("+{base}:{BASE}")];
            match git::fetch(self.repository, REMOTE, &refspecs, depth, LIMIT) {
                Ok(()) => return Ok(true),
                Err(error) => *self.problem.borrow_mut() = Some(error),
            }
        }
        Ok(false)
    }

    /// What a name is at the remote; a revision of the clone by its id.
    fn source(&self, named: &Named) -> Result<Option<String>, Failure> {
        Ok(match named {
            Named::Commit { id, .. } => Some(id.clone()),
            Named::Branch(name) => Some(format!("refs/heads/{name}")),
            Named::Local(revision) => match self.commit(named, None)? {
                Some(id) => Some(id),
                // The remote's branch by the name that it has in a clone.
                None => {
                    let name = revision.strip_prefix("origin/").unwrap_or_default();
                    match Named::branch(Some(name)) {
                        Some(branch) => self.source(&branch)?,
                        None => {
                            return Err(failure(GitError::NoRevision(crate::text::clean_line(
                                revision, 80,
                            ))));
                        }
                    }
                }
            },
        })
    }

    /// A clone that left out contents gets them: a diff needs them, and nothing is fetched on the way.
    fn with_objects(&self, ends: Ends) -> Result<Ends, Failure> {
        let lacks = || git::lacks_objects(self.repository, &ends).map_err(failure);
        if !self.kind.partial || !lacks()? {
            return Ok(ends);
        }
        if self.forbidden.is_none() {
            let refspecs = [
                format!("+{}:{HEAD}", ends.to),
                format!("+{}:{BASE}", ends.from),
            ];
            let fetched = git::fetch(self.repository, REMOTE, &refspecs, Depth::Unfiltered, LIMIT);
            match fetched {
                Ok(()) if !lacks()? => return Ok(ends),
                Ok(()) => {}
                Err(error) => *self.problem.borrow_mut() = Some(error),
            }
        }
        Err(self.lacking("contents of files, which its filter left out"))
    }

    /// What is missing, why it could not be had, and the line that mends it.
    fn lacking(&self, what: &str) -> Failure {
        let kind = match (self.kind.shallow, self.kind.partial) {
            (true, _) => "shallow clone",
            (false, true) => "partial clone",
            (false, false) => "clone",
        };
        let why = match (self.forbidden, &*self.problem.borrow()) {
            (Some(forbidden), _) => format!("; {forbidden}"),
            (None, Some(error)) => format!("; fetching it failed: {error}"),
            (None, None) => String::new(),
        };
        Failure::usage(
            format!("this {kind} lacks {what}{why}"),
            line_for_history(self.pipeline.system),
        )
    }
}
