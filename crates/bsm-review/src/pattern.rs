//! A regex of a rule, compiled at the latest when it is first held against a text.
//!
//! Why late: a hundred compiled patterns take milliseconds and megabytes, and most workspaces never meet
//! the words that most rules ask for. Only our own packs may wait, for the tests compile every pattern in
//! them; what an operator wrote is compiled at once, so that its author hears what is wrong.

use std::ops::Deref;
use std::sync::OnceLock;

use regex::bytes::Regex;

use super::re2::compile;

/// A pattern of this package's own code, compiled. A test that enters its caller shows that it compiles.
pub(super) fn constant(pattern: &str) -> regex::Regex {
    regex::Regex::new(pattern).unwrap_or_else(|_| unreachable!("the pattern is a constant"))
}

/// A pattern that can be compiled.
#[derive(Debug)]
pub(super) struct Pattern {
    text: String,
    regex: OnceLock<Regex>,
}

impl Pattern {
    /// `tried`: it is known to compile, and may wait until it is needed.
    ///
    /// # Errors
    /// What the engine says of a pattern that was not tried.
    pub(super) fn new(text: &str, tried: bool) -> Result<Self, String> {
        let regex = if tried {
            OnceLock::new()
        } else {
            OnceLock::from(compile(text)?)
        };
        Ok(Self {
            text: text.to_owned(),
            regex,
        })
    }

    /// Several, as [`Pattern::new`].
    ///
    /// # Errors
    /// What the engine says of the first that cannot be compiled.
    pub(super) fn all(texts: &[String], tried: bool) -> Result<Vec<Self>, String> {
        texts.iter().map(|text| Self::new(text, tried)).collect()
    }
}

impl Deref for Pattern {
    type Target = Regex;

    #[expect(
        clippy::expect_used,
        reason = "the tests compile every pattern that is said to be tried"
    )]
    fn deref(&self) -> &Regex {
        self.regex
            .get_or_init(|| compile(&self.text).expect("a pattern of our own packs compiles"))
    }
}
