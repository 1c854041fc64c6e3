//! Breakers and pools over time, a row each, above them a row of marks: alerts, starts of the engine, changes of
//! the workspace.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::chart::{Shared, canvas};
use super::series::{column, sampled, spread, starts};
use crate::console::format::so_many;
use crate::console::theme::Role;
use crate::console::widgets::panel::{inside, panel_with_foot};
use crate::console::widgets::text::{fit, put, row};
use crate::engine::protocol::history::AlertMark;
use crate::resilience::breaker::BreakerState;

/// Columns for the names.
pub(super) const NAMES: u16 = 17;

/// Rows that the panel needs to show all of it.
pub(super) fn wanted(shared: &Shared<'_>) -> u16 {
    (shared.trends.breakers.len() + shared.trends.pools.len()) as u16 + 4
}

/// Draws the panel.
pub(super) fn draw(shared: &Shared<'_>, alerts: &[AlertMark], area: Rect, buffer: &mut Buffer) {
    let (theme, trends) = (shared.cx.theme, shared.trends);
    let words = if theme.ascii {
        "breakers: . closed # open ~ half-open o off  pools: tenths in use"
    } else {
        "breakers: ▁ closed █ open ▄ half-open ░ off  pools: how full"
    };
    let canvas = canvas(area, NAMES);
    let rows = trends.breakers.len() + trends.pools.len();
    let more = rows.saturating_sub(usize::from(canvas.height.saturating_sub(1)));
    let foot = if more > 0 {
        format!("+{more}")
    } else {
        String::new()
    };
    panel_with_foot(theme, "Breakers and pools", words, &foot, area, buffer);
    let names = Rect {
        x: inside(area).x,
        width: canvas.x - inside(area).x,
        ..canvas
    };
    marks(shared, alerts, names, canvas, buffer);
    let width = usize::from(canvas.width);
    let mut n = 1;
    for (index, name) in trends.breakers.iter().enumerate() {
        let states = spread(trends, |p| {
            let state = p.breakers.get(index).copied().flatten();
            state.map(|s| f64::from(code(s)))
        });
        let signs = sampled(&states, width).map(|v| glyph(theme.ascii, v));
        let text: String = signs.collect();
        let is_bad = text.contains(glyph(theme.ascii, Some(3.0)));
        let role = if is_bad { Role::Warn } else { Role::Dim };
        let name = fit(theme, name, usize::from(NAMES) - 1);
        put(buffer, row(names, n), &name, theme.style(Role::Text));
        put(buffer, row(canvas, n), &text, theme.style(role));
        n += 1;
    }
    for (index, name) in trends.pools.iter().enumerate() {
        let used = spread(trends, |p| p.pools.get(index).copied());
        let signs = sampled(&used, width).map(|v| fullness(shared, v));
        let text: String = signs.collect();
        let name = fit(theme, &format!("{name} pool"), usize::from(NAMES) - 1);
        put(buffer, row(names, n), &name, theme.style(Role::Dim));
        put(buffer, row(canvas, n), &text, theme.style(Role::Dim));
        n += 1;
    }
    shared.draw_axis(NAMES, area, buffer);
    shared.draw_cursor(canvas, buffer);
}

/// The signs of an alert, a start of the engine, a change of the workspace.
pub(super) fn signs(ascii: bool) -> [&'static str; 3] {
    if ascii {
        ["!", "@", "+"]
    } else {
        ["▲", "◆", "△"]
    }
}

/// How many marks of each kind there are, so that none is lost where several fall into one column.
pub(super) fn counted(shared: &Shared<'_>, alerts: &[AlertMark]) -> String {
    let [alert, start, change] = signs(shared.cx.theme.ascii);
    let (from, to) = (shared.trends.from_ms, shared.trends.to_ms);
    let raised = alerts.iter().filter(|a| (from..=to).contains(&a.at_ms));
    format!(
        "{alert} {}  {start} {}  {change} {}",
        so_many(raised.count() as u64, "alert", "alerts"),
        so_many(
            starts(shared.trends).len() as u64,
            "engine start",
            "engine starts"
        ),
        so_many(shared.trends.marks.len() as u64, "reload", "reloads"),
    )
}

/// The row of marks; where two fall into one column, the graver one is shown.
fn marks(
    shared: &Shared<'_>,
    alerts: &[AlertMark],
    names: Rect,
    canvas: Rect,
    buffer: &mut Buffer,
) {
    let theme = shared.cx.theme;
    let [alert, start, change] = signs(theme.ascii);
    let title = format!("{alert}{start}{change} marks");
    put(buffer, row(names, 0), &title, theme.style(Role::Dim));
    let starts = starts(shared.trends);
    let kinds: [(Vec<i64>, &str, Role); 3] = [
        (shared.trends.marks.clone(), change, Role::Key),
        (starts, start, Role::Title),
        (alerts.iter().map(|a| a.at_ms).collect(), alert, Role::Warn),
    ];
    if canvas.height == 0 {
        return;
    }
    for (times, sign, role) in kinds {
        for at in times {
            if let Some(x) = column(shared.trends, at, canvas.width) {
                buffer[(canvas.x + x, canvas.y)]
                    .set_symbol(sign)
                    .set_style(theme.style(role));
            }
        }
    }
}

fn fullness(shared: &Shared<'_>, value: Option<f64>) -> &'static str {
    const DIGITS: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
    match value {
        None => " ",
        Some(v) if shared.cx.theme.ascii => DIGITS[((v * 9.0) as usize).min(9)],
        Some(v) => shared.cx.theme.columns()[((v * 7.0).ceil() as usize).min(7)],
    }
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
