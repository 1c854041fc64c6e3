//! Something wrong in a workspace's file: what, where, what to do.

use crate::workspace::yaml_position::Place;
use serde::Deserialize;
use serde::Serialize;

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// It works, but look.
    Warning,
    /// It does not work.
    Error,
}

/// Something wrong in a workspace's file: what, where, what to do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// How bad.
    pub severity: Level,
    /// The file, relative to the workspace.
    pub file: String,
    /// Line, from 1, where it is known.
    pub line: Option<u32>,
    /// Column, from 1, where it is known.
    pub column: Option<u32>,
    /// What is wrong; may quote the file.
    pub message: crate::text::Untrusted,
    /// What to do.
    pub help: String,
}

impl Problem {
    /// An error at a place.
    pub fn error(file: &str, place: Place, message: impl Into<String>, help: &str) -> Self {
        Self {
            severity: Level::Error,
            file: file.to_owned(),
            line: place.map(|(line, _)| line),
            column: place.map(|(_, column)| column),
            message: crate::text::Untrusted::new(message),
            help: help.to_owned(),
        }
    }

    /// A warning at a place.
    pub fn warning(file: &str, place: Place, message: impl Into<String>, help: &str) -> Self {
        Self {
            severity: Level::Warning,
            ..Self::error(file, place, message, help)
        }
    }

    /// `file:line:column: message`, harmless.
    pub fn line_text(&self) -> String {
        let place = match (self.line, self.column) {
            (Some(line), Some(column)) => format!(":{line}:{column}"),
            (Some(line), None) => format!(":{line}"),
            _ => String::new(),
        };
        format!(
            "{}{place}: {}",
            crate::text::clean_line(&self.file, 200),
            self.message.line(400)
        )
    }
}
