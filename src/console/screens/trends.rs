//! Where it goes: latency against its target, calls, hit rate, and ribbons of breakers and pools over one
//! span of time, with marks where the workspace changed.

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::Span;

use crate::console::action::Action;
use crate::console::component::{Component, Intent, Subject};
use crate::console::context::Context;
use crate::console::format::{micros, percent};
use crate::console::theme::Role;
use crate::console::widgets::line_chart::{Marks, lines};
use crate::console::widgets::panel::panel;
use crate::console::widgets::text::{fit, line, put, row};
use crate::engine::protocol::history::{Point, Trends as Data};
use crate::engine::protocol::query::{Answer, Query};
use crate::resilience::breaker::BreakerState;

/// Spans of the charts, milliseconds.
const SPANS: [i64; 6] = [60_000, 300_000, 900_000, 3_600_000, 21_600_000, 86_400_000];
/// Points of a chart.
const POINTS: u32 = 400;

/// Charts over time.
#[derive(Debug, Clone)]
pub struct Trends {
    /// Their span, milliseconds.
    span_ms: i64,
    /// Their end, wall time in milliseconds; `None`: now.
    to_ms: Option<i64>,
    data: Option<Box<Data>>,
    asked_ms: i64,
}

impl Trends {
    /// The last five minutes, before now or before the recorded picture that is shown.
    pub fn new(cx: &Context) -> Self {
        Self {
            span_ms: SPANS[1],
            to_ms: cx.rewound.then_some(cx.frozen_ms),
            data: None,
            asked_ms: 0,
        }
    }

    fn read(&mut self, cx: &Context) -> Vec<Intent> {
        self.asked_ms = cx.wall_ms;
        let to_ms = self.to_ms.unwrap_or(cx.wall_ms);
        vec![Intent::ask(Query::Trends {
            from_ms: to_ms - self.span_ms,
            to_ms,
            points: POINTS,
        })]
    }

    fn zoom(&mut self, closer: bool) {
        let at = SPANS.iter().position(|s| *s == self.span_ms).unwrap_or(1);
        let next = if closer {
            at.saturating_sub(1)
        } else {
            (at + 1).min(SPANS.len() - 1)
        };
        self.span_ms = SPANS[next];
    }

    /// Half a span earlier or later; past now it follows again.
    fn pan(&mut self, later: bool, now_ms: i64) {
        let by = self.span_ms / 2 * if later { 1 } else { -1 };
        let to_ms = self.to_ms.unwrap_or(now_ms) + by;
        self.to_ms = (to_ms < now_ms).then_some(to_ms);
    }
}

impl Component for Trends {
    fn title(&self, _cx: &Context) -> String {
        "trends".into()
    }

    fn on_show(&mut self, cx: &Context) -> Vec<Intent> {
        self.read(cx)
    }

    fn on_action(&mut self, action: Action, cx: &Context) -> Option<Vec<Intent>> {
        match action {
            Action::ZoomIn | Action::ZoomOut => self.zoom(action == Action::ZoomIn),
            Action::Rewind | Action::Forward => self.pan(action == Action::Forward, cx.wall_ms),
            // Nothing is selected here.
            Action::Open => return Some(Vec::new()),
            _ => return None,
        }
        Some(self.read(cx))
    }

    fn on_snapshot(&mut self, cx: &Context) -> Vec<Intent> {
        let each = (self.span_ms / 400).max(2_000);
        if self.to_ms.is_none() && cx.wall_ms - self.asked_ms >= each {
            return self.read(cx);
        }
        Vec::new()
    }

    fn on_answer(&mut self, query: &Query, answer: &Answer, _cx: &Context) -> Vec<Intent> {
        if let (Query::Trends { to_ms, from_ms, .. }, Answer::Trends { trends }) = (query, answer)
            && self.span_ms == to_ms - from_ms
            && self.to_ms.is_none_or(|to| to == *to_ms)
        {
            self.data = Some(trends.clone());
        }
        Vec::new()
    }

    fn draw(&self, cx: &Context, area: Rect, buffer: &mut Buffer) {
        draw(cx, self, area, buffer);
    }

    fn hints(&self, _cx: &Context) -> Vec<Action> {
        vec![
            Action::ZoomIn,
            Action::ZoomOut,
            Action::Rewind,
            Action::Forward,
            Action::Back,
        ]
    }

    fn subject(&self, _cx: &Context) -> Subject {
        Subject::None
    }
}

/// Columns for names and figures at the left of each chart.
const LABELS: u16 = 17;

fn draw(cx: &Context, open: &Trends, area: Rect, buffer: &mut Buffer) {
    let Some(trends) = &open.data else {
        let inner = panel(cx.theme, "Trends", "", area, buffer);
        put(
            buffer,
            row(inner, 0),
            "reading what was recorded",
            cx.theme.style(Role::Dim),
        );
        return;
    };
    let ribbons = (trends.breakers.len() + trends.pools.len()) as u16 + 3;
    let [latency, middle, low] = Layout::vertical([
        Constraint::Min(6),
        Constraint::Length(6),
        Constraint::Length(ribbons.min(area.height / 3)),
    ])
    .areas(area);
    let [calls, hits] =
        Layout::horizontal([Constraint::Percentage(50), Constraint::Percentage(50)]).areas(middle);
    let keys = format!(
        "{} {} zoom  {} {} move  Esc back",
        cx.keys.key_of(Action::ZoomIn),
        cx.keys.key_of(Action::ZoomOut),
        cx.keys.key_of(Action::Rewind),
        cx.keys.key_of(Action::Forward),
    );
    latency_chart(cx, trends, &keys, latency, buffer);
    let of = |value: fn(&Point) -> Option<f64>| spread(trends, value);
    let rate = of(|p| Some(p.calls));
    let most = rate.iter().flatten().copied().fold(0.0, f64::max);
    small(
        cx,
        "Calls a second",
        &rate,
        (most, &format!("{most:.1}")),
        calls,
        buffer,
    );
    let hit = of(|p| p.hit_rate);
    small(
        cx,
        "Cache hit rate",
        &hit,
        (1.0, &percent(1.0)),
        hits,
        buffer,
    );
    ribbon_panel(cx, trends, low, buffer);
}

/// Values by time: a picture lies where its time is, holds until the next one (an unchanged picture is not
/// recorded), and no longer than its engine.
fn spread(trends: &Data, value: impl Fn(&Point) -> Option<f64>) -> Vec<Option<f64>> {
    const COLUMNS: usize = 800;
    let span = (trends.to_ms - trends.from_ms).max(1) as f64;
    let mut out = vec![None; COLUMNS];
    let mut last: Option<(usize, f64, i64)> = None;
    for p in &trends.points {
        let at = ((p.at_ms - trends.from_ms) as f64 / span * (COLUMNS - 1) as f64) as usize;
        let at = at.min(COLUMNS - 1);
        if let Some((from, held, engine)) = last
            && engine == p.engine_ms
        {
            out[from.min(at)..at].fill(Some(held));
        }
        let value = value(p);
        out[at] = value;
        last = value.map(|v| (at, v, p.engine_ms));
    }
    if let Some((from, held, _)) = last {
        out[from..].fill(Some(held));
    }
    out
}

fn latency_chart(cx: &Context, trends: &Data, keys: &str, area: Rect, buffer: &mut Buffer) {
    let theme = cx.theme;
    let span = span_words(trends.to_ms - trends.from_ms);
    let title = format!("Gateway overhead over {span}");
    let inner = panel(theme, &title, keys, area, buffer);
    if trends.points.is_empty() {
        put(
            buffer,
            row(inner, 0),
            "Nothing was recorded in this time.",
            theme.style(Role::Dim),
        );
        return;
    }
    let target = cx.snapshot().targets.p99_ms * 1_000.0;
    let p99 = spread(trends, |p| p.p99_us.map(|us| us as f64));
    let p50 = spread(trends, |p| p.p50_us.map(|us| us as f64));
    let highest = p99
        .iter()
        .chain(&p50)
        .flatten()
        .copied()
        .fold(0.0, f64::max);
    let (chart, labels) = split(inner);
    if highest == 0.0 {
        let words = format!(
            "Figures show from {} samples in five minutes on.",
            crate::telemetry::latency::ENOUGH
        );
        put(buffer, row(chart, 0), &words, theme.style(Role::Dim));
    }
    // The target's line is shown where it is near; far above it would flatten everything else.
    let near = target <= highest * 2.0;
    let most = if near {
        highest.max(target) * 1.05
    } else {
        highest * 1.1
    };
    let last = inner.height.saturating_sub(1);
    let size = (usize::from(chart.width), usize::from(last));
    let over = theme.style(Role::Warn);
    let draw = |values: &[Option<f64>], role: Role, buffer: &mut Buffer| {
        for (n, text) in lines(theme, Marks::Braille, values, most.max(1.0), size)
            .iter()
            .enumerate()
        {
            overlay(buffer, row(chart, n as u16), text, theme.style(role));
        }
    };
    if near {
        let y = ((1.0 - target / most) * f64::from(last.saturating_sub(1))).round() as u16;
        let dash = if theme.ascii { "-" } else { "┄" };
        put(
            buffer,
            row(chart, y),
            &dash.repeat(size.0),
            theme.style(Role::Dim),
        );
        put(buffer, row(labels, y), "target", over);
    }
    draw(&p50, Role::Text, buffer);
    draw(&p99, Role::Good, buffer);
    put(
        buffer,
        row(labels, 0),
        &micros(most as u64),
        theme.style(Role::Dim),
    );
    put(
        buffer,
        row(labels, last.saturating_sub(1)),
        "0 ms",
        theme.style(Role::Dim),
    );
    let newest = trends.points.last();
    let shown = |us: Option<u64>| us.map_or_else(|| theme.signs().1.to_owned(), micros);
    let text = format!(
        "{} to {}   p50 {}  p99 {} (upper line)  target {} ms",
        cx.zone.clock_seconds(trends.from_ms),
        cx.zone.clock_seconds(trends.to_ms),
        shown(newest.and_then(|p| p.p50_us)),
        shown(newest.and_then(|p| p.p99_us)),
        cx.snapshot().targets.p99_ms,
    );
    put(buffer, row(inner, last), &text, theme.style(Role::Dim));
}

/// Writes only what is not blank, so that two lines share a chart.
fn overlay(buffer: &mut Buffer, area: Rect, text: &str, style: ratatui::style::Style) {
    for (n, c) in text.chars().enumerate() {
        if c != ' ' && n < usize::from(area.width) && area.height > 0 {
            buffer[(area.x + n as u16, area.y)]
                .set_char(c)
                .set_style(style);
        }
    }
}

fn split(inner: Rect) -> (Rect, Rect) {
    let [labels, chart] =
        Layout::horizontal([Constraint::Length(LABELS), Constraint::Min(0)]).areas(inner);
    (chart, labels)
}

fn small(
    cx: &Context,
    title: &str,
    values: &[Option<f64>],
    (most, label): (f64, &str),
    area: Rect,
    buffer: &mut Buffer,
) {
    let theme = cx.theme;
    let inner = panel(theme, title, "", area, buffer);
    let (chart, labels) = split(inner);
    let size = (usize::from(chart.width), usize::from(inner.height));
    let drawn = lines(
        theme,
        Marks::Block,
        values,
        most.max(f64::MIN_POSITIVE),
        size,
    );
    for (n, text) in drawn.iter().enumerate() {
        put(buffer, row(chart, n as u16), text, theme.style(Role::Good));
    }
    put(buffer, row(labels, 0), label, theme.style(Role::Dim));
    put(
        buffer,
        row(labels, inner.height.saturating_sub(1)),
        "0",
        theme.style(Role::Dim),
    );
}

fn ribbon_panel(cx: &Context, trends: &Data, area: Rect, buffer: &mut Buffer) {
    let theme = cx.theme;
    let words = if theme.ascii {
        "breakers: . closed  # open  ~ half-open  o off    pools: 0-9 tenths in use    ! workspace changed"
    } else {
        "breakers: ▁ closed █ open ▄ half-open ░ off   pools: how full   ▲ workspace changed"
    };
    let inner = panel(theme, "Breakers and pools", words, area, buffer);
    let (chart, labels) = split(inner);
    let width = usize::from(chart.width);
    let mut n = 0;
    for (index, name) in trends.breakers.iter().enumerate() {
        let marks = spread(trends, |p| {
            p.breakers
                .get(index)
                .copied()
                .flatten()
                .map(|s| f64::from(code(s)))
        });
        let text: String = sampled(&marks, width)
            .map(|v| glyph(theme.ascii, v))
            .collect();
        put(
            buffer,
            row(labels, n),
            &fit(theme, name, 16),
            theme.style(Role::Text),
        );
        let role = if text.contains(glyph(theme.ascii, Some(3.0))) {
            Role::Warn
        } else {
            Role::Dim
        };
        put(buffer, row(chart, n), &text, theme.style(role));
        n += 1;
    }
    let span = (trends.to_ms - trends.from_ms).max(1) as f64;
    let mut changes = vec![' '; width];
    for at in &trends.marks {
        let x = ((at - trends.from_ms) as f64 / span * width.saturating_sub(1) as f64) as usize;
        if let Some(cell) = changes.get_mut(x) {
            *cell = if theme.ascii { '!' } else { '▲' };
        }
    }
    let text: String = changes.into_iter().collect();
    line(
        buffer,
        row(chart, n),
        vec![Span::styled(text, theme.style(Role::Key))],
    );
    n += 1;
    for (index, name) in trends.pools.iter().enumerate() {
        let used = spread(trends, |p| p.pools.get(index).copied());
        let text: String = sampled(&used, width)
            .map(|v| match v {
                None => " ",
                Some(v) if theme.ascii => {
                    const DIGITS: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
                    DIGITS[((v * 9.0) as usize).min(9)]
                }
                Some(v) => theme.columns()[((v * 7.0).ceil() as usize).min(7)],
            })
            .collect();
        put(
            buffer,
            row(labels, n),
            &fit(theme, &format!("{name} pool"), 16),
            theme.style(Role::Dim),
        );
        put(buffer, row(chart, n), &text, theme.style(Role::Dim));
        n += 1;
    }
}

/// The worst value of each column's part: an outage of a second must not fall between two columns.
fn sampled(values: &[Option<f64>], width: usize) -> impl Iterator<Item = Option<f64>> {
    (0..width).map(move |x| {
        let from = x * values.len() / width.max(1);
        let to = ((x + 1) * values.len() / width.max(1)).max(from + 1);
        let part = values.get(from..to.min(values.len())).unwrap_or_default();
        part.iter().flatten().copied().reduce(f64::max)
    })
}

fn code(state: BreakerState) -> u8 {
    match state {
        BreakerState::Closed => 0,
        BreakerState::Isolated | BreakerState::Disabled => 1,
        BreakerState::HalfOpen => 2,
        BreakerState::Open => 3,
    }
}

fn glyph(ascii: bool, value: Option<f64>) -> &'static str {
    match (value.map(|v| v as u8), ascii) {
        (None, _) => " ",
        (Some(0), true) => ".",
        (Some(0), false) => "▁",
        (Some(1), true) => "o",
        (Some(1), false) => "░",
        (Some(2), true) => "~",
        (Some(2), false) => "▄",
        (Some(_), true) => "#",
        (Some(_), false) => "█",
    }
}

fn span_words(ms: i64) -> String {
    match ms / 60_000 {
        m if m < 120 => format!("{m} min"),
        m => format!("{} h", m / 60),
    }
}
