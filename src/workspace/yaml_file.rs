//! Reading one YAML or JSON file of a workspace. Why with bounds: the file may be hostile.

use crate::file_set::FileSet;
use crate::workspace::problem::Problem;
use crate::workspace::yaml_position;
use std::path::Path;

/// Largest file of a workspace that is read, bytes.
pub const LARGEST_FILE: u64 = 1 << 20;

/// Reads and parses one YAML or JSON file; what is wrong becomes a problem. A missing file is `None`
/// without a word.
pub(crate) fn read<T: serde::de::DeserializeOwned>(
    root: &FileSet,
    file: &str,
    help: &str,
    problems: &mut Vec<Problem>,
) -> Option<(T, String)> {
    let text = match root.read_text(Path::new(file), LARGEST_FILE) {
        Ok(text) => text,
        Err(error) if error.is_missing() => return None,
        Err(error) => {
            problems.push(Problem::error(
                file,
                None,
                error.to_string(),
                "Put a plain, readable file there, or take its name out of the list.",
            ));
            return None;
        }
    };
    if let Some(line) = too_deep(&text) {
        let message = format!("nested deeper than {DEEPEST} brackets");
        let help = "Nobody writes that by hand; look where the file comes from.";
        problems.push(Problem::error(file, Some((line, 1)), message, help));
        return None;
    }
    // A byte-order mark would read as a document of its own.
    let text = text
        .strip_prefix('\u{feff}')
        .map_or(text.clone(), str::to_owned);
    match serde_yaml::from_str(&text) {
        Ok(value) => Some((value, text)),
        Err(error) => {
            let place = error.location().map(|at| {
                (
                    u32::try_from(at.line()).unwrap_or(0),
                    u32::try_from(at.column()).unwrap_or(0),
                )
            });
            problems.push(Problem::error(
                file,
                place,
                without_values(&error.to_string()),
                help,
            ));
            None
        }
    }
}

/// A parser's error without the values that it quotes: a file may hold a secret, or be another file than
/// its name says. Names of keys stay.
pub fn without_values(error: &str) -> String {
    let mut out = String::with_capacity(error.len());
    let mut rest = error;
    while let Some((before, after)) = rest.split_once('"') {
        out.push_str(before);
        let bytes = after.as_bytes();
        let mut end = 0;
        while end < bytes.len() && bytes[end] != b'"' {
            end += 1 + usize::from(bytes[end] == b'\\');
        }
        out.push_str("\"…\"");
        rest = after.get(end + 1..).unwrap_or_default();
    }
    out.push_str(rest);
    crate::text::cut(&out, 400).to_owned()
}

/// A table of another version than ours may mean something else by the same words.
pub(crate) fn expect_version_1(version: u32, file: &str, text: &str, problems: &mut Vec<Problem>) {
    if version != 1 {
        let message = format!("version {version} is not known");
        let place = yaml_position::key(text, "version");
        problems.push(Problem::error(file, place, message, "Write `version: 1`."));
    }
}

/// Brackets open at once in a file that people write.
pub(crate) const DEEPEST: i32 = 100;

/// The line where brackets nest deeper than any parser should follow (its time grows with the square).
pub(crate) fn too_deep(text: &str) -> Option<u32> {
    let (mut depth, mut line) = (0i32, 1u32);
    for byte in text.bytes() {
        match byte {
            b'\n' => line += 1,
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = (depth - 1).max(0),
            _ => {}
        }
        if depth > DEEPEST {
            return Some(line);
        }
    }
    None
}
