//! A command while it is carried out, as its line in the audit trail will say it.

use std::sync::Mutex;

use crate::engine::audit::trail::AuditLine;
use crate::resilience::clock::lock;

/// Who sent what, about what. A run that the command begins takes its line along into the journal.
pub struct CommandLine {
    actor: String,
    command: String,
    object: String,
    correlation: String,
    /// The line that the journal has, and the number of its record.
    kept: Mutex<Option<(AuditLine, i64)>>,
}

impl CommandLine {
    /// Of a command that begins.
    pub fn new(actor: &str, command: &str, object: &str, correlation: &str) -> Self {
        Self {
            actor: actor.to_owned(),
            command: command.to_owned(),
            object: object.to_owned(),
            correlation: correlation.to_owned(),
            kept: Mutex::default(),
        }
    }

    /// Its line.
    pub fn line(&self, wall_ms: i64, result: &str) -> AuditLine {
        AuditLine {
            at: jiff::Timestamp::from_millisecond(wall_ms)
                .unwrap_or_default()
                .to_string(),
            actor: self.actor.clone(),
            command: self.command.clone(),
            object: self.object.clone(),
            correlation: self.correlation.clone(),
            result: result.to_owned(),
        }
    }

    /// The journal has this line on disk.
    pub fn keep(&self, line: AuditLine, record: i64) {
        *lock(&self.kept) = Some((line, record));
    }

    /// The line that the journal has, if it says what came of the command in the end.
    pub fn kept(&self, result: &str) -> Option<(AuditLine, i64)> {
        let kept = lock(&self.kept).take();
        kept.filter(|(line, _)| line.result == result)
    }
}
