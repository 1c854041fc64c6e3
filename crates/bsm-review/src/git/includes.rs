//! What reads a document: files that include it, links that lead to it.

use crate::git::command::GitError;
use crate::git::command::git;
use crate::git::command::output;
use crate::git::command::run;
use crate::git::revisions::Ends;
use std::path::Path;

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
            if !crate::documentation::may_be_mentioned_by(&source)
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
pub(crate) const TAKES_IN: &str = concat!(
    r"(go:embed|include_dir!|RustEmbed|import\.meta\.glob|require\.context).*(\*|docs?)",
    r"|(listdir|readdir|read_dir|ReadDir|scandir|iterdir|walk|glob).*(docs?|\*\.(md|rst|adoc|txt))",
    r"|(docs?|guides|site|website|manual|documentation)/\*",
);

/// Names that git ends with NULs (`-z`).
pub(crate) fn names(out: &[u8]) -> impl Iterator<Item = String> {
    let names = out.split(|b| *b == 0).filter(|n| !n.is_empty());
    names.map(|n| String::from_utf8_lossy(n).into_owned())
}

/// Files of a commit that a `git grep` finds.
pub(crate) fn mentions(dir: &Path, commit: &str, what: &[&str]) -> Result<Vec<String>, GitError> {
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
pub(crate) fn is_only_packed(
    dir: &Path,
    commit: &str,
    what: &[&str],
    source: &str,
) -> Result<bool, GitError> {
    let mut command = git(dir);
    command.args(["grep", "-I", "-h", "--no-color"]).args(what);
    command.args([commit, "--", source]);
    let lines = run(command, dir)?.unwrap_or_default();
    let lines = String::from_utf8_lossy(&lines).into_owned();
    let harmless = |line| crate::documentation::is_harmless_mention(source, line);
    Ok(!lines.is_empty() && lines.lines().all(harmless))
}

/// Symbolic links of a commit: where each stands, and what it leads to beneath the repository.
pub(crate) fn links(dir: &Path, commit: &str) -> Result<Vec<(String, String)>, GitError> {
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
