//! What the parts of the judge find.

use super::code::Code;
use crate::engine::protocol::health::Level;

/// A reason without its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Which.
    pub code: Code,
    /// How bad it is.
    pub level: Level,
    /// A sentence, safe to show.
    pub message: String,
}

/// Where the judge's parts put what they find.
#[derive(Default)]
pub(super) struct Findings(pub(super) Vec<Finding>);

impl Findings {
    pub(super) fn warn(&mut self, code: Code, message: impl Into<String>) {
        self.add(code, Level::Warn, message.into());
    }

    pub(super) fn fail(&mut self, code: Code, message: impl Into<String>) {
        self.add(code, Level::Fail, message.into());
    }

    fn add(&mut self, code: Code, level: Level, message: String) {
        self.0.push(Finding {
            code,
            level,
            message,
        });
    }
}
