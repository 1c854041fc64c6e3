//! Fetching the commits that a shallow or partial clone lacks, and nothing else.
//!
//! Why a second way to run git: every other command here may neither reach the network nor start a program. This
//! one needs the credentials that a pipeline's checkout left behind (headers, helpers, an agent for keys), so it
//! reads the user's and the repository's own configuration. Hooks, monitors, submodules, tags and every protocol
//! but https, http, ssh and plain files stay off.

use crate::git::command::{GitError, git, missing, output, run, safe_folders};
use crate::git::revisions::Ends;
use std::collections::HashSet;
use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What a clone may lack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CloneKind {
    /// Its history is cut off somewhere.
    pub shallow: bool,
    /// Objects were left out by a filter and would be fetched when they are needed.
    pub partial: bool,
}

/// Says what the clone that a folder lies in may lack.
///
/// # Errors
/// When the folder is in no repository.
pub fn clone_kind(dir: &Path) -> Result<CloneKind, GitError> {
    let mut command = git(dir);
    command.args(["rev-parse", "--is-shallow-repository"]);
    let shallow = output(command, dir)?.trim_ascii() == b"true";
    let mut command = git(dir);
    command.args(["config", "--local", "--get-regexp"]);
    command.arg(r"^(remote\..*\.promisor|extensions\.partialclone)$");
    // Status 1: no such setting.
    let partial = run(command, dir)?.is_ok_and(|found| !found.trim_ascii().is_empty());
    Ok(CloneKind { shallow, partial })
}

/// The best common ancestor of two commits, as far as the clone's history goes; `None`: there is none in it.
///
/// # Errors
/// When git cannot be run.
pub fn merge_base(dir: &Path, one: &str, other: &str) -> Result<Option<String>, GitError> {
    let mut command = git(dir);
    command.args(["merge-base", one, other]);
    Ok(run(command, dir)?.ok().and_then(|found| {
        let text = String::from_utf8_lossy(&found);
        Some(text.lines().next()?.trim().to_owned())
    }))
}

/// True when no commit of a range is one at which the clone's history was cut off: there may be more of them.
///
/// # Errors
/// When git gives no list of commits.
pub fn is_history_whole(dir: &Path, ends: &Ends) -> Result<bool, GitError> {
    let mut command = git(dir);
    command.args(["rev-parse", "--git-path", "shallow"]);
    let path = output(command, dir)?;
    let path = dir.join(String::from_utf8_lossy(&path).trim());
    let Ok(cut) = std::fs::read_to_string(path) else {
        return Ok(true);
    };
    let cut: HashSet<&str> = cut.lines().map(str::trim).collect();
    let mut command = git(dir);
    command.args(["rev-list", &format!("{}..{}", ends.from, ends.to), "--"]);
    let listed = output(command, dir)?;
    let listed = String::from_utf8_lossy(&listed);
    Ok(!listed.lines().any(|id| cut.contains(id.trim())))
}

/// True when a filter left out objects that a look at the range needs: of its commits, and of both whole trees.
///
/// # Errors
/// When git gives no list of objects.
pub fn lacks_objects(dir: &Path, ends: &Ends) -> Result<bool, GitError> {
    let range = format!("{}..{}", ends.from, ends.to);
    for wanted in [
        vec!["--no-walk", &ends.from, &ends.to],
        vec![range.as_str()],
    ] {
        let mut command = git(dir);
        command.args(["rev-list", "--objects", "--missing=print"]);
        command.args(wanted).arg("--");
        let listed = output(command, dir)?;
        if listed
            .split(|b| *b == b'\n')
            .any(|line| line.starts_with(b"?"))
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// How much history is fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// As it is: what the refs need.
    AsNeeded,
    /// So many commits of each ref.
    Commits(u32),
    /// All of it.
    All,
    /// Every object of the refs again, without the filter of a partial clone.
    Unfiltered,
}

/// Fetches refs from a remote. A refspec is `+SOURCE:DESTINATION`, both checked by the caller.
///
/// # Errors
/// When the remote refuses, cannot be reached, or takes longer than `limit`.
pub fn fetch(
    dir: &Path,
    remote: &str,
    refspecs: &[String],
    depth: Depth,
    limit: Duration,
) -> Result<(), GitError> {
    let mut command = fetching(dir);
    command.args([
        "fetch",
        "--quiet",
        "--no-tags",
        "--no-recurse-submodules",
        "--no-write-fetch-head",
        "--no-auto-maintenance",
    ]);
    match depth {
        Depth::AsNeeded => {}
        Depth::Commits(count) => drop(command.arg(format!("--depth={count}"))),
        Depth::All => drop(command.arg("--unshallow")),
        Depth::Unfiltered => drop(command.args(["--refetch", "--no-filter"])),
    }
    command.args(["--", remote]).args(refspecs);
    within(command, dir, limit)
}

/// Variables that say who fetches, and over what.
const KEPT: [&str; 24] = [
    "PATH",
    "HOME",
    "XDG_CONFIG_HOME",
    "SSH_AUTH_SOCK",
    "GIT_SSH",
    "GIT_SSH_COMMAND",
    "GIT_SSH_VARIANT",
    "GIT_ASKPASS",
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_SYSTEM",
    "GIT_CONFIG_NOSYSTEM",
    "GIT_CONFIG_PARAMETERS",
    "GIT_SSL_CAINFO",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "GIT_CONFIG_COUNT",
];

/// A git command that may reach the remote, as the pipeline's own would.
fn fetching(dir: &Path) -> Command {
    let mut command = Command::new("git");
    command.env_clear().current_dir(dir).stdin(Stdio::null());
    for (name, value) in std::env::vars_os() {
        let kept = name.to_str().is_some_and(|name| {
            KEPT.contains(&name)
                || name.starts_with("GIT_CONFIG_KEY_")
                || name.starts_with("GIT_CONFIG_VALUE_")
        });
        if kept {
            command.env(name, value);
        }
    }
    for (name, value) in [
        ("GIT_TERMINAL_PROMPT", "0"),
        ("GIT_OPTIONAL_LOCKS", "0"),
        ("GIT_PAGER", "cat"),
        ("LC_ALL", "C"),
    ] {
        command.env(name, value);
    }
    command.args(["--no-pager", "--no-replace-objects"]);
    for setting in [
        "core.fsmonitor=false",
        "core.hooksPath=/dev/null",
        "core.pager=cat",
        "core.alternateRefsCommand=false",
        "fetch.recurseSubmodules=false",
        "submodule.recurse=false",
        "gc.auto=0",
        "maintenance.auto=false",
        "protocol.allow=never",
        "protocol.https.allow=always",
        "protocol.http.allow=always",
        "protocol.ssh.allow=always",
        "protocol.file.allow=always",
    ] {
        command.args(["-c", setting]);
    }
    safe_folders(&mut command);
    command
}

/// Runs a command for at most `limit`.
fn within(mut command: Command, dir: &Path, limit: Duration) -> Result<(), GitError> {
    let failed = |message: String| GitError::Failed {
        dir: dir.to_path_buf(),
        message,
    };
    let until = Instant::now() + limit;
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|e| missing(e, dir))?;
    let stderr = child.stderr.take().map(|mut err| {
        std::thread::spawn(move || {
            let mut first = Vec::new();
            let _ = err.by_ref().take(4_096).read_to_end(&mut first);
            let _ = std::io::copy(&mut err, &mut std::io::sink());
            String::from_utf8_lossy(&first).into_owned()
        })
    });
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if Instant::now() >= until {
            let _ = child.kill();
            let _ = child.wait();
            return Err(failed(format!("it took longer than {} s", limit.as_secs())));
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    if status.success() {
        return Ok(());
    }
    let message = stderr.and_then(|t| t.join().ok()).unwrap_or_default();
    Err(failed(without_credentials(&message)))
}

/// What git says of an address, without the user and password in it.
fn without_credentials(message: &str) -> String {
    let mut out = String::new();
    let mut rest = message.trim();
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        out.push_str(before);
        let host = after
            .find(|c: char| c == '/' || c == '\'' || c == '"' || c.is_whitespace())
            .unwrap_or(after.len());
        rest = match after[..host].rfind('@') {
            Some(user) => &after[user + 1..],
            None => after,
        };
    }
    out.push_str(rest);
    bsm_base::text::clean_line(&out, 300)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_in_a_message_loses_its_credentials() {
        for (said, shown) in [
            (
                "fatal: unable to access 'https://ci:pass@git.example/a.git/': 403",
                "fatal: unable to access 'https://git.example/a.git/': 403",
            ),
            ("https://a@b", "https://b"),
            (
                "ssh://git@host/x and http://u:p@h y",
                "ssh://host/x and http://h y",
            ),
            ("no address", "no address"),
        ] {
            assert_eq!(without_credentials(said), shown);
        }
    }
}
