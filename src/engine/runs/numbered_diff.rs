//! The diff as models are shown it: each line of the new file with its number, so that a remark can name it.
//!
//! Why the set of lines beside the text: a model may name a line that it was not shown. Such a remark is kept
//! without its line.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

/// A redacted diff with line numbers.
#[derive(Debug, Default)]
pub struct NumberedDiff {
    /// What models are shown.
    pub text: Arc<str>,
    /// File → first and last line of each hunk, in the new file.
    hunks: HashMap<String, Vec<(u32, u32)>>,
}

impl NumberedDiff {
    /// Numbers a redacted diff as the scanner writes it: `diff --git a/OLD b/NEW`, `@@ line N @@`, lines.
    pub fn new(redacted: &str) -> Self {
        let mut text = String::with_capacity(redacted.len() + redacted.len() / 4);
        let mut hunks: HashMap<String, Vec<(u32, u32)>> = HashMap::new();
        let mut file = String::new();
        let mut next: Option<u32> = None;
        for line in redacted.lines() {
            let in_hunk = next.is_some();
            let header = line.strip_prefix("diff --git ");
            if let Some(names) = header.filter(|_| !line.starts_with([' ', '+', '-'])) {
                names
                    .rsplit(" b/")
                    .next()
                    .unwrap_or(names)
                    .clone_into(&mut file);
                next = None;
            } else if let Some(number) = hunk_start(line) {
                next = Some(number);
                hunks
                    .entry(file.clone())
                    .or_default()
                    .push((number, number));
            } else if let (true, Some(mark @ (' ' | '+' | '-'))) = (in_hunk, line.chars().next()) {
                // Writing into a String cannot fail.
                let _ = match (mark, next.as_mut()) {
                    (' ' | '+', Some(number)) => {
                        let ranges = hunks.entry(file.clone()).or_default();
                        if let Some(last) = ranges.last_mut() {
                            last.1 = *number;
                        }
                        let written = writeln!(text, "{number:>5} {line}");
                        *number = number.saturating_add(1);
                        written
                    }
                    _ => writeln!(text, "      {line}"),
                };
                continue;
            }
            text.push_str(line);
            text.push('\n');
        }
        Self {
            text: text.into(),
            hunks,
        }
    }

    /// A line of the new file is shown.
    pub fn shows(&self, file: &str, line: u32) -> bool {
        self.hunks.get(file).is_some_and(|ranges| {
            ranges
                .iter()
                .any(|(first, last)| (*first..=*last).contains(&line))
        })
    }
}

fn hunk_start(line: &str) -> Option<u32> {
    line.strip_prefix("@@ line ")?
        .strip_suffix(" @@")?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_new_file_are_numbered_and_known() {
        let diff = NumberedDiff::new(
            "diff --git a/a.rs b/a.rs\n@@ line 9 @@\n one\n-two\n+2\n+diff --git a/x b/x\n three\n\
             @@ line 40 @@\n+x\ndiff --git a/b b/c.rs\nrenamed\n@@ line 1 @@\n+y\n",
        );
        assert_eq!(
            &*diff.text,
            "diff --git a/a.rs b/a.rs\n@@ line 9 @@\n    9  one\n      -two\n   10 +2\n   11 +diff --git a/x b/x\n   12  three\n\
             @@ line 40 @@\n   40 +x\ndiff --git a/b b/c.rs\nrenamed\n@@ line 1 @@\n    1 +y\n"
        );
        for (file, line, shown) in [
            ("a.rs", 9, true),
            ("a.rs", 12, true),
            ("a.rs", 13, false),
            ("a.rs", 40, true),
            ("c.rs", 1, true),
            ("b", 1, false),
        ] {
            assert_eq!(diff.shows(file, line), shown, "{file}:{line}");
        }
    }
}
