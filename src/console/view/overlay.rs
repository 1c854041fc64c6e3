//! What lies over a screen: help, palette, choices, filter, toasts; larger overlays have their own files.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Paragraph, Widget as _, Wrap};
use tui_input::Input;

use super::pieces::{first_visible, fit, line, panel, put, row, wrap};
use crate::console::action::ACTIONS;
use crate::console::format::so_many;
use crate::console::overlay_keys::palette_hits;
use crate::console::state::{Choice, Overlay, State};
use crate::console::theme::Role;

/// Draws one overlay over the screen.
pub fn draw(state: &State, overlay: &Overlay, area: Rect, buffer: &mut Buffer) {
    match overlay {
        Overlay::Help { scroll } => help(state, *scroll, area, buffer),
        Overlay::Palette { input, selected } => palette(state, input, *selected, area, buffer),
        Overlay::Trigger(form) => super::trigger::draw(state, form, area, buffer),
        Overlay::Choice(choice) => choose(state, choice, area, buffer),
        Overlay::Filter { input } => filter(state, input, area, buffer),
        Overlay::Typed {
            title,
            body,
            word,
            input,
            ..
        } => {
            typed(state, (title, body, word), input, area, buffer);
        }
        Overlay::Why { why, scroll, .. } => {
            super::why::draw(state, why.as_deref(), *scroll, area, buffer);
        }
        Overlay::Ask => crate::console::view::chat::draw(state, area, buffer),
        Overlay::Drill => {
            if let Some(drill) = &state.drill {
                super::drill::draw(state, drill, area, buffer);
            }
        }
        Overlay::Decide(form) => super::inbox::decide(state, form, area, buffer),
        Overlay::Text {
            title,
            text,
            scroll,
        } => super::inbox::text(state, title, text, *scroll, area, buffer),
        Overlay::Costs(open) => super::costs::draw(state, open, area, buffer),
        Overlay::Quit { active } => quit(state, *active, area, buffer),
    }
}

/// A box in the middle, as large as wanted and possible, with nothing shining through.
pub(super) fn window(
    state: &State,
    title: &str,
    note: &str,
    size: (u16, u16),
    area: Rect,
    buffer: &mut Buffer,
) -> Rect {
    let (width, height) = (size.0.min(area.width), size.1.min(area.height));
    let place = Rect {
        x: area.x + (area.width - width) / 2,
        y: area.y + (area.height - height) / 3,
        width,
        height,
    };
    Clear.render(place, buffer);
    panel(state.theme, title, note, place, buffer)
}

fn help(state: &State, scroll: u16, area: Rect, buffer: &mut Buffer) {
    let inner = window(
        state,
        "Keys",
        "Esc closes",
        (64, ACTIONS.len() as u16 + 4),
        area,
        buffer,
    );
    let theme = state.theme;
    let lines: Vec<Line<'_>> = ACTIONS
        .iter()
        .map(|r| {
            Line::from(vec![
                Span::styled(
                    fit(theme, state.keys.key_of(r.action), 10),
                    theme.style(Role::Key),
                ),
                Span::raw(fit(theme, r.title, 34)),
                Span::styled(r.name, theme.style(Role::Dim)),
            ])
        })
        .collect();
    let most = (lines.len() as u16).saturating_sub(inner.height);
    Paragraph::new(lines)
        .scroll((scroll.min(most), 0))
        .render(inner, buffer);
}

fn palette(state: &State, input: &Input, selected: usize, area: Rect, buffer: &mut Buffer) {
    let theme = state.theme;
    let inner = window(state, "Commands", "Enter does it", (60, 16), area, buffer);
    put(
        buffer,
        row(inner, 0),
        &format!(
            ": {}{}",
            crate::text::clean_line(input.value(), 50),
            cursor(state)
        ),
        theme.style(Role::Title),
    );
    let hits = palette_hits(input.value());
    if hits.is_empty() {
        put(
            buffer,
            row(inner, 2),
            "nothing is called that",
            theme.style(Role::Dim),
        );
    }
    let height = usize::from(inner.height.saturating_sub(2));
    let first = first_visible(selected, height, hits.len());
    for (n, hit) in hits.iter().enumerate().skip(first).take(height) {
        let place = row(inner, (n - first) as u16 + 2);
        line(
            buffer,
            place,
            vec![
                Span::raw(fit(theme, hit.title, 36)),
                Span::styled(
                    state.keys.key_of(hit.action).to_owned(),
                    theme.style(Role::Key),
                ),
            ],
        );
        if n == selected {
            buffer.set_style(place, theme.style(Role::Selected));
        }
    }
}

pub(super) fn cursor(state: &State) -> &'static str {
    if state.theme.ascii { "_" } else { "▏" }
}

fn choose(state: &State, choice: &Choice, area: Rect, buffer: &mut Buffer) {
    let theme = state.theme;
    let longest = choice.items.iter().map(|(label, _)| label.chars().count());
    let width = (longest.max().unwrap_or(0) as u16 + 4).clamp(76, 110);
    // What is said of the consequence is never cut, nor is what would be chosen; the list scrolls.
    let columns = usize::from(width.min(area.width).saturating_sub(4));
    let said = wrap(&choice.body, columns);
    let above = said.len() as u16 + 1;
    let chosen = choice.items.get(choice.selected);
    let chosen = chosen.map_or_else(Vec::new, |(label, _)| {
        wrap(&crate::text::clean_line(label, 300), columns)
    });
    let extra = chosen.len().saturating_sub(1);
    let height = (choice.items.len() + extra) as u16 + above + 3;
    let inner = window(
        state,
        &choice.title,
        "Enter does it  Esc back",
        (width, height),
        area,
        buffer,
    );
    for (n, text) in said.iter().enumerate().take(usize::from(inner.height)) {
        put(buffer, row(inner, n as u16), text, theme.style(Role::Dim));
    }
    let room = usize::from(inner.height.saturating_sub(above)).saturating_sub(extra);
    let first = first_visible(choice.selected, room, choice.items.len());
    let mut at = above;
    for (n, (label, _)) in choice.items.iter().enumerate().skip(first).take(room) {
        if n == choice.selected {
            for text in &chosen {
                put(buffer, row(inner, at), text, theme.style(Role::Text));
                buffer.set_style(row(inner, at), theme.style(Role::Selected));
                at += 1;
            }
            continue;
        }
        let text = crate::text::clean_line(label, 120);
        put(buffer, row(inner, at), &text, theme.style(Role::Text));
        at += 1;
    }
}

fn typed(
    state: &State,
    (title, body, word): (&str, &str, &str),
    input: &Input,
    area: Rect,
    buffer: &mut Buffer,
) {
    let theme = state.theme;
    let inner = window(
        state,
        title,
        "Enter does it  Esc back",
        (70, 9),
        area,
        buffer,
    );
    Paragraph::new(body)
        .wrap(Wrap { trim: true })
        .style(theme.style(Role::Warn))
        .render(
            Rect {
                height: inner.height.saturating_sub(2),
                ..inner
            },
            buffer,
        );
    let last = inner.height.saturating_sub(1);
    let shown = crate::text::clean_line(input.value(), 40);
    let text = format!("type {word} to go on: {shown}{}", cursor(state));
    put(buffer, row(inner, last), &text, theme.style(Role::Title));
}

fn filter(state: &State, input: &Input, area: Rect, buffer: &mut Buffer) {
    let place = Rect {
        y: area.y + area.height.saturating_sub(1),
        height: 1,
        ..area
    };
    Clear.render(place, buffer);
    let text = format!(
        " / {}{}   Enter keeps it, Esc clears it",
        crate::text::clean_line(input.value(), 60),
        cursor(state)
    );
    put(buffer, place, &text, state.theme.style(Role::Title));
}

fn quit(state: &State, active: u32, area: Rect, buffer: &mut Buffer) {
    let inner = window(state, "Quit", "y quits  Esc stays", (58, 5), area, buffer);
    let runs = so_many(active.into(), "run is active", "runs are active");
    put(
        buffer,
        row(inner, 0),
        &format!("{runs}. Finished steps are kept,"),
        state.theme.style(Role::Text),
    );
    put(
        buffer,
        row(inner, 1),
        "and the rest resumes at the next start.",
        state.theme.style(Role::Text),
    );
}

/// The newest notes, above the hint bar.
pub fn draw_toasts(state: &State, area: Rect, buffer: &mut Buffer) {
    use unicode_width::UnicodeWidthStr as _;
    let mut bottom = area.y + area.height;
    for toast in state.toasts.iter().rev() {
        let role = if toast.bad { Role::Bad } else { Role::Selected };
        // Whole, for what it names (a path, a reason) is nowhere else.
        let rows = wrap(&toast.text, usize::from(area.width.saturating_sub(2)));
        let widest = rows.iter().map(|r| r.trim_end().width()).max().unwrap_or(0);
        let width = (widest as u16 + 2).min(area.width);
        let height = rows.len() as u16;
        let used = area.y + area.height - bottom;
        // The newest has its room; older ones leave half of the screen to be seen.
        let room = if used == 0 {
            area.height
        } else {
            area.height / 2
        };
        if used + height > room {
            return;
        }
        bottom -= height;
        for (n, text) in rows.iter().enumerate() {
            let place = Rect {
                x: area.x + area.width - width,
                y: bottom + n as u16,
                width,
                height: 1,
            };
            Clear.render(place, buffer);
            let text = format!(" {:<1$} ", text.trim_end(), widest);
            put(buffer, place, &text, state.theme.style(role));
        }
    }
}
