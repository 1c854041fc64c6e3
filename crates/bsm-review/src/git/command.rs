//! Running git: which programs, with which environment, and its errors.

use std::io::BufReader;
use std::io::Read as _;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::ChildStdout;
use std::process::Command;
use std::process::Stdio;
use std::sync::{PoisonError, RwLock};

/// Why git gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// There is no git on this machine.
    #[error("git is not installed or not in PATH")]
    NoGit,
    /// The revision does not exist in the repository.
    #[error("no such revision: {0} (see: git log --oneline)")]
    NoRevision(String),
    /// The range is not `A..B`, `A...B` or one revision.
    #[error("not a range: '{0}' (want A..B, for example main..HEAD)")]
    NotARange(String),
    /// The repository belongs to another user, and nobody said that it is known.
    #[error("the repository in {dir} belongs to another user, and git does not read it")]
    Foreign {
        /// Where it lies.
        dir: PathBuf,
    },
    /// Git refused.
    #[error("git failed in {dir}: {message}")]
    Failed {
        /// Where it ran.
        dir: PathBuf,
        /// What it said.
        message: String,
    },
    /// The system failed.
    #[error("cannot run git: {0}")]
    Io(#[from] std::io::Error),
}

/// A diff that is being read; check [`GitDiff::finish`] at its end.
pub struct GitDiff {
    child: Child,
    /// Reads what git complains about; unread, a full pipe would stop it.
    stderr: Option<std::thread::JoinHandle<String>>,
    dir: PathBuf,
}

impl GitDiff {
    /// The diff's bytes.
    pub fn reader(&mut self) -> Option<BufReader<ChildStdout>> {
        self.child
            .stdout
            .take()
            .map(|out| BufReader::with_capacity(64 * 1024, out))
    }

    /// Waits for git and reports its failure.
    pub fn finish(mut self) -> Result<(), GitError> {
        let message = self
            .stderr
            .take()
            .and_then(|t| t.join().ok())
            .unwrap_or_default();
        if self.child.wait()?.success() {
            return Ok(());
        }
        Err(failed(&self.dir, &message))
    }
}

impl Drop for GitDiff {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Folders of other users that this process may read: `*`, or paths.
static SAFE: RwLock<Vec<String>> = RwLock::new(Vec::new());

/// Lets git read repositories in these folders whoever they belong to: the operator listed them. `*` is every
/// folder. It holds for the whole process.
pub fn trust_folders(folders: &[String]) {
    let mut safe = SAFE.write().unwrap_or_else(PoisonError::into_inner);
    folders.clone_into(&mut safe);
}

/// Passes the listed folders on; git's own list stands in the user's configuration, which is not read here.
pub(crate) fn safe_folders(command: &mut Command) {
    let safe = SAFE.read().unwrap_or_else(PoisonError::into_inner);
    for folder in safe.iter() {
        command.args(["-c", &format!("safe.directory={folder}")]);
    }
}

/// Why git failed. It has one exit code for everything, so the sentence says which it was (`LC_ALL` is C).
fn failed(dir: &Path, message: &str) -> GitError {
    let dir = dir.to_path_buf();
    if message.contains("dubious ownership") {
        return GitError::Foreign { dir };
    }
    let message = bsm_base::text::clean_line(message.trim(), 300);
    GitError::Failed { dir, message }
}

/// A git command that runs nothing the repository names.
pub(crate) fn git(dir: &Path) -> Command {
    let mut command = Command::new("git");
    command.env_clear().current_dir(dir).stdin(Stdio::null());
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    for (name, value) in [
        ("GIT_CONFIG_NOSYSTEM", "1"),
        ("GIT_CONFIG_GLOBAL", "/dev/null"),
        ("GIT_TERMINAL_PROMPT", "0"),
        ("GIT_OPTIONAL_LOCKS", "0"),
        ("GIT_NO_LAZY_FETCH", "1"),
        ("GIT_PAGER", "cat"),
        ("GIT_GRAFT_FILE", "/dev/null"),
        ("GIT_ATTR_NOSYSTEM", "1"),
        // Paths are paths, whatever signs they have.
        ("GIT_LITERAL_PATHSPECS", "1"),
        ("LC_ALL", "C"),
    ] {
        command.env(name, value);
    }
    command.arg("--no-pager").arg("--no-replace-objects");
    for setting in [
        // What a repository's own configuration says of the form of the output changes nothing.
        "advice.graftFileDeprecated=false",
        "core.abbrev=40",
        "core.attributesFile=/dev/null",
        "core.bigFileThreshold=512m",
        "core.commitGraph=false",
        "core.quotePath=true",
        "diff.algorithm=default",
        "diff.context=3",
        "diff.dirstat=changes",
        "diff.ignoreSubmodules=none",
        "diff.indentHeuristic=true",
        "diff.interHunkContext=0",
        "diff.mnemonicPrefix=false",
        "diff.noprefix=false",
        "diff.relative=false",
        "diff.renameLimit=1000",
        "diff.suppressBlankEmpty=false",
        "diff.wsErrorHighlight=none",
        "format.pretty=medium",
        "i18n.logOutputEncoding=UTF-8",
        "log.date=default",
        "log.decorate=false",
        "log.diffMerges=dense-combined",
        "log.follow=false",
        "log.mailmap=false",
        "log.showRoot=true",
        "log.showSignature=false",
        "core.fsmonitor=false",
        "core.hooksPath=/dev/null",
        "core.pager=cat",
        "core.sshCommand=false",
        "core.alternateRefsCommand=false",
        "diff.external=",
        "diff.orderFile=/dev/null",
        "diff.submodule=short",
        "protocol.allow=never",
        "submodule.recurse=false",
        "color.ui=false",
    ] {
        command.args(["-c", setting]);
    }
    safe_folders(&mut command);
    command
}

pub(crate) fn run(mut command: Command, dir: &Path) -> Result<Result<Vec<u8>, String>, GitError> {
    let output = command.output().map_err(|e| missing(e, dir))?;
    if output.status.success() {
        return Ok(Ok(output.stdout));
    }
    let message = String::from_utf8_lossy(&output.stderr);
    match failed(dir, &message) {
        GitError::Failed { message, .. } => Ok(Err(message)),
        other => Err(other),
    }
}

/// What a command that must succeed prints.
pub(crate) fn output(command: Command, dir: &Path) -> Result<Vec<u8>, GitError> {
    run(command, dir)?.map_err(|message| GitError::Failed {
        dir: dir.to_path_buf(),
        message,
    })
}

pub(crate) fn missing(error: std::io::Error, dir: &Path) -> GitError {
    // NotFound is git's absence only if the folder is there.
    if error.kind() == std::io::ErrorKind::NotFound && dir.is_dir() {
        GitError::NoGit
    } else {
        GitError::Io(error)
    }
}

/// Starts a command whose output is read while it comes.
pub(crate) fn started(mut command: Command, dir: &Path) -> Result<GitDiff, GitError> {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|e| missing(e, dir))?;
    let stderr = child.stderr.take().map(|mut err| {
        std::thread::spawn(move || {
            let mut first = Vec::new();
            let _ = err.by_ref().take(4_096).read_to_end(&mut first);
            let _ = std::io::copy(&mut err, &mut std::io::sink());
            String::from_utf8_lossy(&first).into_owned()
        })
    });
    Ok(GitDiff {
        child,
        stderr,
        dir: dir.to_path_buf(),
    })
}
