//! What each message changes. Synchronous, no I/O: what must be done comes back as effects.

use std::time::Duration;

use crossterm::event::{
    KeyCode, KeyEvent, KeyEventKind, KeyModifiers, MouseButton, MouseEvent, MouseEventKind,
};

use super::actions::act;
use super::engine_messages::{on_answer, on_event, on_moment, on_no_answer, on_replies, on_reply};
use super::navigation;
use super::state::State;
use super::toasts::{look_again, toast};
use super::typed_commands;
use super::view;
use crate::console::action::{Action, Screen};
use crate::console::component::{Dialog, DialogKind, Intent, Step};
use crate::console::message::{Effect, Message, Now};
use crate::console::preferences::remember_command;
use crate::engine::protocol::query::Answer;

/// Intents that follow from one message, at most: a chain that never ends is cut.
const LONGEST_CHAIN: usize = 64;

/// Takes a message in; returns what must be done.
pub fn update(state: &mut State, message: Message, now: Now) -> Vec<Effect> {
    state.context.wall_ms = now.wall_ms;
    look_again(state, now);
    let intents = match message {
        Message::Key(key) if key.kind == KeyEventKind::Release => Vec::new(),
        Message::Key(key) => on_key(state, key),
        Message::Mouse(event) => on_mouse(state, event),
        Message::Paste(text) => on_paste(state, &text),
        Message::Resize(columns, rows) => {
            state.context.size = (columns, rows);
            Vec::new()
        }
        Message::Focus(focused) => {
            state.context.focused = focused;
            Vec::new()
        }
        Message::Snapshot(snapshot) => {
            state.context.live = snapshot;
            let top = state.places.len() - 1;
            state.places[top].component.on_snapshot(&state.context)
        }
        Message::Happened(event, missed) => {
            state.context.missed = missed;
            on_event(state, &event, now)
        }
        Message::Replied(command, result) => on_reply(state, &command, result, now),
        Message::RepliedAll { replies, not_sent } => {
            on_replies(state, &replies, not_sent, now);
            Vec::new()
        }
        Message::Answered(query, Ok(Answer::Moment { moment })) => {
            on_moment(state, &query, moment, now)
        }
        Message::Answered(query, Ok(answer)) => on_answer(state, &query, &answer),
        Message::Answered(query, Err(error)) => {
            on_no_answer(state, &query, &error.to_string(), now);
            Vec::new()
        }
        Message::Exported(result) => {
            let bad = result.is_err();
            toast(state, result.unwrap_or_else(|e| e), bad, now);
            Vec::new()
        }
        Message::Tick => {
            let top = state.places.len() - 1;
            state.places[top].component.on_tick(&state.context)
        }
        Message::Gone => vec![Intent::Do(Effect::Quit)],
    };
    let effects = carry_out(state, intents, now);
    let typing = state
        .dialogs
        .last()
        .map(|d| d.kind())
        .is_some_and(|kind| matches!(kind, DialogKind::Filter | DialogKind::Search));
    state.context.typing = typing;
    effects
}

/// Shows the screen to begin with; returns what it needs to read.
pub fn start(state: &mut State, screen: Screen, now: Now) -> Vec<Effect> {
    let intents = navigation::show(state, screen);
    carry_out(state, intents, now)
}

/// Carries intents out, and those that follow from them; what is left is for the outside.
fn carry_out(state: &mut State, intents: Vec<Intent>, now: Now) -> Vec<Effect> {
    let mut effects = Vec::new();
    let mut waiting: std::collections::VecDeque<Intent> = intents.into();
    let mut left = LONGEST_CHAIN;
    while let Some(intent) = waiting.pop_front() {
        // What is for the outside leads to nothing here, so it does not count.
        if let Intent::Do(effect) = intent {
            if let Effect::SendAll(commands) = &effect {
                let top = state.places.len() - 1;
                state.places[top].component.on_sent(commands);
            }
            effects.push(effect);
            continue;
        }
        if left == 0 {
            break;
        }
        left -= 1;
        let next = match intent {
            Intent::Do(_) => continue,
            Intent::SaveFilter(text) => {
                navigation::save_filter(state, &text, now);
                continue;
            }
            Intent::Navigate(route) => navigation::open(state, route),
            Intent::Open(dialog) => {
                state.open(dialog);
                continue;
            }
            Intent::Toast { text, bad } => {
                toast(state, text, bad, now);
                continue;
            }
            Intent::Act(action) => act(state, action),
            Intent::Filter { text, done } => {
                let top = state.places.len() - 1;
                let component = &mut state.places[top].component;
                component.set_filter(text, done, &state.context)
            }
            Intent::Typed(line) => typed_commands::run(state, &line),
            Intent::RememberCommand(line) => {
                remember_command(&mut state.context.commands, &line);
                continue;
            }
            Intent::ShowColumns(heads) => {
                let top = state.places.len() - 1;
                state.places[top].component.set_columns(&heads);
                continue;
            }
            Intent::Search { text, done } => {
                let top = state.places.len() - 1;
                let component = &mut state.places[top].component;
                component.set_search(text, done, &state.context)
            }
        };
        for intent in next.into_iter().rev() {
            waiting.push_front(intent);
        }
    }
    effects
}

/// The wheel moves the selection; a click goes to a screen, selects a row, and opens it when it was
/// selected already. Never needed: every one of these is a key.
fn on_mouse(state: &mut State, event: MouseEvent) -> Vec<Intent> {
    let at = (event.column, event.row);
    let area = view::whole(&state.context);
    if let Some(mut dialog) = state.dialogs.pop() {
        let step = match event.kind {
            MouseEventKind::Down(MouseButton::Left) => dialog.on_click(at, area, &state.context),
            MouseEventKind::ScrollDown | MouseEventKind::ScrollUp => {
                let action = wheel(event.kind);
                let key = KeyEvent::from(KeyCode::Null);
                dialog.on_key(key, Some(action), &state.context)
            }
            _ => Step::stay(),
        };
        return stepped(state, dialog, step);
    }
    match event.kind {
        MouseEventKind::ScrollDown | MouseEventKind::ScrollUp => act(state, wheel(event.kind)),
        MouseEventKind::Down(MouseButton::Left) => match view::hit(state, at) {
            Some(view::Hit::Action(action)) => act(state, action),
            Some(view::Hit::Body(area)) => {
                let top = state.places.len() - 1;
                let component = &mut state.places[top].component;
                component.on_click(at, area, &state.context)
            }
            None => Vec::new(),
        },
        _ => Vec::new(),
    }
}

fn wheel(kind: MouseEventKind) -> Action {
    match kind {
        MouseEventKind::ScrollUp => Action::Up,
        _ => Action::Down,
    }
}

fn on_paste(state: &mut State, text: &str) -> Vec<Intent> {
    // Terminals send a pasted line's end as a carriage return.
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let dialog = state.dialogs.last_mut();
    dialog.map_or_else(Vec::new, |d| d.on_paste(&text, &state.context))
}

fn on_key(state: &mut State, key: KeyEvent) -> Vec<Intent> {
    let action = state.context.keys.action(key);
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    if action == Some(Action::Quit) && key.code == KeyCode::Char('c') && control {
        return vec![Intent::Do(Effect::Quit)]; // Ctrl-C always leaves
    }
    if view::is_too_small(state.context.size) {
        // What cannot be seen must not be answered.
        return match action {
            Some(Action::Quit) if state.dialogs.is_empty() => act(state, Action::Quit),
            _ if key.code == KeyCode::Esc => {
                state.dialogs.pop();
                Vec::new()
            }
            _ => Vec::new(),
        };
    }
    if let Some(action @ (Action::Suspend | Action::Redraw)) = action.filter(|_| control) {
        let answer = state.dialogs.last().and_then(|d| d.repeats(action));
        if let Some(intents) = answer {
            state.dialogs.pop();
            return intents;
        }
        return act(state, action);
    }
    let Some(mut dialog) = state.dialogs.pop() else {
        let top = state.top();
        let panels = top.panels(&state.context) > 1;
        let action = state.context.keys.action_in(key, top.scope(), panels);
        return action.map_or_else(Vec::new, |action| act(state, action));
    };
    let step = dialog.on_key(key, action, &state.context);
    stepped(state, dialog, step)
}

/// A dialog stays on top or closes; one that goes on is kept.
fn stepped(state: &mut State, dialog: Box<dyn Dialog>, step: Step) -> Vec<Intent> {
    if !step.closes {
        state.dialogs.push(dialog);
    } else if !dialog.ends_when_closed() {
        state.keep(dialog);
    }
    step.intents
}

/// The soonest time at which something on the screen changes by itself.
pub fn next_wake(state: &State, now: Now) -> Option<Duration> {
    let toasts = state.toasts.iter();
    let toast = toasts
        .map(|t| t.until.saturating_duration_since(now.at))
        .min();
    let follow_ups = state.follow_ups.iter();
    let again = follow_ups
        .map(|f| f.at.saturating_duration_since(now.at))
        .min();
    let second = state.context.animates().then_some(Duration::from_secs(1));
    // The header's clock.
    let minute = Some(Duration::from_millis(
        60_000 - now.wall_ms.rem_euclid(60_000).unsigned_abs(),
    ));
    let due = state.top().wakes_ms();
    let due = due.map(|at| Duration::from_millis((at - now.wall_ms).max(0).unsigned_abs()));
    [toast, again, second, minute, due]
        .into_iter()
        .flatten()
        .min()
        .map(|d| d.max(Duration::from_millis(50)))
}
