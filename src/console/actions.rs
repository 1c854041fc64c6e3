//! What each action does to the state, and what it asks of the engine.

use super::action::{Action, Danger, Row, Screen, row_of};
use super::export::Form;
use super::format::Zone;
use super::message::{Effect, Now};
use super::state::{Chosen, OpenCosts, Overlay, State};
use super::theme::Palette;
use crate::console::confirmations::{
    ask, cancel, clear_cache, close_breaker, drain, drill, faults, isolate_breaker, log_level,
    reset_breaker, resize_pool, switch_flag,
};
use crate::console::navigation::{back, logs_query, open, report, show, travel, trigger_form};
use crate::console::timeline::{FAR_MS, open_trends, pan, rewind, zoom};
use crate::console::toasts::toast;
use crate::engine::protocol::command::Command;
use crate::engine::protocol::query::Query;
use tui_input::Input;

/// Does what the action asks for, or says why it cannot be done here.
pub(super) fn act(state: &mut State, action: Action, now: Now) -> Vec<Effect> {
    let Some(row) = row_of(action) else {
        return Vec::new();
    };
    if let Some(refusal) = refusal(state, row) {
        toast(state, format!("{}: {refusal}", row.title), true, now);
        return Vec::new();
    }
    match action {
        Action::Quit => return quit(state),
        Action::Help => state.overlays.push(Overlay::Help { scroll: 0 }),
        Action::Palette => state.overlays.push(Overlay::Palette {
            input: Input::default(),
            selected: 0,
        }),
        Action::Filter => open_filter(state),
        Action::NextScreen => return show_neighbour(state, 1),
        Action::PreviousScreen => return show_neighbour(state, Screen::ALL.len() - 1),
        Action::Show(screen) => return show(state, screen),
        Action::Down
        | Action::Up
        | Action::Top
        | Action::Bottom
        | Action::PageDown
        | Action::PageUp => travel(state, action),
        Action::Open => return open(state, now),
        Action::Back => return back(state),
        Action::Trigger => return trigger_form(state),
        Action::Cancel => return cancel(state, now),
        Action::RunAgain => return run_again(state),
        Action::Report => return report(state),
        Action::RunLogs => return show_run_logs(state),
        Action::ClearCache => clear_cache(state),
        Action::ResetBreaker => reset_breaker(state),
        Action::IsolateBreaker => isolate_breaker(state),
        Action::CloseBreaker => close_breaker(state),
        Action::ResizePool => resize_pool(state),
        Action::SwitchFlag => switch_flag(state),
        Action::LogLevel => log_level(state),
        Action::Trends => return open_trends(state),
        Action::ZoomIn | Action::ZoomOut => return zoom(state, action == Action::ZoomIn),
        Action::Rewind | Action::Forward if state.trends.is_some() && state.open.is_none() => {
            return pan(state, action == Action::Forward);
        }
        Action::Rewind => return rewind(state, -1),
        Action::Forward => return rewind(state, 1),
        Action::RewindFar => return rewind(state, -FAR_MS),
        Action::ForwardFar => return rewind(state, FAR_MS),
        Action::Freeze => toggle_freeze(state),
        Action::Why => return open_why(state),
        Action::Copy => return copy(state),
        Action::Export => choose_export(state),
        Action::Alerts => return show_alerts(state),
        Action::Detach => return detach(state, now),
        Action::Decide => return super::inbox::decide(state, now),
        Action::Ask => {
            state.overlays.push(Overlay::Ask);
            return vec![Effect::Query(Query::Workspace)];
        }
        Action::Costs => return open_costs(state),
        Action::Drill => drill(state),
        Action::Faults => faults(state, now),
        Action::Drain => drain(state),
        Action::Mouse => return toggle_mouse(state, now),
        Action::Utc => toggle_zone(state),
        Action::Theme => select_next_theme(state, now),
        Action::Reload => return vec![Effect::Send(Command::Reload)],
        Action::Suspend => return super::confirmations::suspend(state),
        Action::Redraw => return vec![Effect::Redraw],
    }
    Vec::new()
}

/// Why the action cannot be done now; `None` where it can.
fn refusal(state: &State, row: &Row) -> Option<&'static str> {
    let action = row.action;
    if !state.allows(action) {
        return Some(if action == Action::Decide {
            "select what waits, on the inbox, first"
        } else {
            "select a run first"
        });
    }
    let of_now = matches!(action, Action::Why | Action::RunLogs | Action::Alerts)
        || action == Action::Open && state.screen == Screen::Resilience;
    if state.rewound && (row.danger != Danger::None || of_now) {
        return Some("this is the past; space returns to now");
    }
    (state.read_only && row.danger != Danger::None).then_some("read-only")
}

/// Leaves, or asks first where runs are active.
fn quit(state: &mut State) -> Vec<Effect> {
    let active = state.live.counts.running + state.live.counts.queued;
    // An engine somewhere else goes on.
    if active == 0 || state.attached.is_some() {
        return vec![Effect::Quit];
    }
    state.overlays.push(Overlay::Quit { active });
    Vec::new()
}

fn open_filter(state: &mut State) {
    let typed = state.filters.get(&state.screen).cloned();
    let input = Input::from(typed.unwrap_or_default());
    state.overlays.push(Overlay::Filter { input });
}

/// Shows the screen that many places after this one; after the last comes the first.
fn show_neighbour(state: &mut State, by: usize) -> Vec<Effect> {
    let at = Screen::ALL.iter().position(|s| *s == state.screen);
    let to = (at.unwrap_or(0) + by) % Screen::ALL.len();
    show(state, Screen::ALL[to])
}

fn run_again(state: &State) -> Vec<Effect> {
    let run = state.current_run();
    let send = run.map(|run| Effect::Send(Command::RunAgain { run }));
    send.into_iter().collect()
}

fn show_run_logs(state: &mut State) -> Vec<Effect> {
    let run = state.current_run();
    if state.open.is_none() && state.calls.is_some() {
        let calls = state.calls_shown();
        state.seek = calls.get(state.calls_selection()).map(|c| c.agent.clone());
    }
    state.filters.remove(&Screen::Logs);
    show_logs_of(state, run)
}

fn show_alerts(state: &mut State) -> Vec<Effect> {
    state.filters.insert(Screen::Logs, "alert".into());
    show_logs_of(state, None)
}

/// Closes what is open and shows the log lines of one run, or of all.
fn show_logs_of(state: &mut State, run: Option<String>) -> Vec<Effect> {
    state.open = None;
    state.calls = None;
    state.trends = None;
    state.logs_of = run;
    state.screen = Screen::Logs;
    vec![logs_query(state)]
}

/// Holds the newest picture still, or returns to it.
fn toggle_freeze(state: &mut State) {
    state.rewound = false;
    state.frozen = match state.frozen.take() {
        Some(_) => None,
        None => {
            state.frozen_ms = state.wall_ms;
            Some(std::sync::Arc::clone(&state.live))
        }
    };
}

fn open_why(state: &mut State) -> Vec<Effect> {
    let about = state.subject();
    state.overlays.push(Overlay::Why {
        about: about.clone(),
        why: None,
        scroll: 0,
    });
    vec![Effect::Query(Query::Why { about })]
}

fn open_costs(state: &mut State) -> Vec<Effect> {
    state.overlays.push(Overlay::Costs(OpenCosts::default()));
    let days = OpenCosts::DAYS;
    vec![Effect::Query(Query::Costs { days })]
}

fn choose_export(state: &mut State) {
    let items = Form::ALL
        .map(|(form, words)| (words.to_owned(), Chosen::Export(form)))
        .to_vec();
    let body = "Into a file that only you can read; its path is shown.".to_owned();
    ask(state, "Export", body, items, 0);
}

/// Leaves an engine that is somewhere else; the own one ends with the console.
fn detach(state: &mut State, now: Now) -> Vec<Effect> {
    if state.attached.is_some() {
        return vec![Effect::Quit];
    }
    let text = "detach: this console runs its engine itself; over `bsm serve` it can leave";
    toast(state, text, true, now);
    Vec::new()
}

fn toggle_mouse(state: &mut State, now: Now) -> Vec<Effect> {
    state.mouse = !state.mouse;
    let word = if state.mouse {
        "on"
    } else {
        "off: the terminal selects text again"
    };
    toast(state, format!("mouse {word}"), false, now);
    vec![Effect::Mouse(state.mouse)]
}

fn toggle_zone(state: &mut State) {
    state.zone = match state.zone {
        Zone::Local => Zone::Utc,
        Zone::Utc => Zone::Local,
    };
}

fn select_next_theme(state: &mut State, now: Now) {
    let all = Palette::ALL;
    let at = all.iter().position(|p| *p == state.theme.palette);
    state.theme.palette = all[(at.unwrap_or(0) + 1) % all.len()];
    let text = format!("theme: {}", state.theme.palette.as_str());
    toast(state, text, false, now);
}

/// What is shown or selected, as text for the clipboard.
fn copy(state: &State) -> Vec<Effect> {
    let text = match &state.open {
        Some(open) if open.showing_report => open.report.clone(),
        Some(open) => Some(open.id.clone()),
        None => {
            let at = if state.calls.is_some() {
                state.calls_selection()
            } else {
                state.selection()
            };
            // The head is the table's first row.
            state.table().get(at + 1).map(|row| {
                // What is pasted into a shell must be one harmless line.
                let cells = row.iter().map(|cell| crate::text::clean_line(cell, 2_000));
                cells.collect::<Vec<_>>().join("  ")
            })
        }
    };
    text.map(Effect::Copy).into_iter().collect()
}
