//! A diff put together from the list of files that GitHub sends where the diff itself is too large for it.
//!
//! Why so strict: a file whose patch is missing, cut off or without its mode must never pass for one that was
//! read, so it is named instead.

use std::collections::HashMap;
use std::fmt::Write as _;

use serde_json::Value;

use crate::code_host::{FetchedChange, Unsent};
use crate::text::Untrusted;

/// Files by path with their modes at both commits; `None`: they are not told.
pub(super) struct Modes {
    /// At the base's commit.
    pub(super) old: Option<HashMap<String, String>>,
    /// At the head's commit.
    pub(super) new: Option<HashMap<String, String>>,
}

/// Files in a diff.
pub(super) fn count(diff: &[u8]) -> usize {
    let lines = diff.split(|b| *b == b'\n');
    lines
        .filter(|line| line.starts_with(b"diff --git "))
        .count()
}

/// The diff of the listed files, at most `most` bytes, and what is not in it. `more`: there are files that are
/// not listed.
pub(super) fn assemble(files: &[Value], more: bool, modes: &Modes, most: usize) -> FetchedChange {
    let mut change = FetchedChange::default();
    for file in files {
        let path = file["filename"].as_str().unwrap_or_default();
        let reason = match entry(file, path, modes) {
            Ok(text) if change.diff.len() + text.len() <= most => {
                change.diff.extend_from_slice(text.as_bytes());
                continue;
            }
            Ok(_) => format!("the change is larger than {most} bytes"),
            Err(reason) => reason.to_owned(),
        };
        change.missing.push(Unsent {
            path: Some(Untrusted::new(path)),
            reason,
        });
    }
    if more {
        change.missing.push(Unsent {
            path: None,
            reason: format!("GitHub lists the first {} files", files.len()),
        });
    }
    change
}

/// One file's part of the diff.
fn entry(file: &Value, path: &str, modes: &Modes) -> Result<String, &'static str> {
    if path.is_empty() {
        return Err("GitHub sent an entry without a path");
    }
    let status = file["status"].as_str().unwrap_or_default();
    let before = file["previous_filename"].as_str().unwrap_or(path);
    let (is_new, is_gone) = (status == "added", status == "removed");
    let mode = |modes: &Option<HashMap<String, String>>, path: &str| {
        let mode = modes.as_ref()?.get(path)?;
        let is_mode = mode.len() == 6 && mode.bytes().all(|b| b.is_ascii_digit());
        is_mode.then(|| mode.clone())
    };
    let old_mode = mode(&modes.old, before);
    let new_mode = mode(&modes.new, path);
    let is_unknown = (!is_new && old_mode.is_none()) || (!is_gone && new_mode.is_none());
    if is_unknown {
        return Err("GitHub sent no mode for it");
    }
    let (old_mode, new_mode) = (old_mode.unwrap_or_default(), new_mode.unwrap_or_default());
    let patch = file["patch"].as_str();
    let lines = |key: &str| file[key].as_u64().unwrap_or(u64::MAX);
    match patch {
        Some(patch) if lines_of(patch) != (lines("additions"), lines("deletions")) => {
            return Err("GitHub sent a part of its patch");
        }
        None if (lines("additions"), lines("deletions")) != (0, 0) || status != "renamed" => {
            return Err("GitHub sent no patch for it (too large, or binary)");
        }
        _ => {}
    }
    let (old, new) = (quoted("a/", before), quoted("b/", path));
    let mut out = format!("diff --git {old} {new}\n");
    // Writing into a String cannot fail.
    let _ = match status {
        "added" => writeln!(out, "new file mode {new_mode}"),
        "removed" => writeln!(out, "deleted file mode {old_mode}"),
        _ if old_mode != new_mode => writeln!(out, "old mode {old_mode}\nnew mode {new_mode}"),
        _ => Ok(()),
    };
    if before != path {
        let (from, to) = (quoted("", before), quoted("", path));
        let verb = if status == "copied" { "copy" } else { "rename" };
        let _ = writeln!(out, "{verb} from {from}\n{verb} to {to}");
    }
    if let Some(patch) = patch.filter(|patch| !patch.is_empty()) {
        let old = if is_new { "/dev/null" } else { &old };
        let new = if is_gone { "/dev/null" } else { &new };
        let _ = writeln!(
            out,
            "--- {old}\n+++ {new}\n{}",
            patch.trim_end_matches('\n')
        );
    }
    Ok(out)
}

/// Added and removed lines of a patch.
fn lines_of(patch: &str) -> (u64, u64) {
    let of = |sign| patch.split('\n').filter(|l| l.starts_with(sign)).count() as u64;
    (of('+'), of('-'))
}

/// A path as git writes it: in quotes where a sign in it would not be read as itself.
fn quoted(side: &str, path: &str) -> String {
    let is_plain = !path
        .chars()
        .any(|c| c.is_control() || c == '"' || c == '\\');
    if is_plain {
        return format!("{side}{path}");
    }
    let mut out = format!("\"{side}");
    for c in path.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_control() => {
                let mut bytes = [0; 4];
                for byte in c.encode_utf8(&mut bytes).bytes() {
                    let _ = write!(out, "\\{byte:03o}");
                }
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn modes(old: &[(&str, &str)], new: &[(&str, &str)]) -> Modes {
        let map = |of: &[(&str, &str)]| {
            let pairs = of.iter();
            Some(
                pairs
                    .map(|(p, m)| ((*p).to_owned(), (*m).to_owned()))
                    .collect(),
            )
        };
        Modes {
            old: map(old),
            new: map(new),
        }
    }

    #[test]
    fn files_with_their_patches_make_the_diff_that_git_would() {
        let files = [
            json!({"filename": "a.md", "status": "modified", "additions": 1, "deletions": 1,
                "patch": "@@ -1 +1 @@\n-old\n+new"}),
            json!({"filename": "link", "status": "added", "additions": 1, "deletions": 0,
                "patch": "@@ -0,0 +1 @@\n+/etc/passwd\n\\ No newline at end of file"}),
            json!({"filename": "to", "previous_filename": "from", "status": "renamed",
                "additions": 0, "deletions": 0}),
            json!({"filename": "gone", "status": "removed", "additions": 0, "deletions": 1,
                "patch": "@@ -1 +0,0 @@\n-x"}),
        ];
        let modes = modes(
            &[("a.md", "100644"), ("from", "100644"), ("gone", "100755")],
            &[("a.md", "100755"), ("link", "120000"), ("to", "100644")],
        );
        let change = assemble(&files, false, &modes, 1 << 20);
        assert_eq!(change.missing, []);
        let wanted = "diff --git a/a.md b/a.md\nold mode 100644\nnew mode 100755\n--- a/a.md\n+++ b/a.md\n@@ -1 +1 @@\n-old\n+new\n\
            diff --git a/link b/link\nnew file mode 120000\n--- /dev/null\n+++ b/link\n@@ -0,0 +1 @@\n+/etc/passwd\n\\ No newline at end of file\n\
            diff --git a/from b/to\nrename from from\nrename to to\n\
            diff --git a/gone b/gone\ndeleted file mode 100755\n--- a/gone\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n";
        assert_eq!(String::from_utf8(change.diff).unwrap(), wanted);
    }

    #[test]
    fn what_is_not_sent_is_named_and_never_in_the_diff() {
        let whole = json!({"filename": "ok", "status": "modified", "additions": 1, "deletions": 0,
            "patch": "@@ -0,0 +1 @@\n+x"});
        let mut cut = whole.clone();
        cut["additions"] = json!(2);
        cut["filename"] = json!("cut");
        let binary =
            json!({"filename": "bin", "status": "modified", "additions": 0, "deletions": 0});
        let mut odd = whole.clone();
        odd["filename"] = json!("no-mode");
        let some = [("ok", "100644"), ("cut", "100644"), ("bin", "100644")];
        let files = [whole.clone(), cut, binary, odd];
        let change = assemble(&files, true, &modes(&some, &some), 1 << 20);
        let named: Vec<_> = change
            .missing
            .iter()
            .map(|m| m.path.as_ref().map_or("-", |p| p.raw()))
            .collect();
        assert_eq!(named, ["cut", "bin", "no-mode", "-"]);
        assert_eq!(count(&change.diff), 1);
        let unknown = Modes {
            old: None,
            new: None,
        };
        assert_eq!(assemble(&files, false, &unknown, 1 << 20).missing.len(), 4);
        assert_eq!(
            assemble(&[whole], false, &modes(&some, &some), 10).diff,
            b""
        );
    }

    #[test]
    fn path_with_odd_signs_is_quoted_as_git_does() {
        assert_eq!(quoted("a/", "x y/é.md"), "a/x y/é.md");
        assert_eq!(quoted("a/", "x\n\"y\\"), "\"a/x\\012\\\"y\\\\\"");
    }
}
