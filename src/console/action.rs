//! The one table of what can be done: keys, hints, help, palette and the documents all read it.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// Everything a key or the palette can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Leave.
    Quit,
    /// Show all keys.
    Help,
    /// Search all actions.
    Palette,
    /// Narrow the list.
    Filter,
    /// The next screen.
    NextScreen,
    /// The screen before.
    PreviousScreen,
    /// A screen by its number.
    Show(Screen),
    /// One down.
    Down,
    /// One up.
    Up,
    /// To the first.
    Top,
    /// To the last.
    Bottom,
    /// Ten down.
    PageDown,
    /// Ten up.
    PageUp,
    /// Into what is selected.
    Open,
    /// Out of it.
    Back,
    /// Start a run.
    Trigger,
    /// Stop the selected run.
    Cancel,
    /// Start the selected run again.
    RunAgain,
    /// The selected run's report.
    Report,
    /// The selected run's log lines.
    RunLogs,
    /// Clear a cache.
    ClearCache,
    /// Reset a breaker.
    ResetBreaker,
    /// Isolate a breaker.
    IsolateBreaker,
    /// Close a breaker.
    CloseBreaker,
    /// Change a pool's size.
    ResizePool,
    /// Switch a layer or a feature on or off.
    SwitchFlag,
    /// Change what is logged.
    LogLevel,
    /// Why is it so?
    Why,
    /// Copy what is shown or selected.
    Copy,
    /// Export into a file.
    Export,
    /// Approve or deny what waits.
    Decide,
    /// Leave an engine that is somewhere else.
    Detach,
    /// Talk with an agent.
    Ask,
    /// What models cost.
    Costs,
    /// Try out what is promised.
    Drill,
    /// Change how the simulator behaves.
    Faults,
    /// Stop all runs and take no more, or take them again.
    Drain,
    /// Have the mouse reported, or not.
    Mouse,
    /// Local time or UTC.
    Utc,
    /// The next palette.
    Theme,
    /// Alerts so far.
    Alerts,
    /// Where it goes.
    Trends,
    /// A shorter span.
    ZoomIn,
    /// A longer span.
    ZoomOut,
    /// To the recorded picture before.
    Rewind,
    /// To the recorded picture after.
    Forward,
    /// Ten minutes back.
    RewindFar,
    /// Ten minutes on.
    ForwardFar,
    /// Hold the picture still.
    Freeze,
    /// Read the workspace again.
    Reload,
    /// Mark a row, or take its mark away.
    Mark,
    /// Mark all rows, or none.
    MarkAll,
    /// Sort by the next column.
    SortNext,
    /// Sort by the column before.
    SortPrevious,
    /// The other way round.
    SortReverse,
    /// Everything about the run as JSON.
    Json,
    /// One panel alone, or all of them.
    Zoom,
    /// The focus to the next panel.
    FocusNext,
    /// The focus to the panel before.
    FocusPrevious,
    /// All fields of the run as text.
    Describe,
    /// Choose the columns of the list.
    Columns,
    /// All columns, or those that fit.
    Wide,
    /// To the alert before.
    PreviousAlert,
    /// To the next alert.
    NextAlert,
    /// Somebody has seen the alert.
    Acknowledge,
    /// What takes how much of the disk.
    Storage,
    /// New lines are followed, or not.
    Follow,
    /// Long lines are wrapped, or cut.
    Wrap,
    /// To the next line that is found.
    FindNext,
    /// To the line before that is found.
    FindPrevious,
    /// Look for a word in the lines.
    Search,
    /// The cursor of the charts one step back.
    CursorBack,
    /// The cursor of the charts one step on.
    CursorOn,
    /// Stop for the shell.
    Suspend,
    /// Draw everything anew.
    Redraw,
}

/// The screens, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Screen {
    /// Is all well?
    Overview,
    /// Runs and their agents.
    Runs,
    /// Breakers, pools, limits, providers.
    Resilience,
    /// Caches.
    Caches,
    /// Agents and problems of the workspace.
    Agents,
    /// Past reviews.
    Memory,
    /// Log lines.
    Logs,
    /// Webhooks, outbox, approvals.
    Inbox,
}

impl Screen {
    /// All of them in order.
    pub const ALL: [Self; 8] = [
        Self::Overview,
        Self::Runs,
        Self::Resilience,
        Self::Caches,
        Self::Agents,
        Self::Memory,
        Self::Logs,
        Self::Inbox,
    ];

    /// Its key.
    pub fn digit(self) -> char {
        match self {
            Self::Overview => '1',
            Self::Runs => '2',
            Self::Resilience => '3',
            Self::Caches => '4',
            Self::Agents => '5',
            Self::Memory => '6',
            Self::Logs => '7',
            Self::Inbox => '8',
        }
    }

    /// Its title, whole and short.
    pub fn title(self) -> (&'static str, &'static str) {
        match self {
            Self::Overview => ("Overview", "Over"),
            Self::Runs => ("Runs", "Runs"),
            Self::Resilience => ("Resilience", "Resil"),
            Self::Caches => ("Caches", "Cache"),
            Self::Agents => ("Agents", "Agents"),
            Self::Memory => ("Memory", "Mem"),
            Self::Logs => ("Logs", "Logs"),
            Self::Inbox => ("Inbox", "Inbox"),
        }
    }
}

/// How much an action can spoil.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Danger {
    /// Nothing.
    None,
    /// It changes the engine; `--read-only` refuses it.
    Changes,
    /// It asks first.
    Confirm,
}

/// Where an action makes sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Everywhere.
    Everywhere,
    /// Where a run is selected or open.
    Run,
    /// On the resilience screen.
    Resilience,
    /// In the inbox.
    Inbox,
    /// In a list of runs.
    Runs,
    /// Where log lines are.
    Logs,
    /// In the list of alerts.
    Alerts,
    /// Where several panels share the screen.
    Panels,
}

impl Scope {
    /// It holds on some screens only.
    pub fn is_narrow(self) -> bool {
        !matches!(self, Self::Everywhere | Self::Run)
    }
}

/// A row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// What.
    pub action: Action,
    /// Its name: command names, the audit trail, key settings.
    pub name: &'static str,
    /// In words.
    pub title: &'static str,
    /// Its key.
    pub key: &'static str,
    /// How much it can spoil.
    pub danger: Danger,
    /// Where it makes sense.
    pub scope: Scope,
}

const fn row(
    action: Action,
    name: &'static str,
    title: &'static str,
    key: &'static str,
    danger: Danger,
    scope: Scope,
) -> Row {
    Row {
        action,
        name,
        title,
        key,
        danger,
        scope,
    }
}

/// The table.
#[rustfmt::skip]
pub const ACTIONS: &[Row] = &[
    row(Action::Trigger, "run", "start a run", "r", Danger::Changes, Scope::Everywhere),
    row(Action::Open, "open", "open what is selected", "enter", Danger::None, Scope::Everywhere),
    row(Action::Back, "back", "back", "esc", Danger::None, Scope::Everywhere),
    row(Action::Report, "report", "report of the run", "o", Danger::None, Scope::Run),
    row(Action::RunLogs, "run-logs", "log lines of the run", "l", Danger::None, Scope::Run),
    row(Action::Cancel, "cancel", "cancel the run", "x", Danger::Confirm, Scope::Run),
    row(Action::RunAgain, "run-again", "run it again", "R", Danger::Changes, Scope::Run),
    row(Action::ClearCache, "clear-cache", "clear a cache", "c", Danger::Confirm, Scope::Everywhere),
    row(Action::ResetBreaker, "reset-breaker", "reset a breaker", "b", Danger::Confirm, Scope::Everywhere),
    row(Action::IsolateBreaker, "isolate-breaker", "isolate the selected provider", "i", Danger::Confirm, Scope::Resilience),
    row(Action::CloseBreaker, "close-breaker", "close the selected breaker", "B", Danger::Confirm, Scope::Resilience),
    row(Action::ResizePool, "resize-pool", "resize a pool", "p", Danger::Confirm, Scope::Everywhere),
    row(Action::SwitchFlag, "switch", "switch a layer on or off", "F", Danger::Confirm, Scope::Everywhere),
    row(Action::LogLevel, "log-level", "change what is logged", "L", Danger::Changes, Scope::Everywhere),
    row(Action::Why, "why", "why is it so?", "w", Danger::None, Scope::Everywhere),
    row(Action::Copy, "copy", "copy it", "y", Danger::None, Scope::Everywhere),
    row(Action::Export, "export", "export to a file", "e", Danger::None, Scope::Everywhere),
    row(Action::Alerts, "alerts", "alerts so far", "a", Danger::None, Scope::Everywhere),
    row(Action::Ask, "ask", "talk with an agent", "A", Danger::Changes, Scope::Everywhere),
    row(Action::Costs, "costs", "what models cost", "$", Danger::None, Scope::Everywhere),
    row(Action::Mark, "mark", "mark a run", "v", Danger::None, Scope::Runs),
    row(Action::MarkAll, "mark-all", "mark all runs, or none", "V", Danger::None, Scope::Runs),
    row(Action::SortNext, "sort-next", "sort by the next column", ">", Danger::None, Scope::Everywhere),
    row(Action::SortPrevious, "sort-previous", "sort by the column before", "<", Danger::None, Scope::Everywhere),
    row(Action::SortReverse, "sort-reverse", "sort the other way round", "!", Danger::None, Scope::Everywhere),
    row(Action::Json, "json", "the run as JSON", "J", Danger::None, Scope::Run),
    row(Action::Describe, "describe", "all fields of the run", "I", Danger::None, Scope::Run),
    row(Action::Columns, "columns", "choose the columns", "C", Danger::None, Scope::Runs),
    row(Action::Wide, "wide", "all columns, or those that fit", "ctrl-w", Danger::None, Scope::Runs),
    row(Action::Zoom, "zoom", "one panel alone, or all of them", "z", Danger::None, Scope::Panels),
    row(Action::FocusNext, "focus-next", "the focus to the next panel", "tab", Danger::None, Scope::Panels),
    row(Action::FocusPrevious, "focus-previous", "the focus to the panel before", "backtab", Danger::None, Scope::Panels),
    row(Action::PreviousAlert, "previous-alert", "to the alert before", "(", Danger::None, Scope::Everywhere),
    row(Action::NextAlert, "next-alert", "to the next alert", ")", Danger::None, Scope::Everywhere),
    row(Action::Acknowledge, "acknowledge", "acknowledge the alert", "K", Danger::Changes, Scope::Alerts),
    row(Action::Storage, "storage", "what takes how much of the disk", "u", Danger::None, Scope::Everywhere),
    row(Action::Follow, "follow", "follow new lines, or not", "f", Danger::None, Scope::Logs),
    row(Action::Wrap, "wrap", "wrap long lines, or cut them", "W", Danger::None, Scope::Logs),
    row(Action::FindNext, "find-next", "to the next line that is found", "n", Danger::None, Scope::Logs),
    row(Action::FindPrevious, "find-previous", "to the line before that is found", "N", Danger::None, Scope::Logs),
    row(Action::Decide, "decide", "approve or deny what waits", "v", Danger::Changes, Scope::Inbox),
    row(Action::Detach, "detach", "leave, and leave the engine running", "d", Danger::None, Scope::Everywhere),
    row(Action::Drill, "drill", "start a drill", "f", Danger::Changes, Scope::Everywhere),
    row(Action::Faults, "faults", "simulator faults", "S", Danger::Changes, Scope::Everywhere),
    row(Action::Drain, "drain", "stop all runs and take no more", "D", Danger::Confirm, Scope::Everywhere),
    row(Action::Mouse, "mouse", "the mouse on or off", "M", Danger::None, Scope::Everywhere),
    row(Action::Utc, "utc", "local time or UTC", "U", Danger::None, Scope::Everywhere),
    row(Action::Theme, "theme", "the next palette", "T", Danger::None, Scope::Everywhere),
    row(Action::Filter, "filter", "filter the list", "/", Danger::None, Scope::Everywhere),
    row(Action::Trends, "trends", "where it goes: charts over time", "t", Danger::None, Scope::Everywhere),
    row(Action::ZoomIn, "zoom-in", "a shorter span", "+", Danger::None, Scope::Everywhere),
    row(Action::ZoomOut, "zoom-out", "a longer span", "-", Danger::None, Scope::Everywhere),
    row(Action::Rewind, "rewind", "the recorded picture before", "[", Danger::None, Scope::Everywhere),
    row(Action::Forward, "forward", "the recorded picture after", "]", Danger::None, Scope::Everywhere),
    row(Action::RewindFar, "rewind-far", "ten minutes back", "{", Danger::None, Scope::Everywhere),
    row(Action::ForwardFar, "forward-far", "ten minutes on", "}", Danger::None, Scope::Everywhere),
    row(Action::Freeze, "freeze", "hold the picture still, or back to now", "space", Danger::None, Scope::Everywhere),
    row(Action::Palette, "commands", "all commands", ":", Danger::None, Scope::Everywhere),
    row(Action::Help, "help", "help", "?", Danger::None, Scope::Everywhere),
    row(Action::Reload, "reload", "read the workspace again", "ctrl-r", Danger::Changes, Scope::Everywhere),
    row(Action::Down, "down", "down", "j", Danger::None, Scope::Everywhere),
    row(Action::Up, "up", "up", "k", Danger::None, Scope::Everywhere),
    row(Action::Top, "top", "first", "g", Danger::None, Scope::Everywhere),
    row(Action::Bottom, "bottom", "last", "G", Danger::None, Scope::Everywhere),
    row(Action::PageDown, "page-down", "ten down", "pgdn", Danger::None, Scope::Everywhere),
    row(Action::PageUp, "page-up", "ten up", "pgup", Danger::None, Scope::Everywhere),
    row(Action::NextScreen, "next-screen", "next screen", "tab", Danger::None, Scope::Everywhere),
    row(Action::PreviousScreen, "previous-screen", "previous screen", "backtab", Danger::None, Scope::Everywhere),
    row(Action::Show(Screen::Overview), "overview", "Overview", "1", Danger::None, Scope::Everywhere),
    row(Action::Show(Screen::Runs), "runs", "Runs", "2", Danger::None, Scope::Everywhere),
    row(Action::Show(Screen::Resilience), "resilience", "Resilience", "3", Danger::None, Scope::Everywhere),
    row(Action::Show(Screen::Caches), "caches", "Caches", "4", Danger::None, Scope::Everywhere),
    row(Action::Show(Screen::Agents), "agents", "Agents", "5", Danger::None, Scope::Everywhere),
    row(Action::Show(Screen::Logs), "logs", "Logs", "7", Danger::None, Scope::Everywhere),
    row(Action::Show(Screen::Memory), "memory", "Memory", "6", Danger::None, Scope::Everywhere),
    row(Action::Show(Screen::Inbox), "inbox", "Inbox", "8", Danger::None, Scope::Everywhere),
    row(Action::Suspend, "suspend", "back to the shell (fg returns)", "ctrl-z", Danger::None, Scope::Everywhere),
    row(Action::Redraw, "redraw", "draw everything anew", "ctrl-l", Danger::None, Scope::Everywhere),
    row(Action::Quit, "quit", "quit", "q", Danger::None, Scope::Everywhere),
    row(Action::Search, "search", "search the lines for a word", "s", Danger::None, Scope::Logs),
    row(Action::CursorBack, "cursor-back", "the charts' cursor one step back", "left", Danger::None, Scope::Everywhere),
    row(Action::CursorOn, "cursor-on", "the charts' cursor one step on", "right", Danger::None, Scope::Everywhere),
];

/// The row of an action.
pub fn row_of(action: Action) -> Option<&'static Row> {
    ACTIONS.iter().find(|r| r.action == action)
}

/// Two actions may have one key where a screen has a use of its own for it: there it means that one.
pub fn may_share(a: &Row, b: &Row) -> bool {
    // Panels share a screen that may have a scope of its own: both hold there.
    let together = |one: Scope, other: Scope| one == Scope::Panels && other.is_narrow();
    a.scope != b.scope
        && (a.scope.is_narrow() || b.scope.is_narrow())
        && !together(a.scope, b.scope)
        && !together(b.scope, a.scope)
}

/// A key press in the table's words.
pub fn key_name(key: KeyEvent) -> Option<String> {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    let name = match key.code {
        KeyCode::Char(' ') => "space".into(),
        KeyCode::Char(c) if control => format!("ctrl-{}", c.to_ascii_lowercase()),
        KeyCode::Char(c) => c.to_string(),
        KeyCode::Enter => "enter".into(),
        KeyCode::Esc => "esc".into(),
        KeyCode::Tab => "tab".into(),
        KeyCode::BackTab => "backtab".into(),
        KeyCode::PageDown => "pgdn".into(),
        KeyCode::PageUp => "pgup".into(),
        KeyCode::Left => "left".into(),
        KeyCode::Right => "right".into(),
        _ => return None,
    };
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_name_is_used_once_and_a_key_twice_only_where_it_is_clear() {
        let names: HashSet<_> = ACTIONS.iter().map(|r| r.name).collect();
        assert_eq!(names.len(), ACTIONS.len());
        for (n, row) in ACTIONS.iter().enumerate() {
            for other in ACTIONS.iter().skip(n + 1).filter(|o| o.key == row.key) {
                assert!(may_share(row, other), "{} and {}", row.name, other.name);
            }
        }
        for screen in Screen::ALL {
            assert!(
                row_of(Action::Show(screen)).is_some_and(|r| r.key == screen.digit().to_string())
            );
        }
    }
}
