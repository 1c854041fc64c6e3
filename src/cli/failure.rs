//! Why a command failed: what happened, what to do, and the exit code.

use crate::cli::global::Global;
use miette::Diagnostic;

/// What to do about a setting that cannot be used.
pub(crate) const SETTINGS_HELP: &str = "`bsm config` lists every key with its value.";

/// A failure of a command.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("{message}")]
pub struct Failure {
    pub(crate) message: String,
    #[help]
    help: Option<String>,
    pub(crate) exit: u8,
}

impl Failure {
    /// The input or the usage is wrong: exit 2.
    pub fn usage(message: impl std::fmt::Display, help: &str) -> Self {
        Self {
            message: message.to_string(),
            help: Some(help.to_owned()),
            exit: 2,
        }
    }

    /// The engine failed: exit 1.
    pub fn engine(message: impl std::fmt::Display) -> Self {
        Self {
            message: message.to_string(),
            help: None,
            exit: 1,
        }
    }

    /// The settings cannot be read.
    pub(crate) fn is_of_settings(&self) -> bool {
        self.help.as_deref() == Some(SETTINGS_HELP)
    }

    /// With its message said in another way.
    #[must_use]
    pub(crate) fn reworded(self, how: impl FnOnce(&str) -> String) -> Self {
        Self {
            message: how(&self.message),
            ..self
        }
    }

    /// With a hint.
    #[must_use]
    pub fn with_help(self, help: &str) -> Self {
        Self {
            help: Some(help.to_owned()),
            ..self
        }
    }
}

/// What a command that writes says under `--read-only`.
pub(crate) fn refuse_when_read_only(global: &Global) -> Result<(), Failure> {
    if global.read_only {
        return Err(Failure::usage(
            "--read-only: this command writes",
            "Leave --read-only out.",
        ));
    }
    Ok(())
}
