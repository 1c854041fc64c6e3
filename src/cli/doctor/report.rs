//! What `bsm doctor` says: one line for each thing that it looked at.

use serde::Serialize;

use crate::engine::protocol::health::Level;
use crate::text::clean_line;

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Line {
    /// pass, warn or fail.
    pub(super) level: Level,
    /// What was looked at: stable, in kebab case.
    pub(super) name: String,
    /// What was found.
    pub(super) sentence: String,
    /// What to do; none where nothing is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) help: Option<String>,
}

impl Line {
    pub(super) fn pass(name: &str, sentence: impl AsRef<str>) -> Self {
        Self::new(Level::Pass, name, sentence.as_ref(), None)
    }

    pub(super) fn warn(name: &str, sentence: impl AsRef<str>, help: impl AsRef<str>) -> Self {
        Self::new(Level::Warn, name, sentence.as_ref(), Some(help.as_ref()))
    }

    pub(super) fn fail(name: &str, sentence: impl AsRef<str>, help: impl AsRef<str>) -> Self {
        Self::new(Level::Fail, name, sentence.as_ref(), Some(help.as_ref()))
    }

    pub(super) fn new(level: Level, name: &str, sentence: &str, help: Option<&str>) -> Self {
        Self {
            level,
            name: clean_line(name, 60),
            sentence: clean_line(sentence, 300),
            help: help.map(|help| clean_line(help, 300)),
        }
    }

    /// `pass|warn|fail  name  sentence -> what to do`.
    pub(super) fn text(&self) -> String {
        let help = self
            .help
            .as_ref()
            .map_or_else(String::new, |help| format!(" -> {help}"));
        let (level, name) = (self.level.as_str(), &self.name);
        format!("{level}  {name:<18} {}{help}", self.sentence)
    }
}
