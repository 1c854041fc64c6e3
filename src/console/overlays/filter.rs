//! The line in which a list's filter is typed.

use crossterm::event::{Event as TerminalEvent, KeyCode, KeyEvent, KeyModifiers};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use tui_input::Input;
use tui_input::backend::crossterm::EventHandler as _;

use super::typing::{draw_line, paste_joined, tail};
use crate::console::action::Action;
use crate::console::component::{Dialog, DialogKind, Intent, Step};
use crate::console::context::Context;

/// A filter being typed.
#[derive(Debug, Clone)]
pub struct Filter {
    input: Input,
    longest: usize,
    /// The kind of list, whose saved filters can be recalled.
    list: &'static str,
    /// Which saved filter is shown.
    recalled: Option<usize>,
    /// What was typed before one was recalled.
    typed: String,
}

impl Filter {
    /// Begins with the list's filter; a paste may be this long, in characters.
    pub fn new(text: &str, longest: usize) -> Self {
        Self {
            input: Input::from(text.to_owned()),
            longest,
            list: "",
            recalled: None,
            typed: String::new(),
        }
    }

    /// With the saved filters of a kind of list.
    #[must_use]
    pub fn of_list(mut self, list: &'static str) -> Self {
        self.list = list;
        self
    }

    /// To an older saved filter, or back to a newer one and to what was typed.
    fn recall(&mut self, older: bool, cx: &Context) {
        let saved = cx.lists.saved(self.list);
        let next = match (self.recalled, older) {
            (None, true) => Some(0),
            (Some(at), true) => Some(at + 1),
            (Some(at), false) => at.checked_sub(1),
            (None, false) => return,
        };
        let text = match next {
            Some(at) => match saved.get(at) {
                Some(text) => text.clone(),
                None => return, // there is none older
            },
            None => self.typed.clone(),
        };
        if self.recalled.is_none() {
            self.typed = self.input.value().to_owned();
        }
        self.recalled = next;
        self.input = Input::from(text);
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

    fn on_key(&mut self, key: KeyEvent, _action: Option<Action>, cx: &Context) -> Step {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('s') if control => {
                let text = self.input.value().to_owned();
                Step::want(vec![Intent::SaveFilter(text)])
            }
            KeyCode::Up | KeyCode::Down => {
                self.recall(key.code == KeyCode::Up, cx);
                Step::want(self.typed(false))
            }
            KeyCode::Enter => Step::finish(self.typed(true)),
            KeyCode::Esc => {
                self.input.reset();
                Step::finish(self.typed(true))
            }
            _ => {
                self.recalled = None;
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
        let saved = match cx.lists.saved(self.list).len() {
            0 => String::new(),
            n => format!(", Up Down: {n} saved"),
        };
        let text = format!(
            " / {}{}   Enter keeps it, Esc clears it, ctrl-s saves it{saved}",
            tail(self.input.value(), 60),
            cx.cursor()
        );
        draw_line(cx, &text, area, buffer);
    }
}
