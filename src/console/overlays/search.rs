//! The line in which a word is typed that is looked for in the lines shown. Nothing is hidden, as with a filter.

use crossterm::event::{Event as TerminalEvent, KeyCode, KeyEvent};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use tui_input::Input;
use tui_input::backend::crossterm::EventHandler as _;

use super::typing::{draw_line, paste_line, tail};
use crate::console::action::Action;
use crate::console::component::{Dialog, DialogKind, Intent, Step};
use crate::console::context::Context;

/// A paste may be this long, in characters.
const LONGEST: usize = 200;

/// A word being typed.
#[derive(Debug, Clone, Default)]
pub struct Search {
    input: Input,
}

impl Search {
    fn typed(&self, done: bool) -> Vec<Intent> {
        let text = self.input.value().to_owned();
        vec![Intent::Search { text, done }]
    }
}

impl Dialog for Search {
    fn kind(&self) -> DialogKind {
        DialogKind::Search
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
        paste_line(&mut self.input, text, LONGEST);
        self.typed(false)
    }

    fn draw(&self, cx: &Context, area: Rect, buffer: &mut Buffer) {
        let keys = cx.keys_of(&[(Action::FindNext, "next"), (Action::FindPrevious, "before")]);
        let text = format!(
            " search {}{}   Enter, then {keys}; Esc ends it",
            tail(self.input.value(), 60),
            cx.cursor()
        );
        draw_line(cx, &text, area, buffer);
    }
}
