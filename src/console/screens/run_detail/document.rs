//! Everything that is known of a run, as JSON (the document of `GET /api/runs/ID`) or described in words. Scrolled,
//! searched, copied.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Span;

use super::describe;
use crate::console::action::{Action, Scope};
use crate::console::component::{Component, Intent, Subject};
use crate::console::context::Context;
use crate::console::format::{count, short_id};
use crate::console::theme::Role;
use crate::console::widgets::list::moved;
use crate::console::widgets::panel::panel;
use crate::console::widgets::text::{line, put, row, wrap};
use crate::engine::protocol::event::Event;
use crate::engine::protocol::query::{Answer, Query};
use crate::engine::protocol::run::RunResult;
use crate::engine::protocol::snapshot::RunSummary;
use crate::text::clean_line;

/// Characters of a line that are shown.
const LONGEST_LINE: usize = 20_000;

/// How a run is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// JSON.
    Json,
    /// A field a line.
    Description,
}

/// The document.
#[derive(Debug, Clone)]
pub struct RunDocument {
    id: String,
    form: Form,
    /// The run as last read, and its entry in lists, which says what it is about.
    run: Option<Box<RunResult>>,
    entry: Option<RunSummary>,
    /// As last read; none: not read yet.
    lines: Option<Vec<String>>,
    /// The line at the top.
    first: usize,
    /// What is searched for.
    search: String,
    /// Lines are wrapped; else cut.
    wraps: bool,
}

impl RunDocument {
    /// Of a run; nothing of it is read yet.
    pub fn new(id: &str, form: Form) -> Self {
        Self {
            id: id.to_owned(),
            form,
            run: None,
            entry: None,
            lines: None,
            first: 0,
            search: String::new(),
            wraps: true,
        }
    }

    fn read(&self) -> Vec<Intent> {
        let run = Intent::ask(Query::Run {
            id: self.id.clone(),
        });
        match self.form {
            Form::Json => vec![run],
            Form::Description => vec![run, Intent::ask(self.entry_query())],
        }
    }

    /// The query that finds its entry in lists.
    fn entry_query(&self) -> Query {
        Query::Runs {
            limit: 1,
            filter: format!("id:{}", self.id),
        }
    }

    /// Writes it anew from what was read.
    fn write(&mut self, cx: &Context) {
        let Some(run) = &self.run else {
            return;
        };
        self.lines = Some(match self.form {
            Form::Json => {
                let text = run.to_json_text().unwrap_or_else(|e| e.to_string());
                text.lines().map(str::to_owned).collect()
            }
            Form::Description => {
                let mut pictured = cx.snapshot().runs.iter();
                let pictured = pictured.find(|r| r.id == self.id);
                describe::lines(run, pictured.or(self.entry.as_ref()), cx.zone)
            }
        });
    }

    fn lines(&self) -> &[String] {
        self.lines.as_deref().unwrap_or_default()
    }

    /// Lines that hold what is searched for, without regard to case.
    fn found(&self) -> Vec<usize> {
        let wanted = self.search.to_lowercase();
        if wanted.is_empty() {
            return Vec::new();
        }
        let lines = self.lines().iter().enumerate();
        let found = lines.filter(|(_, text)| text.to_lowercase().contains(&wanted));
        found.map(|(n, _)| n).collect()
    }

    /// To the next line that is found, or the one before; past the last comes the first.
    fn find(&mut self, forward: bool) -> Vec<Intent> {
        let found = self.found();
        let next = if forward {
            let after = found.iter().find(|n| **n > self.first);
            after.or(found.first())
        } else {
            let before = found.iter().rev().find(|n| **n < self.first);
            before.or(found.last())
        };
        match next {
            Some(at) => {
                self.first = *at;
                Vec::new()
            }
            None if self.search.is_empty() => {
                vec![Intent::warn("nothing is searched for; / begins a search")]
            }
            None => vec![Intent::warn("no line has what is searched for")],
        }
    }

    /// The first line of the last page, so that the end of the document stands at the end of the panel.
    fn last_first(&self, size: (u16, u16)) -> usize {
        // Header, tabs, hints, and the panel's two borders.
        let height = usize::from(size.1.saturating_sub(5)).max(1);
        let width = usize::from(size.0.saturating_sub(4)).max(1);
        let lines = self.lines();
        let mut used = 0;
        for (n, text) in lines.iter().enumerate().rev() {
            used += if self.wraps {
                wrap(text, width).len().max(1)
            } else {
                1
            };
            if used > height {
                return n + 1;
            }
        }
        0
    }
}

impl Component for RunDocument {
    fn title(&self, _cx: &Context) -> String {
        match self.form {
            Form::Json => "JSON".into(),
            Form::Description => "description".into(),
        }
    }

    fn on_show(&mut self, _cx: &Context) -> Vec<Intent> {
        self.read()
    }

    fn on_action(&mut self, action: Action, cx: &Context) -> Option<Vec<Intent>> {
        match action {
            // It is open already, and nothing lies behind it.
            Action::Open => return Some(Vec::new()),
            Action::Json if self.form == Form::Json => return Some(Vec::new()),
            Action::Describe if self.form == Form::Description => return Some(Vec::new()),
            Action::FindNext | Action::FindPrevious => {
                return Some(self.find(action == Action::FindNext));
            }
            Action::Wrap => {
                self.wraps = !self.wraps;
                return Some(Vec::new());
            }
            _ => {}
        }
        let last = self.last_first(cx.size);
        self.first = moved(action, self.first.min(last), last + 1)?;
        Some(Vec::new())
    }

    fn on_answer(&mut self, query: &Query, answer: &Answer, cx: &Context) -> Vec<Intent> {
        if let (Query::Run { id }, Answer::Run { run }) = (query, answer)
            && *id == self.id
        {
            self.run = Some(run.clone());
            self.write(cx);
        }
        if let Answer::Runs { runs } = answer
            && *query == self.entry_query()
        {
            self.entry = runs.iter().find(|r| r.id == self.id).cloned();
            self.write(cx);
        }
        Vec::new()
    }

    fn on_event(&mut self, event: &Event, cx: &Context) -> Vec<Intent> {
        match event {
            Event::StepFinished { run, .. } | Event::RunFinished { run, .. }
                if *run == self.id && cx.frozen.is_none() =>
            {
                self.read()
            }
            _ => Vec::new(),
        }
    }

    fn filter(&self) -> Option<&str> {
        Some(&self.search)
    }

    fn set_filter(&mut self, text: String, _done: bool, _cx: &Context) -> Vec<Intent> {
        self.search = text;
        // The first one from here on, while it is typed.
        let found = self.found();
        let next = found.iter().find(|n| **n >= self.first);
        if let Some(at) = next.or(found.first()) {
            self.first = *at;
        }
        Vec::new()
    }

    fn draw(&self, cx: &Context, area: Rect, buffer: &mut Buffer) {
        let theme = cx.theme;
        let form = match self.form {
            Form::Json => "as JSON",
            Form::Description => "described",
        };
        let title = format!("run {} {form}", short_id(&self.id));
        let Some(lines) = &self.lines else {
            let inner = panel(theme, &title, "", area, buffer);
            put(buffer, row(inner, 0), "reading it", theme.style(Role::Dim));
            return;
        };
        let found = self.found();
        let search = if self.search.is_empty() {
            String::new()
        } else {
            let at = found.iter().position(|n| *n == self.first);
            let at = at.map_or_else(|| theme.signs().1.to_owned(), |n| (n + 1).to_string());
            let shown = clean_line(&self.search, 30);
            format!("/{shown} {at} of {}  ", count(found.len() as u64))
        };
        let from = self.first.min(lines.len().saturating_sub(1));
        let all = count(lines.len() as u64);
        let note = format!("{search}line {} of {all}", count(from as u64 + 1));
        let inner = panel(theme, &title, &note, area, buffer);
        let width = usize::from(inner.width).max(1);
        let mut at = 0;
        for (n, text) in lines.iter().enumerate().skip(from) {
            if at >= inner.height {
                break;
            }
            let role = if found.binary_search(&n).is_ok() {
                Role::Key
            } else {
                Role::Text
            };
            let text = clean_line(text, LONGEST_LINE);
            let rows = if self.wraps {
                wrap(&text, width)
            } else {
                vec![text]
            };
            for part in rows {
                let span = Span::styled(part, theme.style(role));
                line(buffer, row(inner, at), vec![span]);
                at += 1;
            }
        }
    }

    fn scope(&self) -> Scope {
        Scope::Logs
    }

    fn hints(&self, _cx: &Context) -> Vec<Action> {
        vec![
            Action::Filter,
            Action::FindNext,
            Action::Copy,
            Action::Wrap,
            Action::Report,
            Action::Back,
        ]
    }

    fn subject(&self, _cx: &Context) -> Subject {
        Subject::Run(self.id.clone())
    }

    fn copied(&self, _cx: &Context) -> Option<String> {
        let text = self.lines().join("\n");
        (!text.is_empty()).then_some(text)
    }
}
