//! Whether a change is documentation and nothing else: the only proof by which a change is approved without
//! a model.
//!
//! Why a proof and not a list of endings: a README holds commands that people paste, links that they follow
//! and code that a test runs, and a file named `.md` may be a program's input or an agent's orders. So every
//! changed line must be seen to be prose. Whatever cannot be seen (the hunk does not show whether a line
//! stands in a code block) is no proof. `paths.rs` says which files are prose, `lines.rs` what in a line is
//! more than words.

mod lines;
mod paths;

use serde::{Deserialize, Serialize};

use self::lines::Markup;
use super::diff::{Change, FileHead, Hunk, Line, Side, Sink};
use crate::text::{Untrusted, clean_line};

pub use self::paths::{is_agent_instructions, is_prose, is_read_by};

/// What was found out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Documentation {
    /// Every changed line is prose in a file for readers.
    pub proven: bool,
    /// Why it is not proven: the first obstacle, with its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub obstacle: Option<Untrusted>,
}

impl Documentation {
    /// Not proven, and why.
    pub fn refuted(obstacle: impl Into<String>) -> Self {
        Self {
            proven: false,
            obstacle: Some(Untrusted::new(obstacle)),
        }
    }
}

/// Regular, not executable.
const PLAIN: u32 = 0o100_644;

/// Looks at a change file by file, hunk by hunk. Stops at the first obstacle.
#[derive(Debug, Default)]
pub struct DocumentationCheck {
    obstacle: Option<String>,
    /// A file that is not prose was seen: more context would change nothing.
    other_files: bool,
    files: u32,
    current: Option<File>,
}

#[derive(Debug)]
struct File {
    path: String,
    markup: Markup,
    /// Links, commands, checksums, directives and tags, in their order: of lines that go, of lines that come.
    removed: Vec<String>,
    added: Vec<String>,
}

impl DocumentationCheck {
    /// A file begins.
    pub fn file(&mut self, head: &FileHead) {
        self.end_file();
        self.files += 1;
        let path = head.path.raw();
        let names = [Some(path), head.old_path.as_ref().map(Untrusted::raw)];
        for name in names.into_iter().flatten() {
            if let Err(why) = is_prose(name) {
                self.other_files = true;
                self.fail(name, None, why);
                return;
            }
        }
        let modes = match head.change {
            Change::Added => [head.modes.1, head.modes.1],
            Change::Deleted => [head.modes.0, head.modes.0],
            _ => [head.modes.0, head.modes.1],
        };
        if modes.iter().any(|mode| *mode != Some(PLAIN)) {
            self.other_files |= modes.iter().flatten().any(|mode| *mode != PLAIN);
            self.fail(path, None, "its mode is not shown to be 100644");
            return;
        }
        if head.binary || head.unread.is_some() {
            self.other_files = true;
            self.fail(path, None, "its text is not in the diff");
            return;
        }
        self.current = Some(File {
            path: path.to_owned(),
            markup: Markup::of(path),
            removed: Vec::new(),
            added: Vec::new(),
        });
    }

    /// Some of its lines.
    pub fn hunk(&mut self, hunk: &Hunk) {
        let Some(mut file) = self.current.take() else {
            return;
        };
        if self.obstacle.is_some() {
            return;
        }
        if hunk.repeated > 0 || hunk.held_back > 0 {
            self.fail(&file.path, None, "the hunk is too large to be proven prose");
            return;
        }
        for changed in [Side::Removed, Side::Added] {
            let side: Vec<&Line> = hunk
                .lines
                .iter()
                .filter(|l| l.side == Side::Context || l.side == changed)
                .collect();
            if side.iter().all(|l| l.side == Side::Context) {
                continue;
            }
            let items = if changed == Side::Added {
                &mut file.added
            } else {
                &mut file.removed
            };
            if let Err((line, why)) = file.markup.read(&side, changed, items) {
                self.fail(&file.path, Some(line), why);
                return;
            }
        }
        self.current = Some(file);
    }

    /// The open file was not read to its end.
    pub fn unread(&mut self) {
        if let Some(file) = &self.current {
            let path = file.path.clone();
            self.fail(&path, None, "not all of it could be read");
        }
    }

    fn end_file(&mut self) {
        let Some(file) = self.current.take() else {
            return;
        };
        // What comes must have been there, in the same order; less of it is no new command.
        let mut left = file.removed.iter();
        let new = file.added.iter().find(|item| !left.any(|old| old == *item));
        if let Some(item) = new {
            let why = format!("{} is new or moved", clean_line(item, 80));
            self.fail(&file.path, None, &why);
        }
    }

    /// Only prose so far, by the names and modes of the files.
    pub fn is_about_prose(&self) -> bool {
        self.files > 0 && !self.other_files
    }

    /// The result.
    pub fn finish(mut self) -> Documentation {
        self.end_file();
        if self.files == 0 {
            return Documentation::refuted("there is no file");
        }
        match self.obstacle {
            None => Documentation {
                proven: true,
                obstacle: None,
            },
            Some(obstacle) => Documentation::refuted(obstacle),
        }
    }

    fn fail(&mut self, path: &str, line: Option<u32>, why: &str) {
        let place = line.map_or_else(String::new, |l| format!(":{l}"));
        self.obstacle
            .get_or_insert_with(|| format!("{}{place}: {why}", clean_line(path, 200)));
    }
}

/// A check that reads a diff of its own, one with all of each file as context.
impl Sink for DocumentationCheck {
    fn file(&mut self, head: &FileHead) {
        Self::file(self, head);
    }

    fn hunk(&mut self, hunk: &Hunk) {
        Self::hunk(self, hunk);
    }

    fn file_end(&mut self, unread: Option<&'static str>) {
        if let (Some(why), Some(file)) = (unread, &self.current) {
            let path = file.path.clone();
            self.fail(&path, None, why);
        }
        self.end_file();
    }
}

#[cfg(test)]
mod tests;
