//! Which columns a list shows: a mark for each, seen in the list at once.

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::console::action::Action;
use crate::console::component::{Dialog, DialogKind, Intent, Step};
use crate::console::context::Context;
use crate::console::theme::Role;
use crate::console::widgets::list::{first_visible, moved, row_at};
use crate::console::widgets::panel::{inside, window, window_place};
use crate::console::widgets::text::{put, row};

/// Columns of the window.
const WIDTH: u16 = 46;

/// The choice.
#[derive(Debug, Clone)]
pub struct ColumnChoice {
    heads: Vec<&'static str>,
    chosen: Vec<&'static str>,
    selected: usize,
}

impl ColumnChoice {
    /// Among these columns, of which some are shown.
    pub fn new(heads: impl Into<Vec<&'static str>>, chosen: Vec<&'static str>) -> Self {
        Self {
            heads: heads.into(),
            chosen,
            selected: 0,
        }
    }

    /// Shows the selected column or hides it.
    fn toggle(&mut self) -> Step {
        let Some(head) = self.heads.get(self.selected).copied() else {
            return Step::stay();
        };
        if self.chosen == [head] {
            let text = "columns: the last one stays; show another first";
            return Step::want(vec![Intent::warn(text)]);
        }
        if self.chosen.contains(&head) {
            self.chosen.retain(|h| *h != head);
        } else {
            self.chosen.push(head);
        }
        Step::want(vec![Intent::ShowColumns(self.chosen.clone())])
    }

    fn size(&self) -> (u16, u16) {
        (WIDTH, self.heads.len() as u16 + 2)
    }
}

impl Dialog for ColumnChoice {
    fn kind(&self) -> DialogKind {
        DialogKind::Columns
    }

    fn on_key(&mut self, key: KeyEvent, action: Option<Action>, _cx: &Context) -> Step {
        if key.code == KeyCode::Char(' ') {
            return self.toggle();
        }
        match action {
            Some(Action::Back | Action::Quit | Action::Open | Action::Columns) => Step::close(),
            Some(action) => {
                if let Some(to) = moved(action, self.selected, self.heads.len()) {
                    self.selected = to;
                }
                Step::stay()
            }
            None => Step::stay(),
        }
    }

    fn on_click(&mut self, at: (u16, u16), area: Rect, _cx: &Context) -> Step {
        let inner = inside(window_place(self.size(), area));
        if !inner.contains(at.into()) {
            return Step::stay();
        }
        let height = usize::from(inner.height);
        match row_at(at.1 - inner.y, self.selected, height, self.heads.len()) {
            Some(n) => {
                self.selected = n;
                self.toggle()
            }
            None => Step::stay(),
        }
    }

    fn draw(&self, cx: &Context, area: Rect, buffer: &mut Buffer) {
        let theme = cx.theme;
        let note = "Space shows or hides  Esc back";
        let inner = window(cx, "Columns", note, self.size(), area, buffer);
        let height = usize::from(inner.height);
        let first = first_visible(self.selected, height, self.heads.len());
        for (n, head) in self.heads.iter().enumerate().skip(first).take(height) {
            let place = row(inner, (n - first) as u16);
            let shown = self.chosen.contains(head);
            let (mark, role) = if shown {
                ("x", Role::Text)
            } else {
                (" ", Role::Dim)
            };
            let text = format!("[{mark}] {head}");
            put(buffer, place, &text, theme.style(role));
            if n == self.selected {
                buffer.set_style(place, theme.style(Role::Selected));
            }
        }
    }
}
