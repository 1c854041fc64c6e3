//! Asks git for a diff or a list of files without letting the repository run anything.
//!
//! Why so guarded: a repository's own configuration names programs (hooks, external diff, textconv,
//! file-system monitor, pager) that a plain `git diff` runs. Here git gets an argument vector and an
//! empty environment, those settings are switched off, and revisions are resolved to object ids
//! before they are used, so that a revision can never be read as an option.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use crate::commit_message::Commit;

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
        Err(GitError::Failed {
            dir: self.dir.clone(),
            message: bsm_base::text::clean_line(message.trim(), 300),
        })
    }
}

impl Drop for GitDiff {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A git command that runs nothing the repository names.
fn git(dir: &Path) -> Command {
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
    command
}

fn run(mut command: Command, dir: &Path) -> Result<Result<Vec<u8>, String>, GitError> {
    let output = command.output().map_err(|e| missing(e, dir))?;
    if output.status.success() {
        return Ok(Ok(output.stdout));
    }
    Ok(Err(bsm_base::text::clean_line(
        String::from_utf8_lossy(&output.stderr).trim(),
        300,
    )))
}

/// What a command that must succeed prints.
fn output(command: Command, dir: &Path) -> Result<Vec<u8>, GitError> {
    run(command, dir)?.map_err(|message| GitError::Failed {
        dir: dir.to_path_buf(),
        message,
    })
}

fn missing(error: std::io::Error, dir: &Path) -> GitError {
    // NotFound is git's absence only if the folder is there.
    if error.kind() == std::io::ErrorKind::NotFound && dir.is_dir() {
        GitError::NoGit
    } else {
        GitError::Io(error)
    }
}

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

/// Starts the diff between two commits.
pub fn diff(dir: &Path, ends: &Ends) -> Result<GitDiff, GitError> {
    diff_between(dir, &[&ends.from, &ends.to], 3)
}

/// The same with all of each file as context.
pub fn diff_in_full(dir: &Path, ends: &Ends) -> Result<GitDiff, GitError> {
    diff_between(dir, &[&ends.from, &ends.to], 1_000_000)
}

/// The form of every diff, whatever a repository's configuration says.
const FORM: [&str; 11] = [
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

fn diff_between(dir: &Path, ends: &[&str], context: u32) -> Result<GitDiff, GitError> {
    let mut command = git(dir);
    command
        .arg("diff")
        .arg(format!("--unified={context}"))
        .args(FORM)
        .args(ends)
        .arg("--");
    started(command, dir)
}

/// Starts a command whose output is read while it comes.
fn started(mut command: Command, dir: &Path) -> Result<GitDiff, GitError> {
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

/// A document of the change that something else in the repository reads or stands for, and what that is: a
/// source that names it, a macro that takes its folder in, a symbolic link to it.
pub fn included_by(dir: &Path, ends: &Ends) -> Result<Option<(String, String)>, GitError> {
    // `git grep` looks beneath where it is called.
    let mut command = git(dir);
    command.args(["rev-parse", "--show-cdup"]);
    let up = String::from_utf8_lossy(&output(command, dir)?).into_owned();
    let dir = &dir.join(up.trim_end_matches('\n'));
    let mut command = git(dir);
    command
        .args(["diff", "--name-only", "-z", "--no-renames"])
        .args([&ends.from, &ends.to, "--"]);
    let changed: Vec<String> = names(&output(command, dir)?).collect();
    let clean = |path: &str, by: &str| {
        let clean = |text: &str| bsm_base::text::clean_line(text, 120);
        Some((clean(path), clean(by)))
    };
    let Some(first) = changed.first() else {
        return Ok(None);
    };
    let reader = |commit: &str, what: &[&str]| -> Result<Option<String>, GitError> {
        for source in mentions(dir, commit, what)? {
            if !super::documentation::may_be_mentioned_by(&source)
                && !is_only_packed(dir, commit, what, &source)?
            {
                return Ok(Some(source));
            }
        }
        Ok(None)
    };
    for commit in [&ends.from, &ends.to] {
        // Some macros include a whole folder without naming a file.
        if let Some(by) = reader(commit, &["-E", "-e", TAKES_IN])? {
            return Ok(clean(first, &by));
        }
        let links = links(dir, commit)?;
        for path in &changed {
            let leads_to = |target: &String| {
                let below = |folder| {
                    path.strip_prefix(folder)
                        .is_some_and(|p| p.starts_with('/'))
                };
                target.is_empty() || path == target || below(target)
            };
            if let Some((link, _)) = links.iter().find(|(_, target)| leads_to(target)) {
                return Ok(clean(path, link));
            }
        }
        let name = |path: &String| path.rsplit('/').next().unwrap_or(path).to_owned();
        // Many names at once; which of them it is, only where there is one.
        for some in changed.chunks(200) {
            let names: Vec<String> = some.iter().map(name).collect();
            let all = names.iter().flat_map(|name| ["-e", name]);
            let all: Vec<&str> = std::iter::once("-F").chain(all).collect();
            if reader(commit, &all)?.is_none() {
                continue;
            }
            for (path, name) in some.iter().zip(&names) {
                if let Some(by) = reader(commit, &["-F", "-e", name])? {
                    return Ok(clean(path, &by));
                }
            }
        }
    }
    Ok(None)
}

/// Macros and calls that include a folder of documents.
const TAKES_IN: &str = concat!(
    r"(go:embed|include_dir!|RustEmbed|import\.meta\.glob|require\.context).*(\*|docs?)",
    r"|(listdir|readdir|read_dir|ReadDir|scandir|iterdir|walk|glob).*(docs?|\*\.(md|rst|adoc|txt))",
    r"|(docs?|guides|site|website|manual|documentation)/\*",
);

/// Names that git ends with NULs (`-z`).
fn names(out: &[u8]) -> impl Iterator<Item = String> {
    let names = out.split(|b| *b == 0).filter(|n| !n.is_empty());
    names.map(|n| String::from_utf8_lossy(n).into_owned())
}

/// Files of a commit that a `git grep` finds.
fn mentions(dir: &Path, commit: &str, what: &[&str]) -> Result<Vec<String>, GitError> {
    let mut command = git(dir);
    command
        .args(["grep", "-I", "-l", "-z", "--full-name", "--no-color"])
        .args(what)
        .arg(commit);
    // Status 1: nothing found.
    let found = run(command, dir)?.unwrap_or_default();
    Ok(names(&found)
        .filter_map(|n| n.split_once(':').map(|(_, path)| path.to_owned()))
        .collect())
}

/// True for a source that names a document in comments and addresses, or copies it into a package.
fn is_only_packed(dir: &Path, commit: &str, what: &[&str], source: &str) -> Result<bool, GitError> {
    let mut command = git(dir);
    command.args(["grep", "-I", "-h", "--no-color"]).args(what);
    command.args([commit, "--", source]);
    let lines = run(command, dir)?.unwrap_or_default();
    let lines = String::from_utf8_lossy(&lines).into_owned();
    let harmless = |line| super::documentation::is_harmless_mention(source, line);
    Ok(!lines.is_empty() && lines.lines().all(harmless))
}

/// Symbolic links of a commit: where each stands, and what it leads to beneath the repository.
fn links(dir: &Path, commit: &str) -> Result<Vec<(String, String)>, GitError> {
    let mut command = git(dir);
    command.args(["ls-tree", "-r", "-z", "--full-tree", commit, "--"]);
    let listed = output(command, dir)?;
    let mut found = Vec::new();
    for entry in listed
        .split(|b| *b == 0)
        .filter(|e| e.starts_with(b"120000 "))
    {
        let entry = String::from_utf8_lossy(entry).into_owned();
        let Some((head, path)) = entry.split_once('\t') else {
            continue;
        };
        let Some(id) = head.split(' ').nth(2) else {
            continue;
        };
        let mut command = git(dir);
        command.args(["cat-file", "blob", id]);
        let target = String::from_utf8_lossy(&output(command, dir)?).into_owned();
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let mut parts: Vec<&str> = folder.split('/').filter(|p| !p.is_empty()).collect();
        for part in target.split('/') {
            match part {
                "" | "." => {}
                ".." => drop(parts.pop()),
                part => parts.push(part),
            }
        }
        found.push((path.to_owned(), parts.join("/")));
        if found.len() >= 1_000 {
            // Where the others lead is not known.
            found.push((
                "one of more than 1,000 symbolic links".to_owned(),
                String::new(),
            ));
            break;
        }
    }
    Ok(found)
}

/// A file as a commit has it.
pub struct Blob {
    /// Its path.
    pub path: String,
    /// Its content; `None` where it is larger than the limit.
    pub bytes: Option<Vec<u8>>,
}

/// The plain files of a commit at some paths, or beneath them where a path is a folder.
pub fn files_at(
    dir: &Path,
    commit: &str,
    paths: &[String],
    largest: u64,
) -> Result<Vec<Blob>, GitError> {
    let mut found = Vec::new();
    blobs(
        dir,
        commit,
        paths,
        largest,
        |_| true,
        |blob| {
            found.push(blob);
            true
        },
    )?;
    Ok(found)
}

/// Hands the plain files of a commit to `each` until it says stop; `wanted` chooses by path.
pub fn contents(
    dir: &Path,
    commit: &str,
    largest: u64,
    wanted: impl Fn(&str) -> bool,
    each: impl FnMut(Blob) -> bool,
) -> Result<(), GitError> {
    blobs(dir, commit, &[], largest, wanted, each)
}

fn blobs(
    dir: &Path,
    commit: &str,
    paths: &[String],
    largest: u64,
    wanted: impl Fn(&str) -> bool,
    mut each: impl FnMut(Blob) -> bool,
) -> Result<(), GitError> {
    let mut command = git(dir);
    command.args(["ls-tree", "-r", "-z", "-l", "--full-tree", commit, "--"]);
    command.args(paths);
    let listed = output(command, dir)?;
    let mut command = git(dir);
    command
        .args(["cat-file", "--batch"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = command.spawn().map_err(|e| missing(e, dir))?;
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let (Some(mut ask), Some(stdout)) = (stdin, stdout) else {
        return Err(GitError::Io(std::io::Error::other("git gave no pipes")));
    };
    let mut answers = BufReader::new(stdout);
    let mut read = || -> std::io::Result<()> {
        for entry in listed.split(|b| *b == 0) {
            let Some(tab) = entry.iter().position(|b| *b == b'\t') else {
                continue;
            };
            let head = String::from_utf8_lossy(&entry[..tab]);
            let path = String::from_utf8_lossy(&entry[tab + 1..]).into_owned();
            let [mode, "blob", id, size] = head.split_whitespace().collect::<Vec<_>>()[..] else {
                continue;
            };
            if !mode.starts_with("100") || !wanted(&path) {
                continue;
            }
            let size: u64 = size.parse().unwrap_or(u64::MAX);
            if size > largest {
                if !each(Blob { path, bytes: None }) {
                    break;
                }
                continue;
            }
            writeln!(ask, "{id}")?;
            let mut said = String::new();
            answers.read_line(&mut said)?;
            let mut bytes = vec![0; usize::try_from(size).unwrap_or(0) + 1];
            answers.read_exact(&mut bytes)?;
            bytes.pop();
            if !each(Blob {
                path,
                bytes: Some(bytes),
            }) {
                break;
            }
        }
        Ok(())
    };
    let done = read();
    drop(ask);
    let _ = child.kill();
    let _ = child.wait();
    done.map_err(GitError::Io)
}

/// Paths of the files git tracks in a folder, relative to it.
pub fn tracked_files(dir: &Path) -> Result<Vec<PathBuf>, GitError> {
    use std::os::unix::ffi::OsStringExt as _;
    let mut command = git(dir);
    command.args(["ls-files", "-z", "--cached"]);
    let out = output(command, dir)?;
    let names = out.split(|b| *b == 0).filter(|n| !n.is_empty());
    Ok(names
        .map(|n| PathBuf::from(std::ffi::OsString::from_vec(n.to_vec())))
        .collect())
}
