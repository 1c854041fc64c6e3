//! The most dangerous commands ask for a word to be typed.

use crossterm::event::{Event as TerminalEvent, KeyCode, KeyEvent};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::widgets::{Paragraph, Widget as _, Wrap};
use tui_input::Input;
use tui_input::backend::crossterm::EventHandler as _;

use super::typing::{paste_line, tail};
use crate::console::action::Action;
use crate::console::component::{Dialog, DialogKind, Intent, Step};
use crate::console::context::Context;
use crate::console::theme::Role;
use crate::console::widgets::panel::window;
use crate::console::widgets::text::{put, row};
use crate::engine::protocol::command::Command;

/// A word to type.
#[derive(Debug, Clone)]
pub struct TypedConfirm {
    title: String,
    body: String,
    word: &'static str,
    command: Command,
    input: Input,
}

impl TypedConfirm {
    /// What is asked, what it will do, the word to type, and what is then sent.
    pub fn new(title: &str, body: String, word: &'static str, command: Command) -> Self {
        Self {
            title: title.to_owned(),
            body,
            word,
            command,
            input: Input::default(),
        }
    }
}

impl Dialog for TypedConfirm {
    fn kind(&self) -> DialogKind {
        DialogKind::TypedConfirm
    }

    /// Enter sends only when the word is there, whole.
    fn on_key(&mut self, key: KeyEvent, _action: Option<Action>, _cx: &Context) -> Step {
        match key.code {
            KeyCode::Esc => Step::close(),
            KeyCode::Enter if self.input.value().trim() == self.word => {
                Step::finish(vec![Intent::send(self.command.clone())])
            }
            _ => {
                self.input.handle_event(&TerminalEvent::Key(key));
                Step::stay()
            }
        }
    }

    fn on_paste(&mut self, text: &str, _cx: &Context) -> Vec<Intent> {
        paste_line(&mut self.input, text, 2_000);
        Vec::new()
    }

    fn draw(&self, cx: &Context, area: Rect, buffer: &mut Buffer) {
        let theme = cx.theme;
        let note = "Enter: run  Esc: back";
        let inner = window(cx, &self.title, note, (70, 9), area, buffer);
        let place = Rect {
            height: inner.height.saturating_sub(2),
            ..inner
        };
        Paragraph::new(self.body.as_str())
            .wrap(Wrap { trim: true })
            .style(theme.style(Role::Warn))
            .render(place, buffer);
        let last = inner.height.saturating_sub(1);
        let shown = tail(self.input.value(), 40);
        let text = format!("type {} to go on: {shown}{}", self.word, cx.cursor());
        put(buffer, row(inner, last), &text, theme.style(Role::Title));
    }
}
