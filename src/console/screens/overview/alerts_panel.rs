//! Alerts in two columns where there is room, in one line where there is not; and the newest log lines beside
//! them on a wide terminal.

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::Span;

use crate::console::action::Action;
use crate::console::context::Context;
use crate::console::theme::Role;
use crate::console::widgets::panel::{panel, panel_with_foot};
use crate::console::widgets::text::{line, put, row};
use crate::engine::protocol::alert::Alert;
use crate::telemetry::log_read::LogLine;
use crate::text::clean_line;

/// The sign of an alert: it holds, somebody has seen it, it is over, or it is news.
fn sign(cx: &Context, alert: &Alert) -> (&'static str, Role) {
    let ascii = cx.theme.ascii;
    match alert {
        a if a.needs_a_look() => (if ascii { "!" } else { "▲" }, Role::Warn),
        a if a.is_active() => (if ascii { "!" } else { "△" }, Role::Text),
        _ => (if ascii { "v" } else { "✓" }, Role::Dim),
    }
}

/// Alerts that are not of a drill, those that hold first.
fn shown(cx: &Context) -> Vec<&Alert> {
    cx.snapshot().alerts.iter().filter(|a| !a.drill).collect()
}

/// Draws the panel.
pub(super) fn draw(cx: &Context, area: Rect, buffer: &mut Buffer) {
    let theme = cx.theme;
    let alerts = shown(cx);
    let rows = usize::from(area.height.saturating_sub(2));
    // Two columns only where one has not room for all: a sentence is worth more than a blank half.
    let wide = area.width >= 100 && area.width < 180;
    let columns = if wide && alerts.len() > rows { 2 } else { 1 };
    let more = alerts.len().saturating_sub(rows * columns);
    let foot = if more > 0 {
        format!("+{more}")
    } else {
        String::new()
    };
    let keys = cx.keys_of(&[(Action::Alerts, "all")]);
    let inner = panel_with_foot(theme, "Alerts", &keys, &foot, area, buffer);
    if alerts.is_empty() {
        put(buffer, row(inner, 0), "none", theme.style(Role::Dim));
        return;
    }
    let places: Vec<Rect> = if columns == 2 {
        Layout::horizontal([Constraint::Fill(1); 2])
            .areas::<2>(inner)
            .to_vec()
    } else {
        vec![inner]
    };
    for (n, alert) in alerts.iter().take(rows * columns).enumerate() {
        let place = row(places[n % columns], (n / columns) as u16);
        let (glyph, role) = sign(cx, alert);
        let time = if area.width >= 90 {
            cx.zone.clock_seconds(alert.at_ms)
        } else {
            cx.zone.clock(alert.at_ms)
        };
        line(
            buffer,
            place,
            vec![
                Span::styled(format!("{glyph} {time} "), theme.style(role)),
                Span::styled(
                    format!("{} ", clean_line(&alert.text, 160)),
                    theme.style(match role {
                        Role::Dim => Role::Dim,
                        _ => Role::Text,
                    }),
                ),
            ],
        );
    }
}

/// One line: how many hold, and the newest of them.
pub(super) fn draw_line(cx: &Context, area: Rect, buffer: &mut Buffer) {
    let theme = cx.theme;
    let active: Vec<&Alert> = shown(cx).into_iter().filter(|a| a.is_active()).collect();
    let keys = cx.keys_of(&[(Action::Alerts, "alerts")]);
    let role = if active.is_empty() {
        Role::Dim
    } else {
        Role::Warn
    };
    let glyph = if theme.ascii { "!" } else { "▲" };
    let words = match active.as_slice() {
        [] => " no alert holds".to_owned(),
        all => {
            let texts: Vec<String> = all
                .iter()
                .map(|a| format!("{} {}", cx.zone.clock(a.at_ms), clean_line(&a.text, 60)))
                .collect();
            format!(" {glyph} {}: {}", all.len(), texts.join(" · "))
        }
    };
    let words = if theme.ascii {
        words.replace('·', "-")
    } else {
        words
    };
    let left = vec![Span::styled(words, theme.style(role))];
    let right = vec![Span::styled(format!("{keys} "), theme.style(Role::Dim))];
    crate::console::widgets::text::spans(buffer, area, left, right);
}

/// The newest log lines, the newest last.
pub(super) fn draw_log(cx: &Context, lines: &[LogLine], area: Rect, buffer: &mut Buffer) {
    let theme = cx.theme;
    let keys = cx.keys_of(&[(Action::Show(crate::console::action::Screen::Logs), "all")]);
    let inner = panel(theme, "Live log", &keys, area, buffer);
    if lines.is_empty() {
        put(buffer, row(inner, 0), "no line yet", theme.style(Role::Dim));
    }
    let from = lines.len().saturating_sub(usize::from(inner.height));
    for (n, l) in lines[from..].iter().enumerate() {
        let role = match l.level.as_str() {
            "ERROR" => Role::Bad,
            "WARN" => Role::Warn,
            _ => Role::Dim,
        };
        let at = l.at.parse::<jiff::Timestamp>().ok();
        let time = at.map_or_else(String::new, |at| cx.zone.clock_seconds(at.as_millisecond()));
        line(
            buffer,
            row(inner, n as u16),
            vec![
                Span::styled(format!("{time} "), theme.style(Role::Dim)),
                Span::styled(
                    format!("{:<5} ", clean_line(&l.level, 5)),
                    theme.style(role),
                ),
                Span::raw(format!("{} ", l.message.line(200))),
                Span::styled(l.fields.line(200), theme.style(Role::Dim)),
            ],
        );
    }
}
