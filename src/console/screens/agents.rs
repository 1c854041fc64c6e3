//! Agents and what is wrong in the workspace.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::console::action::Action;
use crate::console::component::{Component, Intent, Subject};
use crate::console::context::Context;
use crate::console::format::so_many;
use crate::console::theme::Role;
use crate::console::widgets::list::{ListState, first_visible};
use crate::console::widgets::panel::panel;
use crate::console::widgets::table::{one_line, with_head};
use crate::console::widgets::text::{fit, put, row};
use crate::engine::protocol::query::Query;
use crate::workspace::Level;
use crate::workspace::agent::Agent;
use crate::workspace::registry::CONTEXTS;
use crate::workspace::trust::Trust;

/// The screen.
#[derive(Debug, Clone, Default)]
pub struct Agents {
    list: ListState,
}

impl Agents {
    fn shown<'a>(&self, cx: &'a Context) -> Vec<&'a Agent> {
        let filter = self.list.terms();
        let agents = cx.workspace.agents.iter();
        agents.filter(|a| filter.passes(*a)).collect()
    }
}

impl Component for Agents {
    fn title(&self, _cx: &Context) -> String {
        "Agents".into()
    }

    fn on_show(&mut self, _cx: &Context) -> Vec<Intent> {
        vec![Intent::ask(Query::Workspace)]
    }

    fn on_action(&mut self, action: Action, cx: &Context) -> Option<Vec<Intent>> {
        let total = self.shown(cx).len() + cx.workspace.problems.len();
        self.list.travel(action, total, |_| "").then(Vec::new)
    }

    fn filter(&self) -> Option<&str> {
        Some(&self.list.filter)
    }

    fn set_filter(&mut self, text: String, _done: bool, _cx: &Context) -> Vec<Intent> {
        self.list.filter = text;
        Vec::new()
    }

    fn draw(&self, cx: &Context, area: Rect, buffer: &mut Buffer) {
        let agents = self.shown(cx);
        let total = agents.len() + cx.workspace.problems.len();
        let selected = self.list.selected(total, |_| "");
        draw(cx, &agents, selected, area, buffer);
    }

    fn hints(&self, _cx: &Context) -> Vec<Action> {
        vec![Action::Ask, Action::Filter, Action::Reload]
    }

    fn subject(&self, _cx: &Context) -> Subject {
        Subject::None
    }

    fn table(&self, cx: &Context) -> Vec<Vec<String>> {
        let agents = self.shown(cx).into_iter();
        let rows = agents.map(|a| vec![a.id.clone(), a.risk.level.clone()]);
        with_head(&["agent", "risk"], rows)
    }

    fn copied(&self, cx: &Context) -> Option<String> {
        let table = self.table(cx);
        one_line(table.get(self.list.selected(table.len() - 1, |_| "") + 1)?)
    }
}

fn draw(cx: &Context, agents: &[&Agent], selected: usize, area: Rect, buffer: &mut Buffer) {
    let theme = cx.theme;
    let workspace = &cx.snapshot().workspace;
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
    for agent in agents {
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
    for problem in &cx.workspace.problems {
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
    let first = first_visible(selected, height, rows.len());
    for (n, (text, role)) in rows.iter().enumerate().skip(first).take(height) {
        let place = row(inner, (n - first) as u16 + 1);
        put(buffer, place, text, theme.style(*role));
        if n == selected {
            buffer.set_style(place, theme.style(Role::Selected));
        }
    }
}
