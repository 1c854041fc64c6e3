//! Errors of the services below, as refusals of a command.

use crate::engine::protocol::command::Refused;
use crate::journal::JournalError;
use crate::review::git::GitError;

impl From<JournalError> for Refused {
    fn from(error: JournalError) -> Self {
        Self::Journal {
            reason: error.to_string(),
        }
    }
}

impl From<GitError> for Refused {
    fn from(error: GitError) -> Self {
        Self::input(error)
    }
}
