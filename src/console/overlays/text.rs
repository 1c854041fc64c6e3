//! Something to read, over the screen.

use crossterm::event::KeyEvent;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::widgets::{Paragraph, Widget as _};

use super::typing::closes;
use crate::console::action::Action;
use crate::console::component::{Dialog, DialogKind, Step};
use crate::console::context::Context;
use crate::console::widgets::list::scrolled;
use crate::console::widgets::panel::window;
use crate::console::widgets::text::wrap;
use crate::text::clean_line;

/// A text in full.
#[derive(Debug, Clone)]
pub struct TextWindow {
    title: String,
    text: String,
    scroll: u16,
}

impl TextWindow {
    /// A title and a text; the text may come from outside.
    pub fn new(title: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            text: text.into(),
            scroll: 0,
        }
    }
}

impl Dialog for TextWindow {
    fn kind(&self) -> DialogKind {
        DialogKind::Text
    }

    fn on_key(&mut self, key: KeyEvent, action: Option<Action>, _cx: &Context) -> Step {
        if action.is_some_and(|a| scrolled(a, &mut self.scroll)) {
            return Step::stay();
        }
        if closes(key) {
            Step::close()
        } else {
            Step::stay()
        }
    }

    fn draw(&self, cx: &Context, area: Rect, buffer: &mut Buffer) {
        let wide = area.width.saturating_sub(4).min(110);
        let width = usize::from(wide.saturating_sub(4)).max(1);
        let lines: Vec<String> = self
            .text
            .lines()
            .flat_map(|l| wrap(&clean_line(l, 2_000), width))
            .collect();
        let high = (lines.len() as u16).saturating_add(2);
        let size = (wide, high.min(area.height.saturating_sub(2)));
        let inner = window(cx, &self.title, "j k scroll  Esc back", size, area, buffer);
        let most = (lines.len() as u16).saturating_sub(inner.height);
        Paragraph::new(lines.join("\n"))
            .scroll((self.scroll.min(most), 0))
            .render(inner, buffer);
    }
}
