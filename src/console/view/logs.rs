//! Log lines: the newest of all, or of one run.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Span;

use unicode_width::UnicodeWidthStr as _;

use super::pieces::{first_visible, fit, line, panel, put, row, unknown_field, wrap};
use crate::console::format::{short_id, so_many};
use crate::console::state::State;
use crate::console::theme::Role;
use crate::telemetry::log_read::LogLine;

/// Columns before a line's message.
const BEFORE: usize = 22;
/// Rows that a long line may take where it is shown whole.
const WHOLE: usize = 5;

/// The selected line in rows, where it does not fit into its own.
fn whole(line: Option<&&LogLine>, inner: Rect) -> Vec<String> {
    let Some(line) = line else {
        return Vec::new();
    };
    let text = format!("{} {}", line.message.line(400), line.fields.line(1_000));
    let width = usize::from(inner.width);
    if text.trim_end().width() + BEFORE <= width || inner.height < 8 {
        return Vec::new();
    }
    let mut rows = wrap(text.trim_end(), width);
    rows.truncate(WHOLE);
    rows
}

/// Rows of the list in a panel of this size.
pub fn list_height(state: &State, inner: Rect) -> usize {
    let lines = state.logs_shown();
    above(inner, &whole(lines.get(state.selection()), inner))
}

/// Rows above the selected line's, and above the rule between.
fn above(inner: Rect, below: &[String]) -> usize {
    let rule = usize::from(!below.is_empty());
    usize::from(inner.height) - below.len() - rule
}

pub fn draw(state: &State, area: Rect, buffer: &mut Buffer) {
    let theme = state.theme;
    let lines = state.logs_shown();
    let of = state
        .logs_of
        .as_ref()
        .map_or_else(|| "all runs".to_owned(), |r| format!("run {}", short_id(r)));
    let filter = state
        .filters
        .get(&state.screen)
        .map_or_else(String::new, |f| {
            format!(" /{}", crate::text::clean_line(f, 30))
        });
    let inner = panel(
        theme,
        "Logs",
        &format!(
            "{of}, {}{filter}   7 refresh",
            so_many(lines.len() as u64, "line", "lines")
        ),
        area,
        buffer,
    );
    if lines.is_empty() {
        let unknown = unknown_field(state, &state.logs, "line");
        let words = unknown.unwrap_or_else(|| "No lines.".to_owned());
        put(buffer, row(inner, 0), &words, theme.style(Role::Dim));
        return;
    }
    let selected = state.selection();
    let below = whole(lines.get(selected), inner);
    let height = above(inner, &below);
    if !below.is_empty() {
        let dash = if theme.ascii { "-" } else { "─" };
        let rule = dash.repeat(usize::from(inner.width));
        put(
            buffer,
            row(inner, height as u16),
            &rule,
            theme.style(Role::Dim),
        );
        for (n, text) in below.iter().enumerate() {
            let place = row(inner, (height + 1 + n) as u16);
            put(buffer, place, text, theme.style(Role::Text));
        }
    }
    let first = first_visible(selected, height, lines.len());
    for (n, l) in lines.iter().enumerate().skip(first).take(height) {
        let role = match l.level.as_str() {
            "ERROR" => Role::Bad,
            "WARN" => Role::Warn,
            _ => Role::Text,
        };
        let at = l.at.parse::<jiff::Timestamp>().ok();
        let time = at.map_or_else(
            || l.at.clone(),
            |at| state.zone.clock_seconds(at.as_millisecond()),
        );
        let run = l.run.as_deref().map_or("", short_id);
        let place = row(inner, (n - first) as u16);
        line(
            buffer,
            place,
            vec![
                Span::styled(
                    format!("{} ", crate::text::clean_line(&time, 8)),
                    theme.style(Role::Dim),
                ),
                Span::styled(
                    format!("{} ", fit(theme, &crate::text::clean_line(&l.level, 5), 5)),
                    theme.style(role),
                ),
                Span::styled(
                    format!("{} ", fit(theme, &crate::text::clean_line(run, 6), 6)),
                    theme.style(Role::Dim),
                ),
                Span::styled(format!("{} ", l.message.line(200)), theme.style(role)),
                Span::styled(l.fields.line(300), theme.style(Role::Dim)),
            ],
        );
        if n == selected {
            buffer.set_style(place, theme.style(Role::Selected));
        }
    }
}
