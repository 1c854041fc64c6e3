//! Everything the console knows. Drawing reads it, updating changes it, nothing else does.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use super::action::{Action, Screen};
use super::format::Zone;
use super::inbox::{Entry, Inbox};
use super::keymap::Keymap;
pub use super::open_views::{DrillView, MemoryView, OpenCalls, OpenCosts, OpenRun, OpenTrends};
pub use super::overlay_state::{Choice, Chosen, Overlay};
use super::theme::Theme;
use crate::console::chat::Talk;
use crate::console::follow_up::FollowUp;
pub use crate::console::run_form::{SubjectKind, TriggerForm};
use crate::engine::protocol::call::CallView;
use crate::engine::protocol::run::RunState;
use crate::engine::protocol::snapshot::{RunSummary, Snapshot};
use crate::filter::Filter;
use crate::telemetry::log_read::LogLine;
use crate::text::Untrusted;
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

/// Everything.
#[derive(Debug, Clone)]
pub struct State {
    /// The newest picture.
    pub live: Arc<Snapshot>,
    /// The picture held still.
    pub frozen: Option<Arc<Snapshot>>,
    /// It is a recorded one.
    pub rewound: bool,
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
    /// The calls that are open.
    pub calls: Option<OpenCalls>,
    /// The charts that are open.
    pub trends: Option<OpenTrends>,
    /// The form that was sent last, until its answer is there.
    pub sent_form: Option<Box<TriggerForm>>,
    /// Topmost last.
    pub overlays: Vec<Overlay>,
    /// Newest last.
    pub toasts: Vec<Toast>,
    /// Ended runs as last read from the journal, newest first: more than the picture holds.
    pub older: Vec<RunSummary>,
    /// When they were last asked for because one ended, wall time in milliseconds.
    pub listed_ms: i64,
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
    /// The agent whose failed attempt is looked for when log lines come.
    pub seek: Option<String>,
    /// What is remembered.
    pub memory: MemoryView,
    /// Webhooks, outbox and approvals as last read.
    pub inbox: Inbox,
    /// The token of an approver at this keyboard.
    pub approver: Option<String>,
    /// The conversation with an agent.
    pub talk: Talk,
    /// The newest drill.
    pub drill: Option<DrillView>,
    /// What models are saying in the open run, by agent.
    pub saying: BTreeMap<String, Untrusted>,
    /// Commands whose consequence is looked at again.
    pub follow_ups: Vec<FollowUp>,
    /// Columns and rows.
    pub size: (u16, u16),
    /// Colours and marks.
    pub theme: Theme,
    /// Which key does what.
    pub keys: Keymap,
    /// Whose time is shown.
    pub zone: Zone,
    /// The terminal reports the mouse.
    pub mouse: bool,
    /// A bad alert rings the terminal's bell.
    pub bell: bool,
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
    /// The engine is somewhere else, there.
    pub attached: Option<String>,
    /// As other consoles are told who this is.
    pub me: String,
}

impl State {
    /// The state at the start.
    pub fn new(live: Arc<Snapshot>, theme: Theme, read_only: bool, wall_ms: i64) -> Self {
        Self {
            live,
            frozen: None,
            rewound: false,
            frozen_ms: 0,
            screen: Screen::Overview,
            selected: BTreeMap::new(),
            filters: BTreeMap::new(),
            open: None,
            calls: None,
            trends: None,
            sent_form: None,
            overlays: Vec::new(),
            toasts: Vec::new(),
            older: Vec::new(),
            listed_ms: 0,
            agents: Vec::new(),
            events: Vec::new(),
            problems: Vec::new(),
            logs: Vec::new(),
            logs_of: None,
            seek: None,
            memory: MemoryView::default(),
            inbox: Inbox::default(),
            approver: None,
            talk: Talk::default(),
            drill: None,
            saying: BTreeMap::new(),
            follow_ups: Vec::new(),
            keys: Keymap::default(),
            zone: Zone::default(),
            mouse: false,
            bell: false,
            size: (80, 24),
            theme,
            wall_ms,
            link_bytes: 0,
            missed: 0,
            focused: true,
            read_only,
            attached: None,
            me: String::new(),
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
            Screen::Inbox => self.inbox_shown().len(),
            Screen::Memory => self.memory.similar.as_ref().map_or(0, |s| s.hits.len()),
        }
    }

    /// The filter on the screen.
    pub fn filter(&self) -> Filter {
        self.filters
            .get(&self.screen)
            .map(|f| Filter::read(f))
            .unwrap_or_default()
    }

    /// Runs that pass the filter, newest first.
    pub fn runs(&self) -> Vec<&RunSummary> {
        let filter = self.filter();
        let picture = &self.snapshot().runs;
        let mut runs: Vec<&RunSummary> = picture.iter().filter(|r| filter.passes(*r)).collect();
        // The picture's list ends where the journal's goes on; the engine has filtered that one.
        if self.screen == Screen::Runs && self.frozen.is_none() {
            let end = picture.last().map_or(i64::MAX, |r| r.created_ms);
            let known = |id: &str| picture.iter().any(|r| r.id == id);
            let older = self.older.iter().filter(|r| r.created_ms <= end);
            runs.extend(older.filter(|r| filter.passes(*r) && !known(&r.id)));
        }
        runs
    }

    /// Agents that pass the filter.
    pub fn agents_shown(&self) -> Vec<&Agent> {
        let filter = self.filter();
        self.agents.iter().filter(|a| filter.passes(*a)).collect()
    }

    /// Log lines that pass the filter.
    pub fn logs_shown(&self) -> Vec<&LogLine> {
        let filter = self.filter();
        self.logs.iter().filter(|l| filter.passes(*l)).collect()
    }

    /// What the memory is asked about: what is typed there.
    pub fn memory_text(&self) -> &str {
        self.filters.get(&Screen::Memory).map_or("", String::as_str)
    }

    /// Entries of the inbox that pass the filter, those that wait first.
    pub fn inbox_shown(&self) -> Vec<Entry<'_>> {
        let filter = self.filter();
        let mut entries = self.inbox.entries();
        entries.retain(|e| filter.passes(e));
        entries
    }

    /// The selection in the list that is on the screen.
    pub fn list_selection(&self) -> usize {
        if self.calls.is_some() {
            self.calls_selection()
        } else {
            self.selection()
        }
    }

    /// Selects a row of that list.
    pub fn select(&mut self, row: usize) {
        match &mut self.calls {
            Some(calls) => calls.selected = row,
            None => {
                self.selected.insert(self.screen, row);
            }
        }
    }

    /// Calls that pass the filter, newest first.
    pub fn calls_shown(&self) -> Vec<&CallView> {
        let filter = self.filter();
        let list = self.calls.iter().filter_map(|c| c.list.as_ref());
        list.flatten().filter(|c| filter.passes(*c)).collect()
    }

    /// The selected call, within what there is.
    pub fn calls_selection(&self) -> usize {
        let most = self.calls_shown().len().saturating_sub(1);
        self.calls.as_ref().map_or(0, |c| c.selected.min(most))
    }

    /// The id of the run that an action is about: the open one, else the selected one.
    pub fn current_run(&self) -> Option<String> {
        if let Some(open) = &self.open {
            return Some(open.id.clone());
        }
        if self.calls.is_some() {
            let calls = self.calls_shown();
            let call = calls.get(self.calls_selection());
            // A person's question belongs to no run.
            return call.map(|c| c.run.clone()).filter(|r| !r.is_empty());
        }
        match self.screen {
            Screen::Overview | Screen::Runs => {
                self.runs().get(self.selection()).map(|r| r.id.clone())
            }
            Screen::Logs => {
                let lines = self.logs_shown();
                lines.get(self.selection()).and_then(|l| l.run.clone())
            }
            Screen::Memory => {
                let similar = self.memory.similar.as_ref()?;
                similar.hits.get(self.selection())?.run_id.clone()
            }
            Screen::Inbox => {
                let entries = self.inbox_shown();
                entries.get(self.selection()).and_then(Entry::run)
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
            Some(Scope::Inbox) => self.screen == Screen::Inbox,
            _ => true,
        }
    }
}
