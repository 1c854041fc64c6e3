//! Latency of answered calls as their callers see it, waits included, on a logarithmic scale; the gateway's own
//! overhead beside it. A call that was refused has no latency.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Span;

use crate::console::context::Context;
use crate::console::format::{count, micros, secs};
use crate::console::theme::Role;
use crate::console::widgets::axis::{self, ChartArea};
use crate::console::widgets::line_chart::{Marks, lines};
use crate::console::widgets::panel::panel;
use crate::console::widgets::text::{facts, put, row};

use super::figures::judged_here;
use crate::engine::protocol::impact::{SLOW_P50_MS, SLOW_P99_MS};

/// The chart's span, seconds.
const SPAN_S: i64 = 900;
/// The scale's ends and steps, milliseconds.
const STEPS: [f64; 13] = [
    1.0, 2.0, 5.0, 10.0, 30.0, 100.0, 300.0, 1_000.0, 3_000.0, 10_000.0, 30_000.0, 100_000.0,
    300_000.0,
];

/// Draws the panel.
pub(super) fn draw(cx: &Context, area: Rect, buffer: &mut Buffer) {
    let theme = cx.theme;
    let history = &cx.snapshot().call_history;
    let title = if area.width >= 60 {
        "Latency of answered calls"
    } else {
        "Answered in"
    };
    let note = format!(
        "slow above {} / {}",
        secs(SLOW_P50_MS.into()),
        secs(SLOW_P99_MS.into())
    );
    let inner = panel(theme, title, &note, area, buffer);
    let Some(ChartArea {
        labels,
        chart,
        times,
        legend,
    }) = ChartArea::of(inner)
    else {
        return;
    };
    let all = 900 / history.bucket_s.max(1) as usize;
    let buckets: Vec<_> = history.buckets().collect();
    let missing = all.saturating_sub(buckets.len());
    let of = |value: &dyn Fn(usize) -> Option<u32>| -> Vec<Option<f64>> {
        let there = (0..buckets.len()).map(|i| value(i).map(f64::from));
        std::iter::repeat_n(None, missing).chain(there).collect()
    };
    let (p50, p99) = (of(&|i| buckets[i].p50_ms), of(&|i| buckets[i].p99_ms));
    let known = || p50.iter().chain(&p99).flatten().copied();
    let highest = known().fold(0.0, f64::max);
    let lowest = known().fold(f64::MAX, f64::min);
    axis::draw_times(theme, SPAN_S * 1_000, "now", times, buffer);
    if highest == 0.0 {
        axis::draw_labels(theme, |_| None, labels, buffer);
        if history.window.answers() == 0 {
            let words = " no answer in the last 15 minutes";
            let place = row(chart, chart.height / 2);
            put(buffer, place, words, theme.style(Role::Dim));
        }
    } else {
        let top = STEPS
            .iter()
            .copied()
            .find(|s| *s >= highest)
            .unwrap_or(highest);
        let bottom = STEPS
            .iter()
            .rev()
            .copied()
            .find(|s| *s <= lowest)
            .unwrap_or(1.0);
        let bottom = bottom.min(top / 10.0).max(0.1);
        draw_chart(cx, (bottom, top), (&p50, &p99), (labels, chart), buffer);
    }
    facts(buffer, legend, percentiles(cx));
}

/// Both lines, the upper one over the lower one.
fn draw_chart(
    cx: &Context,
    (bottom, top): (f64, f64),
    (p50, p99): (&[Option<f64>], &[Option<f64>]),
    (labels, chart): (Rect, Rect),
    buffer: &mut Buffer,
) {
    let theme = cx.theme;
    let height = chart.height;
    let scale = (top / bottom).ln();
    let value_at = |n: u16| {
        let share = f64::from(height - 1 - n) / f64::from((height - 1).max(1));
        bottom * (scale * share).exp()
    };
    let label =
        |n: u16| (n == 0 || n + 1 == height || n == height / 2).then(|| axis_figure(value_at(n)));
    axis::draw_labels(theme, label, labels, buffer);
    let logarithmic = |values: &[Option<f64>]| -> Vec<Option<f64>> {
        let log = |v: f64| (v.max(bottom) / bottom).ln();
        values.iter().map(|v| v.map(log)).collect()
    };
    let size = (usize::from(chart.width), usize::from(height));
    for (values, role) in [(p50, Role::Text), (p99, Role::Key)] {
        let drawn = lines(theme, Marks::Braille, &logarithmic(values), scale, size);
        for (n, text) in drawn.iter().enumerate() {
            for (x, c) in text.chars().enumerate().filter(|(_, c)| *c != ' ') {
                buffer[(chart.x + x as u16, chart.y + n as u16)]
                    .set_char(c)
                    .set_style(theme.style(role));
            }
        }
    }
}

/// Milliseconds in at most four characters.
fn axis_figure(ms: f64) -> String {
    match ms {
        ms if ms < 1_000.0 => format!("{ms:.0}ms").chars().take(5).collect(),
        ms if ms < 10_000.0 => format!("{:.1}s", ms / 1_000.0),
        ms => format!("{:.0}s", ms / 1_000.0),
    }
}

/// The percentiles with their judgement, how much of it was waiting, and the gateway's own overhead.
fn percentiles(cx: &Context) -> Vec<Span<'static>> {
    let theme = cx.theme;
    let snapshot = cx.snapshot();
    let l = &snapshot.call_history.latency;
    let dash = || theme.signs().1.to_owned();
    let time = |ms: Option<u64>| ms.map_or_else(dash, |ms| secs(i64::try_from(ms).unwrap_or(0)));
    let mut parts = Vec::new();
    for (name, ms, limit) in [
        ("p50", l.p50_ms, Some(SLOW_P50_MS)),
        ("p95", l.p95_ms, None),
        ("p99", l.p99_ms, Some(SLOW_P99_MS)),
    ] {
        parts.push(Span::raw(format!("{name} {} ", time(ms))));
        if let Some(limit) = limit {
            parts.extend(judged_here(
                cx,
                ms.map(|ms| ms as f64),
                f64::from(limit),
                true,
            ));
        }
        parts.push(Span::raw("  "));
    }
    if let Some(waiting) = l.waiting_percent {
        let role = if waiting >= 50 {
            Role::Warn
        } else {
            Role::Text
        };
        let text = format!("waiting {waiting} %  ");
        parts.push(Span::styled(text, theme.style(role)));
    }
    parts.push(Span::styled(
        format!("n {}  ", count(l.count)),
        theme.style(Role::Dim),
    ));
    let own = &snapshot.added_latency;
    let overhead = own.p99_us.map_or_else(dash, micros);
    parts.push(Span::raw(format!("overhead p99 {overhead} ")));
    let ms = own.p99_us.map(|us| us as f64 / 1_000.0);
    parts.extend(judged_here(cx, ms, snapshot.targets.p99_ms, true));
    parts
}
