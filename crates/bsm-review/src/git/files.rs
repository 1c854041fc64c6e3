//! Files as a commit has them.

use crate::git::command::GitError;
use crate::git::command::git;
use crate::git::command::missing;
use crate::git::command::output;
use std::io::BufRead as _;
use std::io::BufReader;
use std::io::Read as _;
use std::io::Write as _;
use std::path::Path;
use std::path::PathBuf;
use std::process::Stdio;

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

pub(crate) fn blobs(
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
