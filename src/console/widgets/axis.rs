//! Axes: a column of figures at the left of a chart, and a line of times below it.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use unicode_width::UnicodeWidthStr as _;

use super::text::{put, row};
use crate::console::theme::{Role, Theme};

/// Columns for the figures and the line beside them.
pub const LABELS: u16 = 5;

/// Parts a panel's inside into the chart and what is left for its axes: `(labels, chart, times)`.
pub fn split(inner: Rect) -> (Rect, Rect, Rect) {
    let labels = LABELS.min(inner.width);
    let height = inner.height.saturating_sub(1);
    let chart = Rect {
        x: inner.x + labels,
        width: inner.width - labels,
        height,
        ..inner
    };
    let left = Rect {
        width: labels,
        height,
        ..inner
    };
    let times = Rect {
        y: inner.y + height,
        height: inner.height - height,
        ..inner
    };
    (left, chart, times)
}

/// The figures of an axis: `at` says which figure stands on a row, counted from the top.
pub fn draw_labels(
    theme: Theme,
    at: impl Fn(u16) -> Option<String>,
    area: Rect,
    buffer: &mut Buffer,
) {
    let line = if theme.ascii { "|" } else { "┤" };
    for n in 0..area.height {
        let width = usize::from(area.width).saturating_sub(1);
        let text = at(n).unwrap_or_default();
        let text: String = text.chars().take(width).collect();
        let text = format!("{text:>width$}{line}");
        put(buffer, row(area, n), &text, theme.style(Role::Dim));
    }
}

/// The line of times below a chart that begins after [`LABELS`] columns: from `span` to now, with marks between.
pub fn draw_times(theme: Theme, span_ms: i64, now: &str, area: Rect, buffer: &mut Buffer) {
    let dim = theme.style(Role::Dim);
    let corner = if theme.ascii { "+" } else { "└" };
    let labels = LABELS.min(area.width);
    let at = |x: u16| Rect {
        x: area.x + x,
        width: area.width.saturating_sub(x),
        height: area.height.min(1),
        ..area
    };
    put(buffer, at(labels.saturating_sub(1)), corner, dim);
    let chart = area.width - labels;
    let minus = if theme.ascii { "-" } else { "−" };
    for part in 0..3u16 {
        let ms = span_ms - span_ms * i64::from(part) / 3;
        let text = format!("{minus}{}", span(ms, part == 0));
        put(buffer, at(labels + chart * part / 3), &text, dim);
    }
    let wide = now.width() as u16;
    put(buffer, at(area.width.saturating_sub(wide)), now, dim);
}

/// A span as an axis says it: `15 min`, and without its unit where it is said already.
fn span(ms: i64, unit: bool) -> String {
    let (n, word) = match ms / 1_000 {
        s if s < 120 => (s, "s"),
        s if s < 7_200 => (s / 60, "min"),
        s => (s / 3_600, "h"),
    };
    if unit {
        format!("{n} {word}")
    } else {
        n.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_stand_at_thirds_and_end_with_now() {
        let area = Rect::new(0, 0, 41, 1);
        let mut buffer = Buffer::empty(area);
        draw_times(Theme::default(), 900_000, "now", area, &mut buffer);
        let text: String = buffer
            .content
            .iter()
            .map(ratatui::buffer::Cell::symbol)
            .collect();
        assert_eq!(text, "    └−15 min     −10         −5       now");
    }
}
