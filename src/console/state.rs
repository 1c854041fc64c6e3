//! Everything the console knows. Drawing reads it, updating changes it, nothing else does.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use tui_input::Input;

use super::action::{Action, Screen};
use super::theme::Theme;
use crate::engine::types::command::{Command, Subject, Trigger};
use crate::engine::types::run::{RunResult, RunState};
use crate::engine::types::snapshot::{RunBrief, Snapshot};
use crate::telemetry::log_read::LogLine;
use crate::workspace::Problem;
use crate::workspace::agent::Agent;
use crate::workspace::events::EventRule;

/// A note at the bottom, for a few seconds.
#[derive(Debug, Clone)]
pub struct Toast {
    /// What it says; harmless.
    pub text: String,
    /// It is bad.
    pub bad: bool,
    /// When it goes.
    pub until: Instant,
}

/// A run that is open.
#[derive(Debug, Clone)]
pub struct OpenRun {
    /// Its id.
    pub id: String,
    /// As last read.
    pub run: Option<Box<RunResult>>,
    /// Its report, when that is shown.
    pub report: Option<String>,
    /// The report is shown.
    pub showing_report: bool,
    /// First line shown.
    pub scroll: u16,
}

/// What a run may look at, in the form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubjectKind {
    /// The built-in risky change.
    SampleRisky,
    /// The built-in documentation change.
    SampleDocs,
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
    pub const ALL: [Self; 6] = [
        Self::SampleRisky,
        Self::SampleDocs,
        Self::DiffFile,
        Self::GitRange,
        Self::Folder,
        Self::Nothing,
    ];

    /// In words, and what its text field asks for.
    pub fn words(self) -> (&'static str, Option<&'static str>) {
        match self {
            Self::SampleRisky => ("built-in sample: a risky change", None),
            Self::SampleDocs => ("built-in sample: documentation", None),
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
pub struct TriggerForm {
    /// Events to choose from, with their agents.
    pub events: Vec<(String, EventRule)>,
    /// The chosen event.
    pub event: usize,
    /// The chosen subject.
    pub subject: usize,
    /// Path or range.
    pub text: Input,
    /// Path of a payload file; empty: none.
    pub payload: Input,
    /// Which field has the focus: event, subject, text, payload.
    pub field: usize,
    /// What is wrong with it.
    pub error: Option<String>,
}

impl TriggerForm {
    /// The kind of subject chosen.
    pub fn kind(&self) -> SubjectKind {
        SubjectKind::ALL[self.subject % SubjectKind::ALL.len()]
    }

    /// What the form would start; reading the diff's file is the effect's work.
    pub fn trigger(&self) -> Option<Trigger> {
        let (event, _) = self.events.get(self.event)?;
        let text = self.text.value().trim();
        let subject = match self.kind() {
            SubjectKind::SampleRisky => Some(Subject::Sample {
                name: "risky".into(),
            }),
            SubjectKind::SampleDocs => Some(Subject::Sample {
                name: "docs".into(),
            }),
            // The engine reads it beneath no handle: it is the operator's own path on this machine.
            SubjectKind::DiffFile => Some(Subject::DiffFile {
                path: PathBuf::from(text),
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
        let payload_file = (!payload.is_empty()).then(|| PathBuf::from(payload));
        Some(Trigger {
            event: event.clone(),
            payload: serde_json::Value::Null,
            payload_file,
            subject,
            idempotency_key: None,
            offline: false,
        })
    }
}

/// A choice of commands.
#[derive(Debug, Clone)]
pub struct Choice {
    /// What is asked.
    pub title: String,
    /// What it will do, in words.
    pub body: String,
    /// The choices.
    pub items: Vec<(String, Command)>,
    /// The selected one.
    pub selected: usize,
}

/// What lies over the screen.
#[derive(Debug, Clone)]
pub enum Overlay {
    /// All keys.
    Help {
        /// First line shown.
        scroll: u16,
    },
    /// Search over all actions.
    Palette {
        /// What is typed.
        input: Input,
        /// The selected hit.
        selected: usize,
    },
    /// Start a run.
    Trigger(Box<TriggerForm>),
    /// Choose, and with Enter confirm.
    Choice(Choice),
    /// Narrow the list.
    Filter {
        /// What is typed.
        input: Input,
    },
    /// Leave although runs are active?
    Quit {
        /// How many.
        active: u32,
    },
}

/// Everything.
#[derive(Debug)]
pub struct State {
    /// The newest picture.
    pub live: Arc<Snapshot>,
    /// The picture held still.
    pub frozen: Option<Arc<Snapshot>>,
    /// Wall time when it was held.
    pub frozen_ms: i64,
    /// The screen.
    pub screen: Screen,
    /// Selection on each screen.
    pub selected: BTreeMap<Screen, usize>,
    /// Filter on each screen.
    pub filters: BTreeMap<Screen, String>,
    /// The run that is open.
    pub open: Option<OpenRun>,
    /// Topmost last.
    pub overlays: Vec<Overlay>,
    /// Newest last.
    pub toasts: Vec<Toast>,
    /// Agents, events, problems as last read.
    pub agents: Vec<Agent>,
    /// Events as last read.
    pub events: Vec<(String, EventRule)>,
    /// Problems as last read.
    pub problems: Vec<Problem>,
    /// Log lines as last read, oldest first.
    pub logs: Vec<LogLine>,
    /// Only this run's log lines.
    pub logs_of: Option<String>,
    /// Columns and rows.
    pub size: (u16, u16),
    /// Colours and marks.
    pub theme: Theme,
    /// Wall time, milliseconds.
    pub wall_ms: i64,
    /// Bytes a second written to the terminal, over the last seconds.
    pub link_bytes: u64,
    /// Happenings missed.
    pub missed: u64,
    /// The terminal has the focus.
    pub focused: bool,
    /// The engine takes no commands.
    pub read_only: bool,
}

impl State {
    /// The state at the start.
    pub fn new(live: Arc<Snapshot>, theme: Theme, read_only: bool, wall_ms: i64) -> Self {
        Self {
            live,
            frozen: None,
            frozen_ms: 0,
            screen: Screen::Overview,
            selected: BTreeMap::new(),
            filters: BTreeMap::new(),
            open: None,
            overlays: Vec::new(),
            toasts: Vec::new(),
            agents: Vec::new(),
            events: Vec::new(),
            problems: Vec::new(),
            logs: Vec::new(),
            logs_of: None,
            size: (80, 24),
            theme,
            wall_ms,
            link_bytes: 0,
            missed: 0,
            focused: true,
            read_only,
        }
    }

    /// The picture that is shown.
    pub fn snapshot(&self) -> &Snapshot {
        self.frozen.as_deref().unwrap_or(&self.live)
    }

    /// The time that elapsed times count to: now, or when the picture was held still.
    pub fn clock_ms(&self) -> i64 {
        if self.frozen.is_some() {
            self.frozen_ms
        } else {
            self.wall_ms
        }
    }

    /// The selection on the screen, within what there is.
    pub fn selection(&self) -> usize {
        let most = self.rows().saturating_sub(1);
        self.selected
            .get(&self.screen)
            .copied()
            .unwrap_or(0)
            .min(most)
    }

    /// How many rows the screen's list has.
    pub fn rows(&self) -> usize {
        match self.screen {
            Screen::Overview | Screen::Runs => self.runs().len(),
            Screen::Resilience => self.snapshot().breakers.len() + self.snapshot().pools.len(),
            Screen::Caches => self.snapshot().caches.len(),
            Screen::Agents => self.agents_shown().len() + self.problems.len(),
            Screen::Logs => self.logs_shown().len(),
        }
    }

    /// The filter on the screen, lower case.
    pub fn filter(&self) -> String {
        self.filters
            .get(&self.screen)
            .map(|f| f.to_lowercase())
            .unwrap_or_default()
    }

    /// Runs that pass the filter, newest first.
    pub fn runs(&self) -> Vec<&RunBrief> {
        let filter = self.filter();
        let passes = |run: &&RunBrief| {
            filter.is_empty()
                || run.id.contains(&filter)
                || run.event.raw().to_lowercase().contains(&filter)
                || run.action.is_some_and(|a| a.word().contains(&filter))
                || run.steps.iter().any(|s| s.agent.contains(&filter))
        };
        self.snapshot().runs.iter().filter(passes).collect()
    }

    /// Agents that pass the filter.
    pub fn agents_shown(&self) -> Vec<&Agent> {
        let filter = self.filter();
        self.agents
            .iter()
            .filter(|a| {
                filter.is_empty() || a.id.contains(&filter) || a.risk.level.contains(&filter)
            })
            .collect()
    }

    /// Log lines that pass the filter: words anywhere, and `level:`, `run:`, `agent:`, `corr:`.
    pub fn logs_shown(&self) -> Vec<&LogLine> {
        let filter = self.filter();
        let passes = |line: &&LogLine| filter.split_whitespace().all(|word| log_word(line, word));
        self.logs.iter().filter(passes).collect()
    }

    /// The id of the run that an action is about: the open one, else the selected one.
    pub fn current_run(&self) -> Option<String> {
        if let Some(open) = &self.open {
            return Some(open.id.clone());
        }
        match self.screen {
            Screen::Overview | Screen::Runs => {
                self.runs().get(self.selection()).map(|r| r.id.clone())
            }
            _ => None,
        }
    }

    /// True when the run that an action is about has not ended.
    pub fn current_is_active(&self) -> bool {
        let current = self.current_run();
        self.live
            .runs
            .iter()
            .any(|r| Some(&r.id) == current.as_ref() && r.finished_ms.is_none())
    }

    /// True when something on the screen counts seconds.
    pub fn animates(&self) -> bool {
        self.frozen.is_none()
            && self
                .live
                .runs
                .iter()
                .any(|r| matches!(r.state, RunState::Running | RunState::Queued))
    }

    /// True when the action makes sense here.
    pub fn allows(&self, action: Action) -> bool {
        use super::action::Scope;
        match super::action::row_of(action).map(|r| r.scope) {
            Some(Scope::Run) => self.current_run().is_some(),
            Some(Scope::Resilience) => self.screen == Screen::Resilience,
            _ => true,
        }
    }
}

fn log_word(line: &LogLine, word: &str) -> bool {
    let has = |text: &str, part: &str| text.to_lowercase().contains(part);
    match word.split_once(':') {
        Some(("level", level)) => has(&line.level, level),
        Some(("run", id)) => line.run.as_deref().is_some_and(|r| has(r, id)),
        Some(("agent", id)) => has(line.fields.raw(), &format!("agent={id}")),
        Some(("corr", id)) => line.correlation.as_deref().is_some_and(|c| has(c, id)),
        _ => {
            has(line.message.raw(), word)
                || has(line.fields.raw(), word)
                || line.level.eq_ignore_ascii_case(word)
                || line.run.as_deref().is_some_and(|r| has(r, word))
        }
    }
}
