//! What every screen and dialog may read: the engine's picture, live or held still, and how the operator wants
//! it shown. Only the shell writes it.

use std::sync::Arc;

use super::action::Action;
use super::format::{Zone, secs};
use super::keymap::Keymap;
use super::list_habits::ListHabits;
use super::theme::Theme;
use crate::engine::protocol::provider_row::ProviderRow;
use crate::engine::protocol::run::RunState;
use crate::engine::protocol::snapshot::Snapshot;
use crate::resilience::breaker::BreakerState;
use crate::text::clean_line;
use crate::workspace::Problem;
use crate::workspace::agent::Agent;
use crate::workspace::events::EventRule;

/// The workspace as last read.
#[derive(Debug, Clone, Default)]
pub struct WorkspaceLists {
    /// Its agents.
    pub agents: Vec<Agent>,
    /// Its events with their rules.
    pub events: Vec<(String, EventRule)>,
    /// What is wrong in it.
    pub problems: Vec<Problem>,
}

/// What may be read.
#[derive(Debug, Clone)]
pub struct Context {
    /// The newest picture.
    pub live: Arc<Snapshot>,
    /// The picture held still.
    pub frozen: Option<Arc<Snapshot>>,
    /// The one held still is a recorded one.
    pub rewound: bool,
    /// Wall time of the picture held still, milliseconds.
    pub frozen_ms: i64,
    /// Agents, events and problems.
    pub workspace: WorkspaceLists,
    /// Columns and rows of the terminal.
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
    /// Events that were missed.
    pub missed: u64,
    /// The terminal has the focus.
    pub focused: bool,
    /// The engine takes no commands.
    pub read_only: bool,
    /// The engine is in another process, there.
    pub attached: Option<String>,
    /// As other consoles are told who this is.
    pub me: String,
    /// The token of an approver at this keyboard.
    pub approver: Option<String>,
    /// A filter is being typed.
    pub typing: bool,
    /// Saved filters, and how lists were left the last time.
    pub lists: ListHabits,
    /// Lines that were run on the command line, the newest first.
    pub commands: Vec<String>,
}

impl Context {
    /// The context at the start.
    pub fn new(live: Arc<Snapshot>, theme: Theme, read_only: bool, wall_ms: i64) -> Self {
        Self {
            live,
            frozen: None,
            rewound: false,
            frozen_ms: 0,
            workspace: WorkspaceLists::default(),
            size: (80, 24),
            theme,
            keys: Keymap::default(),
            zone: Zone::default(),
            mouse: false,
            bell: false,
            wall_ms,
            link_bytes: 0,
            missed: 0,
            focused: true,
            read_only,
            attached: None,
            me: String::new(),
            approver: None,
            typing: false,
            lists: ListHabits::default(),
            commands: Vec::new(),
        }
    }

    /// The picture that is shown.
    pub fn snapshot(&self) -> &Snapshot {
        self.frozen.as_deref().unwrap_or(&self.live)
    }

    /// The picture that is shown is of another start of the engine than the one that runs.
    pub fn of_other_start(&self) -> bool {
        self.rewound && self.snapshot().started_ms != self.live.started_ms
    }

    /// The time that elapsed times count to: now, or when the picture was held still.
    pub fn clock_ms(&self) -> i64 {
        if self.frozen.is_some() {
            self.frozen_ms
        } else {
            self.wall_ms
        }
    }

    /// What is said while the engine does not answer: since when, how old the figures are, the next try.
    pub fn lost_words(&self) -> Option<String> {
        let lost = self.live.disconnected.as_ref()?;
        let since = secs((self.wall_ms - lost.since_ms) / 1_000 * 1_000);
        let next = (lost.next_try_ms - self.wall_ms).max(0);
        let next = secs((next + 999) / 1_000 * 1_000);
        Some(format!(
            "the engine at {} does not answer since {since}; the figures are from then; next try in {next}: {}",
            clean_line(&lost.address, 60),
            lost.reason
        ))
    }

    /// True when something on the screen counts seconds: a run at work, a call that waits, a provider that refuses.
    pub fn animates(&self) -> bool {
        let active = |s: &RunState| matches!(s, RunState::Running | RunState::Queued);
        let lost = self.live.disconnected.is_some();
        let runs = || self.live.runs.iter().any(|r| active(&r.state));
        let counts = |r: &ProviderRow| r.breaker == BreakerState::Open || r.oldest_ms.is_some();
        let providers = || self.live.provider_rows.iter().any(counts);
        lost || self.frozen.is_none() && (runs() || providers())
    }

    /// True while this run has not ended.
    pub fn is_active(&self, run: &str) -> bool {
        let mut runs = self.live.runs.iter();
        runs.any(|r| r.id == run && r.finished_ms.is_none())
    }

    /// What is typed in place of the cursor.
    pub fn cursor(&self) -> &'static str {
        if self.theme.ascii { "_" } else { "▏" }
    }

    /// Keys with what they do, as the operator has chosen them.
    pub fn keys_of(&self, all: &[(Action, &str)]) -> String {
        let hints = all.iter();
        let hints = hints.map(|(action, word)| format!("{} {word}", self.key_word(*action)));
        hints.collect::<Vec<_>>().join("  ")
    }

    /// The key of an action as it is written on keyboards.
    pub fn key_word(&self, action: Action) -> &str {
        match self.keys.key_of(action) {
            "enter" => "Enter",
            "esc" => "Esc",
            "space" => "Space",
            "tab" => "Tab",
            other => other,
        }
    }

    /// What answers: the models, the simulator, or the rules alone.
    pub fn evidence_words(&self) -> String {
        self.evidence("simulated models", "offline: rules only")
    }

    /// The same in a word where there is little room.
    pub fn evidence(&self, simulated: &str, offline: &str) -> String {
        let snapshot = self.snapshot();
        let ready = snapshot.ready_providers();
        if snapshot.mode.simulated {
            simulated.into()
        } else if snapshot.mode.offline || ready.is_empty() {
            offline.into()
        } else {
            ready.join(" + ")
        }
    }
}
