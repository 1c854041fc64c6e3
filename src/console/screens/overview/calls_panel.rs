//! Calls a second by outcome over the last minutes: what was answered, and what was not.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Span;

use crate::console::context::Context;
use crate::console::screens::outcome_parts::{PARTS, WORDS};
use crate::console::theme::Role;
use crate::console::widgets::axis::{self, ChartArea};
use crate::console::widgets::panel::panel;
use crate::console::widgets::stacked_chart;
use crate::console::widgets::text::{facts, put, row};
use crate::telemetry::call_outcome::CallOutcome;

/// The chart's span, seconds.
const SPAN_S: u32 = 900;

/// A round figure at or above the highest column.
fn round_up(most: f64) -> f64 {
    let steps = [
        0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 50.0, 100.0, 200.0, 300.0, 500.0, 1_000.0,
        2_000.0, 5_000.0, 10_000.0,
    ];
    let step = steps.into_iter().find(|s| *s >= most);
    step.unwrap_or(most)
}

/// A figure of the axis.
fn figure(value: f64) -> String {
    if value < 10.0 && value.fract() > 0.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.0}")
    }
}

/// Draws the panel.
pub(super) fn draw(cx: &Context, area: Rect, buffer: &mut Buffer) {
    let theme = cx.theme;
    let snapshot = cx.snapshot();
    let history = &snapshot.call_history;
    let title = if area.width >= 40 {
        "Calls/s by outcome"
    } else {
        "Calls/s"
    };
    let inner = panel(theme, title, "15 min", area, buffer);
    let Some(ChartArea {
        labels,
        chart,
        times,
        legend,
    }) = ChartArea::of(inner)
    else {
        return;
    };
    let seconds = f64::from(history.bucket_s.max(1));
    let all = (SPAN_S / history.bucket_s.max(1)) as usize;
    let mut values: Vec<[f64; 5]> = history
        .buckets()
        .map(|b| CallOutcome::ALL.map(|o| b.counts.of(o) as f64 / seconds))
        .collect();
    // What is not there yet is empty at the left; the newest stands at the right.
    let missing = all.saturating_sub(values.len());
    values.splice(0..0, std::iter::repeat_n([0.0; 5], missing));
    let most = round_up(stacked_chart::highest(&values, usize::from(chart.width)));
    let height = labels.height;
    let label = |n: u16| {
        let half = height >= 4 && n == height / 2;
        (n == 0 || half).then(|| figure(most * f64::from(height - n) / f64::from(height)))
    };
    axis::draw_labels(theme, label, labels, buffer);
    axis::draw_times(theme, i64::from(SPAN_S) * 1_000, "now", times, buffer);
    if history.window.sum() == 0 {
        put(
            buffer,
            row(chart, chart.height / 2),
            " no call in the last 15 minutes",
            theme.style(Role::Dim),
        );
    } else {
        let mut parts = PARTS;
        if snapshot.mode.simulated {
            parts[0].role = Role::Text;
        }
        stacked_chart::draw(theme, &parts, &values, most, chart, buffer);
    }
    // Those that are there come first: what does not fit is left out whole.
    let mut order: Vec<usize> = (0..PARTS.len()).collect();
    let rate = |n: usize| history.per_second(CallOutcome::ALL[n]);
    order.sort_by_key(|n| (*n != 0 && history.window.of(CallOutcome::ALL[*n]) == 0, *n));
    let parts = order
        .into_iter()
        .map(|n| {
            let there = rate(n) > 0.0;
            // What the simulator answers is not good news.
            let simulated = snapshot.mode.simulated && n == 0;
            let role = if there && !simulated {
                PARTS[n].role
            } else {
                Role::Dim
            };
            Span::styled(
                format!("{} {} {:.1}/s  ", PARTS[n].sign(theme), WORDS[n], rate(n)),
                theme.style(role),
            )
        })
        .collect();
    facts(buffer, legend, parts);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axis_figure_of_half_a_step_is_not_rounded_away() {
        assert_eq!(
            [figure(2.5), figure(0.1), figure(25.0)],
            ["2.5", "0.1", "25"]
        );
        assert_eq!([figure(1.0), figure(5.0)], ["1", "5"]);
    }

    #[test]
    fn axis_ends_at_a_round_figure_at_or_above_the_highest() {
        assert_eq!(round_up(0.0), 0.2);
        assert_eq!(round_up(11.0), 20.0);
        assert_eq!(round_up(30.0), 30.0);
        assert_eq!(round_up(20_000.0), 20_000.0);
    }
}
