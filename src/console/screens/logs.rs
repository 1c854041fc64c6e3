//! Log lines: the newest of all, or of one run.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Span;
use unicode_width::UnicodeWidthStr as _;

use crate::console::action::{Action, Scope};
use crate::console::component::{Component, Intent, Subject};
use crate::console::context::Context;
use crate::console::format::{short_id, so_many};
use crate::console::route::Route;
use crate::console::theme::Role;
use crate::console::widgets::list::{ListState, first_visible, row_at};
use crate::console::widgets::panel::panel;
use crate::console::widgets::table::{one_line, with_head};
use crate::console::widgets::text::{fit, line, put, row, wrap};
use crate::engine::protocol::query::{Answer, Query};
use crate::telemetry::log_read::{LogFilter, LogLine};

/// Log lines that are read.
const READ: usize = 1_000;

/// The newest log lines: of all, or of one thing.
#[derive(Debug, Clone, Default)]
pub struct Logs {
    run: Option<String>,
    list: ListState,
    lines: Vec<LogLine>,
    /// The agent whose failed attempt is selected when lines come.
    agent: Option<String>,
}

impl Logs {
    /// Of a run, with a filter to begin with; an agent's failed attempt is selected.
    pub fn of(run: Option<String>, filter: String, agent: Option<String>) -> Self {
        Self {
            run,
            list: ListState::filtered(filter),
            lines: Vec::new(),
            agent,
        }
    }

    fn read(&self) -> Vec<Intent> {
        vec![Intent::ask(Query::Logs {
            filter: LogFilter {
                run: self.run.clone(),
                terms: self.list.filter.clone(),
                limit: READ,
                ..LogFilter::default()
            },
        })]
    }

    fn shown(&self) -> Vec<&LogLine> {
        let filter = self.list.terms();
        self.lines.iter().filter(|l| filter.passes(*l)).collect()
    }

    fn selected(&self, lines: &[&LogLine]) -> usize {
        self.list.selected(lines.len(), |_| "")
    }
}

impl Component for Logs {
    fn title(&self, _cx: &Context) -> String {
        self.run
            .as_ref()
            .map_or_else(|| "Logs".to_owned(), |r| format!("log of {}", short_id(r)))
    }

    fn on_show(&mut self, _cx: &Context) -> Vec<Intent> {
        self.read()
    }

    fn on_action(&mut self, action: Action, _cx: &Context) -> Option<Vec<Intent>> {
        let lines = self.shown();
        if action == Action::Open {
            let line = lines.get(self.selected(&lines));
            let run = line.and_then(|l| l.run.clone());
            let go = run.map(|id| Intent::Navigate(Route::Run { id }));
            return Some(go.into_iter().collect());
        }
        let total = lines.len();
        self.list.travel(action, total, |_| "").then(Vec::new)
    }

    /// Shows the lines and selects one: the failed attempt that is looked for, else the newest.
    fn on_answer(&mut self, query: &Query, answer: &Answer, _cx: &Context) -> Vec<Intent> {
        let (Query::Logs { filter }, Answer::Logs { lines }) = (query, answer) else {
            return Vec::new();
        };
        if filter.run != self.run || filter.terms != self.list.filter {
            return Vec::new();
        }
        self.lines.clone_from(lines);
        let shown = self.shown();
        let sought = self.agent.as_ref().and_then(|agent| {
            let of = |fields: &str| fields.contains(&format!("agent={agent}"));
            let failed = |l: &&LogLine| l.message.raw() == "attempt failed";
            shown.iter().position(|l| failed(l) && of(l.fields.raw()))
        });
        let at = sought.unwrap_or(shown.len().saturating_sub(1));
        self.list.select_row(at);
        self.agent = None;
        Vec::new()
    }

    fn on_click(&mut self, (_, y): (u16, u16), area: Rect, cx: &Context) -> Vec<Intent> {
        let lines = self.shown();
        let (total, before) = (lines.len(), self.selected(&lines));
        let inner = Rect {
            width: area.width.saturating_sub(4),
            height: area.height.saturating_sub(2),
            ..area
        };
        let height = above(inner, &whole(lines.get(before), inner));
        let line = y.checked_sub(area.y + 1);
        match line.and_then(|line| row_at(line, before, height, total)) {
            Some(n) if n == before => self.on_action(Action::Open, cx).unwrap_or_default(),
            Some(n) => {
                self.list.select_row(n);
                Vec::new()
            }
            None => Vec::new(),
        }
    }

    fn filter(&self) -> Option<&str> {
        Some(&self.list.filter)
    }

    fn set_filter(&mut self, text: String, done: bool, _cx: &Context) -> Vec<Intent> {
        self.list.filter = text;
        if done { self.read() } else { Vec::new() }
    }

    fn draw(&self, cx: &Context, area: Rect, buffer: &mut Buffer) {
        self.draw_lines(cx, area, buffer);
    }

    fn scope(&self) -> Scope {
        Scope::Logs
    }

    fn hints(&self, _cx: &Context) -> Vec<Action> {
        vec![Action::Filter, Action::Open]
    }

    fn subject(&self, _cx: &Context) -> Subject {
        let lines = self.shown();
        let line = lines.get(self.selected(&lines));
        let run = line.and_then(|l| l.run.clone());
        run.map_or(Subject::None, Subject::Run)
    }

    fn table(&self, _cx: &Context) -> Vec<Vec<String>> {
        let head = ["at", "level", "run", "correlation", "message", "fields"];
        let rows = self.shown().into_iter().map(|l| {
            vec![
                l.at.clone(),
                l.level.clone(),
                l.run.clone().unwrap_or_default(),
                l.correlation.clone().unwrap_or_default(),
                l.message.raw().to_owned(),
                l.fields.raw().to_owned(),
            ]
        });
        with_head(&head, rows)
    }

    fn copied(&self, cx: &Context) -> Option<String> {
        let at = self.selected(&self.shown());
        one_line(self.table(cx).get(at + 1)?)
    }
}

/// Columns before a line's message.
const BEFORE: usize = 22;
/// Rows that a long line may take where it is shown whole.
const WHOLE: usize = 5;

/// The selected line in rows, where it does not fit into its own.
fn whole(line: Option<&&LogLine>, inner: Rect) -> Vec<String> {
    let Some(line) = line else {
        return Vec::new();
    };
    let text = format!("{} {}", line.message.line(400), line.fields.line(1_000));
    let width = usize::from(inner.width);
    if text.trim_end().width() + BEFORE <= width || inner.height < 8 {
        return Vec::new();
    }
    let mut rows = wrap(text.trim_end(), width);
    rows.truncate(WHOLE);
    rows
}

/// Rows above the selected line's, and above the rule between.
fn above(inner: Rect, below: &[String]) -> usize {
    let rule = usize::from(!below.is_empty());
    usize::from(inner.height) - below.len() - rule
}

impl Logs {
    fn draw_lines(&self, cx: &Context, area: Rect, buffer: &mut Buffer) {
        let theme = cx.theme;
        let lines = self.shown();
        let of = self
            .run
            .as_ref()
            .map_or_else(|| "all runs".to_owned(), |r| format!("run {}", short_id(r)));
        let note = format!(
            "{of}, {} {}  7 refresh",
            so_many(lines.len() as u64, "line", "lines"),
            self.list.filter_note(),
        );
        let inner = panel(theme, "Logs", &note, area, buffer);
        if lines.is_empty() {
            let unknown = self.list.unknown_field(&self.lines, "line");
            let words = unknown.unwrap_or_else(|| "No lines.".to_owned());
            put(buffer, row(inner, 0), &words, theme.style(Role::Dim));
            return;
        }
        let selected = self.selected(&lines);
        let below = whole(lines.get(selected), inner);
        let height = above(inner, &below);
        if !below.is_empty() {
            let dash = if theme.ascii { "-" } else { "─" };
            let rule = dash.repeat(usize::from(inner.width));
            put(
                buffer,
                row(inner, height as u16),
                &rule,
                theme.style(Role::Dim),
            );
            for (n, text) in below.iter().enumerate() {
                let place = row(inner, (height + 1 + n) as u16);
                put(buffer, place, text, theme.style(Role::Text));
            }
        }
        let first = first_visible(selected, height, lines.len());
        for (n, l) in lines.iter().enumerate().skip(first).take(height) {
            let role = match l.level.as_str() {
                "ERROR" => Role::Bad,
                "WARN" => Role::Warn,
                _ => Role::Text,
            };
            let at = l.at.parse::<jiff::Timestamp>().ok();
            let time = at.map_or_else(
                || l.at.clone(),
                |at| cx.zone.clock_seconds(at.as_millisecond()),
            );
            let run = l.run.as_deref().map_or("", short_id);
            let place = row(inner, (n - first) as u16);
            line(
                buffer,
                place,
                vec![
                    Span::styled(
                        format!("{} ", crate::text::clean_line(&time, 8)),
                        theme.style(Role::Dim),
                    ),
                    Span::styled(
                        format!("{} ", fit(theme, &crate::text::clean_line(&l.level, 5), 5)),
                        theme.style(role),
                    ),
                    Span::styled(
                        format!("{} ", fit(theme, &crate::text::clean_line(run, 6), 6)),
                        theme.style(Role::Dim),
                    ),
                    Span::styled(format!("{} ", l.message.line(200)), theme.style(role)),
                    Span::styled(l.fields.line(300), theme.style(Role::Dim)),
                ],
            );
            if n == selected {
                buffer.set_style(place, theme.style(Role::Selected));
            }
        }
    }
}
