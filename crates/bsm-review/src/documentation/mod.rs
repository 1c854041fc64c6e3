//! Whether a change is documentation and nothing else: the only proof by which a change is approved without
//! a model.
//!
//! Why a proof and not a list of endings: a README holds commands that people paste, links that they follow
//! and code that a test runs, and a file named `.md` may be a program's input or an agent's orders. So what
//! changes must be seen to be words. `paths.rs` says which files are prose. Where the whole of a Markdown file is
//! in sight, `markdown.rs` compares both versions (`restructured.rs` for reStructuredText); else every changed line must be a sentence by itself
//! (`sentences.rs`), whatever it stands in. Whatever cannot be seen is no proof.

mod markdown;
mod paths;
mod restructured;
mod sentences;

use serde::{Deserialize, Serialize};

use self::sentences::is_sentence_line;
use super::diff::{Change, FileHead, Hunk, Line, Side, Sink};
use super::redact::Redactor;
use bsm_base::text::{Untrusted, clean_line};

pub use self::paths::{is_agent_instructions, is_harmless_mention, is_prose, may_be_mentioned_by};

/// What was found out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Documentation {
    /// Everything that changes is words in a file for readers.
    pub proven: bool,
    /// Why it is not proven: the first obstacle and its place. It quotes nothing.
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

impl Documentation {
    /// Without secrets: the place names a path.
    #[must_use]
    pub fn redacted(self, redactor: &Redactor) -> Self {
        Self {
            obstacle: self
                .obstacle
                .map(|o| Untrusted::new(redactor.text(o.raw()))),
            ..self
        }
    }
}

/// Regular, not executable.
const PLAIN: u32 = 0o100_644;
/// Largest version of a file that is compared as a whole, bytes.
const LARGEST: usize = 1 << 20;

/// Looks at a change file by file, hunk by hunk. Stops at the first obstacle.
#[derive(Debug, Default)]
pub struct DocumentationCheck {
    /// Every hunk holds the whole of its file, on the word of who made the diff.
    whole: bool,
    obstacle: Option<String>,
    /// A file that is not prose was seen: more context would change nothing.
    other_files: bool,
    files: u32,
    current: Option<File>,
}

/// Why two versions of a whole file do not differ in words alone.
type Compare = fn(&str, &str) -> Result<(), &'static str>;

#[derive(Debug)]
struct File {
    path: String,
    compare: Option<Compare>,
    is_new: bool,
    hunks: u32,
    /// Both versions, where all of them is in sight.
    old: String,
    new: String,
    /// Every line of its hunks is in them.
    all_text: bool,
    /// Why its lines are not sentences.
    lines: Option<(u32, &'static str)>,
}

impl DocumentationCheck {
    /// For a diff that was made here with all of each file as context.
    pub fn of_whole_files() -> Self {
        Self {
            whole: true,
            ..Self::default()
        }
    }

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
        if matches!(
            head.change,
            Change::Renamed | Change::Copied | Change::Deleted
        ) {
            // Relative links in it, and links to it, lead elsewhere; a package may need it.
            self.other_files = true;
            self.fail(path, None, "it moves or goes");
            return;
        }
        let modes = match head.change {
            Change::Added => [head.modes.1, head.modes.1],
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
        let lower = path.to_ascii_lowercase();
        let compare: Option<Compare> = match lower.rsplit_once('.') {
            Some((_, "md" | "markdown")) => Some(markdown::differ_in_words_alone),
            Some((_, "rst")) => Some(restructured::differ_in_words_alone),
            _ => None,
        };
        self.current = Some(File {
            path: path.to_owned(),
            compare,
            is_new: head.change == Change::Added,
            hunks: 0,
            old: String::new(),
            new: String::new(),
            all_text: true,
            lines: None,
        });
    }

    /// Some of its lines.
    pub fn hunk(&mut self, hunk: &Hunk) {
        let Some(file) = &mut self.current else {
            return;
        };
        file.hunks += 1;
        if hunk.repeated > 0 || hunk.held_back > 0 {
            file.lines.get_or_insert((0, "a hunk is too large"));
            file.all_text = false;
            return;
        }
        let (old, new) = (on(hunk, Side::Removed), on(hunk, Side::Added));
        for (side, changed, text) in [
            (&old, Side::Removed, &mut file.old),
            (&new, Side::Added, &mut file.new),
        ] {
            for line in side {
                let Ok(line) = std::str::from_utf8(&line.text) else {
                    file.lines
                        .get_or_insert((line.number, "a line is not UTF-8"));
                    file.all_text = false;
                    continue;
                };
                if text.len() < LARGEST {
                    text.push_str(line);
                    text.push('\n');
                }
            }
            if let Some(obstacle) = not_sentences(side, changed) {
                file.lines.get_or_insert(obstacle);
            }
        }
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
        // A new file's hunk is the whole of it, wherever it says that it stands.
        let in_sight = (self.whole || (file.is_new && file.old.is_empty())) && file.hunks == 1;
        let fits = file.old.len() < LARGEST && file.new.len() < LARGEST;
        let compare = file.compare.filter(|_| in_sight && fits && file.all_text);
        if let Some(compare) = compare {
            if let Err(why) = compare(&file.old, &file.new) {
                self.fail(&file.path, None, why);
            }
        } else if let Some((line, why)) = file.lines {
            self.fail(&file.path, Some(line), why);
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
            return Documentation::refuted("the diff holds no file");
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
        let place = line
            .filter(|l| *l > 0)
            .map_or_else(String::new, |l| format!(":{l}"));
        self.obstacle
            .get_or_insert_with(|| format!("{}{place}: {why}", clean_line(path, 200)));
    }
}

/// A version's lines of a hunk.
fn on(hunk: &Hunk, changed: Side) -> Vec<&Line> {
    let lines = hunk.lines.iter();
    lines
        .filter(|l| l.side == Side::Context || l.side == changed)
        .collect()
}

/// The first changed line of a version that is not a sentence by itself, or stands beside a line that is
/// none: there it may end or begin what is more than text.
fn not_sentences(side: &[&Line], changed: Side) -> Option<(u32, &'static str)> {
    let is_sentence = |line: &&Line| std::str::from_utf8(&line.text).is_ok_and(is_sentence_line);
    for (index, line) in side.iter().enumerate().filter(|(_, l)| l.side == changed) {
        if !is_sentence(line) {
            return Some((line.number, "a line is not a sentence of words alone"));
        }
        let near = [index.checked_sub(1), Some(index + 1)];
        let near = near.into_iter().flatten().filter_map(|i| side.get(i));
        if !near.clone().all(is_sentence) {
            return Some((line.number, "a changed line beside what is not a sentence"));
        }
        let begins = index == 0 && line.number > 1;
        if begins || (near.count() < 2 && line.text.trim_ascii().is_empty()) {
            return Some((line.number, "a changed line at the edge of what is shown"));
        }
    }
    None
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
        if unread.is_some() {
            self.unread();
        }
        self.end_file();
    }
}

#[cfg(test)]
mod tests;
