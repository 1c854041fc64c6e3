//! Where it goes: latency against its target, calls, hit rate, and ribbons of breakers and pools over one
//! span of time, with marks where the workspace changed.

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::Span;

use super::pieces::{fit, line, panel, put, row};
use crate::console::action::Action;
use crate::console::format::{micros, percent};
use crate::console::state::{OpenTrends, State};
use crate::console::theme::Role;
use crate::console::view::line_chart::{Marks, lines};
use crate::engine::protocol::history::{Point, Trends};
use crate::resilience::breaker::BreakerState;

/// Columns for names and figures at the left of each chart.
const LABELS: u16 = 17;

pub fn draw(state: &State, open: &OpenTrends, area: Rect, buffer: &mut Buffer) {
    let Some(trends) = &open.data else {
        let inner = panel(state.theme, "Trends", "", area, buffer);
        put(
            buffer,
            row(inner, 0),
            "reading what was recorded",
            state.theme.style(Role::Dim),
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
        state.keys.key_of(Action::ZoomIn),
        state.keys.key_of(Action::ZoomOut),
        state.keys.key_of(Action::Rewind),
        state.keys.key_of(Action::Forward),
    );
    latency_chart(state, trends, &keys, latency, buffer);
    let of = |value: fn(&Point) -> Option<f64>| spread(trends, value);
    let rate = of(|p| Some(p.calls));
    let most = rate.iter().flatten().copied().fold(0.0, f64::max);
    small(
        state,
        "Calls a second",
        &rate,
        (most, &format!("{most:.1}")),
        calls,
        buffer,
    );
    let hit = of(|p| p.hit_rate);
    small(
        state,
        "Cache hit rate",
        &hit,
        (1.0, &percent(1.0)),
        hits,
        buffer,
    );
    ribbon_panel(state, trends, low, buffer);
}

/// Values by time: a picture lies where its time is, holds until the next one (an unchanged picture is not
/// recorded), and no longer than its engine.
fn spread(trends: &Trends, value: impl Fn(&Point) -> Option<f64>) -> Vec<Option<f64>> {
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

fn latency_chart(state: &State, trends: &Trends, keys: &str, area: Rect, buffer: &mut Buffer) {
    let theme = state.theme;
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
    let target = state.snapshot().targets.p99_ms * 1_000.0;
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
        state.zone.clock_seconds(trends.from_ms),
        state.zone.clock_seconds(trends.to_ms),
        shown(newest.and_then(|p| p.p50_us)),
        shown(newest.and_then(|p| p.p99_us)),
        state.snapshot().targets.p99_ms,
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
    state: &State,
    title: &str,
    values: &[Option<f64>],
    (most, label): (f64, &str),
    area: Rect,
    buffer: &mut Buffer,
) {
    let theme = state.theme;
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

fn ribbon_panel(state: &State, trends: &Trends, area: Rect, buffer: &mut Buffer) {
    let theme = state.theme;
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
