//! Talking with an agent: the window and its keys. The conversation stays when the window closes.

mod conversation;
mod view;

use crossterm::event::{Event as TerminalEvent, KeyCode, KeyEvent, KeyModifiers};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use tui_input::backend::crossterm::EventHandler as _;

pub use self::conversation::Chat;
use super::typing::paste;
use crate::console::action::Action;
use crate::console::component::{Dialog, DialogKind, Intent, Step};
use crate::console::context::Context;
use crate::engine::protocol::command::{Command, Refused, Reply};
use crate::engine::protocol::event::Event;

/// Longest text that is pasted, in characters.
const PASTED: usize = 30_000;

impl Dialog for Chat {
    fn kind(&self) -> DialogKind {
        DialogKind::Chat
    }

    fn on_key(&mut self, key: KeyEvent, _action: Option<Action>, cx: &Context) -> Step {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Esc => return Step::close(),
            KeyCode::Enter => {
                let question = self.question(cx.wall_ms);
                let send = question.map(|q| Intent::send(Command::Ask(q)));
                return Step::want(send.into_iter().collect());
            }
            KeyCode::Tab | KeyCode::BackTab if self.waiting.is_none() => {
                self.next_agent(key.code == KeyCode::Tab, &cx.workspace.agents);
            }
            KeyCode::Char('w') if control => self.search = !self.search,
            KeyCode::Up => self.scroll = self.scroll.saturating_add(1),
            KeyCode::Down => self.scroll = self.scroll.saturating_sub(1),
            KeyCode::PageUp => self.scroll = self.scroll.saturating_add(10),
            KeyCode::PageDown => self.scroll = self.scroll.saturating_sub(10),
            _ => {
                self.input.handle_event(&TerminalEvent::Key(key));
            }
        }
        Step::stay()
    }

    /// A trace or a diff keeps its lines.
    fn on_paste(&mut self, text: &str, _cx: &Context) -> Vec<Intent> {
        let typed = |c: &char| *c == '\n' || *c == '\t' || !c.is_control();
        let text: String = text.chars().filter(typed).take(PASTED).collect();
        paste(&mut self.input, &text);
        Vec::new()
    }

    fn on_reply(&mut self, command: &Command, result: &Result<Reply, Refused>) -> bool {
        let Command::Ask(question) = command else {
            return false;
        };
        self.answered(question, result.clone());
        true
    }

    fn on_event(&mut self, event: &Event) {
        if let Event::Said { of, text, .. } = event {
            self.said(of, text);
        }
    }

    /// The conversation stays.
    fn ends_when_closed(&self) -> bool {
        false
    }

    fn draw(&self, cx: &Context, area: Rect, buffer: &mut Buffer) {
        view::draw(cx, self, area, buffer);
    }
}
