//! Axes: a column of figures at the left of a chart, and a line of times below it.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use unicode_width::UnicodeWidthStr as _;

use super::text::{put, row};
use crate::console::theme::{Role, Theme};

/// Columns for the figures and the line beside them.
pub const LABELS: u16 = 5;

/// The parts of a panel's inside that holds a chart.
#[derive(Debug, Clone, Copy)]
pub struct ChartArea {
    /// Figures at the left.
    pub labels: Rect,
    /// The chart.
    pub chart: Rect,
    /// Times below it.
    pub times: Rect,
    /// The last line.
    pub legend: Rect,
}

impl ChartArea {
    /// The parts of `inner`; `None`: there is no room for a chart.
    pub fn of(inner: Rect) -> Option<Self> {
        if inner.height < 3 {
            return None;
        }
        let wide = LABELS.min(inner.width);
        let height = inner.height - 2;
        let line = |n: u16| Rect {
            y: inner.y + n,
            height: 1,
            ..inner
        };
        Some(Self {
            labels: Rect {
                width: wide,
                height,
                ..inner
            },
            chart: Rect {
                x: inner.x + wide,
                width: inner.width - wide,
                height,
                ..inner
            },
            times: line(height),
            legend: line(height + 1),
        })
    }
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

/// A line of times below a chart that begins after `labels` columns: at `pieces` places, and the last one at the
/// right. `at` says the time at a share of the span, 0 to 1.
pub fn draw_clocks(
    theme: Theme,
    labels: u16,
    at: &dyn Fn(f64) -> String,
    last: &str,
    area: Rect,
    buffer: &mut Buffer,
) {
    let dim = theme.style(Role::Dim);
    let labels = labels.min(area.width);
    let chart = area.width - labels;
    let from = |x: u16| Rect {
        x: area.x + x,
        width: area.width.saturating_sub(x),
        height: area.height.min(1),
        ..area
    };
    let corner = if theme.ascii { "+" } else { "└" };
    put(buffer, from(labels.saturating_sub(1)), corner, dim);
    let end = chart.saturating_sub(last.width() as u16);
    let wide = at(0.0).width() as u16 + 4;
    let pieces = (chart / wide.max(8)).clamp(1, 8);
    for piece in 0..pieces {
        let x = chart * piece / pieces;
        let text = at(f64::from(x) / f64::from(chart.max(1)));
        if x + (text.width() as u16) < end {
            put(buffer, from(labels + x), &text, dim);
        }
    }
    put(buffer, from(labels + end), last, dim);
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
    fn clocks_stand_where_their_time_is_and_never_run_into_the_last_one() {
        let area = Rect::new(0, 0, 44, 1);
        let mut buffer = Buffer::empty(area);
        let at = |share: f64| format!("{:05.2}", share * 40.0);
        draw_clocks(Theme::default(), 4, &at, "now", area, &mut buffer);
        let text: String = buffer
            .content
            .iter()
            .map(ratatui::buffer::Cell::symbol)
            .collect();
        assert_eq!(text, "   └00.00     10.00     20.00     30.00  now");
        for width in 0..60 {
            let area = Rect::new(0, 0, width, 1);
            let mut buffer = Buffer::empty(area);
            draw_clocks(Theme::default(), 4, &at, "now", area, &mut buffer);
        }
    }

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
