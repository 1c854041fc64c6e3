//! Rust files of the repository, and their text without comments, strings and tests.

use std::path::{Path, PathBuf};

/// The repository's folder.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

/// All `.rs` files of `src/` and of each package in `crates/`, tests and examples left out; paths relative to the
/// repository, sorted.
pub fn files(root: &Path) -> Vec<String> {
    let mut folders = vec![root.join("src")];
    if let Ok(crates) = std::fs::read_dir(root.join("crates")) {
        folders.extend(crates.flatten().map(|e| e.path().join("src")));
    }
    let mut found = Vec::new();
    for folder in folders {
        walk(&folder, "rs", &mut found);
    }
    let mut names: Vec<String> = found
        .iter()
        .filter_map(|path| path.strip_prefix(root).ok()?.to_str().map(str::to_owned))
        .collect();
    names.sort();
    names
}

/// All files beneath a folder with one of the endings in `ends` (separated by spaces).
pub fn walk(folder: &Path, ends: &str, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for path in entries.flatten().map(|e| e.path()) {
        if path.is_dir() {
            walk(&path, ends, found);
        } else if path
            .extension()
            .and_then(|e| e.to_str())
            .is_some_and(|e| ends.split(' ').any(|end| end == e))
        {
            found.push(path);
        }
    }
}

/// A file that holds tests alone.
pub fn is_test(file: &str) -> bool {
    file.ends_with("/tests.rs") || file.ends_with("_tests.rs") || file.contains("/tests/")
}

/// The text with comments, strings and characters blanked, line ends kept.
pub fn code(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = vec![b' '; bytes.len()];
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        let end = if rest.starts_with(b"//") {
            at + rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len())
        } else if rest.starts_with(b"/*") {
            at + find(rest, b"*/").map_or(rest.len(), |n| n + 2)
        } else if let Some(hashes) = raw_string(bytes, at) {
            let close = [&b"\""[..], &vec![b'#'; hashes]].concat();
            let open = at + 1 + hashes + 1;
            open + find(&bytes[open..], &close).map_or(bytes.len() - open, |n| n + close.len())
        } else if rest[0] == b'"' {
            at + string(rest)
        } else if let Some(length) = character(rest) {
            at + length
        } else {
            out[at] = rest[0];
            at += 1;
            continue;
        };
        for n in at..end.min(bytes.len()) {
            if bytes[n] == b'\n' {
                out[n] = b'\n';
            }
        }
        at = end;
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|w| w == wanted)
}

/// `r"`, `r#"`, … at a place where no name goes on; the number of hashes.
fn raw_string(bytes: &[u8], at: usize) -> Option<usize> {
    if bytes[at] != b'r' {
        return None;
    }
    let before = at.checked_sub(1).map_or(b' ', |n| bytes[n]);
    if before.is_ascii_alphanumeric() && before != b'b' || before == b'_' {
        return None;
    }
    let hashes = bytes[at + 1..].iter().take_while(|b| **b == b'#').count();
    (bytes.get(at + 1 + hashes) == Some(&b'"')).then_some(hashes)
}

/// Bytes of a string that begins here.
fn string(bytes: &[u8]) -> usize {
    let mut at = 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// Bytes of a character that begins here; none for a lifetime.
fn character(bytes: &[u8]) -> Option<usize> {
    if bytes[0] != b'\'' {
        return None;
    }
    if bytes.get(1) == Some(&b'\\') {
        let close = bytes.iter().skip(3).position(|b| *b == b'\'')?;
        return Some(close + 4);
    }
    let close = bytes.iter().skip(2).take(4).position(|b| *b == b'\'')?;
    let inside = std::str::from_utf8(&bytes[1..close + 2]).ok()?;
    (inside.chars().count() == 1).then_some(close + 3)
}

/// The code before `#[cfg(test)]`: tests stand at the end of a file.
pub fn without_tests(code: &str) -> &str {
    code.split("#[cfg(test)]").next().unwrap_or(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_blanks_comments_strings_and_characters_and_keeps_lifetimes() {
        let text = "a // b\n\"c \\\" d\" r#\"e\"f\"# 'g' '\\'' 'h /* i\n j */ k";
        let kept: Vec<String> = code(text)
            .lines()
            .map(|l| l.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        assert_eq!(kept, ["a", "'h", "k"]);
    }
}
