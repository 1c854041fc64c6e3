//! Where the operator goes: from screen to screen, into what is selected, and back.
//!
//! Why apart from `perform.rs`: here nothing is done to the engine, only asked of it.

use super::action::{Action, Screen};
use super::inbox::Entry;
use super::message::{Effect, Now};
use super::state::{OpenCalls, OpenRun, Overlay, State};
use crate::console::run_form::{TriggerForm, usual_event};
use crate::console::toasts::toast;
use crate::engine::protocol::query::Query;
use crate::resilience::breaker::BreakerState;
use crate::telemetry::log_read::LogFilter;
use tui_input::Input;

/// Log lines on a list.
const LOG_LINES: usize = 1_000;

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

/// The calls to the selected provider, or through the selected pool.
fn open_calls(state: &mut State) -> Vec<Effect> {
    use crate::engine::protocol::why::About;
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
    let mut effects = if state.open.is_none() {
        open_run(state, id.clone())
    } else {
        Vec::new()
    };
    effects.push(Effect::Query(Query::Report { id }));
    effects
}

pub(super) fn back(state: &mut State) -> Vec<Effect> {
    if let Some(open) = &mut state.open {
        if open.showing_report {
            open.showing_report = false;
            open.scroll = 0;
        } else {
            state.open = None;
        }
    } else if state.filters.remove(&state.screen).is_some() {
        return read_again(state);
    } else if state.screen == Screen::Logs
        && let Some(run) = state.logs_of.take()
    {
        // Come from a run, back to it.
        state.screen = Screen::Runs;
        return open_run(state, run);
    } else if state.trends.take().is_none() && state.calls.take().is_none() {
        state.rewound = false;
        state.frozen = None;
    }
    Vec::new()
}

/// The form that starts a run.
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
