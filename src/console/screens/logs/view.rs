//! How log lines are drawn: only those on the screen are made, cut or wrapped, with the selected one shown whole.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Span;
use unicode_width::UnicodeWidthStr as _;

use super::lines::{Lines, has};
use crate::console::context::Context;
use crate::console::format::short_id;
use crate::console::theme::Role;
use crate::console::widgets::list::first_visible;
use crate::console::widgets::text::{fit, line, put, row, wrap};
use crate::filter::lowered;
use crate::telemetry::log_read::LogLine;
use crate::text::clean_line;

/// Columns before a line's message.
const BEFORE: usize = 22;
/// Rows that a long line may take where it is shown whole.
const WHOLE: usize = 5;
/// Rows that a wrapped line may take.
const WRAPPED: usize = 20;

/// How the lines are shown.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look<'a> {
    pub selected: usize,
    /// Long lines are wrapped.
    pub wraps: bool,
    /// The word that is looked for.
    pub search: &'a str,
}

/// A line's message and fields, harmless.
fn text(line: &LogLine) -> String {
    let text = format!("{} {}", line.message.line(400), line.fields.line(1_000));
    text.trim_end().to_owned()
}

/// The selected line in rows, where it does not fit into its own.
fn whole(line: Option<&LogLine>, inner: Rect) -> Vec<String> {
    let Some(text) = line.map(text) else {
        return Vec::new();
    };
    let width = usize::from(inner.width);
    if text.width() + BEFORE <= width || inner.height < 8 {
        return Vec::new();
    }
    let mut rows = wrap(&text, width);
    rows.truncate(WHOLE);
    rows
}

/// The rows of a wrapped line.
fn wrapped(line: &LogLine, inner: Rect) -> Vec<String> {
    let width = usize::from(inner.width).saturating_sub(BEFORE).max(8);
    let mut rows = wrap(&text(line), width);
    if rows.len() > WRAPPED {
        let more = rows.len() - WRAPPED + 1;
        rows.truncate(WRAPPED - 1);
        rows.push(format!("+{more} rows"));
    }
    if rows.is_empty() {
        rows.push(String::new());
    }
    rows
}

/// Which line begins at which row: those around the selected one that have room, and no others are looked at.
fn placed(lines: &Lines, look: Look<'_>, height: usize, inner: Rect) -> Vec<(usize, usize)> {
    let total = lines.len();
    if !look.wraps {
        let first = first_visible(look.selected, height, total);
        return (first..total.min(first + height))
            .map(|n| (n, n - first))
            .collect();
    }
    let high = |n: usize| lines.get(n).map_or(1, |l| wrapped(l, inner).len());
    let own = high(look.selected);
    let (mut above, mut first) = (0, look.selected);
    let grow = |above: &mut usize, first: &mut usize, room: usize| {
        while *first > 0 && *above + high(*first - 1) <= room {
            *first -= 1;
            *above += high(*first);
        }
    };
    grow(
        &mut above,
        &mut first,
        (height / 2).min(height.saturating_sub(own)),
    );
    let (mut below, mut end) = (0, look.selected + 1);
    while end < total && above + own + below < height {
        below += high(end);
        end += 1;
    }
    grow(&mut above, &mut first, height.saturating_sub(own + below));
    let mut y = 0;
    (first..end)
        .map(|n| {
            let at = y;
            y += high(n);
            (n, at)
        })
        .collect()
}

/// Rows for the list, and what stands below it.
fn parts(lines: &Lines, look: Look<'_>, inner: Rect) -> (usize, Vec<String>) {
    let below = if look.wraps {
        Vec::new()
    } else {
        whole(lines.get(look.selected), inner)
    };
    let rule = usize::from(!below.is_empty());
    (usize::from(inner.height) - below.len() - rule, below)
}

/// The line that lies at a row of the inside.
pub(super) fn line_at(lines: &Lines, look: Look<'_>, y: u16, inner: Rect) -> Option<usize> {
    let (height, _) = parts(lines, look, inner);
    let y = usize::from(y);
    let placed = placed(lines, look, height, inner);
    let found = placed.iter().rev().find(|(_, at)| *at <= y)?;
    let rows = if look.wraps {
        wrapped(lines.get(found.0)?, inner).len()
    } else {
        1
    };
    (y < height && y < found.1 + rows).then_some(found.0)
}

/// Draws them.
pub(super) fn draw(cx: &Context, lines: &Lines, look: Look<'_>, inner: Rect, buffer: &mut Buffer) {
    let theme = cx.theme;
    let (height, below) = parts(lines, look, inner);
    if !below.is_empty() {
        let dash = if theme.ascii { "-" } else { "─" };
        let rule = dash.repeat(usize::from(inner.width));
        let place = row(inner, height as u16);
        put(buffer, place, &rule, theme.style(Role::Dim));
        for (n, text) in below.iter().enumerate() {
            let place = row(inner, (height + 1 + n) as u16);
            put(buffer, place, text, theme.style(Role::Text));
        }
    }
    let word = lowered(look.search);
    for (n, y) in placed(lines, look, height, inner) {
        let Some(each) = lines.get(n) else { continue };
        let found = !word.is_empty() && has(each, &word);
        let rows = draw_line(cx, each, look.wraps, found, (y, height), inner, buffer);
        if n == look.selected {
            let area = Rect {
                y: inner.y + y as u16,
                height: rows.min(height - y) as u16,
                ..inner
            };
            buffer.set_style(area, theme.style(Role::Selected));
        }
    }
}

/// Draws a line at a row, not below `height`; the rows that it has.
fn draw_line(
    cx: &Context,
    l: &LogLine,
    wraps: bool,
    found: bool,
    (y, height): (usize, usize),
    inner: Rect,
    buffer: &mut Buffer,
) -> usize {
    let theme = cx.theme;
    let role = match l.level.as_str() {
        "ERROR" => Role::Bad,
        "WARN" => Role::Warn,
        _ => Role::Text,
    };
    let time = l.at_ms().map_or_else(
        || clean_line(&l.at, 8),
        |at| clean_line(&cx.zone.clock_seconds(at), 8),
    );
    let run = clean_line(l.run.as_deref().map_or("", short_id), 6);
    // The time of a line that was looked for is bright.
    let mark = if found { Role::Key } else { Role::Dim };
    let mut spans = vec![
        Span::styled(format!("{} ", fit(theme, &time, 8)), theme.style(mark)),
        Span::styled(
            format!("{} ", fit(theme, &clean_line(&l.level, 5), 5)),
            theme.style(role),
        ),
        Span::styled(format!("{} ", fit(theme, &run, 6)), theme.style(Role::Dim)),
    ];
    if !wraps {
        let message = format!("{} ", l.message.line(200));
        spans.push(Span::styled(message, theme.style(role)));
        spans.push(Span::styled(l.fields.line(300), theme.style(Role::Dim)));
        line(buffer, row(inner, y as u16), spans);
        return 1;
    }
    let rows = wrapped(l, inner);
    line(buffer, row(inner, y as u16), spans);
    for (n, text) in rows.iter().enumerate().take(height.saturating_sub(y)) {
        let place = row(inner, (y + n) as u16);
        let before = (BEFORE as u16).min(place.width);
        let place = Rect {
            x: place.x + before,
            width: place.width - before,
            ..place
        };
        put(buffer, place, text, theme.style(role));
    }
    rows.len()
}
