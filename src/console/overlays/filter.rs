//! The line in which a list's filter is typed.

use crossterm::event::{Event as TerminalEvent, KeyCode, KeyEvent};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::widgets::{Clear, Widget as _};
use tui_input::Input;
use tui_input::backend::crossterm::EventHandler as _;

use super::typing::{paste_joined, tail};
use crate::console::action::Action;
use crate::console::component::{Dialog, DialogKind, Intent, Step};
use crate::console::context::Context;
use crate::console::theme::Role;
use crate::console::widgets::text::put;

/// A filter being typed.
#[derive(Debug, Clone)]
pub struct Filter {
    input: Input,
    longest: usize,
}

impl Filter {
    /// Begins with the list's filter; a paste may be this long, in characters.
    pub fn new(text: &str, longest: usize) -> Self {
        Self {
            input: Input::from(text.to_owned()),
            longest,
        }
    }

    fn typed(&self, done: bool) -> Vec<Intent> {
        let text = self.input.value().to_owned();
        vec![Intent::Filter { text, done }]
    }
}

impl Dialog for Filter {
    fn kind(&self) -> DialogKind {
        DialogKind::Filter
    }

    fn on_key(&mut self, key: KeyEvent, _action: Option<Action>, _cx: &Context) -> Step {
        match key.code {
            KeyCode::Enter => Step::finish(self.typed(true)),
            KeyCode::Esc => {
                self.input.reset();
                Step::finish(self.typed(true))
            }
            _ => {
                self.input.handle_event(&TerminalEvent::Key(key));
                Step::want(self.typed(false))
            }
        }
    }

    fn on_paste(&mut self, text: &str, _cx: &Context) -> Vec<Intent> {
        paste_joined(&mut self.input, text, self.longest);
        self.typed(true)
    }

    fn draw(&self, cx: &Context, area: Rect, buffer: &mut Buffer) {
        let place = Rect {
            y: area.y + area.height.saturating_sub(1),
            height: area.height.min(1),
            ..area
        };
        Clear.render(place, buffer);
        let text = format!(
            " / {}{}   Enter keeps it, Esc clears it",
            tail(self.input.value(), 60),
            cx.cursor()
        );
        put(buffer, place, &text, cx.theme.style(Role::Title));
    }
}
