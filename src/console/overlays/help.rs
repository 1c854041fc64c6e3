//! All keys.

use crossterm::event::KeyEvent;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Widget as _};

use crate::console::action::{ACTIONS, Action};
use crate::console::component::{Dialog, DialogKind, Step};
use crate::console::context::Context;
use crate::console::theme::Role;
use crate::console::widgets::list::scrolled;
use crate::console::widgets::panel::window;
use crate::console::widgets::text::fit;

/// The list of keys.
#[derive(Debug, Clone, Default)]
pub struct Help {
    scroll: u16,
}

impl Dialog for Help {
    fn kind(&self) -> DialogKind {
        DialogKind::Help
    }

    fn on_key(&mut self, _key: KeyEvent, action: Option<Action>, _cx: &Context) -> Step {
        match action {
            Some(Action::Back | Action::Help | Action::Quit | Action::Open) => Step::close(),
            Some(action) => {
                scrolled(action, &mut self.scroll);
                self.scroll = self.scroll.min(ACTIONS.len() as u16);
                Step::stay()
            }
            None => Step::stay(),
        }
    }

    fn draw(&self, cx: &Context, area: Rect, buffer: &mut Buffer) {
        let inner = window(
            cx,
            "Keys",
            "Esc closes",
            (64, ACTIONS.len() as u16 + 4),
            area,
            buffer,
        );
        let theme = cx.theme;
        let lines: Vec<Line<'_>> = ACTIONS
            .iter()
            .map(|r| {
                Line::from(vec![
                    Span::styled(
                        fit(theme, cx.keys.key_of(r.action), 10),
                        theme.style(Role::Key),
                    ),
                    Span::raw(fit(theme, r.title, 34)),
                    Span::styled(r.name, theme.style(Role::Dim)),
                ])
            })
            .collect();
        let most = (lines.len() as u16).saturating_sub(inner.height);
        Paragraph::new(lines)
            .scroll((self.scroll.min(most), 0))
            .render(inner, buffer);
    }
}
