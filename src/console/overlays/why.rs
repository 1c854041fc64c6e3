//! Why is it so: the sentences, what helps with its key, the page to read.

use crossterm::event::KeyEvent;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Widget as _, Wrap};

use crate::console::action::{ACTIONS, Action, row_of};
use crate::console::component::{Dialog, DialogKind, Intent, Step};
use crate::console::context::Context;
use crate::console::message::Effect;
use crate::console::theme::Role;
use crate::console::widgets::list::scrolled;
use crate::console::widgets::panel::window;
use crate::console::widgets::text::fit;
use crate::engine::protocol::query::{Answer, Query};
use crate::engine::protocol::why::{About, Why};

/// A question and, once it is there, its answer.
#[derive(Debug, Clone)]
pub struct WhyWindow {
    about: About,
    /// The past moment that is asked about, wall time in milliseconds.
    at_ms: Option<i64>,
    why: Option<Box<Why>>,
    scroll: u16,
}

impl WhyWindow {
    /// About this as it is now; nothing is answered yet.
    pub fn new(about: About) -> Self {
        Self {
            about,
            at_ms: None,
            why: None,
            scroll: 0,
        }
    }

    /// About this as it was at a moment.
    pub fn at(about: About, at_ms: i64) -> Self {
        Self {
            at_ms: Some(at_ms),
            ..Self::new(about)
        }
    }

    /// The question.
    pub fn query(&self) -> Query {
        let about = self.about.clone();
        match self.at_ms {
            None => Query::Why { about },
            Some(at_ms) => Query::WhyAt { about, at_ms },
        }
    }

    /// Lays the window over the screen and asks.
    pub fn open(self) -> Vec<Intent> {
        let ask = Intent::ask(self.query());
        vec![Intent::Open(Box::new(self)), ask]
    }
}

impl Dialog for WhyWindow {
    fn kind(&self) -> DialogKind {
        DialogKind::Why
    }

    /// Scrolls; copies it as a note; one of the keys that help closes it and does that.
    fn on_key(&mut self, _key: KeyEvent, action: Option<Action>, _cx: &Context) -> Step {
        let why = self.why.as_deref();
        match action {
            Some(Action::Back | Action::Why | Action::Quit) => return Step::close(),
            Some(Action::Copy) => {
                let note = why.map(Why::note);
                let copy = note.map(|n| Intent::Do(Effect::Copy(n)));
                return Step::want(copy.into_iter().collect());
            }
            Some(action) => {
                let name = row_of(action).map_or("", |r| r.name);
                if why.is_some_and(|w| w.helps.iter().any(|h| h.action == name)) {
                    return Step::finish(vec![Intent::Act(action)]);
                }
                scrolled(action, &mut self.scroll);
                self.scroll = self.scroll.min(100);
            }
            None => {}
        }
        Step::stay()
    }

    fn on_answer(&mut self, query: &Query, answer: &Answer, _cx: &Context) -> Step {
        if let Answer::Why { why } = answer
            && *query == self.query()
        {
            self.why = Some(why.clone());
        }
        Step::stay()
    }

    fn draw(&self, cx: &Context, area: Rect, buffer: &mut Buffer) {
        let why = self.why.as_deref();
        let theme = cx.theme;
        let title = why.map_or("Why", |w| w.title.as_str());
        let lines: Vec<Line<'_>> = match why {
            None => vec![Line::from("reading the evidence")],
            Some(why) => text(cx, why),
        };
        let width = 92.min(area.width);
        let wraps = |line: &Line<'_>| {
            (line.width() as u16)
                .div_ceil(width.saturating_sub(4).max(1))
                .max(1)
        };
        let height = lines.iter().map(wraps).sum::<u16>() + 2;
        let note = format!("{} copy  Esc close", cx.keys.key_of(Action::Copy));
        let title = crate::text::clean_line(title, 60);
        let inner = window(cx, &title, &note, (width, height.max(6)), area, buffer);
        Paragraph::new(lines)
            .wrap(Wrap { trim: true })
            .style(theme.style(Role::Text))
            .scroll((self.scroll, 0))
            .render(inner, buffer);
    }
}

fn text<'a>(cx: &Context, why: &'a Why) -> Vec<Line<'a>> {
    let theme = cx.theme;
    let mut lines: Vec<Line<'a>> = why
        .because
        .iter()
        .enumerate()
        .map(|(n, sentence)| {
            let role = if n == 0 { Role::Title } else { Role::Text };
            Line::from(Span::styled(sentence.as_str(), theme.style(role)))
        })
        .collect();
    lines.push(Line::default());
    for help in &why.helps {
        let row = ACTIONS.iter().find(|r| r.name == help.action);
        let key = row.map_or("", |r| cx.keys.key_of(r.action)).to_owned();
        lines.push(Line::from(vec![
            Span::styled(fit(theme, &key, 7), theme.style(Role::Key)),
            Span::styled(fit(theme, &help.action, 17), theme.style(Role::Text)),
            Span::styled(help.why.as_str(), theme.style(Role::Dim)),
        ]));
    }
    if let Some(page) = &why.runbook {
        lines.push(Line::from(Span::styled(
            page.as_str(),
            theme.style(Role::Dim),
        )));
    }
    lines
}
