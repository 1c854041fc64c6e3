//! Leave although runs are active?

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::console::action::Action;
use crate::console::component::{Dialog, DialogKind, Intent, Step};
use crate::console::context::Context;
use crate::console::format::so_many;
use crate::console::message::Effect;
use crate::console::theme::Role;
use crate::console::widgets::panel::window;
use crate::console::widgets::text::{put, row};

/// The question.
#[derive(Debug, Clone)]
pub struct Quit {
    active: u32,
}

impl Quit {
    /// With so many active runs.
    pub fn new(active: u32) -> Self {
        Self { active }
    }
}

impl Dialog for Quit {
    fn kind(&self) -> DialogKind {
        DialogKind::Quit
    }

    fn on_key(&mut self, key: KeyEvent, _action: Option<Action>, _cx: &Context) -> Step {
        match key.code {
            KeyCode::Char('y' | 'q') | KeyCode::Enter => {
                Step::finish(vec![Intent::Do(Effect::Quit)])
            }
            KeyCode::Esc | KeyCode::Char('n') => Step::close(),
            _ => Step::stay(),
        }
    }

    fn draw(&self, cx: &Context, area: Rect, buffer: &mut Buffer) {
        let inner = window(cx, "Quit", "y: quit  Esc: stay", (58, 5), area, buffer);
        let runs = so_many(self.active.into(), "run is active", "runs are active");
        let text = cx.theme.style(Role::Text);
        let first = format!("{runs}. Finished steps are kept,");
        put(buffer, row(inner, 0), &first, text);
        let second = "and the rest resumes at the next start.";
        put(buffer, row(inner, 1), second, text);
    }
}
