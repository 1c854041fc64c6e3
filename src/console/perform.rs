//! What each action does to the state, and what it asks of the engine.

use super::action::{Action, Danger, Screen, row_of};
use super::export::Form;
use super::format::Zone;
use super::inbox::Entry;
use super::message::{Effect, Now};
use super::past::{FAR_MS, open_trends, pan, rewind, zoom};
use super::questions::{
    ask, cancel, clear_cache, close_breaker, drain, drill, faults, isolate_breaker, log_level,
    reset_breaker, resize_pool, switch_flag,
};
use super::state::{Chosen, OpenCalls, OpenCosts, OpenRun, Overlay, State, TriggerForm};
use super::theme::Palette;
use super::update::{LOG_LINES, toast};
use crate::engine::types::command::Command;
use crate::engine::types::query::Query;
use crate::resilience::breaker::BreakerState;
use crate::telemetry::log_read::LogFilter;
use tui_input::Input;

pub(super) fn act(state: &mut State, action: Action, now: Now) -> Vec<Effect> {
    let Some(row) = row_of(action) else {
        return Vec::new();
    };
    if !state.allows(action) {
        toast(
            state,
            format!("{}: select a run first", row.title),
            true,
            now,
        );
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
        Action::Back => {
            let filtered = state.filters.contains_key(&state.screen);
            back(state);
            if filtered && !state.filters.contains_key(&state.screen) {
                return read_again(state);
            }
        }
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
                format!("theme: {}", state.theme.palette.word()),
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

pub(super) fn logs_query(state: &State) -> Effect {
    Effect::Query(Query::Logs {
        filter: LogFilter {
            run: state.logs_of.clone(),
            terms: if state.screen == Screen::Logs {
                terms(state)
            } else {
                String::new()
            },
            limit: LOG_LINES,
            ..LogFilter::default()
        },
    })
}

/// Runs on a list read from the journal; the filter goes along, so that it looks at all there are.
const RUNS: u32 = 2_000;

fn terms(state: &State) -> String {
    state
        .filters
        .get(&state.screen)
        .cloned()
        .unwrap_or_default()
}

fn runs_query(state: &State) -> Effect {
    Effect::Query(Query::Runs {
        limit: RUNS,
        filter: terms(state),
    })
}

/// What the screen's list is made of, anew: its filter has changed.
pub(super) fn read_again(state: &State) -> Vec<Effect> {
    match state.screen {
        Screen::Runs if state.calls.is_none() => vec![runs_query(state)],
        Screen::Logs => vec![logs_query(state)],
        Screen::Inbox => super::inbox::read(),
        Screen::Memory => alike(state),
        _ => Vec::new(),
    }
}

/// What is like the text that is typed.
pub(super) fn alike(state: &State) -> Vec<Effect> {
    let text = state.memory_text();
    if text.trim().is_empty() {
        return Vec::new();
    }
    vec![Effect::Query(Query::Similar {
        text: text.to_owned(),
        k: 50,
        min_score: 0.0,
    })]
}

pub(super) fn show(state: &mut State, screen: Screen) -> Vec<Effect> {
    state.open = None;
    state.calls = None;
    state.trends = None;
    if screen == Screen::Logs && state.screen != Screen::Logs {
        state.logs_of = None;
        // What `alerts` asked for is not what somebody asks for who comes by the number.
        let asked = |f: &String| f == "alert" || f.starts_with("cache=");
        if state.filters.get(&screen).is_some_and(asked) {
            state.filters.remove(&screen);
        }
    }
    if screen == Screen::Resilience && state.screen != screen {
        worst_first(state);
    }
    if screen == Screen::Caches && state.screen != screen {
        slowest_first(state);
    }
    state.screen = screen;
    match screen {
        Screen::Logs => vec![logs_query(state)],
        Screen::Agents => vec![Effect::Query(Query::Workspace)],
        Screen::Runs => vec![runs_query(state)],
        Screen::Inbox => super::inbox::read(),
        Screen::Memory => {
            let mut effects = alike(state);
            effects.push(Effect::Query(Query::Patterns { since_ms: 0 }));
            effects.push(Effect::Query(Query::MemoryStats));
            effects
        }
        _ => Vec::new(),
    }
}

/// What is wrong is selected: an open breaker, else a pool where somebody waits.
fn worst_first(state: &mut State) {
    let s = &state.live;
    let breaker = s
        .breakers
        .iter()
        .position(|b| matches!(b.state, BreakerState::Open | BreakerState::HalfOpen));
    let pool = || s.pools.iter().position(|p| p.queued > 0);
    let failing = || s.breakers.iter().position(|b| b.window_failures > 0);
    let ready = || {
        let asked = |name: &str| s.providers.iter().any(|p| p.name == name && p.ready);
        s.breakers.iter().position(|b| asked(&b.name))
    };
    let at = breaker
        .or_else(|| pool().map(|p| s.breakers.len() + p))
        .or_else(failing)
        .or_else(ready);
    if let Some(at) = at {
        state.selected.insert(Screen::Resilience, at);
    }
}

/// The cache that fails, else the one whose last load took longest.
fn slowest_first(state: &mut State) {
    let caches = state.live.caches.iter().enumerate();
    let worst = caches.max_by_key(|(n, c)| {
        let slow = c.last_load_ms.unwrap_or(0);
        (c.last_error.is_some(), slow, std::cmp::Reverse(*n))
    });
    if let Some((at, _)) = worst {
        state.selected.insert(Screen::Caches, at);
    }
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

/// The calls to the selected provider, or through the selected pool.
fn open_calls(state: &mut State) -> Vec<Effect> {
    use crate::engine::types::why::About;
    let (About::Provider { name } | About::Pool { name }) = state.subject() else {
        return Vec::new();
    };
    calls_of(state, Some(name))
}

fn calls_of(state: &mut State, provider: Option<String>) -> Vec<Effect> {
    state.trends = None;
    state.calls = Some(OpenCalls {
        provider: provider.clone(),
        list: None,
        selected: 0,
    });
    vec![Effect::Query(Query::Calls {
        provider,
        run: None,
        failed: false,
        limit: 500,
    })]
}

/// What is behind a cache: the calls that brought its answers, or what the log says of its loads.
fn open_cache(state: &mut State) -> Vec<Effect> {
    let Some(name) = state
        .snapshot()
        .caches
        .get(state.selection())
        .map(|c| c.name.clone())
    else {
        return Vec::new();
    };
    if name == "responses" {
        return calls_of(state, None);
    }
    state.logs_of = None;
    state.screen = Screen::Logs;
    state.filters.insert(Screen::Logs, format!("cache={name}"));
    vec![logs_query(state)]
}

pub(super) fn travel(state: &mut State, action: Action) {
    if state.open.is_none() && state.calls.is_some() {
        let last = state.calls_shown().len().saturating_sub(1);
        let next = moved(state.calls_selection(), last, action);
        if let Some(calls) = &mut state.calls {
            calls.selected = next;
        }
        return;
    }
    if let Some(open) = &mut state.open {
        open.scroll = match action {
            Action::Down => open.scroll.saturating_add(1),
            Action::Up => open.scroll.saturating_sub(1),
            Action::PageDown => open.scroll.saturating_add(10),
            Action::PageUp => open.scroll.saturating_sub(10),
            Action::Top => 0,
            _ => u16::MAX / 2,
        };
        return;
    }
    let (at, last) = (state.selection(), state.rows().saturating_sub(1));
    state.selected.insert(state.screen, moved(at, last, action));
}

fn moved(at: usize, last: usize, action: Action) -> usize {
    let next = match action {
        Action::Down => at + 1,
        Action::Up => at.saturating_sub(1),
        Action::PageDown => at + 10,
        Action::PageUp => at.saturating_sub(10),
        Action::Top => 0,
        _ => last,
    };
    next.min(last)
}

pub(super) fn open(state: &mut State, now: Now) -> Vec<Effect> {
    if state.calls.is_some() && state.open.is_none() {
        return state
            .current_run()
            .map_or_else(Vec::new, |run| open_run(state, run));
    }
    match state.screen {
        Screen::Resilience => open_calls(state),
        Screen::Caches => open_cache(state),
        Screen::Overview | Screen::Runs => match (state.open.is_some(), state.current_run()) {
            (true, _) if state.current_is_active() => {
                toast(state, "no report yet: the run goes on", false, now);
                Vec::new()
            }
            (true, _) => report(state),
            (false, Some(run)) => open_run(state, run),
            // Nothing to open yet: the empty list says that Enter starts the first run.
            (false, None) if state.snapshot().runs.is_empty() => trigger_form(state),
            (false, None) => Vec::new(),
        },
        Screen::Inbox if state.open.is_none() => open_entry(state),
        Screen::Memory if state.open.is_none() => open_memory(state),
        Screen::Logs => {
            let run = state
                .logs_shown()
                .get(state.selection())
                .and_then(|l| l.run.clone());
            run.map_or_else(Vec::new, |run| {
                state.screen = Screen::Runs;
                open_run(state, run)
            })
        }
        _ => Vec::new(),
    }
}

/// An item in full: what it was found by, and what was said of it.
fn open_memory(state: &mut State) -> Vec<Effect> {
    let similar = state.memory.similar.as_ref();
    let Some(hit) = similar.and_then(|s| s.hits.get(state.selection())) else {
        return Vec::new();
    };
    let overlay = Overlay::Text {
        title: format!("{:.3} {}", hit.score, crate::text::clean_line(&hit.id, 80)),
        text: format!("{}\n\n{}", hit.review.raw(), hit.code.raw()),
        scroll: 0,
    };
    state.overlays.push(overlay);
    Vec::new()
}

/// What is behind an entry of the inbox: what is said there, or the run.
fn open_entry(state: &mut State) -> Vec<Effect> {
    let entries = state.inbox_shown();
    let entry = entries.get(state.selection()).copied();
    if let Some(Entry::Publication(p)) = entry
        && let Some(publication) = &p.publication
    {
        let overlay = Overlay::Text {
            title: format!("{} on {}", p.kind, p.place.line(80)),
            text: super::inbox::text_of(publication),
            scroll: 0,
        };
        state.overlays.push(overlay);
        return Vec::new();
    }
    let run = entry.and_then(|e| e.run());
    run.map_or_else(Vec::new, |run| open_run(state, run))
}

pub(super) fn open_run(state: &mut State, id: String) -> Vec<Effect> {
    state.saying.clear();
    state.open = Some(OpenRun {
        id: id.clone(),
        run: None,
        report: None,
        showing_report: false,
        scroll: 0,
    });
    vec![Effect::Query(Query::Run { id })]
}

pub(super) fn report(state: &mut State) -> Vec<Effect> {
    let Some(id) = state.current_run() else {
        return Vec::new();
    };
    if state.open.is_none() {
        state.open = Some(OpenRun {
            id: id.clone(),
            run: None,
            report: None,
            showing_report: false,
            scroll: 0,
        });
        return vec![
            Effect::Query(Query::Run { id: id.clone() }),
            Effect::Query(Query::Report { id }),
        ];
    }
    vec![Effect::Query(Query::Report { id })]
}

pub(super) fn back(state: &mut State) {
    if let Some(open) = &mut state.open {
        if open.showing_report {
            open.showing_report = false;
            open.scroll = 0;
        } else {
            state.open = None;
        }
    } else if state.filters.remove(&state.screen).is_some() {
    } else if state.trends.take().is_none() && state.calls.take().is_none() {
        state.rewound = false;
        state.frozen = None;
    }
}

pub(super) fn trigger_form(state: &mut State) -> Vec<Effect> {
    let events = state.events.clone();
    let event = usual_event(&events);
    state.overlays.push(Overlay::Trigger(Box::new(TriggerForm {
        events,
        event,
        subject: 0,
        text: Input::default(),
        payload: Input::default(),
        rules_only: false,
        field: 0,
        error: None,
        waits: false,
    })));
    vec![Effect::Query(Query::Workspace)]
}

/// The event that most operators start first.
pub(super) fn usual_event(events: &[(String, crate::workspace::events::EventRule)]) -> usize {
    events
        .iter()
        .position(|(name, _)| name == "pull_request.opened")
        .unwrap_or(0)
}
