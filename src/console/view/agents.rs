//! Agents and what is wrong in the workspace.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::pieces::{first_visible, fit, panel, put, row};
use crate::console::format::so_many;
use crate::console::state::State;
use crate::console::theme::Role;
use crate::workspace::Level;
use crate::workspace::registry::CONTEXTS;
use crate::workspace::trust::Trust;

pub fn draw(state: &State, area: Rect, buffer: &mut Buffer) {
    let theme = state.theme;
    let workspace = &state.snapshot().workspace;
    let trust = match workspace.trust {
        Trust::BuiltIn => "built-in",
        Trust::Trusted => "trusted",
        Trust::Untrusted => "not trusted: bsm trust",
        Trust::Changed => "changed since trusted: bsm trust",
    };
    let note = format!(
        "{}, {}, {}, {trust}",
        so_many(workspace.agents.into(), "agent", "agents"),
        so_many(workspace.errors.into(), "error", "errors"),
        so_many(workspace.warnings.into(), "warning", "warnings")
    );
    let inner = panel(theme, "Agents", &note, area, buffer);
    let wide = inner.width >= 100;
    let contexts = CONTEXTS
        .iter()
        .map(|c| fit(theme, c, 9))
        .collect::<String>();
    let head = format!(
        "{} {} {} {}",
        fit(theme, "agent", 26),
        fit(theme, "risk", 8),
        fit(theme, "packs", if wide { 30 } else { 16 }),
        if wide { contexts.as_str() } else { "contexts" }
    );
    put(buffer, row(inner, 0), &head, theme.style(Role::Dim));
    let mut rows: Vec<(String, Role)> = Vec::new();
    let (yes, no) = if theme.ascii {
        ("x", ".")
    } else {
        ("●", "·")
    };
    for agent in state.agents_shown() {
        let allowed = |c: &&str| agent.contexts.allowed.iter().any(|a| a == *c);
        let matrix: String = CONTEXTS
            .iter()
            .map(|c| fit(theme, if allowed(c) { yes } else { no }, 9))
            .collect();
        let packs = agent
            .packs
            .as_ref()
            .map_or_else(|| "all".to_owned(), |p| p.join(" "));
        let risk = if agent.risk.level.is_empty() {
            theme.signs().1
        } else {
            &agent.risk.level
        };
        let text = format!(
            "{} {} {} {}",
            fit(theme, &agent.id, 26),
            fit(theme, &crate::text::clean_line(risk, 8), 8),
            fit(
                theme,
                &crate::text::clean_line(&packs, 60),
                if wide { 30 } else { 16 }
            ),
            if wide {
                matrix
            } else {
                crate::text::clean_line(&agent.contexts.allowed.join(" "), 60)
            }
        );
        rows.push((text, Role::Text));
    }
    for problem in &state.problems {
        let role = if problem.severity == Level::Error {
            Role::Bad
        } else {
            Role::Warn
        };
        rows.push((
            format!(
                "{}  {}",
                problem.line_text(),
                crate::text::clean_line(&problem.help, 160)
            ),
            role,
        ));
    }
    let height = usize::from(inner.height.saturating_sub(1));
    let selected = state.selection();
    let first = first_visible(selected, height, rows.len());
    for (n, (text, role)) in rows.iter().enumerate().skip(first).take(height) {
        let place = row(inner, (n - first) as u16 + 1);
        put(buffer, place, text, theme.style(*role));
        if n == selected {
            buffer.set_style(place, theme.style(Role::Selected));
        }
    }
}
