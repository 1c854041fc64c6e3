//! The palette: search over all actions, commands with arguments, and the lines that were run before.

use crossterm::event::{Event as TerminalEvent, KeyCode, KeyEvent, KeyModifiers};
use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Span;
use tui_input::Input;
use tui_input::backend::crossterm::EventHandler as _;

use super::typing::{paste_line, tail};
use crate::console::action::{ACTIONS, Action, Row};
use crate::console::arguments;
use crate::console::component::{Dialog, DialogKind, Intent, Step};
use crate::console::context::Context;
use crate::console::theme::Role;
use crate::console::widgets::list::first_visible;
use crate::console::widgets::panel::window;
use crate::console::widgets::text::{fit, line, put, row, wrap};
use crate::text::clean_line;

/// A paste may be this long, in characters.
const LONGEST: usize = 500;

/// The palette.
#[derive(Debug, Clone, Default)]
pub struct Palette {
    input: Input,
    selected: usize,
    /// Which of the lines that were run before is shown.
    recalled: Option<usize>,
    /// Why the line could not be run.
    error: Option<String>,
}

impl Palette {
    /// With a line that could not be run, and why.
    pub fn wrong(line: &str, error: String) -> Self {
        Self {
            input: Input::from(line.to_owned()),
            error: Some(error),
            ..Self::default()
        }
    }

    /// To an older line that was run, or a newer one; past the newest the line is empty again.
    fn recall(&mut self, older: bool, cx: &Context) {
        let next = match (self.recalled, older) {
            (None, true) => Some(0),
            (Some(at), true) => Some(at + 1),
            (Some(at), false) => at.checked_sub(1),
            (None, false) => return,
        };
        let text = match next {
            Some(at) => match cx.commands.get(at) {
                Some(line) => line.clone(),
                None => return, // there is none older
            },
            None => String::new(),
        };
        self.recalled = next;
        self.input = Input::from(text);
        self.selected = 0;
        self.error = None;
    }

    /// One up or down: through the lines run before where the line is empty or one of them, else in the list.
    fn step(&mut self, up: bool, hits: usize, cx: &Context) {
        let empty = self.input.value().is_empty() && self.selected == 0 && up;
        if self.recalled.is_some() || empty {
            self.recall(up, cx);
        } else if up {
            self.selected = self.selected.saturating_sub(1);
        } else {
            self.selected = (self.selected + 1).min(hits.saturating_sub(1));
        }
    }

    /// Runs the line, or what is selected.
    fn run(&self, hits: &[&'static Row]) -> Step {
        let line = self.input.value().trim();
        if arguments::read(line).is_some() {
            return Step::finish(vec![Intent::Typed(line.to_owned())]);
        }
        let Some(row) = hits.get(self.selected) else {
            return Step::stay();
        };
        let name = row.name.to_owned();
        Step::finish(vec![Intent::RememberCommand(name), Intent::Act(row.action)])
    }
}

/// Actions that match what is typed, best first.
fn hits(typed: &str) -> Vec<&'static Row> {
    if typed.trim().is_empty() {
        return ACTIONS.iter().collect();
    }
    if let Some((command, _)) = arguments::read(typed) {
        return ACTIONS
            .iter()
            .filter(|row| row.action == command.action)
            .collect();
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
    // Who types a name means that command.
    let named = |row: &Row| row.name == typed.trim();
    hits.sort_by_key(|(score, row)| std::cmp::Reverse((named(row), *score)));
    hits.into_iter().map(|(_, row)| row).collect()
}

/// A command's name and what it accepts.
fn usage(row: &Row) -> String {
    match arguments::of(row.action) {
        Some(command) => format!("{} {}", row.name, command.usage),
        None => row.name.to_owned(),
    }
}

/// What is said where no command matches.
fn none_words(line: &str) -> String {
    let name = line.split_whitespace().next().unwrap_or_default();
    let known = ACTIONS.iter().any(|row| row.name == name);
    if known && arguments::named(name).is_none() {
        return format!("{} takes no argument", clean_line(name, 40));
    }
    "no command matches".to_owned()
}

impl Dialog for Palette {
    fn kind(&self) -> DialogKind {
        DialogKind::Palette
    }

    fn on_key(&mut self, key: KeyEvent, _action: Option<Action>, cx: &Context) -> Step {
        let hits = hits(self.input.value());
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Esc => return Step::close(),
            KeyCode::Tab => self.selected = (self.selected + 1).min(hits.len().saturating_sub(1)),
            KeyCode::BackTab => self.selected = self.selected.saturating_sub(1),
            KeyCode::Up => self.step(true, hits.len(), cx),
            KeyCode::Down => self.step(false, hits.len(), cx),
            KeyCode::Char('p') if control => self.step(true, hits.len(), cx),
            KeyCode::Char('n') if control => self.step(false, hits.len(), cx),
            KeyCode::Enter => return self.run(&hits),
            _ => {
                self.input.handle_event(&TerminalEvent::Key(key));
                self.selected = 0;
                self.recalled = None;
                self.error = None;
            }
        }
        Step::stay()
    }

    fn on_paste(&mut self, text: &str, _cx: &Context) -> Vec<Intent> {
        paste_line(&mut self.input, text, LONGEST);
        self.selected = 0;
        self.recalled = None;
        self.error = None;
        Vec::new()
    }

    fn draw(&self, cx: &Context, area: Rect, buffer: &mut Buffer) {
        let theme = cx.theme;
        let note = if cx.commands.is_empty() {
            "Enter: run"
        } else {
            "Up: commands before  Enter: run"
        };
        let inner = window(cx, "Commands", note, (76, 16), area, buffer);
        put(
            buffer,
            row(inner, 0),
            &format!(": {}{}", tail(self.input.value(), 60), cx.cursor()),
            theme.style(Role::Title),
        );
        let hits = hits(self.input.value());
        let remark = match &self.error {
            Some(error) => Some((clean_line(error, 200), Role::Bad)),
            None if hits.is_empty() => Some((none_words(self.input.value()), Role::Dim)),
            None => None,
        };
        let mut top = 2;
        if let Some((words, role)) = remark {
            for text in wrap(&words, usize::from(inner.width)) {
                put(buffer, row(inner, top), &text, theme.style(role));
                top += 1;
            }
        }
        let height = usize::from(inner.height.saturating_sub(top));
        let first = first_visible(self.selected, height, hits.len());
        let key = theme.style(Role::Key);
        for (n, hit) in hits.iter().enumerate().skip(first).take(height) {
            let place = row(inner, (n - first) as u16 + top);
            line(
                buffer,
                place,
                vec![
                    Span::raw(fit(theme, hit.title, 36)),
                    Span::styled(fit(theme, cx.keys.key_of(hit.action), 9), key),
                    Span::styled(usage(hit), theme.style(Role::Dim)),
                ],
            );
            if n == self.selected {
                buffer.set_style(place, theme.style(Role::Selected));
            }
        }
    }
}
