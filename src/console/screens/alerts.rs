//! Alerts: what holds first, then what is over, drills apart. Each leads to what to do about it and to the log
//! lines around it.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::console::action::{Action, Scope};
use crate::console::component::{Component, Intent, Subject};
use crate::console::context::Context;
use crate::console::format::so_many;
use crate::console::overlays::text::TextWindow;
use crate::console::route::Route;
use crate::console::theme::Role;
use crate::console::widgets::list::{ListState, first_visible};
use crate::console::widgets::panel::{inside, panel_with_foot};
use crate::console::widgets::table::{Cell, Column, draw_head, draw_row, one_line, with_head};
use crate::console::widgets::text::{put, row, wrap};
use crate::engine::protocol::alert::Alert;
use crate::engine::protocol::command::Command;
use crate::engine::protocol::query::{Answer, Query};
use crate::engine::protocol::runbook;
use crate::engine::protocol::why::About;
use crate::text::clean_line;

/// Log lines this long before and after an alert are shown with it, milliseconds.
const AROUND_MS: i64 = 120_000;
/// An alert that holds for longer shows the lines of its beginning.
const LONGEST_MS: i64 = 600_000;
/// Rows for the selected alert's text in full.
const WHOLE: usize = 3;

const COLUMNS: [Column; 8] = [
    Column::text("", 1, 0, 0),
    Column::text("STATE", 8, 0, 3),
    Column::text("SINCE", 11, 0, 0),
    Column::text("CHANGED", 11, 0, 4),
    Column::figure("TIMES", 5, 5),
    Column::text("CODE", 18, 0, 2),
    Column::text("TEXT", 20, 1, 0),
    Column::text("SEEN BY", 12, 0, 1),
];

/// The screen.
#[derive(Debug, Clone, Default)]
pub struct Alerts {
    list: ListState,
    /// All that are kept, as they were read; `None`: not yet.
    read: Option<Vec<Alert>>,
    /// The picture's alerts when they were read: other ones, and they are read again.
    read_at: Vec<Alert>,
}

/// The parts of the list, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Active,
    Over,
    Drills,
}

impl Part {
    fn of(alert: &Alert) -> Self {
        match alert {
            a if a.drill => Self::Drills,
            a if a.is_active() => Self::Active,
            _ => Self::Over,
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Active => "These hold",
            Self::Over => "Over, and news",
            Self::Drills => "Drills: not of this engine's work",
        }
    }
}

/// A line of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    Head(Part),
    Alert(usize),
}

/// What tells an alert from others; an older version gave no ids.
fn key(alert: &Alert) -> &str {
    if alert.id.is_empty() {
        &alert.text
    } else {
        &alert.id
    }
}

impl Alerts {
    fn ask(&mut self, cx: &Context) -> Vec<Intent> {
        self.read_at.clone_from(&cx.live.alerts);
        vec![Intent::ask(Query::Alerts)]
    }

    /// Alerts that pass the filter; the picture's text is the newest. Of a picture held still, its own.
    fn shown<'a>(&'a self, cx: &'a Context) -> Vec<&'a Alert> {
        let (filter, picture) = (self.list.terms(), &cx.snapshot().alerts);
        let mut alerts: Vec<&Alert> = match &self.read {
            Some(all) if cx.frozen.is_none() => all
                .iter()
                .map(|a| {
                    let newer = picture.iter().find(|p| !p.id.is_empty() && p.id == a.id);
                    newer.unwrap_or(a)
                })
                .collect(),
            _ => picture.iter().collect(),
        };
        alerts.retain(|a| filter.passes(*a));
        alerts.sort_by_key(|a| Part::of(a));
        alerts
    }

    fn selected(&self, alerts: &[&Alert]) -> usize {
        self.list.selected(alerts.len(), |n| key(alerts[n]))
    }

    fn chosen<'a>(&'a self, cx: &'a Context) -> Option<&'a Alert> {
        let alerts = self.shown(cx);
        alerts.get(self.selected(&alerts)).copied()
    }

    /// What to do about the selected alert.
    fn runbook(&self, cx: &Context) -> Vec<Intent> {
        let Some(alert) = self.chosen(cx) else {
            return Vec::new();
        };
        let page = alert.runbook.as_deref();
        match page.and_then(|p| Some((p, runbook::text(p)?))) {
            Some((page, text)) => {
                let name = clean_line(runbook::short_name(page), 40);
                let text = format!("{}\n\n{text}", alert.text);
                let window = TextWindow::new(format!("runbook {name}"), text);
                vec![Intent::Open(Box::new(window))]
            }
            None => {
                let logs = cx.keys_of(&[(Action::RunLogs, "shows its log lines")]);
                vec![Intent::warn(format!("no runbook for this; {logs}"))]
            }
        }
    }

    /// The log lines around the selected alert.
    fn logs(&self, cx: &Context) -> Vec<Intent> {
        let Some(alert) = self.chosen(cx) else {
            return Vec::new();
        };
        let end = alert.resolved_ms.unwrap_or(alert.changed_ms);
        let end = end.clamp(alert.at_ms, alert.at_ms + LONGEST_MS);
        vec![Intent::Navigate(Route::LogsAround {
            at_ms: alert.at_ms,
            from_ms: alert.at_ms - AROUND_MS,
            to_ms: end + AROUND_MS,
        })]
    }

    fn acknowledge(&self, cx: &Context) -> Vec<Intent> {
        match self.chosen(cx) {
            None => vec![Intent::warn("there is no alert here")],
            Some(a) if a.id.is_empty() => {
                vec![Intent::warn("this engine cannot take acknowledgements")]
            }
            Some(a) if !a.is_active() => {
                vec![Intent::warn("acknowledge: this alert is over")]
            }
            Some(a) if a.acknowledged_ms.is_some() => {
                let by = a.acknowledged_by.as_deref().unwrap_or("somebody");
                let text = format!("it was acknowledged by {}", clean_line(by, 40));
                vec![Intent::warn(text)]
            }
            Some(a) => {
                let alert = a.id.clone();
                vec![Intent::send(Command::AcknowledgeAlert { alert })]
            }
        }
    }

    /// The lines of the list, with the one that is selected.
    fn lines(alerts: &[&Alert], selected: usize) -> (Vec<Line>, usize) {
        let mut lines = Vec::with_capacity(alerts.len() + 3);
        let mut at = 0;
        let mut part = None;
        for (n, alert) in alerts.iter().enumerate() {
            let own = Part::of(alert);
            if part != Some(own) {
                lines.push(Line::Head(own));
                part = Some(own);
            }
            if n == selected {
                at = lines.len();
            }
            lines.push(Line::Alert(n));
        }
        (lines, at)
    }
}

/// A time of the last hours as a clock, an older one with its day.
fn when(cx: &Context, at_ms: i64) -> String {
    let (at, now) = (cx.zone.at(at_ms), cx.zone.at(cx.clock_ms()));
    if at.date() == now.date() {
        cx.zone.clock_seconds(at_ms)
    } else {
        at.strftime("%m-%d %H:%M").to_string()
    }
}

/// The sign of an alert; its state stands in words beside it.
fn sign(cx: &Context, alert: &Alert) -> (&'static str, Role) {
    let ascii = cx.theme.ascii;
    match alert.state() {
        "active" => (if ascii { "!" } else { "▲" }, Role::Warn),
        "seen" => (if ascii { "!" } else { "△" }, Role::Text),
        "drill" => (if ascii { "d" } else { "◇" }, Role::Dim),
        "resolved" => (if ascii { "v" } else { "✓" }, Role::Dim),
        _ => (cx.theme.signs().0, Role::Dim),
    }
}

fn cells(cx: &Context, alert: &Alert) -> Vec<Cell> {
    let (sign, role) = sign(cx, alert);
    let text = match role {
        Role::Dim => Role::Dim,
        _ => Role::Text,
    };
    let dash = cx.theme.signs().1;
    let changed = alert.resolved_ms.unwrap_or(alert.changed_ms);
    let known = |ms: i64| (ms > 0).then(|| when(cx, ms));
    let times = (alert.count > 0).then(|| alert.count.to_string());
    let by = match (&alert.acknowledged_by, alert.acknowledged_ms) {
        (Some(by), _) => clean_line(by, 40),
        (None, Some(_)) => "yes".into(),
        (None, None) => dash.to_owned(),
    };
    vec![
        Cell::new(sign, role),
        Cell::new(alert.state(), role),
        Cell::new(when(cx, alert.at_ms), text),
        Cell::new(known(changed).unwrap_or_else(|| dash.to_owned()), text),
        Cell::new(times.unwrap_or_else(|| dash.to_owned()), text),
        Cell::new(clean_line(&alert.code, 40), text),
        Cell::new(clean_line(&alert.text, 400), text),
        Cell::new(by, text),
    ]
}

/// The selected alert in full.
fn whole(alert: Option<&&Alert>, inner: Rect) -> Vec<String> {
    let Some(alert) = alert.filter(|_| inner.height >= 10) else {
        return Vec::new();
    };
    let page = alert.runbook.as_deref().map(runbook::short_name);
    let page = page.map_or_else(String::new, |p| format!("  runbook {}", clean_line(p, 40)));
    let text = format!("{}{page}", clean_line(&alert.text, 1_000));
    let mut rows = wrap(&text, usize::from(inner.width).max(1));
    rows.truncate(WHOLE);
    rows
}

/// Rows for the list, below its head.
fn list_height(inner: Rect, below: &[String]) -> usize {
    let used = below.len() + usize::from(!below.is_empty()) + 1;
    usize::from(inner.height).saturating_sub(used)
}

impl Component for Alerts {
    fn title(&self, _cx: &Context) -> String {
        "alerts".into()
    }

    fn on_show(&mut self, cx: &Context) -> Vec<Intent> {
        self.ask(cx)
    }

    fn on_snapshot(&mut self, cx: &Context) -> Vec<Intent> {
        if self.read_at == cx.live.alerts {
            return Vec::new();
        }
        self.ask(cx)
    }

    fn on_answer(&mut self, _query: &Query, answer: &Answer, _cx: &Context) -> Vec<Intent> {
        if let Answer::Alerts { alerts } = answer {
            self.read = Some(alerts.clone());
        }
        Vec::new()
    }

    fn on_action(&mut self, action: Action, cx: &Context) -> Option<Vec<Intent>> {
        match action {
            Action::Open => Some(self.runbook(cx)),
            Action::RunLogs => Some(self.logs(cx)),
            Action::Acknowledge => Some(self.acknowledge(cx)),
            Action::NextAlert | Action::PreviousAlert => {
                let step = if action == Action::NextAlert {
                    Action::Up
                } else {
                    Action::Down
                };
                self.on_action(step, cx)
            }
            _ => {
                let ids: Vec<String> = self.shown(cx).iter().map(|a| key(a).to_owned()).collect();
                let moves = self.list.travel(action, ids.len(), |n| &ids[n]);
                moves.then(Vec::new)
            }
        }
    }

    fn on_click(&mut self, (x, y): (u16, u16), area: Rect, cx: &Context) -> Vec<Intent> {
        let inner = inside(area);
        let alerts = self.shown(cx);
        let before = self.selected(&alerts);
        let (lines, at) = Self::lines(&alerts, before);
        let height = list_height(inner, &whole(alerts.get(before), inner));
        let Some(line) = y.checked_sub(inner.y + 1).map(usize::from) else {
            return Vec::new();
        };
        let clicked = first_visible(at, height, lines.len()) + line;
        if line >= height || !inner.contains((x, y).into()) {
            return Vec::new();
        }
        match lines.get(clicked) {
            Some(Line::Alert(n)) if *n == before => self.runbook(cx),
            Some(Line::Alert(n)) => {
                let id = key(alerts[*n]).to_owned();
                self.list.select(*n, &id);
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    fn filter(&self) -> Option<&str> {
        Some(&self.list.filter)
    }

    fn set_filter(&mut self, text: String, _done: bool, _cx: &Context) -> Vec<Intent> {
        self.list.filter = text;
        Vec::new()
    }

    fn draw(&self, cx: &Context, area: Rect, buffer: &mut Buffer) {
        self.draw_list(cx, area, buffer);
    }

    fn scope(&self) -> Scope {
        Scope::Alerts
    }

    fn hints(&self, _cx: &Context) -> Vec<Action> {
        vec![
            Action::Open,
            Action::RunLogs,
            Action::Acknowledge,
            Action::Why,
            Action::Filter,
            Action::Back,
        ]
    }

    fn subject(&self, cx: &Context) -> Subject {
        let alert = self.chosen(cx);
        alert.map_or(Subject::None, |a| Subject::Alert(a.id.clone()))
    }

    /// What the alert names: a provider, its pool, a cache; else the health.
    fn about(&self, cx: &Context) -> About {
        let Some(alert) = self.chosen(cx) else {
            return About::Health;
        };
        let named = |name: &&String| alert.text.contains(name.as_str());
        let provider = cx.live.breakers.iter().map(|b| &b.name).find(named);
        let cache = cx.live.caches.iter().map(|c| &c.name).find(named);
        match (alert.code.as_str(), provider.cloned(), cache.cloned()) {
            ("latency-high", ..) => About::Latency,
            ("pool-full", Some(name), _) => About::Pool { name },
            ("cache-load" | "hit-rate-low", _, Some(name)) => About::Cache { name },
            (_, Some(name), _) => About::Provider { name },
            _ => About::Health,
        }
    }

    fn table(&self, cx: &Context) -> Vec<Vec<String>> {
        let head = [
            "id",
            "state",
            "atMs",
            "changedMs",
            "resolvedMs",
            "count",
            "code",
            "text",
            "acknowledgedBy",
        ];
        let ms = |ms: Option<i64>| ms.map_or_else(String::new, |ms| ms.to_string());
        let alerts = self.shown(cx);
        let rows = alerts.iter().map(|a| {
            vec![
                a.id.clone(),
                a.state().to_owned(),
                a.at_ms.to_string(),
                a.changed_ms.to_string(),
                ms(a.resolved_ms),
                a.count.to_string(),
                a.code.clone(),
                a.text.clone(),
                a.acknowledged_by.clone().unwrap_or_default(),
            ]
        });
        with_head(&head, rows)
    }

    fn copied(&self, cx: &Context) -> Option<String> {
        let at = self.selected(&self.shown(cx));
        one_line(self.table(cx).get(at + 1)?)
    }
}

impl Alerts {
    /// How many there are, and of when.
    fn note(&self, cx: &Context, alerts: &[&Alert]) -> String {
        let hold = alerts.iter().filter(|a| Part::of(a) == Part::Active);
        let unseen = alerts.iter().filter(|a| a.state() == "active").count();
        let hold = hold.count() as u64;
        let mut note = format!(
            "{}{} of {}, {unseen} not seen yet",
            self.list.filter_note(),
            so_many(hold, "holds", "hold"),
            alerts.len()
        );
        if cx.frozen.is_some() {
            note.push_str(&format!(
                ", as of {}; a picture has 20 at most",
                when(cx, cx.frozen_ms)
            ));
        }
        note
    }

    fn draw_list(&self, cx: &Context, area: Rect, buffer: &mut Buffer) {
        let theme = cx.theme;
        let alerts = self.shown(cx);
        let selected = self.selected(&alerts);
        let (lines, at) = Self::lines(&alerts, selected);
        let below = whole(alerts.get(selected), inside(area));
        let height = list_height(inside(area), &below);
        let first = first_visible(at, height, lines.len());
        let more = lines.iter().skip(first + height);
        let more = more.filter(|l| matches!(l, Line::Alert(_))).count();
        let foot = if more > 0 {
            format!("+{more}")
        } else {
            String::new()
        };
        let note = self.note(cx, &alerts);
        let inner = panel_with_foot(theme, "Alerts", &note, &foot, area, buffer);
        if alerts.is_empty() {
            let unknown = self
                .list
                .unknown_field(self.read.as_deref().unwrap_or(&[]), "alert");
            let words = match (&self.read, unknown) {
                (None, _) if cx.frozen.is_none() => "reading".to_owned(),
                (_, Some(words)) => words,
                _ if !self.list.filter.is_empty() => "No alert passes the filter.".to_owned(),
                _ => "No alert since the engine started.".to_owned(),
            };
            put(buffer, row(inner, 0), &words, theme.style(Role::Dim));
            return;
        }
        draw_head(cx, &COLUMNS, &self.list, inner, buffer);
        for (n, each) in lines.iter().skip(first).take(height).enumerate() {
            let place = row(inner, n as u16 + 1);
            match each {
                Line::Head(part) => put(buffer, place, part.title(), theme.style(Role::Title)),
                Line::Alert(n) => {
                    draw_row(cx, &COLUMNS, &cells(cx, alerts[*n]), place, buffer);
                    if *n == selected {
                        buffer.set_style(place, theme.style(Role::Selected));
                    }
                }
            }
        }
        if !below.is_empty() {
            let dash = if theme.ascii { "-" } else { "─" };
            let rule = dash.repeat(usize::from(inner.width));
            let top = height as u16 + 1;
            put(buffer, row(inner, top), &rule, theme.style(Role::Dim));
            for (n, text) in below.iter().enumerate() {
                let place = row(inner, top + 1 + n as u16);
                put(buffer, place, text, theme.style(Role::Text));
            }
        }
    }
}
