//! Keys: those of the place that is shown first, by what they are for; all keys after them.

use crossterm::event::KeyEvent;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Widget as _};

use crate::console::action::{ACTIONS, Action, row_of};
use crate::console::action_groups::{Group, grouped};
use crate::console::component::{Dialog, DialogKind, Step};
use crate::console::context::Context;
use crate::console::theme::Role;
use crate::console::widgets::list::scrolled;
use crate::console::widgets::panel::window;
use crate::console::widgets::text::fit;
use crate::text::clean_line;

/// Columns of the window.
const WIDTH: u16 = 68;

/// A line of the list.
enum Entry {
    /// Where the keys that follow hold.
    Head(String),
    /// What the keys that follow are for.
    Group(Group),
    /// A key.
    Key(Action),
    /// Nothing.
    Blank,
}

/// The list of keys.
#[derive(Debug, Clone)]
pub struct Help {
    /// The place that is shown.
    place: String,
    here: Vec<Action>,
    scroll: u16,
}

impl Help {
    /// Help for a place with its title, and the actions that mean something there.
    pub fn new(place: &str, here: &[Action]) -> Self {
        Self {
            place: clean_line(place, 40),
            here: here.to_vec(),
            scroll: 0,
        }
    }

    fn entries(&self) -> Vec<Entry> {
        let mut out = vec![Entry::Head(format!("On this screen: {}", self.place))];
        add_groups(&mut out, &self.here);
        out.push(Entry::Blank);
        out.push(Entry::Head("All keys".to_owned()));
        let all: Vec<Action> = ACTIONS.iter().map(|row| row.action).collect();
        add_groups(&mut out, &all);
        out
    }
}

fn add_groups(out: &mut Vec<Entry>, actions: &[Action]) {
    for (group, own) in grouped(actions) {
        out.push(Entry::Group(group));
        out.extend(own.into_iter().map(Entry::Key));
    }
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
                self.scroll = self.scroll.min(self.entries().len() as u16);
                Step::stay()
            }
            None => Step::stay(),
        }
    }

    fn draw(&self, cx: &Context, area: Rect, buffer: &mut Buffer) {
        let entries = self.entries();
        let size = (WIDTH, entries.len() as u16 + 2);
        let note = format!("{}  Esc closes", cx.keys_of(&[(Action::Down, "on")]));
        let inner = window(cx, "Keys", &note, size, area, buffer);
        let most = (entries.len() as u16).saturating_sub(inner.height);
        let lines: Vec<Line<'_>> = entries.iter().map(|e| entry_line(cx, e)).collect();
        Paragraph::new(lines)
            .scroll((self.scroll.min(most), 0))
            .render(inner, buffer);
    }
}

fn entry_line(cx: &Context, entry: &Entry) -> Line<'static> {
    let theme = cx.theme;
    let action = match entry {
        Entry::Blank => return Line::default(),
        Entry::Head(text) => {
            return Line::from(Span::styled(text.clone(), theme.style(Role::Title)));
        }
        Entry::Group(group) => {
            let text = format!(" {}", group.title());
            return Line::from(Span::styled(text, theme.style(Role::Dim)));
        }
        Entry::Key(action) => *action,
    };
    let (title, name) = row_of(action).map_or(("", ""), |row| (row.title, row.name));
    Line::from(vec![
        Span::raw("  "),
        Span::styled(fit(theme, cx.key_word(action), 10), theme.style(Role::Key)),
        Span::raw(fit(theme, title, 36)),
        Span::styled(name, theme.style(Role::Dim)),
    ])
}
