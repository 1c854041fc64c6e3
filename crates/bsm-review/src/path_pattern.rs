//! A pattern for names of files, with the words of which every match holds one.
//!
//! Why: most rules that ask for a name are not for the file at hand, and a look for a few words is a thousandth of
//! what it takes to compile their patterns. `build.rs` takes the words of our own rules from their patterns.

use std::borrow::Cow;

use super::pattern::Pattern;
use crate::languages::{Language, language};

/// What rules ask of a file's name.
#[derive(Debug)]
pub(super) struct FileName<'a> {
    pub(super) path: &'a str,
    lower: Cow<'a, str>,
    pub(super) language: Option<Language>,
}

impl<'a> FileName<'a> {
    pub(super) fn of(path: &'a str) -> Self {
        let has_upper = path.bytes().any(|b| b.is_ascii_uppercase());
        Self {
            path,
            lower: if has_upper {
                Cow::Owned(path.to_ascii_lowercase())
            } else {
                Cow::Borrowed(path)
            },
            language: language(path),
        }
    }
}

/// A pattern for names of files.
#[derive(Debug)]
pub(super) struct PathPattern {
    pattern: Pattern,
    /// In lower case; none: nothing is known.
    words: Vec<String>,
}

impl PathPattern {
    /// `tried`: it is known to compile, and may wait until it is needed.
    ///
    /// # Errors
    /// What the engine says of a pattern that was not tried.
    pub(super) fn new(text: &str, words: Vec<String>, tried: bool) -> Result<Self, String> {
        Ok(Self {
            pattern: Pattern::new(text, tried)?,
            words,
        })
    }

    pub(super) fn is_match(&self, name: &FileName) -> bool {
        let lower = name.lower.as_bytes();
        let holds = |word: &String| memchr::memmem::find(lower, word.as_bytes()).is_some();
        (self.words.is_empty() || self.words.iter().any(holds))
            && self.pattern.is_match(name.path.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_without_a_word_of_the_pattern_compiles_nothing() {
        // It would not compile.
        let broken = PathPattern::new("(", vec!["lock".into()], true).unwrap();
        assert!(!broken.is_match(&FileName::of("src/main.rs")));
        let lock = PathPattern::new(r"(?i)\.lock$", vec![".lock".into()], false).unwrap();
        for (path, is) in [
            ("Cargo.lock", true),
            ("A.LOCK", true),
            ("a.lock.txt", false),
        ] {
            assert_eq!(lock.is_match(&FileName::of(path)), is, "{path}");
        }
    }
}
