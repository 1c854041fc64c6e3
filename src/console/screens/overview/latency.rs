//! The overview's panel of latencies: the gateway's own overhead, and what calls and runs take beside it.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Span;

use crate::console::context::Context;
use crate::console::format::{count, micros};
use crate::console::theme::Role;
use crate::console::widgets::bars::columns;
use crate::console::widgets::panel::panel;
use crate::console::widgets::text::{judged, line, put, row};
use crate::telemetry::latency::ENOUGH;

/// Draws the panel.
pub(super) fn draw(cx: &Context, area: Rect, buffer: &mut Buffer) {
    let inner = panel(cx.theme, "Gateway overhead", "5 min", area, buffer);
    line(buffer, row(inner, 0), percentiles(cx, inner.width < 50));
    if inner.height >= 4 {
        draw_charts(cx, inner, buffer);
        draw_calls_and_runs(cx, inner, buffer);
    } else {
        draw_calls(cx, inner, buffer);
    }
}

/// The percentiles, those with a target marked; in a tight panel the unit is written once.
fn percentiles(cx: &Context, tight: bool) -> Vec<Span<'static>> {
    let snapshot = cx.snapshot();
    let l = &snapshot.added_latency;
    let ms = |us: Option<u64>| us.map(|us| us as f64 / 1_000.0);
    let figures = [
        ("p50", l.p50_us, Some(snapshot.targets.p50_ms)),
        ("p95", l.p95_us, None),
        ("p99", l.p99_us, Some(snapshot.targets.p99_ms)),
    ];
    let mut parts = Vec::new();
    for (name, value, target) in figures {
        let figure = shown(cx, value);
        let figure = if tight {
            figure.trim_end_matches(" ms").to_owned()
        } else {
            figure
        };
        parts.push(Span::raw(format!("{name} {figure} ")));
        if let Some(target) = target {
            parts.extend(judged(cx.theme, ms(value), target, true));
            parts.push(Span::raw(if tight { " " } else { "  " }));
        }
    }
    parts.push(if tight {
        Span::raw("ms")
    } else {
        let samples = format!(" n {}", count(l.count));
        Span::styled(samples, cx.theme.style(Role::Dim))
    });
    parts
}

/// The last minutes' p99 and p50 as columns.
fn draw_charts(cx: &Context, inner: Rect, buffer: &mut Buffer) {
    let theme = cx.theme;
    let dim = theme.style(Role::Dim);
    let l = &cx.snapshot().added_latency;
    let width = usize::from(inner.width).min(30);
    let enough = l.p99_us.is_some();
    let most = l.p99_slots.iter().flatten().max();
    let highest = most
        .filter(|_| enough)
        .map_or_else(String::new, |m| format!(" p99, highest {}", micros(*m)));
    let p99 = vec![
        Span::styled(columns(theme, &l.p99_slots, width), theme.style(Role::Good)),
        Span::styled(highest, dim),
    ];
    line(buffer, row(inner, 1), p99);
    let target = format!(" p50, target {} ms", cx.snapshot().targets.p50_ms);
    let p50 = vec![
        Span::raw(columns(theme, &l.p50_slots, width)),
        Span::styled(target, dim),
    ];
    line(buffer, row(inner, 2), p50);
}

/// What model calls and runs take, and when figures are missing for want of samples, that.
fn draw_calls_and_runs(cx: &Context, inner: Rect, buffer: &mut Buffer) {
    let dim = cx.theme.style(Role::Dim);
    let snapshot = cx.snapshot();
    let (c, r) = (&snapshot.call_latency, &snapshot.run_latency);
    let text = format!(
        "model call p50 {}  p99 {}   run p50 {}  p99 {}",
        shown(cx, c.p50_us),
        shown(cx, c.p99_us),
        shown(cx, r.p50_us),
        shown(cx, r.p99_us)
    );
    put(buffer, row(inner, 3), &text, dim);
    if snapshot.added_latency.count < ENOUGH {
        let text = format!("figures show from {ENOUGH} samples on");
        put(buffer, row(inner, 4), &text, dim);
    }
}

/// In a low panel: what model calls take, and how many there are.
fn draw_calls(cx: &Context, inner: Rect, buffer: &mut Buffer) {
    let theme = cx.theme;
    let snapshot = cx.snapshot();
    let c = &snapshot.call_latency;
    let text = format!(
        "model call p50 {}  p99 {}",
        shown(cx, c.p50_us),
        shown(cx, c.p99_us)
    );
    put(buffer, row(inner, 1), &text, theme.style(Role::Dim));
    let t = &snapshot.calls;
    let text = format!(
        "calls {:.1}/s  peak {:.0}  avg {:.1}",
        t.now, t.peak, t.average
    );
    put(buffer, row(inner, 2), &text, theme.style(Role::Text));
}

/// A figure in its unit, or a sign where it is not known.
fn shown(cx: &Context, us: Option<u64>) -> String {
    us.map_or_else(|| cx.theme.signs().1.to_owned(), micros)
}

/// The three percentiles in words.
pub(super) fn triple(cx: &Context, p50: Option<u64>, p95: Option<u64>, p99: Option<u64>) -> String {
    format!(
        "p50 {}  p95 {}  p99 {}",
        shown(cx, p50),
        shown(cx, p95),
        shown(cx, p99)
    )
}
