//! The newest attempts at a provider: the way from a breaker to the run, and from there to its log.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Span;

use super::pieces::{facts, first_visible, fit, panel, put, row};
use crate::console::format::short_id;
use crate::console::state::{OpenCalls, State};
use crate::console::theme::{Mark, Role};
use crate::engine::protocol::call::CallView;

/// Tokens and money of a call, where it used any.
fn used(c: &CallView) -> String {
    if c.tokens.sum() == 0 {
        return String::new();
    }
    let usd = c.micro_usd as f64 / 1e6;
    format!("{} tokens ${usd:.4}  ", c.tokens.sum())
}

pub fn draw(state: &State, open: &OpenCalls, area: Rect, buffer: &mut Buffer) {
    let theme = state.theme;
    let calls = state.calls_shown();
    let title = open.provider.as_ref().map_or_else(
        || "Calls behind the answers, slowest first".to_owned(),
        |name| format!("Calls to {}", crate::text::clean_line(name, 40)),
    );
    let note = match (&open.list, state.filters.get(&state.screen)) {
        (None, _) => "reading them".to_owned(),
        (Some(_), Some(filter)) => {
            format!("/{} {}", crate::text::clean_line(filter, 30), calls.len())
        }
        (Some(_), None) => {
            if open.provider.is_some() {
                format!("newest first, {}", calls.len())
            } else {
                calls.len().to_string()
            }
        }
    };
    let inner = panel(theme, &title, &note, area, buffer);
    let dim = theme.style(Role::Dim);
    if calls.is_empty() {
        let filtered = open.list.as_ref().is_some_and(|l| !l.is_empty());
        let words = if filtered {
            "No call passes the filter. Esc clears it."
        } else if open.list.is_some() {
            "No call since this engine started."
        } else {
            ""
        };
        put(buffer, row(inner, 0), words, dim);
        return;
    }
    let height = usize::from(inner.height);
    let first = first_visible(state.calls_selection(), height, calls.len());
    for (n, c) in calls.iter().enumerate().skip(first).take(height) {
        let place = row(inner, (n - first) as u16);
        let mark = if !c.failed() {
            Mark::Passed
        } else if c.sent {
            Mark::Failed
        } else {
            Mark::Off
        };
        let (glyph, role) = theme.mark(mark);
        let waited = match c.waited_ms {
            0 => String::new(),
            ms => format!("waited {ms} ms  "),
        };
        let fallback = if c.target > 0 { "fallback  " } else { "" };
        let parts = vec![
            Span::styled(format!("{} ", state.zone.clock_seconds(c.at_ms)), dim),
            Span::styled(format!("{glyph} "), theme.style(role)),
            Span::raw(format!(
                "{} ",
                fit(theme, &crate::text::clean_line(&c.outcome, 24), 18)
            )),
            Span::raw(format!("{:>7} ms  ", c.upstream_ms)),
            Span::raw(format!("{} ", fit(theme, short_id(&c.run), 6))),
            Span::raw(format!(
                "{} ",
                fit(theme, &crate::text::clean_line(&c.agent, 40), 24)
            )),
            Span::styled(format!("{waited}{fallback}"), theme.style(Role::Warn)),
            Span::styled(format!("{}  ", crate::text::clean_line(&c.model, 40)), dim),
            Span::styled(used(c), dim),
            Span::styled(crate::text::clean_line(&c.correlation, 40), dim),
        ];
        facts(buffer, place, parts);
        if n == state.calls_selection() {
            buffer.set_style(place, theme.style(Role::Selected));
        }
    }
}
