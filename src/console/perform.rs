//! What each action does to the state, and what it asks of the engine.

use super::action::{Action, Danger, Screen, row_of};
use super::export::Form;
use super::format::Zone;
use super::going::{back, logs_query, open, report, show, travel, trigger_form};
use super::message::{Effect, Now};
use super::notes::toast;
use super::past::{FAR_MS, open_trends, pan, rewind, zoom};
use super::questions::{
    ask, cancel, clear_cache, close_breaker, drain, drill, faults, isolate_breaker, log_level,
    reset_breaker, resize_pool, switch_flag,
};
use super::state::{Chosen, OpenCosts, Overlay, State};
use super::theme::Palette;
use crate::engine::protocol::command::Command;
use crate::engine::protocol::query::Query;
use tui_input::Input;

pub(super) fn act(state: &mut State, action: Action, now: Now) -> Vec<Effect> {
    let Some(row) = row_of(action) else {
        return Vec::new();
    };
    if !state.allows(action) {
        let what = if action == Action::Decide {
            "select what waits, on the inbox, first"
        } else {
            "select a run first"
        };
        toast(state, format!("{}: {what}", row.title), true, now);
        return Vec::new();
    }
    let of_now = matches!(action, Action::Why | Action::RunLogs | Action::Alerts)
        || action == Action::Open && state.screen == Screen::Resilience;
    if state.rewound && (row.danger != Danger::None || of_now) {
        let text = format!("{}: this is the past; space returns to now", row.title);
        toast(state, text, true, now);
        return Vec::new();
    }
    if state.read_only && row.danger != Danger::None {
        toast(state, format!("{}: read-only", row.title), true, now);
        return Vec::new();
    }
    match action {
        Action::Quit => {
            let active = state.live.counts.running + state.live.counts.queued;
            // An engine somewhere else goes on.
            if active == 0 || state.attached.is_some() {
                return vec![Effect::Quit];
            }
            state.overlays.push(Overlay::Quit { active });
        }
        Action::Help => state.overlays.push(Overlay::Help { scroll: 0 }),
        Action::Palette => state.overlays.push(Overlay::Palette {
            input: Input::default(),
            selected: 0,
        }),
        Action::Filter => {
            let input = Input::from(
                state
                    .filters
                    .get(&state.screen)
                    .cloned()
                    .unwrap_or_default(),
            );
            state.overlays.push(Overlay::Filter { input });
        }
        Action::NextScreen | Action::PreviousScreen => {
            let at = Screen::ALL
                .iter()
                .position(|s| *s == state.screen)
                .unwrap_or(0);
            let by = if action == Action::NextScreen {
                1
            } else {
                Screen::ALL.len() - 1
            };
            return show(state, Screen::ALL[(at + by) % Screen::ALL.len()]);
        }
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
        Action::RunAgain => {
            return state
                .current_run()
                .map(|run| Effect::Send(Command::RunAgain { run }))
                .into_iter()
                .collect();
        }
        Action::Report => return report(state),
        Action::RunLogs => {
            let run = state.current_run();
            if state.open.is_none() && state.calls.is_some() {
                let calls = state.calls_shown();
                state.seek = calls.get(state.calls_selection()).map(|c| c.agent.clone());
            }
            state.filters.remove(&Screen::Logs);
            state.calls = None;
            state.trends = None;
            state.open = None;
            state.logs_of = run;
            state.screen = Screen::Logs;
            return vec![logs_query(state)];
        }
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
        Action::Freeze => {
            state.rewound = false;
            state.frozen = match state.frozen.take() {
                Some(_) => None,
                None => {
                    state.frozen_ms = state.wall_ms;
                    Some(std::sync::Arc::clone(&state.live))
                }
            };
        }
        Action::Why => {
            let about = state.subject();
            state.overlays.push(Overlay::Why {
                about: about.clone(),
                why: None,
                scroll: 0,
            });
            return vec![Effect::Query(Query::Why { about })];
        }
        Action::Copy => return copy(state),
        Action::Export => {
            let items = Form::ALL
                .map(|(form, words)| (words.to_owned(), Chosen::Export(form)))
                .to_vec();
            let body = "Into a file that only you can read; its path is shown.".to_owned();
            ask(state, "Take it out", body, items, 0);
        }
        Action::Alerts => {
            state.open = None;
            state.calls = None;
            state.trends = None;
            state.logs_of = None;
            state.screen = Screen::Logs;
            state.filters.insert(Screen::Logs, "alert".into());
            return vec![logs_query(state)];
        }
        Action::Detach if state.attached.is_some() => return vec![Effect::Quit],
        Action::Detach => {
            let text = "detach: this console runs its engine itself; over `bsm serve` it can leave";
            toast(state, text, true, now);
        }
        Action::Decide => return super::inbox::decide(state, now),
        Action::Ask => {
            state.overlays.push(Overlay::Ask);
            return vec![Effect::Query(Query::Workspace)];
        }
        Action::Costs => {
            state.overlays.push(Overlay::Costs(OpenCosts::default()));
            let days = OpenCosts::DAYS;
            return vec![Effect::Query(Query::Costs { days })];
        }
        Action::Drill => drill(state),
        Action::Faults => faults(state, now),
        Action::Drain => drain(state),
        Action::Mouse => {
            state.mouse = !state.mouse;
            let word = if state.mouse {
                "on"
            } else {
                "off: the terminal selects text again"
            };
            toast(state, format!("mouse {word}"), false, now);
            return vec![Effect::Mouse(state.mouse)];
        }
        Action::Utc => {
            state.zone = match state.zone {
                Zone::Local => Zone::Utc,
                Zone::Utc => Zone::Local,
            };
        }
        Action::Theme => {
            let all = Palette::ALL;
            let at = all.iter().position(|p| *p == state.theme.palette);
            state.theme.palette = all[(at.unwrap_or(0) + 1) % all.len()];
            toast(
                state,
                format!("theme: {}", state.theme.palette.as_str()),
                false,
                now,
            );
        }
        Action::Reload => return vec![Effect::Send(Command::Reload)],
        Action::Suspend => return vec![Effect::Suspend],
        Action::Redraw => return vec![Effect::Redraw],
    }
    Vec::new()
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
