//! The form that starts a run.

mod form;
mod view;

use crossterm::event::{Event as TerminalEvent, KeyCode, KeyEvent};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use tui_input::backend::crossterm::EventHandler as _;

use self::form::FIELDS;
pub use self::form::{RunForm, SubjectKind};
use super::typing::{paste_joined, paste_line};
use crate::console::action::Action;
use crate::console::component::{Dialog, DialogKind, Intent, Step};
use crate::console::context::Context;
use crate::engine::protocol::command::{Command, Refused, Reply};
use crate::engine::protocol::query::{Answer, Query};
use crate::text::clean_line;

/// Longest payload that is pasted, in characters.
const PAYLOAD: usize = 4 << 20;

impl Dialog for RunForm {
    fn kind(&self) -> DialogKind {
        DialogKind::RunForm
    }

    fn on_key(&mut self, key: KeyEvent, _action: Option<Action>, _cx: &Context) -> Step {
        self.error = None;
        self.waits = false;
        match key.code {
            KeyCode::Esc => return Step::close(),
            KeyCode::Tab | KeyCode::Down => self.step(1),
            KeyCode::BackTab | KeyCode::Up => self.step(FIELDS - 1),
            KeyCode::Enter => return Step::want(self.submit()),
            KeyCode::Left | KeyCode::Right | KeyCode::Char(' ' | 'h' | 'l' | 'j' | 'k')
                if self.field < 2 || self.field == 4 =>
            {
                self.turn(!matches!(
                    key.code,
                    KeyCode::Left | KeyCode::Char('h' | 'k')
                ));
            }
            _ => {
                let input = match self.field {
                    2 => &mut self.text,
                    3 => &mut self.payload,
                    _ => return Step::stay(),
                };
                input.handle_event(&TerminalEvent::Key(key));
            }
        }
        Step::stay()
    }

    /// A payload may be pasted as it was printed; a path is one line.
    fn on_paste(&mut self, text: &str, _cx: &Context) -> Vec<Intent> {
        match self.field {
            2 => paste_line(&mut self.text, text, 2_000),
            3 => paste_joined(&mut self.payload, text, PAYLOAD),
            _ => {}
        }
        Vec::new()
    }

    fn on_answer(&mut self, query: &Query, answer: &Answer, _cx: &Context) -> Step {
        if let (Query::Workspace, Answer::Workspace { events, .. }) = (query, answer) {
            self.offer(events);
            if self.waits && !self.events.is_empty() {
                (self.waits, self.error) = (false, None);
                return Step::want(self.submit());
            }
        }
        Step::stay()
    }

    /// A form that waits for the events would wait for ever.
    fn on_no_answer(&mut self, query: &Query, error: &str) {
        if *query == Query::Workspace {
            self.waits = false;
            self.error = Some(clean_line(error, 200));
        }
    }

    /// A refused form stays with what was typed.
    fn on_reply(&mut self, command: &Command, result: &Result<Reply, Refused>) -> bool {
        let (Command::Trigger(_), Err(refused), true) = (command, result, self.sent) else {
            return false;
        };
        self.sent = false;
        self.error = Some(clean_line(&refused.to_string(), 200));
        true
    }

    fn draw(&self, cx: &Context, area: Rect, buffer: &mut Buffer) {
        view::draw(cx, self, area, buffer);
    }
}
