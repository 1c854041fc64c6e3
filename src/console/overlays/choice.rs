//! A question before something is done: what it will do, in words, and to what. The one way to confirm.

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::console::action::Action;
use crate::console::component::{Dialog, DialogKind, Intent, Step};
use crate::console::context::Context;
use crate::console::message::Effect;
use crate::console::theme::Role;
use crate::console::widgets::list::first_visible;
use crate::console::widgets::panel::window;
use crate::console::widgets::text::{put, row, wrap};

/// A choice.
#[derive(Debug, Clone)]
pub struct Choice {
    title: String,
    body: String,
    items: Vec<(String, Effect)>,
    selected: usize,
    repeats: Option<Action>,
}

impl Choice {
    /// What is asked, what it will do, and what can be chosen.
    pub fn new(title: &str, body: String, items: Vec<(String, Effect)>) -> Self {
        Self {
            title: title.to_owned(),
            body,
            items,
            selected: 0,
            repeats: None,
        }
    }

    /// With this item selected.
    #[must_use]
    pub fn selecting(mut self, at: usize) -> Self {
        self.selected = at.min(self.items.len().saturating_sub(1));
        self
    }

    /// The same action again chooses.
    #[must_use]
    pub fn repeated_by(mut self, action: Action) -> Self {
        self.repeats = Some(action);
        self
    }

    fn chosen(&self) -> Vec<Intent> {
        let chosen = self.items.get(self.selected);
        let chosen = chosen.map(|(_, effect)| Intent::Do(effect.clone()));
        chosen.into_iter().collect()
    }
}

impl Dialog for Choice {
    fn kind(&self) -> DialogKind {
        DialogKind::Choice
    }

    fn on_key(&mut self, key: KeyEvent, action: Option<Action>, _cx: &Context) -> Step {
        match (key.code, action) {
            (_, Some(Action::Down)) => {
                self.selected = (self.selected + 1).min(self.items.len().saturating_sub(1));
            }
            (_, Some(Action::Up)) => self.selected = self.selected.saturating_sub(1),
            (KeyCode::Enter | KeyCode::Char('y'), _) => return Step::finish(self.chosen()),
            (KeyCode::Esc | KeyCode::Char('n' | 'q'), _) => return Step::close(),
            _ => {}
        }
        Step::stay()
    }

    fn repeats(&self, action: Action) -> Option<Vec<Intent>> {
        (self.repeats == Some(action)).then(|| self.chosen())
    }

    fn draw(&self, cx: &Context, area: Rect, buffer: &mut Buffer) {
        let choice = self;
        let theme = cx.theme;
        let longest = choice.items.iter().map(|(label, _)| label.chars().count());
        let width = (longest.max().unwrap_or(0) as u16 + 4).clamp(76, 110);
        // What is said of the consequence is never cut, nor is what would be chosen; the list scrolls.
        let columns = usize::from(width.min(area.width).saturating_sub(4));
        let said = wrap(&choice.body, columns);
        let above = said.len() as u16 + 1;
        let chosen = choice.items.get(choice.selected);
        let chosen = chosen.map_or_else(Vec::new, |(label, _)| {
            wrap(&crate::text::clean_line(label, 300), columns)
        });
        let extra = chosen.len().saturating_sub(1);
        let height = (choice.items.len() + extra) as u16 + above + 3;
        let inner = window(
            cx,
            &choice.title,
            "Enter: run  Esc: back",
            (width, height),
            area,
            buffer,
        );
        for (n, text) in said.iter().enumerate().take(usize::from(inner.height)) {
            put(buffer, row(inner, n as u16), text, theme.style(Role::Dim));
        }
        let room = usize::from(inner.height.saturating_sub(above)).saturating_sub(extra);
        let first = first_visible(choice.selected, room, choice.items.len());
        let mut at = above;
        for (n, (label, _)) in choice.items.iter().enumerate().skip(first).take(room) {
            if n == choice.selected {
                for text in &chosen {
                    put(buffer, row(inner, at), text, theme.style(Role::Text));
                    buffer.set_style(row(inner, at), theme.style(Role::Selected));
                    at += 1;
                }
                continue;
            }
            let text = crate::text::clean_line(label, 120);
            put(buffer, row(inner, at), &text, theme.style(Role::Text));
            at += 1;
        }
    }
}
