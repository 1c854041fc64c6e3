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

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};

use super::provider_table;
use super::run_list::RunList;
use crate::console::action::{Action, Scope};
use crate::console::component::{Component, Intent, Subject};
use crate::console::context::Context;
use crate::console::list_habits::ListHabit;
use crate::console::widgets::list::ListState;
use crate::console::widgets::panel::{inside, panel_with_foot};
use crate::console::widgets::table;
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
/// From this width on there is a live log.
const WIDE: u16 = 180;

/// The screen.
#[derive(Debug, Clone, Default)]
pub struct Overview {
    runs: RunList,
    lines: Vec<LogLine>,
    read_ms: i64,
    /// Something was logged since.
    behind: bool,
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
        if cx.size.0 < WIDE {
            return Vec::new();
        }
        vec![Intent::ask(live_lines())]
    }

    fn runs_panel(&self, cx: &Context, area: Rect, buffer: &mut Buffer) {
        let runs = self.runs.shown(cx);
        let all = runs.len() + cx.snapshot().runs_left_out as usize;
        let foot = table::left_out(all, inside(area));
        let keys = cx.keys_of(&[(Action::Trigger, "run"), (Action::Open, "open")]);
        let marked = self.runs.marked_note(cx);
        let keys = format!("{}{marked}{keys}", self.runs.list.filter_note());
        let inner = panel_with_foot(cx.theme, "Runs", &keys, &foot, area, buffer);
        self.runs.draw(cx, &runs, inner, buffer);
    }

    fn providers_panel(cx: &Context, area: Rect, buffer: &mut Buffer) {
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
        provider_table::draw(cx, &ListState::default(), None, inner, buffer);
    }
}

/// Which panels have room, from the top.
struct Panels {
    impact: Rect,
    /// Two lines of figures, where there is no room for panels.
    lines: Option<Rect>,
    charts: Option<Rect>,
    figures: Option<Rect>,
    providers: Option<Rect>,
    alerts: Option<Rect>,
    /// One line that names the alerts.
    alert_line: Option<Rect>,
    runs: Rect,
}

impl Panels {
    fn of(cx: &Context, area: Rect) -> Self {
        let providers = cx.snapshot().provider_rows.len().max(1) as u16;
        let tall = area.height >= 34 && area.width >= 100;
        let high = area.height >= 44;
        let charts = match (tall, high) {
            (true, true) => 10,
            (true, false) => 7,
            _ => 0,
        };
        let figures = if tall { 5 } else { 0 };
        let lines = if tall {
            0
        } else {
            2.min(area.height.saturating_sub(4))
        };
        let alerts = if tall { 4 + u16::from(high) * 2 } else { 0 };
        let alert_line = u16::from(!tall && area.height >= 16);
        let used = 1 + lines + charts + figures + alerts + alert_line;
        // At least five rows of runs are left.
        let room = area.height.saturating_sub(used + 8);
        let table = (providers + 3).min(room);
        let table = if table >= 4 { table } else { 0 };
        let rows: [Rect; 8] = Layout::vertical([
            Constraint::Length(1),
            Constraint::Length(lines),
            Constraint::Length(charts),
            Constraint::Length(figures),
            Constraint::Length(table),
            Constraint::Length(alerts),
            Constraint::Min(0),
            Constraint::Length(alert_line),
        ])
        .areas(area);
        let shown = |rect: Rect| (rect.height > 0).then_some(rect);
        Self {
            impact: rows[0],
            lines: shown(rows[1]),
            charts: shown(rows[2]),
            figures: shown(rows[3]),
            providers: shown(rows[4]),
            alerts: shown(rows[5]),
            alert_line: shown(rows[7]),
            runs: rows[6],
        }
    }
}

/// Two halves of a row.
fn halves(area: Rect) -> [Rect; 2] {
    Layout::horizontal([Constraint::Fill(1); 2]).areas(area)
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
        self.runs.on_action(action, cx)
    }

    fn filter(&self) -> Option<&str> {
        Some(&self.runs.list.filter)
    }

    fn set_filter(&mut self, text: String, _done: bool, _cx: &Context) -> Vec<Intent> {
        self.runs.list.filter = text;
        Vec::new()
    }

    fn on_click(&mut self, at: (u16, u16), area: Rect, cx: &Context) -> Vec<Intent> {
        let panels = Panels::of(cx, area);
        let clicked = |rect: Rect| rect.contains(at.into());
        if clicked(panels.impact) {
            return vec![Intent::Act(Action::Why)];
        }
        if panels.charts.is_some_and(clicked) {
            return vec![Intent::Act(Action::Trends)];
        }
        if panels.alerts.is_some_and(clicked) || panels.alert_line.is_some_and(clicked) {
            return vec![Intent::Act(Action::Alerts)];
        }
        self.runs.on_click(at, inside(panels.runs), cx)
    }

    fn list_habit(&self) -> Option<ListHabit> {
        Some(self.runs.habit())
    }

    fn adopt(&mut self, habit: &ListHabit) {
        self.runs.adopt(habit);
    }

    fn on_sent(&mut self, _commands: &[Command]) {
        self.runs.list.marked.clear();
    }

    fn draw(&self, cx: &Context, area: Rect, buffer: &mut Buffer) {
        let panels = Panels::of(cx, area);
        impact_line::draw(cx, panels.impact, buffer);
        if let Some(lines) = panels.lines {
            figures::draw_lines(cx, lines, buffer);
        }
        if let Some(charts) = panels.charts {
            let [left, right] = halves(charts);
            calls_panel::draw(cx, left, buffer);
            latency_panel::draw(cx, right, buffer);
        }
        if let Some(row) = panels.figures {
            figures::draw_panels(cx, row, buffer);
        }
        if let Some(table) = panels.providers {
            Self::providers_panel(cx, table, buffer);
        }
        if let Some(row) = panels.alerts {
            if area.width >= WIDE {
                let [left, right] = halves(row);
                alerts_panel::draw(cx, left, buffer);
                alerts_panel::draw_log(cx, &self.lines, right, buffer);
            } else {
                alerts_panel::draw(cx, row, buffer);
            }
        }
        self.runs_panel(cx, panels.runs, buffer);
        if let Some(line) = panels.alert_line {
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
        ]
    }

    fn subject(&self, cx: &Context) -> Subject {
        self.runs.subject(cx)
    }

    /// What leads the screen, while it is bad; else the selected run.
    fn about(&self, cx: &Context) -> About {
        let first = cx.snapshot().impact.first();
        match first {
            Some(i) if i.kind <= ImpactKind::Warn => i.about.clone().unwrap_or(About::Health),
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
