//! The inbox: webhooks, the outbox and what waits for a person, one row each.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Span;
use ratatui::widgets::{Paragraph, Widget as _};

use super::overlay::{cursor, window};
use super::pieces::{first_visible, fit, keys, line, panel, put, row, wrap};
use crate::console::action::Action;
use crate::console::inbox::Decision;
use crate::console::state::State;
use crate::console::theme::Role;
use crate::text::clean_line;

pub fn draw(state: &State, area: Rect, buffer: &mut Buffer) {
    let theme = state.theme;
    let entries = state.inbox_shown();
    let g = state.snapshot().github;
    let filter = state
        .filters
        .get(&state.screen)
        .map_or_else(String::new, |f| format!(" /{}", clean_line(f, 30)));
    let note = keys(state, &[(Action::Open, "open"), (Action::Decide, "decide")]);
    let title = format!(
        "Inbox: {} waiting for a word, {} to send, {} given up{filter}",
        g.approvals, g.outbox.waiting, g.outbox.dropped
    );
    let inner = panel(theme, &title, &note, area, buffer);
    if entries.is_empty() {
        let lines = [
            "No webhook came yet. `bsm serve` takes them at /webhook/github once GITHUB_WEBHOOK_SECRET is set;",
            "with GITHUB_BSU_TOKEN and github.repositories, decisions are left on the pull request.",
        ];
        let width = usize::from(inner.width);
        for (n, text) in wrap(&lines.join(" "), width).iter().enumerate() {
            put(buffer, row(inner, n as u16), text, theme.style(Role::Dim));
        }
        return;
    }
    let selected = state.selection();
    let height = usize::from(inner.height);
    let first = first_visible(selected, height, entries.len());
    let wide = area.width >= 120;
    for (n, entry) in entries.iter().enumerate().skip(first).take(height) {
        let place = row(inner, (n - first) as u16);
        let (glyph, role) = theme.mark(entry.mark());
        let (at, what) = entry.summary();
        let text = if entry.waits() {
            Role::Title
        } else {
            Role::Text
        };
        line(
            buffer,
            place,
            vec![
                Span::styled(format!("{glyph} "), theme.style(role)),
                Span::styled(
                    format!("{} ", state.zone.clock(entry.at_ms())),
                    theme.style(Role::Dim),
                ),
                Span::styled(
                    format!("{} ", fit(theme, entry.kind(), 8)),
                    theme.style(Role::Dim),
                ),
                Span::styled(
                    format!("{} ", fit(theme, entry.state(), 8)),
                    theme.style(role),
                ),
                Span::raw(format!(
                    "{} ",
                    fit(theme, &clean_line(&at, 120), if wide { 28 } else { 18 })
                )),
                Span::styled(clean_line(&what, 300), theme.style(text)),
            ],
        );
        if n == selected {
            buffer.set_style(place, theme.style(Role::Selected));
        }
    }
}

/// The form for an approval.
pub(super) fn decide(state: &State, form: &Decision, area: Rect, buffer: &mut Buffer) {
    let theme = state.theme;
    let inner = window(
        state,
        "Decide",
        "Enter sends  Tab next  Esc back",
        (76, 11),
        area,
        buffer,
    );
    let width = usize::from(inner.width);
    let mut at = 0;
    for text in wrap(&clean_line(&form.what, 300), width).iter().take(2) {
        put(buffer, row(inner, at), text, theme.style(Role::Text));
        at += 1;
    }
    let word = if form.grant { "approve" } else { "deny" };
    // As long as it is, and no more than that.
    let hidden = "*".repeat(form.token.value().chars().count().min(40));
    let reason = clean_line(form.reason.value(), 400);
    let rows = [
        ("decision", format!("< {word} >")),
        ("reason", reason),
        ("token", hidden),
    ];
    for (n, (label, value)) in rows.into_iter().enumerate() {
        let here = form.field == n;
        let mark = if here && n > 0 { cursor(state) } else { "" };
        let room = width.saturating_sub(13);
        let skip = value.chars().count().saturating_sub(room);
        let shown: String = value.chars().skip(skip).collect();
        let role = if here { Role::Title } else { Role::Dim };
        let text = format!("{label:>9}  {shown}{mark}");
        put(
            buffer,
            row(inner, at + 1 + n as u16),
            &text,
            theme.style(role),
        );
    }
    let last = form.error.unwrap_or(
        "Whose word it is, the token says; BSM_APPROVER_TOKEN fills it in. It is kept with the reason.",
    );
    let role = if form.error.is_some() {
        Role::Bad
    } else {
        Role::Dim
    };
    for (n, text) in wrap(last, width).iter().enumerate() {
        put(
            buffer,
            row(inner, at + 5 + n as u16),
            text,
            theme.style(role),
        );
    }
}

/// A text in full.
pub(super) fn text(
    state: &State,
    title: &str,
    text: &str,
    scroll: u16,
    area: Rect,
    buffer: &mut Buffer,
) {
    let wide = area.width.saturating_sub(4).min(110);
    let width = usize::from(wide.saturating_sub(4)).max(1);
    let lines: Vec<String> = text
        .lines()
        .flat_map(|l| wrap(&clean_line(l, 2_000), width))
        .collect();
    let high = (lines.len() as u16).saturating_add(2);
    let size = (wide, high.min(area.height.saturating_sub(2)));
    let inner = window(state, title, "j k scroll  Esc back", size, area, buffer);
    let most = (lines.len() as u16).saturating_sub(inner.height);
    Paragraph::new(lines.join("\n"))
        .scroll((scroll.min(most), 0))
        .render(inner, buffer);
}
