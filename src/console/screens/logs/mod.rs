//! Log lines: the newest of all, of one thing, or those around a time. New ones are followed until one looks
//! at an older line.

mod lines;
mod view;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use self::lines::Lines;
use self::view::Look;
use crate::console::action::{Action, Scope};
use crate::console::component::{Component, Intent, Subject};
use crate::console::context::Context;
use crate::console::format::{count, short_id, so_many};
use crate::console::route::Route;
use crate::console::theme::Role;
use crate::console::widgets::list::ListState;
use crate::console::widgets::panel::{inside, panel};
use crate::console::widgets::table::{one_line, with_head};
use crate::console::widgets::text::{put, row};
use crate::engine::protocol::event::Event;
use crate::engine::protocol::query::{Answer, Query};
use crate::telemetry::log_read::{LogFilter, LogLine};
use crate::text::clean_line;

/// Lines that are read at once.
const READ: usize = 1_000;
/// New lines are read at most this often, milliseconds.
const EACH_MS: i64 = 1_000;
/// What is logged is in the file a moment later, milliseconds.
const WRITTEN_MS: i64 = 200;
/// New lines are read from a moment before the newest one on: threads write a little out of order.
const OVERLAP_MS: i64 = 1_000;

/// A span of time and the moment that is looked for, wall time in milliseconds.
#[derive(Debug, Clone, Copy)]
struct Around {
    at: i64,
    from: i64,
    to: i64,
}

/// The newest log lines: of all, or of one thing.
#[derive(Debug, Clone, Default)]
pub struct Logs {
    run: Option<String>,
    around: Option<Around>,
    list: ListState,
    lines: Lines,
    /// The agent whose failed attempt is selected when lines come.
    agent: Option<String>,
    /// The newest line is not followed.
    paused: bool,
    /// New lines since it is not.
    unseen: usize,
    /// Lines came faster than they could be read.
    gap: bool,
    wraps: bool,
    search: String,
    /// What was asked last and is not answered yet.
    asked: Option<LogFilter>,
    /// There is an answer.
    is_read: bool,
    read_ms: i64,
    /// When new lines are read.
    due_ms: Option<i64>,
}

impl Logs {
    /// Of a run, with a filter to begin with; an agent's failed attempt is selected.
    pub fn of(run: Option<String>, filter: String, agent: Option<String>) -> Self {
        Self {
            run,
            list: ListState::filtered(filter),
            agent,
            ..Self::default()
        }
    }

    /// Those of a span; the one nearest to `at_ms` is selected.
    pub fn around(at_ms: i64, from_ms: i64, to_ms: i64) -> Self {
        Self {
            around: Some(Around {
                at: at_ms,
                from: from_ms,
                to: to_ms,
            }),
            ..Self::default()
        }
    }

    /// New lines may come: these are not of a time that is past.
    fn is_open(&self, cx: &Context) -> bool {
        self.around.is_none() && cx.frozen.is_none()
    }

    fn follows(&self, cx: &Context) -> bool {
        self.is_open(cx) && !self.paused
    }

    fn ask(&mut self, from_ms: Option<i64>, cx: &Context) -> Vec<Intent> {
        let held = cx.frozen.is_some().then_some(cx.frozen_ms);
        let filter = LogFilter {
            run: self.run.clone(),
            terms: self.list.filter.clone(),
            limit: READ,
            from_ms,
            to_ms: self.around.map(|a| a.to).or(held),
            ..LogFilter::default()
        };
        self.read_ms = cx.wall_ms;
        self.due_ms = None;
        self.asked = Some(filter.clone());
        vec![Intent::ask(Query::Logs { filter })]
    }

    /// Reads all of it.
    fn read(&mut self, cx: &Context) -> Vec<Intent> {
        self.is_read = false;
        self.ask(self.around.map(|a| a.from), cx)
    }

    /// Reads what is new.
    fn read_on(&mut self, cx: &Context) -> Vec<Intent> {
        match self.lines.newest_ms() {
            Some(newest) if self.is_read => self.ask(Some(newest - OVERLAP_MS), cx),
            _ => self.read(cx),
        }
    }

    /// Something happened: it is read soon, and not more than once a second.
    fn expect_more(&mut self, cx: &Context) {
        if self.is_open(cx) {
            let soon = (cx.wall_ms + WRITTEN_MS).max(self.read_ms + EACH_MS);
            self.due_ms.get_or_insert(soon);
        }
    }

    fn selected(&self) -> usize {
        self.list.selected(self.lines.len(), |_| "")
    }

    fn chosen(&self) -> Option<&LogLine> {
        self.lines.get(self.selected())
    }

    fn look(&self) -> Look<'_> {
        Look {
            selected: self.selected(),
            wraps: self.wraps,
            search: &self.search,
        }
    }

    fn select_last(&mut self) {
        self.list.select_row(self.lines.len().saturating_sub(1));
        self.unseen = 0;
    }

    /// Selects a line; one that is not the newest is looked at, so new ones do not take it away.
    fn select(&mut self, n: usize) {
        self.list.select_row(n);
        if n + 1 < self.lines.len() {
            self.paused = true;
        }
    }

    fn toggle_follow(&mut self, cx: &Context) -> Vec<Intent> {
        if !self.is_open(cx) {
            let text = "follow: these lines are of a time that is past";
            return vec![Intent::warn(text)];
        }
        self.paused = !self.paused;
        if !self.paused {
            self.select_last();
            return self.read_on(cx);
        }
        Vec::new()
    }

    /// To the next line with the word, or the one before.
    fn find(&mut self, forward: bool) -> Vec<Intent> {
        if self.search.is_empty() {
            return vec![Intent::Act(Action::Search)];
        }
        match self.lines.find(&self.search, self.selected(), forward) {
            Some(n) => {
                self.select(n);
                Vec::new()
            }
            None => vec![Intent::warn(format!(
                "search: no line has '{}'",
                clean_line(&self.search, 40)
            ))],
        }
    }

    /// The line that is selected when all were read.
    fn sought(&mut self) -> Option<usize> {
        if let Some(around) = self.around {
            return self.lines.nearest(around.at);
        }
        let agent = self.agent.take()?;
        let of = |fields: &str| fields.contains(&format!("agent={agent}"));
        let failed = |l: &LogLine| l.message.raw() == "attempt failed" && of(l.fields.raw());
        self.lines.iter().position(failed)
    }

    fn take_all(&mut self, lines: &[LogLine], cx: &Context) {
        self.lines.replace(lines, &self.list.terms());
        self.is_read = true;
        self.gap = false;
        let sought = self.sought();
        match sought {
            Some(at) => self.select(at),
            None => {
                self.paused &= !self.is_open(cx);
                self.select_last();
            }
        }
    }

    fn take_new(&mut self, lines: &[LogLine], cx: &Context) {
        let at = self.selected();
        let added = self.lines.add(lines, READ, &self.list.terms());
        self.gap |= added.gap;
        if self.follows(cx) {
            self.select_last();
        } else {
            self.unseen += added.shown;
            self.list.select_row(at.saturating_sub(added.gone));
        }
    }

    /// What the lines are of, in words.
    fn subject_words(&self, cx: &Context) -> String {
        match (&self.around, &self.run) {
            (Some(around), _) => {
                let at = cx.zone.at(around.at);
                format!("around {}", at.strftime("%Y-%m-%d %H:%M:%S"))
            }
            (None, Some(run)) => format!("run {}", short_id(run)),
            (None, None) => "all runs".to_owned(),
        }
    }

    /// What stands in the border: of what, how many, and whether new ones are followed.
    fn note(&self, cx: &Context) -> String {
        let held = self.lines.held().len();
        let newest = if held >= READ { "the newest " } else { "" };
        let mut note = format!(
            "{}, {newest}{} {}",
            self.subject_words(cx),
            so_many(self.lines.len() as u64, "line", "lines"),
            self.list.filter_note(),
        );
        if self.gap {
            note.push_str(" some lines between were not read ");
        }
        if !self.search.is_empty() {
            note.push_str(&format!(" search {} ", clean_line(&self.search, 20)));
        }
        let key = cx.key_word(Action::Follow);
        let follow = if cx.frozen.is_some() {
            format!(
                " until {}",
                cx.zone.clock_seconds(cx.frozen_ms.min(cx.wall_ms))
            )
        } else if self.around.is_some() {
            String::new()
        } else if !self.paused {
            format!(" following, {key} pauses")
        } else if self.unseen > 0 {
            let new = count(self.unseen as u64);
            format!(" {new} new, {key} follows")
        } else {
            format!(" paused, {key} follows")
        };
        note.push_str(&follow);
        note
    }
}

impl Component for Logs {
    fn title(&self, cx: &Context) -> String {
        match (&self.around, &self.run) {
            (Some(around), _) => format!("log around {}", cx.zone.clock_seconds(around.at)),
            (None, Some(run)) => format!("log of {}", short_id(run)),
            (None, None) => "Logs".to_owned(),
        }
    }

    fn on_show(&mut self, cx: &Context) -> Vec<Intent> {
        if self.around.is_some() && self.is_read {
            return Vec::new();
        }
        if cx.frozen.is_some() {
            return self.read(cx);
        }
        self.read_on(cx)
    }

    fn on_action(&mut self, action: Action, cx: &Context) -> Option<Vec<Intent>> {
        match action {
            Action::Open => {
                let run = self.chosen().and_then(|l| l.run.clone());
                let go = run.map(|id| Intent::Navigate(Route::Run { id }));
                return Some(go.into_iter().collect());
            }
            Action::Follow => return Some(self.toggle_follow(cx)),
            Action::Wrap => {
                self.wraps = !self.wraps;
                return Some(Vec::new());
            }
            Action::FindNext | Action::FindPrevious => {
                return Some(self.find(action == Action::FindNext));
            }
            _ => {}
        }
        let total = self.lines.len();
        if !self.list.travel(action, total, |_| "") {
            return None;
        }
        match action {
            Action::Bottom if self.is_open(cx) => {
                self.paused = false;
                self.select_last();
            }
            _ => self.select(self.selected()),
        }
        Some(Vec::new())
    }

    fn on_snapshot(&mut self, cx: &Context) -> Vec<Intent> {
        self.expect_more(cx);
        self.on_tick(cx)
    }

    fn on_event(&mut self, event: &Event, cx: &Context) -> Vec<Intent> {
        // A text that is still being said is not logged.
        if !matches!(event, Event::Said { .. }) {
            self.expect_more(cx);
        }
        Vec::new()
    }

    fn on_tick(&mut self, cx: &Context) -> Vec<Intent> {
        if !self.is_open(cx) {
            self.due_ms = None;
        }
        match self.due_ms {
            Some(due) if due <= cx.wall_ms => self.read_on(cx),
            _ => Vec::new(),
        }
    }

    fn wakes_ms(&self) -> Option<i64> {
        self.due_ms
    }

    /// The lines until the moment that is shown, or the newest again.
    fn on_rewind(&mut self, cx: &Context) -> Vec<Intent> {
        if self.around.is_some() {
            return Vec::new();
        }
        self.read(cx)
    }

    fn on_answer(&mut self, query: &Query, answer: &Answer, cx: &Context) -> Vec<Intent> {
        let (Query::Logs { filter }, Answer::Logs { lines }) = (query, answer) else {
            return Vec::new();
        };
        if self.asked.as_ref() != Some(filter) {
            return Vec::new();
        }
        self.asked = None;
        if self.is_read {
            self.take_new(lines, cx);
        } else {
            self.take_all(lines, cx);
        }
        Vec::new()
    }

    fn on_click(&mut self, (_, y): (u16, u16), area: Rect, cx: &Context) -> Vec<Intent> {
        let inner = inside(area);
        let before = self.selected();
        let clicked = y.checked_sub(inner.y);
        let clicked = clicked.and_then(|y| view::line_at(&self.lines, self.look(), y, inner));
        match clicked {
            Some(n) if n == before => self.on_action(Action::Open, cx).unwrap_or_default(),
            Some(n) => {
                self.select(n);
                Vec::new()
            }
            None => Vec::new(),
        }
    }

    fn filter(&self) -> Option<&str> {
        Some(&self.list.filter)
    }

    fn set_filter(&mut self, text: String, done: bool, cx: &Context) -> Vec<Intent> {
        self.list.filter = text;
        self.lines.refilter(&self.list.terms());
        if self.follows(cx) {
            self.select_last();
        }
        if done { self.read(cx) } else { Vec::new() }
    }

    /// The nearest line with the word, at or above the selected one first: the newest are below.
    fn set_search(&mut self, text: String, done: bool, _cx: &Context) -> Vec<Intent> {
        self.search = text;
        if self.search.is_empty() || self.lines.len() == 0 {
            return Vec::new();
        }
        let total = self.lines.len();
        let found = self
            .lines
            .find(&self.search, (self.selected() + 1) % total, false);
        match found {
            Some(n) => {
                self.select(n);
                Vec::new()
            }
            None if done => self.find(true),
            None => Vec::new(),
        }
    }

    fn draw(&self, cx: &Context, area: Rect, buffer: &mut Buffer) {
        let inner = panel(cx.theme, "Logs", &self.note(cx), area, buffer);
        if self.lines.len() > 0 {
            view::draw(cx, &self.lines, self.look(), inner, buffer);
            return;
        }
        let unknown = self.list.unknown_field(self.lines.held(), "line");
        let words = match unknown {
            Some(words) => words,
            None if !self.is_read => "reading".to_owned(),
            None => "No lines.".to_owned(),
        };
        put(buffer, row(inner, 0), &words, cx.theme.style(Role::Dim));
    }

    fn scope(&self) -> Scope {
        Scope::Logs
    }

    fn hints(&self, _cx: &Context) -> Vec<Action> {
        vec![
            Action::Follow,
            Action::Filter,
            Action::Search,
            Action::FindNext,
            Action::Wrap,
            Action::Open,
        ]
    }

    fn subject(&self, _cx: &Context) -> Subject {
        let run = self.chosen().and_then(|l| l.run.clone());
        run.map_or(Subject::None, Subject::Run)
    }

    fn table(&self, _cx: &Context) -> Vec<Vec<String>> {
        let head = ["at", "level", "run", "correlation", "message", "fields"];
        with_head(&head, self.lines.iter().map(cells))
    }

    fn copied(&self, _cx: &Context) -> Option<String> {
        one_line(&cells(self.chosen()?))
    }
}

fn cells(l: &LogLine) -> Vec<String> {
    vec![
        l.at.clone(),
        l.level.clone(),
        l.run.clone().unwrap_or_default(),
        l.correlation.clone().unwrap_or_default(),
        l.message.raw().to_owned(),
        l.fields.raw().to_owned(),
    ]
}
