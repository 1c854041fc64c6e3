//! One chart of the trends: a panel with figures at its left, times below, lines or stacked parts, and the cursor
//! that all of them share.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::series::{column, outcomes, spread};
use crate::console::context::Context;
use crate::console::format::{micros, percent};
use crate::console::screens::outcome_parts::{PARTS, WORDS};
use crate::console::theme::Role;
use crate::console::widgets::axis;
use crate::console::widgets::line_chart::{Marks, lines};
use crate::console::widgets::panel::{inside, panel};
use crate::console::widgets::stacked_chart;
use crate::console::widgets::text::{put, row};
use crate::engine::protocol::history::{Point, Trends};

/// Columns for the figures at the left of a chart.
pub(super) const LABELS: u16 = 8;

/// What all charts of the screen share.
#[derive(Clone, Copy)]
pub(super) struct Shared<'a> {
    pub cx: &'a Context,
    pub trends: &'a Trends,
    pub cursor_ms: Option<i64>,
    /// The span ends now.
    pub is_live: bool,
}

/// The part of a panel's area in which values are drawn, after `labels` columns.
pub(super) fn canvas(area: Rect, labels: u16) -> Rect {
    let inner = inside(area);
    let labels = labels.min(inner.width);
    let axis = u16::from(inner.height >= 3);
    Rect {
        x: inner.x + labels,
        width: inner.width - labels,
        height: inner.height - axis,
        ..inner
    }
}

impl Shared<'_> {
    /// A moment as the axis and the words say it.
    pub fn clock(&self, at_ms: i64) -> String {
        match self.trends.to_ms - self.trends.from_ms {
            ms if ms <= 900_000 => self.cx.zone.clock_seconds(at_ms),
            ms if ms < 86_400_000 => self.cx.zone.clock(at_ms),
            _ => self.cx.zone.at(at_ms).strftime("%m-%d %H:%M").to_string(),
        }
    }

    /// The times below a chart.
    pub fn draw_axis(&self, labels: u16, area: Rect, buffer: &mut Buffer) {
        let inner = inside(area);
        if inner.height < 3 {
            return;
        }
        let (from, to) = (self.trends.from_ms, self.trends.to_ms);
        let at = |share: f64| self.clock(from + ((to - from) as f64 * share) as i64);
        let last = if self.is_live {
            "now".to_owned()
        } else {
            self.clock(to)
        };
        let place = row(inner, inner.height - 1);
        axis::draw_clocks(self.cx.theme, labels, &at, &last, place, buffer);
    }

    /// The cursor over what is drawn.
    pub fn draw_cursor(&self, canvas: Rect, buffer: &mut Buffer) {
        let at = self.cursor_ms;
        let Some(x) = at.and_then(|at| column(self.trends, at, canvas.width)) else {
            return;
        };
        let sign = if self.cx.theme.ascii { "|" } else { "│" };
        for y in canvas.y..canvas.bottom() {
            let cell = &mut buffer[(canvas.x + x, y)];
            if cell.symbol() == " " {
                cell.set_symbol(sign);
            }
            cell.set_style(self.cx.theme.style(Role::Key));
        }
    }

    /// The highest and the lowest figure beside a chart.
    fn draw_labels(&self, most: &str, least: &str, area: Rect, buffer: &mut Buffer) {
        let canvas = canvas(area, LABELS);
        let labels = Rect {
            x: inside(area).x,
            width: canvas.x - inside(area).x,
            ..canvas
        };
        let last = labels.height.saturating_sub(1);
        let at = |n: u16| match n {
            0 => Some(most.to_owned()),
            n if n == last => Some(least.to_owned()),
            _ => None,
        };
        axis::draw_labels(self.cx.theme, at, labels, buffer);
    }

    /// Lines over time, microseconds: the second one is the upper one. A target near them is drawn.
    pub fn latency(
        &self,
        title: &str,
        target_us: Option<f64>,
        of: [fn(&Point) -> Option<u64>; 2],
        area: Rect,
        buffer: &mut Buffer,
    ) {
        let theme = self.cx.theme;
        panel(theme, title, "p50, p99 above", area, buffer);
        let canvas = canvas(area, LABELS);
        let [low, high] = of.map(|of| spread(self.trends, |p| of(p).map(|v| v as f64)));
        let all = low.iter().chain(&high).flatten().copied();
        let highest = all.fold(0.0, f64::max);
        self.draw_axis(LABELS, area, buffer);
        if highest == 0.0 {
            self.draw_labels("", "", area, buffer);
            let words = format!(
                " none: fewer than {} samples, or not recorded",
                crate::telemetry::latency::ENOUGH
            );
            put(buffer, row(canvas, 0), &words, theme.style(Role::Dim));
            self.draw_cursor(canvas, buffer);
            return;
        }
        // The target's line is shown where it is near; far above it would flatten everything else.
        let near = target_us.filter(|t| *t <= highest * 2.0);
        let most = near.map_or(highest * 1.1, |t| highest.max(t) * 1.05);
        self.draw_labels(&micros(most as u64), "0 ms", area, buffer);
        if let Some(target) = near {
            let last = canvas.height.saturating_sub(1);
            let y = ((1.0 - target / most) * f64::from(last)).round() as u16;
            let dash = if theme.ascii { "-" } else { "┄" };
            let dashes = dash.repeat(usize::from(canvas.width));
            put(buffer, row(canvas, y), &dashes, theme.style(Role::Warn));
        }
        self.draw_line(&low, most, Role::Dim, canvas, buffer);
        self.draw_line(&high, most, Role::Text, canvas, buffer);
        self.draw_cursor(canvas, buffer);
    }

    fn draw_line(
        &self,
        values: &[Option<f64>],
        most: f64,
        role: Role,
        canvas: Rect,
        buffer: &mut Buffer,
    ) {
        let theme = self.cx.theme;
        let size = (usize::from(canvas.width), usize::from(canvas.height));
        let drawn = lines(theme, Marks::Braille, values, most.max(1.0), size);
        for (n, text) in drawn.iter().enumerate() {
            overlay(buffer, row(canvas, n as u16), text, theme.style(role));
        }
    }

    /// Calls a second by outcome; all of them as one where outcomes were not recorded.
    pub fn calls(&self, area: Rect, buffer: &mut Buffer) {
        let theme = self.cx.theme;
        let canvas = canvas(area, LABELS);
        if self.trends.points.iter().all(|p| p.outcomes.is_none()) {
            let rate = spread(self.trends, |p| Some(p.calls));
            let most = rate.iter().flatten().copied().fold(0.0, f64::max);
            let title = "Calls/s, outcomes not recorded";
            panel(theme, title, "", area, buffer);
            self.draw_blocks(
                &rate,
                round_up(most),
                &format!("{:.0}", round_up(most)),
                area,
                buffer,
            );
            return;
        }
        let values = outcomes(self.trends);
        let width = usize::from(canvas.width);
        let most = round_up(stacked_chart::highest(&values, width.max(1)));
        // What was there is named; the whole legend is on the Overview.
        let there = (0..5).filter(|n| values.iter().any(|v| v[*n] > 0.0));
        let legend: Vec<String> = there
            .map(|n| format!("{} {}", PARTS[n].sign(theme), WORDS[n]))
            .collect();
        panel(
            theme,
            "Calls/s by outcome",
            &legend.join("  "),
            area,
            buffer,
        );
        self.draw_labels(&format!("{most:.0}"), "0", area, buffer);
        self.draw_axis(LABELS, area, buffer);
        let mut parts = PARTS;
        if self.cx.snapshot().mode.simulated {
            // What the simulator answers is not good news.
            parts[0].role = Role::Text;
        }
        stacked_chart::draw(theme, &parts, &values, most, canvas, buffer);
        self.draw_cursor(canvas, buffer);
    }

    /// The share of gets that caches answered.
    pub fn hits(&self, area: Rect, buffer: &mut Buffer) {
        let theme = self.cx.theme;
        let hit = spread(self.trends, |p| p.hit_rate);
        panel(theme, "Cache hit rate", "", area, buffer);
        self.draw_blocks(&hit, 1.0, &percent(1.0), area, buffer);
    }

    fn draw_blocks(
        &self,
        values: &[Option<f64>],
        most: f64,
        label: &str,
        area: Rect,
        buffer: &mut Buffer,
    ) {
        let theme = self.cx.theme;
        let canvas = canvas(area, LABELS);
        self.draw_labels(label, "0", area, buffer);
        self.draw_axis(LABELS, area, buffer);
        let size = (usize::from(canvas.width), usize::from(canvas.height));
        let most = most.max(f64::MIN_POSITIVE);
        let drawn = lines(theme, Marks::Block, values, most, size);
        for (n, text) in drawn.iter().enumerate() {
            put(buffer, row(canvas, n as u16), text, theme.style(Role::Text));
        }
        self.draw_cursor(canvas, buffer);
    }
}

/// The next round figure at or above a value: one, two or five and zeros.
fn round_up(value: f64) -> f64 {
    if value <= 1.0 {
        return 1.0;
    }
    let zeros = 10f64.powf(value.log10().floor());
    let steps = [1.0, 2.0, 5.0].map(|n| n * zeros);
    let step = steps.into_iter().find(|s| *s >= value);
    step.unwrap_or(10.0 * zeros)
}

/// Writes only what is not blank, so that two lines share a chart.
fn overlay(buffer: &mut Buffer, area: Rect, text: &str, style: Style) {
    for (n, c) in text.chars().enumerate() {
        if c != ' ' && n < usize::from(area.width) && area.height > 0 {
            buffer[(area.x + n as u16, area.y)]
                .set_char(c)
                .set_style(style);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axis_ends_at_a_round_figure_at_or_above_the_value() {
        let all = [0.0, 0.3, 1.0, 1.1, 4.0, 11.0, 50.0, 70.0, 1_000.0, 2_300.0];
        let up = [1.0, 1.0, 1.0, 2.0, 5.0, 20.0, 50.0, 100.0, 1_000.0, 5_000.0];
        assert_eq!(all.map(round_up), up);
    }
}
