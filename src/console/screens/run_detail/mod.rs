//! One run: where the time went, what was found, what was decided and by which rule.

mod agent_rows;
mod describe;
pub mod document;
mod findings;
pub mod report;
mod summary;
mod waterfall;

use std::collections::BTreeMap;

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use unicode_width::UnicodeWidthStr as _;

use crate::console::action::Action;
use crate::console::component::{Component, Intent, Subject};
use crate::console::context::Context;
use crate::console::format::{seconds, short_id, so_many};
use crate::console::route::Route;
use crate::console::theme::Role;
use crate::console::widgets::focus::{self, Focus};
use crate::console::widgets::list::scrolled;
use crate::console::widgets::panel::{inside, panel, panel_with_foot};
use crate::console::widgets::text::{put, row};
use crate::engine::protocol::event::Event;
use crate::engine::protocol::query::{Answer, Query};
use crate::engine::protocol::run::RunResult;
use crate::engine::protocol::snapshot::RunSummary;
use crate::text::Untrusted;

/// A run at work is read again at most that often, milliseconds.
const EACH_MS: i64 = 1_000;

/// A run that is open.
#[derive(Debug, Clone)]
pub struct RunDetail {
    id: String,
    /// As last read.
    run: Option<Box<RunResult>>,
    /// Its entry in lists, where the picture does not hold it: what it is about.
    older: Option<Box<RunSummary>>,
    read_ms: i64,
    /// What models are saying, by agent.
    said: BTreeMap<String, Untrusted>,
    /// First line shown of the findings.
    scroll: u16,
    focus: Focus<Panel>,
}

/// The panels of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Panel {
    /// What it is about, and where the time of its agents went.
    Agents,
    /// What was found.
    Findings,
}

impl Panel {
    const ALL: [Self; 2] = [Self::Agents, Self::Findings];
}

impl RunDetail {
    /// Nothing of it is read yet.
    pub fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            run: None,
            older: None,
            read_ms: 0,
            said: BTreeMap::new(),
            scroll: 0,
            focus: Focus::on(Panel::Findings),
        }
    }

    fn read(&mut self, cx: &Context) -> Vec<Intent> {
        self.read_ms = cx.wall_ms;
        vec![Intent::ask(Query::Run {
            id: self.id.clone(),
        })]
    }

    /// Reads a run at work again, for what its agents do moves on.
    fn read_on(&mut self, cx: &Context) -> Vec<Intent> {
        let due = cx.wall_ms - self.read_ms >= EACH_MS;
        if due && cx.frozen.is_none() && cx.is_active(&self.id) {
            return self.read(cx);
        }
        Vec::new()
    }

    /// The query that finds its entry in lists.
    fn entry_query(&self) -> Query {
        Query::Runs {
            limit: 1,
            filter: format!("id:{}", self.id),
        }
    }

    fn entry<'a>(&'a self, cx: &'a Context) -> Option<&'a RunSummary> {
        let mut pictured = cx.snapshot().runs.iter();
        let pictured = pictured.find(|r| r.id == self.id);
        pictured.or(self.older.as_deref())
    }
}

impl Component for RunDetail {
    fn title(&self, _cx: &Context) -> String {
        format!("run {}", short_id(&self.id))
    }

    fn on_show(&mut self, cx: &Context) -> Vec<Intent> {
        let mut intents = self.read(cx);
        if self.entry(cx).is_none() {
            intents.push(Intent::ask(self.entry_query()));
        }
        intents
    }

    fn on_snapshot(&mut self, cx: &Context) -> Vec<Intent> {
        self.read_on(cx)
    }

    fn on_action(&mut self, action: Action, cx: &Context) -> Option<Vec<Intent>> {
        if action == Action::Open {
            return Some(vec![if cx.is_active(&self.id) {
                Intent::note("no report yet: the run goes on")
            } else {
                let id = self.id.clone();
                Intent::Navigate(Route::Report { id })
            }]);
        }
        if self.focus.on_action(action, &Panel::ALL, &Panel::ALL) {
            return Some(Vec::new());
        }
        scrolled(action, &mut self.scroll).then(Vec::new)
    }

    fn on_answer(&mut self, query: &Query, answer: &Answer, _cx: &Context) -> Vec<Intent> {
        if let (Query::Run { id }, Answer::Run { run }) = (query, answer)
            && *id == self.id
        {
            self.run = Some(run.clone());
        }
        if let Answer::Runs { runs } = answer
            && *query == self.entry_query()
        {
            let own = runs.iter().find(|r| r.id == self.id);
            self.older = own.cloned().map(Box::new);
        }
        Vec::new()
    }

    fn on_event(&mut self, event: &Event, cx: &Context) -> Vec<Intent> {
        // A picture held still stays as it is.
        if cx.frozen.is_some() {
            return Vec::new();
        }
        match event {
            Event::StepFinished { run, agent, .. } if *run == self.id => {
                self.said.remove(agent);
                self.read(cx)
            }
            Event::RunStarted { run, .. }
            | Event::StepStarted { run, .. }
            | Event::RunFinished { run, .. }
                if *run == self.id =>
            {
                self.read(cx)
            }
            Event::Said { of, agent, text } if *of == self.id => {
                self.said.insert(agent.clone(), text.clone());
                self.read_on(cx)
            }
            _ => Vec::new(),
        }
    }

    fn draw(&self, cx: &Context, area: Rect, buffer: &mut Buffer) {
        draw(cx, self, area, buffer);
    }

    fn hints(&self, _cx: &Context) -> Vec<Action> {
        vec![
            Action::Report,
            Action::RunLogs,
            Action::RunAgain,
            Action::Why,
            Action::Cancel,
            Action::Json,
            Action::Describe,
            Action::Zoom,
            Action::Back,
        ]
    }

    fn panels(&self, _cx: &Context) -> usize {
        Panel::ALL.len()
    }

    /// A click takes the focus.
    fn on_click(&mut self, at: (u16, u16), area: Rect, _cx: &Context) -> Vec<Intent> {
        let of = places(self, area).into_iter();
        let mut of = of.zip(Panel::ALL).filter(|(r, _)| r.contains(at.into()));
        if let Some((_, panel)) = of.next() {
            self.focus.take(panel);
        }
        Vec::new()
    }

    fn subject(&self, _cx: &Context) -> Subject {
        Subject::Run(self.id.clone())
    }

    fn copied(&self, _cx: &Context) -> Option<String> {
        Some(self.id.clone())
    }
}

/// Where the panels lie: agents, findings. One that has no height is not shown.
fn places(open: &RunDetail, area: Rect) -> [Rect; 2] {
    let nothing = Rect { height: 0, ..area };
    match open.focus.alone() {
        Some(Panel::Agents) => return [area, nothing],
        Some(Panel::Findings) => return [nothing, area],
        None => {}
    }
    // Borders and the time axis beside the lines and the agents; the findings keep five lines where they can.
    let agents = open.run.as_ref().map_or(0, |run| run.agents.len());
    let wanted = (agents as u16).saturating_add(summary::LINES + 3);
    let least = (summary::LINES + 4).min(area.height);
    let high = wanted.min(area.height.saturating_sub(5)).max(least);
    Layout::vertical([Constraint::Length(high), Constraint::Min(0)]).areas(area)
}

fn draw(cx: &Context, open: &RunDetail, area: Rect, buffer: &mut Buffer) {
    let theme = cx.theme;
    let Some(run) = &open.run else {
        let inner = panel(
            theme,
            &format!("run {}", short_id(&open.id)),
            "",
            area,
            buffer,
        );
        put(buffer, row(inner, 0), "reading it", theme.style(Role::Dim));
        return;
    };
    let [head, low] = places(open, area);
    if head.height > 0 {
        draw_head(cx, open, run, head, buffer);
    }
    if low.height > 0 {
        findings::draw(cx, open.scroll, &open.said, run, low, buffer);
    }
    if open.focus.alone().is_none() {
        let focused = match open.focus.panel(&Panel::ALL) {
            Panel::Agents => head,
            Panel::Findings => low,
        };
        focus::mark(cx, focused, buffer);
    }
}

/// What the run is about, and where the time of its agents went.
fn draw_head(cx: &Context, open: &RunDetail, run: &RunResult, head: Rect, buffer: &mut Buffer) {
    let theme = cx.theme;
    let took = run.duration_ms.map_or_else(String::new, |ms| {
        format!(" {} {}", theme.signs().0, seconds(ms))
    });
    let title = format!(
        "run {} {} {}{took}",
        short_id(&run.run_id),
        theme.signs().0,
        crate::text::clean_line(&run.event, 60)
    );
    let note = format!(
        "correlation {}",
        crate::text::clean_line(&run.correlation_id, 20)
    );
    let inner = inside(head);
    let top = summary::LINES.min(inner.height);
    let low_part = Rect {
        y: inner.y + top,
        height: inner.height - top,
        ..inner
    };
    let left_out = run.agents.len().saturating_sub(agent_rows::room(low_part));
    let legend = waterfall::legend(theme);
    let mut foot = match left_out {
        0 => String::new(),
        n => format!("+{}  ", so_many(n as u64, "agent", "agents")),
    };
    if foot.width() + legend.width() + 4 <= usize::from(head.width) {
        foot.push_str(&legend);
    }
    let inner = panel_with_foot(theme, &title, &note, foot.trim_end(), head, buffer);
    let entry = open.entry(cx);
    summary::draw(cx, run, entry, inner, buffer);
    agent_rows::draw(cx, run, entry, low_part, buffer);
}
