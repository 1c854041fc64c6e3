//! Why a comment could not be acted on, and whether it may go well later.

use crate::code_host::HostError;
use crate::engine::protocol::command::Refused;
use crate::journal::JournalError;
use crate::text::clean_line;

/// Why a comment could not be acted on now.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The host.
    Host(HostError),
    /// It may go well later.
    Passing(String),
    /// It never will.
    Final(String),
    /// The journal.
    Journal(JournalError),
}

impl From<HostError> for Trouble {
    fn from(error: HostError) -> Self {
        Self::Host(error)
    }
}

impl From<JournalError> for Trouble {
    fn from(error: JournalError) -> Self {
        Self::Journal(error)
    }
}

impl From<Refused> for Trouble {
    fn from(refused: Refused) -> Self {
        let text = clean_line(&refused.to_string(), 200);
        match refused {
            Refused::Busy { .. }
            | Refused::Drained
            | Refused::Stopping
            | Refused::Journal { .. } => Self::Passing(text),
            _ => Self::Final(text),
        }
    }
}
