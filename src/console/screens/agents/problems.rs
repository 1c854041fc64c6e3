//! What is wrong in the workspace, a line each.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::console::context::Context;
use crate::console::theme::Role;
use crate::console::widgets::list::first_visible;
use crate::console::widgets::panel::{inside, panel_with_foot};
use crate::console::widgets::text::{put, row};
use crate::text::clean_line;
use crate::workspace::Level;

/// Draws them; the selected one is marked.
pub(super) fn draw(cx: &Context, selected: Option<usize>, area: Rect, buffer: &mut Buffer) {
    let problems = &cx.workspace.problems;
    if area.height == 0 {
        return;
    }
    let inner = inside(area);
    let height = usize::from(inner.height);
    let foot = match problems.len().saturating_sub(height) {
        0 => String::new(),
        more => format!("+{more}"),
    };
    panel_with_foot(
        cx.theme,
        "Problems in the workspace",
        "",
        &foot,
        area,
        buffer,
    );
    let first = first_visible(selected.unwrap_or(0), height, problems.len());
    for (n, problem) in problems.iter().enumerate().skip(first).take(height) {
        let role = if problem.severity == Level::Error {
            Role::Bad
        } else {
            Role::Warn
        };
        let text = format!(
            "{}  {}",
            problem.line_text(),
            clean_line(&problem.help, 160)
        );
        let place = row(inner, (n - first) as u16);
        put(buffer, place, &text, cx.theme.style(role));
        if selected == Some(n) {
            buffer.set_style(place, cx.theme.style(Role::Selected));
        }
    }
}
