//! Memory: what is most like a text, as it is typed; and why changes are rejected.

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::Span;

use super::overlay::cursor;
use super::pieces::{first_visible, fit, keys, line, panel, put, row};
use crate::console::action::Action;
use crate::console::format::{count, percent, so_many};
use crate::console::state::{Overlay, State};
use crate::console::theme::Role;
use crate::text::clean_line;

pub fn draw(state: &State, area: Rect, buffer: &mut Buffer) {
    // Side by side where there is room, else the patterns below what was found.
    let [left, right] = if area.width >= 120 {
        Layout::horizontal([Constraint::Fill(3), Constraint::Fill(2)]).areas::<2>(area)
    } else {
        let low = area.height / 3;
        Layout::vertical([Constraint::Fill(1), Constraint::Length(low)]).areas::<2>(area)
    };
    similar(state, left, buffer);
    patterns(state, right, buffer);
}

fn similar(state: &State, area: Rect, buffer: &mut Buffer) {
    let theme = state.theme;
    let memory = &state.memory;
    let note = keys(state, &[(Action::Filter, "type"), (Action::Open, "read")]);
    let items = memory.similar.as_ref().map_or_else(
        || memory.stats.map_or(0, |s| s.reviews + s.decisions),
        |s| s.total,
    );
    let title = format!("Memory: {} items", count(items));
    let inner = panel(theme, &title, &note, area, buffer);
    let typing = matches!(state.overlays.last(), Some(Overlay::Filter { .. }));
    let text = state.memory_text();
    let shown: String = {
        let room = usize::from(inner.width).saturating_sub(10);
        let typed = clean_line(text, 2_000);
        let skip = typed.chars().count().saturating_sub(room);
        typed.chars().skip(skip).collect()
    };
    let mark = if typing { cursor(state) } else { "" };
    put(
        buffer,
        row(inner, 0),
        &format!("like: {shown}{mark}"),
        theme.style(Role::Title),
    );
    let Some(similar) = memory.similar.as_ref().filter(|_| !text.trim().is_empty()) else {
        put(
            buffer,
            row(inner, 2),
            &format!(
                "{} and type or paste code: what was said of the most alike.",
                state.keys.key_of(Action::Filter)
            ),
            theme.style(Role::Dim),
        );
        return;
    };
    let ready = if similar.ready {
        ""
    } else {
        ", the index still fills"
    };
    let took = format!(
        "{} alike, {:.1} ms{ready}",
        similar.hits.len(),
        similar.took_us as f64 / 1_000.0
    );
    put(buffer, row(inner, 1), &took, theme.style(Role::Dim));
    let height = usize::from(inner.height.saturating_sub(2));
    let selected = state.selection();
    let first = first_visible(selected, height, similar.hits.len());
    for (n, hit) in similar.hits.iter().enumerate().skip(first).take(height) {
        let place = row(inner, (n - first) as u16 + 2);
        let said = hit.review.raw().split_whitespace().next();
        let said = clean_line(said.unwrap_or_default(), 20);
        let role = match said.as_str() {
            "block" | "block_pr" => Role::Bad,
            "request_changes" | "comment" | "manual_review" => Role::Warn,
            _ => Role::Good,
        };
        line(
            buffer,
            place,
            vec![
                Span::styled(format!("{:.2} ", hit.score), theme.style(Role::Title)),
                Span::styled(
                    format!("{:>3}/{:<4}", hit.overlap, hit.union),
                    theme.style(Role::Dim),
                ),
                Span::styled(format!("{} ", fit(theme, &said, 15)), theme.style(role)),
                Span::raw(hit.code.line(300)),
            ],
        );
        if n == selected {
            buffer.set_style(place, theme.style(Role::Selected));
        }
    }
}

fn patterns(state: &State, area: Rect, buffer: &mut Buffer) {
    let theme = state.theme;
    let inner = panel(theme, "Why changes are rejected", "", area, buffer);
    let Some(patterns) = state.memory.patterns.as_ref().filter(|p| p.total > 0) else {
        put(
            buffer,
            row(inner, 0),
            "No decisions yet.",
            theme.style(Role::Dim),
        );
        return;
    };
    let head = format!(
        "{}, {} rejected, {}",
        so_many(patterns.total, "decision", "decisions"),
        count(patterns.rejections),
        percent(patterns.rate)
    );
    put(buffer, row(inner, 0), &head, theme.style(Role::Title));
    let mut n = 1;
    let reasons = patterns.reasons.iter().take(5);
    for (reason, times) in reasons {
        let text = format!("{times:>6}  {}", reason.line(160));
        put(buffer, row(inner, n), &text, theme.style(Role::Text));
        n += 1;
    }
    let mut last = "";
    for group in &patterns.groups {
        if group.by != last {
            let text = format!("by {}", group.by);
            put(buffer, row(inner, n), &text, theme.style(Role::Dim));
            last = &group.by;
            n += 1;
        }
        let text = format!(
            "{:>6}  of {:<6} {}",
            group.rejections,
            group.total,
            clean_line(&group.name, 120)
        );
        put(buffer, row(inner, n), &text, theme.style(Role::Text));
        n += 1;
    }
}
