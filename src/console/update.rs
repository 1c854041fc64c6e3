//! What each message changes. Synchronous, no I/O: what must be done comes back as effects.

use std::time::Duration;

use crossterm::event::{
    KeyCode, KeyEvent, KeyEventKind, KeyModifiers, MouseButton, MouseEvent, MouseEventKind,
};
use tui_input::Input;

use super::action::{Action, Screen};
use super::message::{Effect, Message, Now};
use super::overlay_keys::{
    on_choice_key, on_filter_key, on_form_key, on_help_key, on_palette_key, on_typed_key,
    on_why_key,
};
use super::state::{OpenCosts, OpenTrends, Overlay, State, Toast};
use super::view::{self, Hit};
use crate::console::actions::act;
use crate::console::engine_messages::{on_answer, on_event, on_moment, on_no_answer, on_reply};
use crate::console::navigation::read_again;
use crate::console::timeline::ask_trends;
use crate::console::toasts::{look_again, toast};
use crate::engine::protocol::query::Answer;
use crate::text::clean_line;

/// Takes a message in; returns what must be done.
pub fn update(state: &mut State, message: Message, now: Now) -> Vec<Effect> {
    state.wall_ms = now.wall_ms;
    state.toasts.retain(|t| t.until > now.at);
    look_again(state, now);
    match message {
        Message::Key(key) if key.kind == KeyEventKind::Release => Vec::new(),
        Message::Key(key) => on_key(state, key, now),
        Message::Mouse(event) => on_mouse(state, event, now),
        Message::Paste(text) => on_paste(state, &text),
        Message::Resize(columns, rows) => {
            state.size = (columns, rows);
            Vec::new()
        }
        Message::Focus(focused) => {
            state.focused = focused;
            Vec::new()
        }
        Message::Snapshot(snapshot) => {
            let news = state.live.github != snapshot.github;
            state.live = snapshot;
            if news && state.screen == Screen::Inbox {
                return super::inbox::read();
            }
            let follows = |t: &OpenTrends| {
                let each = (t.span_ms / 400).max(2_000);
                t.to_ms.is_none() && now.wall_ms - t.asked_ms >= each
            };
            if state.trends.as_ref().is_some_and(follows) {
                return ask_trends(state);
            }
            Vec::new()
        }
        Message::Happened(event, missed) => {
            state.missed = missed;
            on_event(state, &event, now)
        }
        Message::Replied(command, result) => on_reply(state, &command, result, now),
        Message::Answered(query, result) => {
            match result {
                Ok(Answer::Moment { moment }) => return on_moment(state, &query, moment, now),
                Ok(answer) => {
                    on_answer(state, &query, answer);
                    return starts_now(state, now);
                }
                Err(error) => on_no_answer(state, &query, &error.to_string(), now),
            }
            Vec::new()
        }
        Message::Exported(result) => {
            let bad = result.is_err();
            toast(state, result.unwrap_or_else(|e| e), bad, now);
            Vec::new()
        }
        Message::Tick => Vec::new(),
        Message::Gone => vec![Effect::Quit],
    }
}

/// The wheel moves the selection; a click goes to a screen, selects a row, and opens it when it was
/// selected already. Never needed: every one of these is a key.
fn on_mouse(state: &mut State, event: MouseEvent, now: Now) -> Vec<Effect> {
    if !state.overlays.is_empty() {
        return Vec::new();
    }
    match event.kind {
        MouseEventKind::ScrollDown => act(state, Action::Down, now),
        MouseEventKind::ScrollUp => act(state, Action::Up, now),
        MouseEventKind::Down(MouseButton::Left) => {
            match view::hit(state, event.column, event.row) {
                Some(Hit::Screen(screen)) => act(state, Action::Show(screen), now),
                Some(Hit::Row(row)) => {
                    let before = state.list_selection();
                    state.select(row);
                    if before == row {
                        return act(state, Action::Open, now);
                    }
                    Vec::new()
                }
                None => Vec::new(),
            }
        }
        _ => Vec::new(),
    }
}

fn on_paste(state: &mut State, text: &str) -> Vec<Effect> {
    // A payload may be pasted as it was printed; everything else is one line.
    // Terminals send a pasted line's end as a carriage return.
    let text = &text.replace("\r\n", "\n").replace('\r', "\n");
    if matches!(state.overlays.last(), Some(Overlay::Ask)) {
        // A trace or a diff keeps its lines.
        const MOST: usize = 30_000;
        let typed = |c: &char| *c == '\n' || *c == '\t' || !c.is_control();
        for c in text.chars().filter(typed).take(MOST) {
            let insert = tui_input::InputRequest::InsertChar(c);
            state.talk.input.handle(insert);
        }
        return Vec::new();
    }
    let payload = matches!(state.overlays.last(), Some(Overlay::Trigger(form)) if form.field == 3);
    // Code is pasted as it is; its first thousand characters count.
    let code = state.screen == Screen::Memory
        && matches!(state.overlays.last(), Some(Overlay::Filter { .. }));
    let line = if code {
        clean_line(&text.lines().collect::<Vec<_>>().join(" "), 4_000)
    } else if payload {
        clean_line(&text.lines().collect::<Vec<_>>().join(" "), 200_000)
    } else {
        clean_line(text.lines().next().unwrap_or_default(), 2_000)
    };
    if let Some(input) = state.overlays.last_mut().and_then(input_of) {
        for c in line.chars() {
            input.handle(tui_input::InputRequest::InsertChar(c));
        }
    }
    if let Some(Overlay::Filter { input }) = state.overlays.last() {
        state.filters.insert(state.screen, input.value().to_owned());
        return read_again(state);
    }
    Vec::new()
}

fn input_of(overlay: &mut Overlay) -> Option<&mut Input> {
    match overlay {
        Overlay::Palette { input, .. }
        | Overlay::Filter { input }
        | Overlay::Typed { input, .. } => Some(input),
        Overlay::Decide(form) => match form.field {
            1 => Some(&mut form.reason),
            2 => Some(&mut form.token),
            _ => None,
        },
        Overlay::Trigger(form) => match form.field {
            2 => Some(&mut form.text),
            3 => Some(&mut form.payload),
            _ => None,
        },
        _ => None,
    }
}

/// Presses the Enter that came before what it needs was there.
fn starts_now(state: &mut State, now: Now) -> Vec<Effect> {
    match state.overlays.last() {
        Some(Overlay::Trigger(form)) if form.waits && !form.events.is_empty() => {
            on_key(state, KeyEvent::from(KeyCode::Enter), now)
        }
        _ => Vec::new(),
    }
}

fn on_key(state: &mut State, key: KeyEvent, now: Now) -> Vec<Effect> {
    let action = state.keys.action(key);
    if action == Some(Action::Quit)
        && key.code == KeyCode::Char('c')
        && key.modifiers.contains(KeyModifiers::CONTROL)
    {
        return vec![Effect::Quit]; // Ctrl-C always leaves
    }
    if view::is_too_small(state.size) {
        // What cannot be seen must not be answered.
        return match action {
            Some(Action::Quit) if state.overlays.is_empty() => act(state, Action::Quit, now),
            _ if key.code == KeyCode::Esc => {
                state.overlays.pop();
                Vec::new()
            }
            _ => Vec::new(),
        };
    }
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    if let Some(action @ (Action::Suspend | Action::Redraw)) = action.filter(|_| control) {
        return act(state, action, now);
    }
    let Some(mut overlay) = state.overlays.pop() else {
        return action.map_or_else(Vec::new, |action| act(state, action, now));
    };
    let (keep, effects) = match &mut overlay {
        Overlay::Help { scroll } => on_help_key(scroll, action),
        Overlay::Why { why, scroll, .. } => on_why_key(state, why.as_deref(), scroll, action, now),
        Overlay::Palette { input, selected } => on_palette_key(state, input, selected, key, now),
        Overlay::Trigger(form) => {
            let (keep, effects) = on_form_key(form, key);
            state.sent_form = (!keep && !effects.is_empty()).then(|| form.clone());
            (keep, effects)
        }
        Overlay::Choice(choice) => on_choice_key(choice, key, action),
        Overlay::Ask => crate::console::chat::on_key(state, key),
        Overlay::Drill => (!closes(key), Vec::new()),
        Overlay::Decide(form) => super::inbox::on_key(form, key),
        Overlay::Text { scroll, .. } => on_text_key(scroll, key, action),
        Overlay::Costs(open) => on_costs_key(open, key, action),
        Overlay::Filter { input } => on_filter_key(state, input, key),
        Overlay::Typed {
            word,
            input,
            command,
            ..
        } => on_typed_key(word, input, command, key),
        Overlay::Quit { .. } => match key.code {
            KeyCode::Char('y' | 'q') | KeyCode::Enter => (false, vec![Effect::Quit]),
            KeyCode::Esc | KeyCode::Char('n') => (false, Vec::new()),
            _ => (true, Vec::new()),
        },
    };
    if keep {
        // An action of the palette may have opened another overlay: that one stays on top.
        let at = state.overlays.len();
        state.overlays.insert(at, overlay);
    }
    effects
}

fn on_text_key(scroll: &mut u16, key: KeyEvent, action: Option<Action>) -> (bool, Vec<Effect>) {
    match action {
        Some(Action::Down) => *scroll = scroll.saturating_add(1),
        Some(Action::Up) => *scroll = scroll.saturating_sub(1),
        Some(Action::PageDown) => *scroll = scroll.saturating_add(10),
        Some(Action::PageUp) => *scroll = scroll.saturating_sub(10),
        _ => return (!closes(key), Vec::new()),
    }
    (true, Vec::new())
}

fn closes(key: KeyEvent) -> bool {
    matches!(key.code, KeyCode::Esc | KeyCode::Enter | KeyCode::Char('q'))
}

fn on_costs_key(
    open: &mut OpenCosts,
    key: KeyEvent,
    action: Option<Action>,
) -> (bool, Vec<Effect>) {
    match (key.code, action) {
        (KeyCode::Tab, _) => open.way += 1,
        (KeyCode::BackTab, _) => open.way += 3,
        (_, Some(Action::Down)) => open.scroll = open.scroll.saturating_add(1),
        (_, Some(Action::Up)) => open.scroll = open.scroll.saturating_sub(1),
        _ => return (!closes(key), Vec::new()),
    }
    (true, Vec::new())
}

/// The soonest time at which something on the screen changes by itself.
pub fn next_wake(state: &State, now: Now) -> Option<Duration> {
    let toast = state
        .toasts
        .iter()
        .map(|t: &Toast| t.until.saturating_duration_since(now.at))
        .min();
    let again = state
        .follow_ups
        .iter()
        .map(|f| f.at.saturating_duration_since(now.at))
        .min();
    let second = state.animates().then_some(Duration::from_secs(1));
    // The header's clock.
    let minute = Some(Duration::from_millis(
        60_000 - now.wall_ms.rem_euclid(60_000).unsigned_abs(),
    ));
    [toast, again, second, minute]
        .into_iter()
        .flatten()
        .min()
        .map(|d| d.max(Duration::from_millis(50)))
}
