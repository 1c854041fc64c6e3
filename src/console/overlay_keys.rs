//! Keys while something lies over the screen: help, palette, filter, choices, the form.

use super::action::{ACTIONS, Action, Row, Screen};
use super::message::{Effect, Now};
use super::state::{Choice, Chosen, State, SubjectKind, TriggerForm};
use crate::console::actions::act;
use crate::console::navigation::read_again;
use crate::engine::protocol::command::Command;
use crate::engine::protocol::why::Why;
use crossterm::event::{Event as TerminalEvent, KeyCode, KeyEvent};
use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher};
use tui_input::Input;
use tui_input::backend::crossterm::EventHandler as _;

/// Scrolls; copies it as a note; one of the keys that help closes it and does that.
pub(super) fn on_why_key(
    state: &mut State,
    why: Option<&Why>,
    scroll: &mut u16,
    action: Option<Action>,
    now: Now,
) -> (bool, Vec<Effect>) {
    match action {
        Some(Action::Down) => *scroll = scroll.saturating_add(1).min(100),
        Some(Action::Up) => *scroll = scroll.saturating_sub(1),
        Some(Action::Back | Action::Why | Action::Quit) => return (false, Vec::new()),
        Some(Action::Copy) => {
            let note = why.map(Why::note);
            return (true, note.map(Effect::Copy).into_iter().collect());
        }
        Some(action) => {
            let name = super::action::row_of(action).map_or("", |r| r.name);
            if why.is_some_and(|w| w.helps.iter().any(|h| h.action == name)) {
                return (false, act(state, action, now));
            }
        }
        None => {}
    }
    (true, Vec::new())
}

pub(super) fn on_help_key(scroll: &mut u16, action: Option<Action>) -> (bool, Vec<Effect>) {
    match action {
        Some(Action::Down) => *scroll = scroll.saturating_add(1).min(ACTIONS.len() as u16),
        Some(Action::Up) => *scroll = scroll.saturating_sub(1),
        Some(Action::PageDown) => *scroll = scroll.saturating_add(10).min(ACTIONS.len() as u16),
        Some(Action::PageUp) => *scroll = scroll.saturating_sub(10),
        Some(Action::Back | Action::Help | Action::Quit | Action::Open) => {
            return (false, Vec::new());
        }
        _ => {}
    }
    (true, Vec::new())
}

/// Actions that match what is typed, best first.
pub fn palette_hits(typed: &str) -> Vec<&'static Row> {
    if typed.trim().is_empty() {
        return ACTIONS.iter().collect();
    }
    let pattern = Pattern::parse(typed, CaseMatching::Ignore, Normalization::Smart);
    let mut matcher = Matcher::new(Config::DEFAULT);
    let mut buffer = Vec::new();
    let mut hits: Vec<(u32, &Row)> = ACTIONS
        .iter()
        .filter_map(|row| {
            let text = format!("{} {}", row.title, row.name);
            let score = pattern.score(
                nucleo_matcher::Utf32Str::new(&text, &mut buffer),
                &mut matcher,
            )?;
            Some((score, row))
        })
        .collect();
    hits.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
    hits.into_iter().map(|(_, row)| row).collect()
}

pub(super) fn on_palette_key(
    state: &mut State,
    input: &mut Input,
    selected: &mut usize,
    key: KeyEvent,
    now: Now,
) -> (bool, Vec<Effect>) {
    let hits = palette_hits(input.value());
    match key.code {
        KeyCode::Esc => (false, Vec::new()),
        KeyCode::Down | KeyCode::Tab => {
            *selected = (*selected + 1).min(hits.len().saturating_sub(1));
            (true, Vec::new())
        }
        KeyCode::Up | KeyCode::BackTab => {
            *selected = selected.saturating_sub(1);
            (true, Vec::new())
        }
        KeyCode::Enter => {
            let action = hits.get(*selected).map(|r| r.action);
            (false, action.map_or_else(Vec::new, |a| act(state, a, now)))
        }
        _ => {
            input.handle_event(&TerminalEvent::Key(key));
            *selected = 0;
            (true, Vec::new())
        }
    }
}

pub(super) fn on_filter_key(
    state: &mut State,
    input: &mut Input,
    key: KeyEvent,
) -> (bool, Vec<Effect>) {
    match key.code {
        KeyCode::Enter => return (false, read_again(state)),
        KeyCode::Esc => {
            state.filters.remove(&state.screen);
            return (false, read_again(state));
        }
        _ => {
            input.handle_event(&TerminalEvent::Key(key));
        }
    }
    state.filters.insert(state.screen, input.value().to_owned());
    // Other lists have what they show; the memory is asked with each key.
    let asks = state.screen == Screen::Memory;
    (true, if asks { read_again(state) } else { Vec::new() })
}

pub(super) fn on_choice_key(
    choice: &mut Choice,
    key: KeyEvent,
    action: Option<Action>,
) -> (bool, Vec<Effect>) {
    match (key.code, action) {
        (_, Some(Action::Down)) => {
            choice.selected = (choice.selected + 1).min(choice.items.len().saturating_sub(1));
            (true, Vec::new())
        }
        (_, Some(Action::Up)) => {
            choice.selected = choice.selected.saturating_sub(1);
            (true, Vec::new())
        }
        (KeyCode::Enter | KeyCode::Char('y'), _) => {
            let chosen = choice.items.get(choice.selected).map(|(_, c)| c.clone());
            let effect = chosen.map(|c| match c {
                Chosen::Send(command) => Effect::Send(command),
                Chosen::Export(form) => Effect::Export(form),
                Chosen::Look(query) => Effect::Query(query),
                Chosen::Suspend => Effect::Suspend,
            });
            (false, effect.into_iter().collect())
        }
        (KeyCode::Esc | KeyCode::Char('n' | 'q'), _) => (false, Vec::new()),
        _ => (true, Vec::new()),
    }
}

/// Enter sends only when the word is there, whole.
pub(super) fn on_typed_key(
    word: &str,
    input: &mut Input,
    command: &Command,
    key: KeyEvent,
) -> (bool, Vec<Effect>) {
    match key.code {
        KeyCode::Esc => (false, Vec::new()),
        KeyCode::Enter if input.value().trim() == word => {
            (false, vec![Effect::Send(command.clone())])
        }
        _ => {
            input.handle_event(&TerminalEvent::Key(key));
            (true, Vec::new())
        }
    }
}

pub(super) fn on_form_key(form: &mut TriggerForm, key: KeyEvent) -> (bool, Vec<Effect>) {
    const FIELDS: usize = 5;
    form.error = None;
    form.waits = false;
    let has_text = form.kind().summary().1.is_some();
    let step = |from: usize, by: usize| {
        let next = (from + by) % FIELDS;
        if next == 2 && !has_text {
            (next + by) % FIELDS
        } else {
            next
        }
    };
    let turn = |at: usize, most: usize, forward: bool| {
        if forward {
            (at + 1) % most.max(1)
        } else {
            (at + most.max(1) - 1) % most.max(1)
        }
    };
    match key.code {
        KeyCode::Esc => return (false, Vec::new()),
        KeyCode::Tab | KeyCode::Down => form.field = step(form.field, 1),
        KeyCode::BackTab | KeyCode::Up => form.field = step(form.field, FIELDS - 1),
        KeyCode::Enter => {
            if matches!(form.kind(), SubjectKind::DiffFile | SubjectKind::GitRange)
                && form.text.value().trim().is_empty()
            {
                form.error = form
                    .kind()
                    .summary()
                    .1
                    .map(|what| format!("give the {what}"));
                form.field = 2;
                return (true, Vec::new());
            }
            if form.events.is_empty() {
                form.waits = true;
                form.error =
                    Some("the events are still being read: it starts when they are there".into());
                return (true, Vec::new());
            }
            match form.trigger() {
                Ok(trigger) => return (false, vec![Effect::Send(Command::Trigger(trigger))]),
                Err(error) => {
                    form.error = Some(crate::text::clean_line(&error, 120));
                    form.field = 3;
                }
            }
        }
        KeyCode::Left | KeyCode::Right | KeyCode::Char(' ' | 'h' | 'l' | 'j' | 'k')
            if form.field < 2 || form.field == 4 =>
        {
            let forward = !matches!(key.code, KeyCode::Left | KeyCode::Char('h' | 'k'));
            if form.field == 4 {
                form.rules_only = !form.rules_only;
            } else if form.field == 0 {
                form.event = turn(form.event, form.events.len(), forward);
            } else {
                form.subject = turn(form.subject, SubjectKind::ALL.len(), forward);
            }
        }
        _ => {
            let input = match form.field {
                2 => Some(&mut form.text),
                3 => Some(&mut form.payload),
                _ => None,
            };
            if let Some(input) = input {
                input.handle_event(&TerminalEvent::Key(key));
            }
        }
    }
    (true, Vec::new())
}
