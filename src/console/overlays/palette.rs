//! The palette: search over all actions.

use crossterm::event::{Event as TerminalEvent, KeyCode, KeyEvent};
use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Span;
use tui_input::Input;
use tui_input::backend::crossterm::EventHandler as _;

use super::typing::paste_line;
use crate::console::action::{ACTIONS, Action, Row};
use crate::console::component::{Dialog, DialogKind, Intent, Step};
use crate::console::context::Context;
use crate::console::theme::Role;
use crate::console::widgets::list::first_visible;
use crate::console::widgets::panel::window;
use crate::console::widgets::text::{fit, line, put, row};

/// The palette.
#[derive(Debug, Clone, Default)]
pub struct Palette {
    input: Input,
    selected: usize,
}

/// Actions that match what is typed, best first.
fn hits(typed: &str) -> Vec<&'static Row> {
    if typed.trim().is_empty() {
        return ACTIONS.iter().collect();
    }
    let pattern = Pattern::parse(typed, CaseMatching::Ignore, Normalization::Smart);
    let mut matcher = Matcher::new(Config::DEFAULT);
    let mut buffer = Vec::new();
    let mut hits: Vec<(u32, &Row)> = ACTIONS
        .iter()
        .filter_map(|row| {
            let text = format!("{} {}", row.title, row.name);
            let score = pattern.score(
                nucleo_matcher::Utf32Str::new(&text, &mut buffer),
                &mut matcher,
            )?;
            Some((score, row))
        })
        .collect();
    hits.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
    hits.into_iter().map(|(_, row)| row).collect()
}

impl Dialog for Palette {
    fn kind(&self) -> DialogKind {
        DialogKind::Palette
    }

    fn on_key(&mut self, key: KeyEvent, _action: Option<Action>, _cx: &Context) -> Step {
        let hits = hits(self.input.value());
        match key.code {
            KeyCode::Esc => return Step::close(),
            KeyCode::Down | KeyCode::Tab => {
                self.selected = (self.selected + 1).min(hits.len().saturating_sub(1));
            }
            KeyCode::Up | KeyCode::BackTab => self.selected = self.selected.saturating_sub(1),
            KeyCode::Enter => {
                let action = hits.get(self.selected).map(|r| Intent::Act(r.action));
                return Step::finish(action.into_iter().collect());
            }
            _ => {
                self.input.handle_event(&TerminalEvent::Key(key));
                self.selected = 0;
            }
        }
        Step::stay()
    }

    fn on_paste(&mut self, text: &str, _cx: &Context) -> Vec<Intent> {
        paste_line(&mut self.input, text, 200);
        self.selected = 0;
        Vec::new()
    }

    fn draw(&self, cx: &Context, area: Rect, buffer: &mut Buffer) {
        let theme = cx.theme;
        let inner = window(cx, "Commands", "Enter: run", (60, 16), area, buffer);
        put(
            buffer,
            row(inner, 0),
            &format!(
                ": {}{}",
                crate::text::clean_line(self.input.value(), 50),
                cx.cursor()
            ),
            theme.style(Role::Title),
        );
        let hits = hits(self.input.value());
        if hits.is_empty() {
            put(
                buffer,
                row(inner, 2),
                "no command matches",
                theme.style(Role::Dim),
            );
        }
        let height = usize::from(inner.height.saturating_sub(2));
        let first = first_visible(self.selected, height, hits.len());
        for (n, hit) in hits.iter().enumerate().skip(first).take(height) {
            let place = row(inner, (n - first) as u16 + 2);
            line(
                buffer,
                place,
                vec![
                    Span::raw(fit(theme, hit.title, 36)),
                    Span::styled(
                        cx.keys.key_of(hit.action).to_owned(),
                        theme.style(Role::Key),
                    ),
                ],
            );
            if n == self.selected {
                buffer.set_style(place, theme.style(Role::Selected));
            }
        }
    }
}
