//! Which lines a change adds, by file.
//!
//! Why kept: findings that come from elsewhere (another linter) count by where they are.

use std::collections::HashMap;

use super::diff::{Hunk, Side};

/// Most ranges of lines that are remembered; beyond them a line counts as touched when its file is.
const MOST_RANGES: usize = 500_000;

/// The files of a change and the lines it adds to them.
#[derive(Debug, Default)]
pub struct Touched {
    /// Path in the new tree → first and last line of each added range, ascending.
    files: HashMap<String, Vec<(u32, u32)>>,
    ranges: usize,
}

impl Touched {
    pub(super) fn file(&mut self, path: &str) {
        self.files.entry(path.to_owned()).or_default();
    }

    pub(super) fn hunk(&mut self, path: &str, hunk: &Hunk) {
        let Some(ranges) = self.files.get_mut(path) else {
            return;
        };
        for line in hunk.lines[hunk.repeated..]
            .iter()
            .filter(|l| l.side == Side::Added)
        {
            match ranges.last_mut() {
                Some((_, last)) if *last == line.number || *last + 1 == line.number => {
                    *last = line.number;
                }
                _ if self.ranges < MOST_RANGES => {
                    self.ranges += 1;
                    ranges.push((line.number, line.number));
                }
                _ => {}
            }
        }
    }

    pub(super) fn has_file(&self, path: &str) -> bool {
        self.files.contains_key(path)
    }

    /// The file as the change names it: itself, or the end of an absolute path.
    pub(super) fn named<'a>(&'a self, path: &'a str) -> Option<&'a str> {
        if self.files.contains_key(path) {
            return Some(path);
        }
        if !path.starts_with('/') {
            return None;
        }
        let mut rest = path;
        while let Some((_, after)) = rest.split_once('/') {
            if self.files.contains_key(after) {
                return Some(after);
            }
            rest = after;
        }
        None
    }

    /// The change adds one of these lines.
    pub(super) fn has_line(&self, path: &str, first: u32, last: u32) -> bool {
        let Some(ranges) = self.files.get(path) else {
            return false;
        };
        self.ranges >= MOST_RANGES
            || ranges
                .iter()
                .any(|(from, to)| *from <= last && first <= *to)
    }
}
