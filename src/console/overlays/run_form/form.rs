//! The fields of the form that starts a run: what it may look at, and what it would send.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tui_input::Input;

use crate::console::component::Intent;
use crate::engine::protocol::blob::DiffContent;
use crate::engine::protocol::command::{Command, Subject, Trigger};
use crate::files::open_plain;
use crate::text::clean_line;
use crate::workspace::events::EventRule;

/// What a run may look at, in the form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubjectKind {
    /// The built-in risky change.
    SampleRisky,
    /// The built-in documentation change.
    SampleDocs,
    /// The built-in harmless change of code.
    SampleCode,
    /// A diff in a file.
    DiffFile,
    /// A range of a repository.
    GitRange,
    /// A folder.
    Folder,
    /// Nothing.
    Nothing,
}

impl SubjectKind {
    /// All of them in order.
    pub const ALL: [Self; 7] = [
        Self::SampleRisky,
        Self::SampleDocs,
        Self::SampleCode,
        Self::DiffFile,
        Self::GitRange,
        Self::Folder,
        Self::Nothing,
    ];

    /// In words, and what its text field asks for.
    pub fn summary(self) -> (&'static str, Option<&'static str>) {
        match self {
            Self::SampleRisky => ("built-in sample: a risky change", None),
            Self::SampleDocs => ("built-in sample: documentation", None),
            Self::SampleCode => ("built-in sample: harmless code", None),
            Self::DiffFile => ("a diff file", Some("path of the file")),
            Self::GitRange => (
                "a git range of this folder",
                Some("range, for example main..HEAD"),
            ),
            Self::Folder => ("a folder", Some("path of the folder")),
            Self::Nothing => ("nothing", None),
        }
    }
}

/// The form that starts a run.
#[derive(Debug, Clone)]
pub struct RunForm {
    /// Events to choose from, with their agents.
    pub events: Vec<(String, EventRule)>,
    /// The chosen event.
    pub event: usize,
    /// The chosen subject.
    pub subject: usize,
    /// Path or range.
    pub text: Input,
    /// A payload as JSON, or the path of its file; empty: none.
    pub payload: Input,
    /// Models are not asked.
    pub rules_only: bool,
    /// Which field has the focus: event, subject, text, payload, models.
    pub field: usize,
    /// What is wrong with it.
    pub error: Option<String>,
    /// Enter came before the events: it starts when they are there.
    pub waits: bool,
    /// It was sent; the engine's answer is awaited.
    pub sent: bool,
}

/// Fields of the form.
pub const FIELDS: usize = 5;

impl RunForm {
    /// The kind of subject chosen.
    pub fn kind(&self) -> SubjectKind {
        SubjectKind::ALL[self.subject % SubjectKind::ALL.len()]
    }

    /// The form at the start, with the events as last read.
    pub fn new(events: &[(String, EventRule)]) -> Self {
        Self {
            events: events.to_vec(),
            event: usual_event(events),
            subject: 0,
            text: Input::default(),
            payload: Input::default(),
            rules_only: false,
            field: 0,
            error: None,
            waits: false,
            sent: false,
        }
    }

    /// Offers these events; the chosen one stays, the first time it is the usual one.
    pub fn offer(&mut self, events: &[(String, EventRule)]) {
        if self.events.is_empty() {
            self.event = usual_event(events);
        }
        self.events = events.to_vec();
        self.event = self.event.min(events.len().saturating_sub(1));
    }

    /// What the form would start. Files that it names are opened here: they are on the operator's machine, and
    /// the engine may be on another.
    ///
    /// # Errors
    /// A sentence, where the payload is no JSON object, or a file cannot be read.
    pub fn trigger(&self) -> Result<Trigger, String> {
        let (event, _) = self.events.get(self.event).ok_or("no event is chosen")?;
        let text = self.text.value().trim();
        let subject = match self.kind() {
            SubjectKind::SampleRisky => Some(Subject::Sample {
                name: "risky".into(),
            }),
            SubjectKind::SampleDocs => Some(Subject::Sample {
                name: "docs".into(),
            }),
            SubjectKind::SampleCode => Some(Subject::Sample {
                name: "code".into(),
            }),
            SubjectKind::DiffFile => Some(Subject::Diff {
                diff: DiffContent::File(Arc::new(
                    open_plain(Path::new(text)).map_err(|e| format!("{text}: {e}"))?,
                )),
            }),
            SubjectKind::GitRange => Some(Subject::Range {
                repo: PathBuf::from("."),
                range: text.to_owned(),
            }),
            SubjectKind::Folder => Some(Subject::Folder {
                dir: PathBuf::from(if text.is_empty() { "." } else { text }),
            }),
            SubjectKind::Nothing => None,
        };
        let payload = self.payload.value().trim();
        let value = if payload.is_empty() {
            serde_json::Value::Null
        } else if payload.starts_with(['{', '[']) {
            serde_json::from_str(payload).map_err(|e| format!("the payload is no JSON: {e}"))?
        } else {
            read_payload(Path::new(payload)).map_err(|e| format!("{payload}: {e}"))?
        };
        Ok(Trigger {
            event: event.clone(),
            payload: value,
            subject,
            offline: self.rules_only,
            ..Trigger::default()
        })
    }
}

/// A payload in a file, at most 16 MiB.
fn read_payload(path: &Path) -> Result<serde_json::Value, String> {
    const LARGEST: u64 = 16 << 20;
    let file = open_plain(path).map_err(|e| e.to_string())?;
    let mut bytes = Vec::new();
    file.take(LARGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(|e| e.to_string())?;
    if bytes.len() as u64 > LARGEST {
        return Err("a payload is at most 16 MiB".into());
    }
    serde_json::from_slice(&bytes).map_err(|e| format!("not JSON: {e}"))
}

/// The event that most operators start first.
fn usual_event(events: &[(String, EventRule)]) -> usize {
    events
        .iter()
        .position(|(name, _)| name == "pull_request.opened")
        .unwrap_or(0)
}

impl RunForm {
    /// The field after this one, so many on; one that means nothing for the chosen subject is passed over.
    pub fn step(&mut self, by: usize) {
        let has_text = self.kind().summary().1.is_some();
        self.field = (self.field + by) % FIELDS;
        if self.field == 2 && !has_text {
            self.field = (self.field + by) % FIELDS;
        }
    }

    /// Turns what the field with the focus offers.
    pub fn turn(&mut self, forward: bool) {
        let turned = |at: usize, most: usize| {
            let most = most.max(1);
            (at + if forward { 1 } else { most - 1 }) % most
        };
        match self.field {
            0 => self.event = turned(self.event, self.events.len()),
            1 => self.subject = turned(self.subject, SubjectKind::ALL.len()),
            _ => self.rules_only = !self.rules_only,
        }
    }

    /// Sends it once, or says what is missing.
    pub fn submit(&mut self) -> Vec<Intent> {
        if self.sent {
            return Vec::new();
        }
        let named = matches!(self.kind(), SubjectKind::DiffFile | SubjectKind::GitRange);
        if named && self.text.value().trim().is_empty() {
            let (_, wanted) = self.kind().summary();
            self.error = wanted.map(|what| format!("give the {what}"));
            self.field = 2;
            return Vec::new();
        }
        if self.events.is_empty() {
            self.waits = true;
            self.error =
                Some("the events are still being read: it starts when they are there".into());
            return Vec::new();
        }
        match self.trigger() {
            Ok(trigger) => {
                self.sent = true;
                vec![Intent::send(Command::Trigger(trigger))]
            }
            Err(error) => {
                self.error = Some(clean_line(&error, 120));
                self.field = 3;
                Vec::new()
            }
        }
    }
}
