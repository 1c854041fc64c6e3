//! Log lines: the newest of all, or of one run.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Span;

use super::pieces::{first_visible, fit, line, panel, put, row};
use crate::console::format::short_id;
use crate::console::state::State;
use crate::console::theme::Role;

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
        &format!("{of}, {} lines{filter}, 7 reads again", lines.len()),
        area,
        buffer,
    );
    if lines.is_empty() {
        put(buffer, row(inner, 0), "No lines.", theme.style(Role::Dim));
        return;
    }
    let selected = state.selection();
    let height = usize::from(inner.height);
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
