//! Is all well, and what does it mean for work? One sentence first, then the figures that explain it.
//!
//! ```text
//!  DOWN openai refuses since 41 s · 12 of 12 runs undecided              w why
//!  calls a second by outcome      │ latency of answered calls
//!  cache │ throughput, errors │ decisions, last hour │ resources
//!  breakers and pools
//!  alerts                         │ live log (wide terminals)
//!  runs
//! ```

mod alerts_panel;
mod calls_panel;
mod figures;
mod impact_line;
mod latency_panel;
mod panels;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use self::panels::{Panel, Places, WIDE};
use super::provider_table;
use super::run_list::RunList;
use crate::console::action::{Action, Scope, Screen};
use crate::console::component::{Component, Intent, Subject};
use crate::console::context::Context;
use crate::console::list_habits::ListHabit;
use crate::console::route::Route;
use crate::console::widgets::focus::{self, Focus};
use crate::console::widgets::list::ListState;
use crate::console::widgets::panel::{inside, panel_with_foot};
use crate::console::widgets::table::{self, Hit};
use crate::engine::protocol::command::Command;
use crate::engine::protocol::event::Event;
use crate::engine::protocol::impact::ImpactKind;
use crate::engine::protocol::query::{Answer, Query};
use crate::engine::protocol::why::About;
use crate::telemetry::log_read::{LogFilter, LogLine};

/// Log lines of the live panel.
const LOG_LINES: usize = 20;
/// The live panel is read again at most that often, milliseconds.
const LOG_EACH_MS: i64 = 1_000;

/// The screen.
#[derive(Debug, Clone)]
pub struct Overview {
    runs: RunList,
    /// The selected provider, while their panel has the focus.
    providers: ListState,
    focus: Focus<Panel>,
    lines: Vec<LogLine>,
    read_ms: i64,
    /// Something was logged since.
    behind: bool,
}

impl Default for Overview {
    fn default() -> Self {
        Self {
            runs: RunList::default(),
            providers: ListState::default(),
            focus: Focus::on(Panel::Runs),
            lines: Vec::new(),
            read_ms: 0,
            behind: false,
        }
    }
}

/// The query of the live panel; told from the Logs screen's by its limit.
fn live_lines() -> Query {
    Query::Logs {
        filter: LogFilter {
            limit: LOG_LINES,
            ..LogFilter::default()
        },
    }
}

impl Overview {
    fn read(&mut self, cx: &Context) -> Vec<Intent> {
        self.read_ms = cx.wall_ms;
        self.behind = false;
        if cx.size.0 < WIDE && self.focus.alone() != Some(Panel::Log) {
            return Vec::new();
        }
        vec![Intent::ask(live_lines())]
    }

    /// The panel that keys act on.
    fn focused(&self, cx: &Context) -> Panel {
        let places = Places::of(cx, self.focus.alone(), body(cx));
        self.focus.panel(&places.shown())
    }

    fn selected_provider(&self, cx: &Context) -> usize {
        let rows = &cx.snapshot().provider_rows;
        self.providers.selected(rows.len(), |n| &rows[n].name)
    }

    /// The calls of the selected provider.
    fn open_provider(&self, cx: &Context) -> Vec<Intent> {
        let rows = &cx.snapshot().provider_rows;
        let row = rows.get(self.selected_provider(cx));
        let provider = row.map(|r| r.name.clone());
        vec![Intent::Navigate(Route::Calls { provider })]
    }

    fn is_on_provider(&self, cx: &Context) -> bool {
        self.focused(cx) == Panel::Providers
    }

    /// What an action means while a panel other than the runs has the focus.
    fn on_panel(&mut self, panel: Panel, action: Action, cx: &Context) -> Option<Vec<Intent>> {
        let is_providers = panel == Panel::Providers;
        match action {
            Action::Open if is_providers => Some(self.open_provider(cx)),
            Action::Open => Some(vec![Intent::Act(leads_to(panel))]),
            Action::Down
            | Action::Up
            | Action::Top
            | Action::Bottom
            | Action::PageDown
            | Action::PageUp => {
                let rows = &cx.snapshot().provider_rows;
                if is_providers {
                    self.providers.travel(action, rows.len(), |n| &rows[n].name);
                }
                Some(Vec::new())
            }
            Action::Mark
            | Action::MarkAll
            | Action::Columns
            | Action::Wide
            | Action::SortNext
            | Action::SortPrevious
            | Action::SortReverse => {
                let keys = cx.keys_of(&[(Action::FocusNext, "moves the focus")]);
                let text = format!("the runs have not the focus; {keys}");
                Some(vec![Intent::warn(text)])
            }
            _ => None,
        }
    }

    fn runs_panel(&self, cx: &Context, area: Rect, buffer: &mut Buffer) {
        let runs = self.runs.shown(cx);
        let all = runs.len() + cx.snapshot().runs_left_out as usize;
        let foot = table::left_out(all, inside(area));
        let keys = cx.keys_of(&[(Action::Trigger, "run"), (Action::Open, "open")]);
        let marked = self.runs.marked_note(cx);
        let wide = self.runs.columns_note(cx);
        let keys = format!("{}{wide}{marked}{keys}", self.runs.list.filter_note());
        let inner = panel_with_foot(cx.theme, "Runs", &keys, &foot, area, buffer);
        self.runs.draw(cx, &runs, inner, buffer);
    }

    fn providers_panel(&self, cx: &Context, focused: bool, area: Rect, buffer: &mut Buffer) {
        let rows = cx.snapshot().provider_rows.len();
        let foot = table::left_out(rows, inside(area));
        let keys = cx.keys_of(&[
            (Action::ResetBreaker, "reset"),
            (Action::ResizePool, "pool size"),
        ]);
        let title = if area.width >= 100 {
            "Breakers and pools"
        } else {
            "Providers"
        };
        let inner = panel_with_foot(cx.theme, title, &keys, &foot, area, buffer);
        let selected = focused.then(|| self.selected_provider(cx));
        provider_table::draw(cx, &ListState::default(), selected, inner, buffer);
    }

    fn draw_panel(
        &self,
        cx: &Context,
        (panel, area): (Panel, Rect),
        focused: bool,
        buffer: &mut Buffer,
    ) {
        match panel {
            Panel::Calls => calls_panel::draw(cx, area, buffer),
            Panel::Latency => latency_panel::draw(cx, area, buffer),
            Panel::Cache => figures::cache(cx, area, buffer),
            Panel::Throughput => figures::throughput(cx, area, buffer),
            Panel::Decisions => figures::decisions(cx, area, buffer),
            Panel::Resources => figures::resources(cx, area, buffer),
            Panel::Providers => self.providers_panel(cx, focused, area, buffer),
            Panel::Alerts => alerts_panel::draw(cx, area, buffer),
            Panel::Log => alerts_panel::draw_log(cx, &self.lines, area, buffer),
            Panel::Runs => self.runs_panel(cx, area, buffer),
        }
        if focused {
            focus::mark(cx, area, buffer);
        }
    }

    /// A click on a row of the focused table, or on its head.
    fn click_provider(&mut self, at: (u16, u16), area: Rect, cx: &Context) -> Vec<Intent> {
        let rows = &cx.snapshot().provider_rows;
        let before = self.selected_provider(cx);
        let columns = &provider_table::COLUMNS;
        let hit = table::hit(columns, at, Some(before), rows.len(), inside(area));
        match hit {
            Some(Hit::Row(n)) if n == before => return self.open_provider(cx),
            Some(Hit::Row(n)) => self.providers.select(n, &rows[n].name),
            _ => {}
        }
        Vec::new()
    }
}

/// Where a panel leads.
fn leads_to(panel: Panel) -> Action {
    match panel {
        Panel::Calls | Panel::Latency | Panel::Throughput => Action::Trends,
        Panel::Cache => Action::Show(Screen::Caches),
        Panel::Decisions | Panel::Runs => Action::Show(Screen::Runs),
        Panel::Resources => Action::Storage,
        Panel::Providers => Action::Show(Screen::Resilience),
        Panel::Alerts => Action::Alerts,
        Panel::Log => Action::Show(Screen::Logs),
    }
}

/// The part of the terminal that a screen has: without header, tabs and hints.
fn body(cx: &Context) -> Rect {
    Rect::new(0, 2, cx.size.0, cx.size.1.saturating_sub(3))
}

impl Component for Overview {
    fn title(&self, _cx: &Context) -> String {
        "Overview".into()
    }

    fn on_show(&mut self, cx: &Context) -> Vec<Intent> {
        self.read(cx)
    }

    fn on_snapshot(&mut self, cx: &Context) -> Vec<Intent> {
        if self.behind && cx.wall_ms - self.read_ms >= LOG_EACH_MS {
            return self.read(cx);
        }
        Vec::new()
    }

    fn on_event(&mut self, event: &Event, _cx: &Context) -> Vec<Intent> {
        // What happens is logged; a text that is still being said is not.
        self.behind |= !matches!(event, Event::Said { .. });
        Vec::new()
    }

    fn on_answer(&mut self, query: &Query, answer: &Answer, _cx: &Context) -> Vec<Intent> {
        if let Answer::Logs { lines } = answer
            && *query == live_lines()
        {
            self.lines.clone_from(lines);
        }
        Vec::new()
    }

    fn on_action(&mut self, action: Action, cx: &Context) -> Option<Vec<Intent>> {
        // Marks go before the one panel, as they came after it.
        let marked = action == Action::Back && !self.runs.list.marked.is_empty();
        let shown = Places::of(cx, None, body(cx)).shown();
        if !marked && self.focus.on_action(action, &shown, &Panel::ALL) {
            let log = self.focus.alone() == Some(Panel::Log);
            return Some(if log { self.read(cx) } else { Vec::new() });
        }
        match self.focused(cx) {
            Panel::Runs => self.runs.on_action(action, cx),
            other => self.on_panel(other, action, cx),
        }
    }

    fn filter(&self) -> Option<&str> {
        Some(&self.runs.list.filter)
    }

    fn set_filter(&mut self, text: String, _done: bool, _cx: &Context) -> Vec<Intent> {
        self.runs.list.filter = text;
        Vec::new()
    }

    fn on_click(&mut self, at: (u16, u16), area: Rect, cx: &Context) -> Vec<Intent> {
        let places = Places::of(cx, self.focus.alone(), area);
        let in_rect = |rect: Rect| rect.contains(at.into());
        if in_rect(places.impact) {
            return vec![Intent::Act(Action::Why)];
        }
        if places.alert_line.is_some_and(in_rect) {
            return vec![Intent::Act(Action::Alerts)];
        }
        let Some((panel, rect)) = places.at(at) else {
            return Vec::new();
        };
        let had_focus = self.focus.panel(&places.shown()) == panel;
        self.focus.take(panel);
        match panel {
            // A row is selected by the same click.
            Panel::Runs => self.runs.on_click(at, inside(rect), cx),
            Panel::Providers if had_focus => self.click_provider(at, rect, cx),
            // The first click focuses, the second opens.
            other if had_focus => vec![Intent::Act(leads_to(other))],
            _ => Vec::new(),
        }
    }

    fn list_habit(&self) -> Option<ListHabit> {
        Some(self.runs.habit())
    }

    fn adopt(&mut self, habit: &ListHabit) {
        self.runs.adopt(habit);
    }

    fn set_columns(&mut self, heads: &[&'static str]) {
        self.runs.set_columns(heads);
    }

    fn on_sent(&mut self, _commands: &[Command]) {
        self.runs.list.marked.clear();
    }

    fn draw(&self, cx: &Context, area: Rect, buffer: &mut Buffer) {
        let places = Places::of(cx, self.focus.alone(), area);
        impact_line::draw(cx, places.impact, buffer);
        if let Some(lines) = places.lines {
            figures::draw_lines(cx, lines, buffer);
        }
        let focused = self.focus.panel(&places.shown());
        let several = places.panels.len() > 1;
        for place in &places.panels {
            let focused = place.0 == focused && several;
            self.draw_panel(cx, *place, focused, buffer);
        }
        if let Some(line) = places.alert_line {
            alerts_panel::draw_line(cx, line, buffer);
        }
    }

    fn scope(&self) -> Scope {
        Scope::Runs
    }

    fn hints(&self, _cx: &Context) -> Vec<Action> {
        vec![
            Action::Trigger,
            Action::Open,
            Action::Why,
            Action::Trends,
            Action::ClearCache,
            Action::ResetBreaker,
            Action::Filter,
            Action::Zoom,
        ]
    }

    fn panels(&self, _cx: &Context) -> usize {
        Panel::ALL.len()
    }

    fn subject(&self, cx: &Context) -> Subject {
        match self.focused(cx) {
            Panel::Runs => self.runs.subject(cx),
            Panel::Providers => {
                let rows = &cx.snapshot().provider_rows;
                let row = rows.get(self.selected_provider(cx));
                row.map_or(Subject::None, |r| Subject::Provider(r.name.clone()))
            }
            _ => Subject::None,
        }
    }

    /// What leads the screen, while it is bad; else the selected run.
    fn about(&self, cx: &Context) -> About {
        let first = cx.snapshot().impact.first();
        match first {
            Some(i) if i.kind <= ImpactKind::Warn && !self.is_on_provider(cx) => {
                i.about.clone().unwrap_or(About::Health)
            }
            _ => self.subject(cx).about(),
        }
    }

    fn table(&self, cx: &Context) -> Vec<Vec<String>> {
        self.runs.table(cx)
    }

    fn copied(&self, cx: &Context) -> Option<String> {
        self.runs.copied(cx)
    }
}
