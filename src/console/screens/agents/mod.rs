//! Agents: which are stopped, what each said last, how risky they are, what they decide by and where they may be
//! used; and what is wrong in the workspace.

mod problems;

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};

use crate::console::action::Action;
use crate::console::component::{Component, Intent, Subject};
use crate::console::context::Context;
use crate::console::format::{age, so_many};
use crate::console::route::Route;
use crate::console::theme::Role;
use crate::console::widgets::focus;
use crate::console::widgets::list::{ListState, row_at};
use crate::console::widgets::panel::{inside, panel_with_foot};
use crate::console::widgets::table::{
    self, Cell, Column, Hit, SortKey, Source, one_line, with_head,
};
use crate::console::widgets::text::{put, row};
use crate::engine::protocol::query::Query;
use crate::engine::protocol::run_summary::Mark;
use crate::engine::protocol::snapshot::{RunSummary, StepSummary};
use crate::text::clean_line;
use crate::workspace::agent::Agent;
use crate::workspace::registry::CONTEXTS;
use crate::workspace::trust::Trust;

/// The heads of the contexts, a column that is read as seven.
const MATRIX: &str = "CHAT API GITHUB CI SYSTEM SECURITY MOBILE";

/// Columns of the table; where there is no room for a sign each, the contexts are words.
const WIDE: [Column; 8] = columns(Column::text(MATRIX, 41, 0, 0));
const NARROW: [Column; 8] = columns(Column::text("CONTEXTS", 12, 3, 4));
/// From so many columns on the contexts are signs.
const WIDE_FROM: u16 = 120;

const fn columns(contexts: Column) -> [Column; 8] {
    [
        Column::text("AGENT", 20, 2, 0),
        Column::text("STATE", 10, 0, 0),
        Column::text("LAST VERDICT", 17, 0, 0),
        Column::figure("LAST", 4, 0),
        Column::text("RISK", 8, 0, 1),
        Column::text("APPROVAL", 9, 0, 5),
        Column::text("PACKS", 12, 3, 3),
        contexts,
    ]
}

fn columns_of(width: u16) -> &'static [Column; 8] {
    if width >= WIDE_FROM { &WIDE } else { &NARROW }
}

/// The screen.
#[derive(Debug, Clone, Default)]
pub struct Agents {
    list: ListState,
    /// The panel of the selected row alone.
    zoomed: bool,
}

/// An agent with what it does and did, as far as the picture's runs say.
struct AgentRow<'a> {
    agent: &'a Agent,
    stopped: bool,
    at_work: usize,
    last: Option<(&'a RunSummary, &'a StepSummary)>,
}

impl<'a> AgentRow<'a> {
    fn of(cx: &'a Context, agent: &'a Agent) -> Self {
        let s = cx.snapshot();
        let steps = s.runs.iter().flat_map(|run| {
            let own = run.steps.iter().filter(|step| step.agent == agent.id);
            own.map(move |step| (run, step))
        });
        let running = |(_, step): &(&RunSummary, &StepSummary)| step.mark() == Mark::Running;
        Self {
            agent,
            stopped: s.stopped_agents.contains(&agent.id),
            at_work: steps.clone().filter(running).count(),
            last: steps
                .filter(|(_, step)| step.status.is_over())
                .max_by_key(|(run, _)| run.finished_ms.unwrap_or(run.created_ms)),
        }
    }

    fn state(&self) -> (String, Role) {
        match (self.stopped, self.at_work, &self.agent.status) {
            (true, ..) => ("stopped".into(), Role::Warn),
            (_, 1.., _) => (format!("{} at work", self.at_work), Role::Title),
            (.., Some(status)) => (clean_line(status, 20), Role::Dim),
            _ => ("idle".into(), Role::Dim),
        }
    }

    /// What it concluded last; good only where a model did, and nothing was missing.
    fn verdict(&self, ascii: bool) -> Option<(String, Role)> {
        let (run, step) = self.last?;
        let mark = step.mark();
        let role = match mark {
            Mark::Approves if run.simulated => Role::Dim,
            Mark::Approves => Role::Good,
            Mark::Objects => Role::Bad,
            _ => Role::Warn,
        };
        let word = match step.verdict {
            Some(verdict) => verdict.as_str(),
            None => step.status.as_str(),
        };
        Some((format!("{} {word}", mark.sign(ascii)), role))
    }

    fn last_ms(&self) -> Option<i64> {
        let (run, _) = self.last?;
        Some(run.finished_ms.unwrap_or(run.created_ms))
    }

    fn packs(&self) -> String {
        let packs = self.agent.packs.as_ref();
        packs.map_or_else(|| "all".to_owned(), |p| clean_line(&p.join(" "), 60))
    }

    fn approval(&self) -> &'static str {
        if self.agent.approval.required || self.agent.safety.requires_approval {
            "required"
        } else {
            ""
        }
    }

    fn contexts(&self, cx: &Context, width: u16) -> String {
        let allowed = &self.agent.contexts.allowed;
        if width < WIDE_FROM {
            return clean_line(&allowed.join(" "), 60);
        }
        let (yes, no) = if cx.theme.ascii {
            ("x", ".")
        } else {
            ("●", "·")
        };
        let signs = CONTEXTS.iter().map(|context| {
            let sign = if allowed.iter().any(|a| a == context) {
                yes
            } else {
                no
            };
            format!("{sign}{}", " ".repeat(context.len()))
        });
        signs.collect()
    }

    fn cells(&self, cx: &Context, width: u16) -> Vec<Cell> {
        let dash = cx.theme.signs().1;
        let known = |text: &str| {
            if text.is_empty() {
                Cell::dim(dash)
            } else {
                Cell::plain(clean_line(text, 60))
            }
        };
        let (state, role) = self.state();
        let verdict = self.verdict(cx.theme.ascii);
        let last = self.last_ms().map(|at| age(cx.clock_ms() - at));
        let risk = match self.agent.risk.level.as_str() {
            level @ ("high" | "critical") => Cell::new(level, Role::Warn),
            level => known(level),
        };
        vec![
            Cell::plain(clean_line(&self.agent.id, 64)),
            Cell::new(state, role),
            verdict.map_or(Cell::dim(dash), |(text, role)| Cell::new(text, role)),
            last.map_or(Cell::dim(dash), Cell::dim),
            risk,
            known(self.approval()),
            known(&self.packs()),
            Cell::plain(self.contexts(cx, width)),
        ]
    }

    fn sort_key(&self, column: usize) -> SortKey {
        match NARROW[column].head {
            "STATE" => SortKey::text(&self.state().0),
            "LAST VERDICT" => {
                let verdict = self.last.and_then(|(_, step)| step.verdict);
                SortKey::text(verdict.map_or("", |v| v.as_str()))
            }
            "LAST" => SortKey::figure(self.last_ms().map(|at| -(at as f64))),
            "RISK" => {
                let levels = ["low", "medium", "high", "critical"];
                let level = levels.iter().position(|l| *l == self.agent.risk.level);
                SortKey::figure(level.map(|n| n as f64))
            }
            "APPROVAL" => SortKey::text(self.approval()),
            "PACKS" => SortKey::text(&self.packs()),
            "CONTEXTS" => SortKey::count(self.agent.contexts.allowed.len() as u64),
            _ => SortKey::text(&self.agent.id),
        }
    }
}

impl Agents {
    /// Agents that pass the filter, in the chosen order.
    fn shown<'a>(&self, cx: &'a Context) -> Vec<AgentRow<'a>> {
        let filter = self.list.terms();
        let agents = cx.workspace.agents.iter();
        let passing = agents.filter(|a| filter.passes(*a));
        let mut rows: Vec<AgentRow<'a>> = passing.map(|a| AgentRow::of(cx, a)).collect();
        table::sort_rows(&mut rows, self.list.sort, AgentRow::sort_key);
        rows
    }

    /// What each row is known by: agents, then problems.
    fn ids(rows: &[AgentRow<'_>], cx: &Context) -> Vec<String> {
        let agents = rows.iter().map(|r| r.agent.id.clone());
        let problems = (0..cx.workspace.problems.len()).map(|n| format!("problem {n}"));
        agents.chain(problems).collect()
    }

    fn selected(&self, rows: &[AgentRow<'_>], cx: &Context) -> usize {
        let ids = Self::ids(rows, cx);
        self.list.selected(ids.len(), |n| &ids[n])
    }

    /// Several panels share the screen.
    fn is_split(cx: &Context) -> bool {
        !cx.workspace.problems.is_empty()
    }

    /// Takes the selection, and so the focus, to the other panel where it has rows.
    fn focus_other(&mut self, cx: &Context) {
        let rows = self.shown(cx);
        let ids = Self::ids(&rows, cx);
        let on_agents = self.selected(&rows, cx) < rows.len();
        let to = if on_agents { rows.len() } else { 0 };
        if let Some(id) = ids.get(to) {
            self.list.select(to, id);
        }
    }

    /// Where the panels lie; the focused one alone where it is zoomed.
    fn places(&self, on_agents: bool, cx: &Context, area: Rect) -> [Rect; 2] {
        let nothing = Rect { height: 0, ..area };
        match (self.zoomed && Self::is_split(cx), on_agents) {
            (false, _) => split(cx, area),
            (true, true) => [area, nothing],
            (true, false) => [nothing, area],
        }
    }

    /// What the log says of the selected agent.
    fn logs(&self, cx: &Context) -> Vec<Intent> {
        let rows = self.shown(cx);
        let agent = rows.get(self.selected(&rows, cx)).map(|r| &r.agent.id);
        let route = agent.map(|id| Route::Logs {
            run: None,
            filter: format!("agent={id}"),
            agent: None,
        });
        route.map(Intent::Navigate).into_iter().collect()
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
        match action {
            Action::Open => return Some(self.logs(cx)),
            Action::FocusNext | Action::FocusPrevious => {
                self.focus_other(cx);
                return Some(Vec::new());
            }
            Action::Zoom => {
                self.zoomed = !self.zoomed;
                return Some(Vec::new());
            }
            Action::Back if self.zoomed => {
                self.zoomed = false;
                return Some(Vec::new());
            }
            _ if self.list.sorts(action, NARROW.len()) => return Some(Vec::new()),
            _ => {}
        }
        let ids = Self::ids(&self.shown(cx), cx);
        self.list
            .travel(action, ids.len(), |n| &ids[n])
            .then(Vec::new)
    }

    fn filter(&self) -> Option<&str> {
        Some(&self.list.filter)
    }

    fn set_filter(&mut self, text: String, _done: bool, _cx: &Context) -> Vec<Intent> {
        self.list.filter = text;
        Vec::new()
    }

    fn on_click(&mut self, at: (u16, u16), area: Rect, cx: &Context) -> Vec<Intent> {
        let rows = self.shown(cx);
        let ids = Self::ids(&rows, cx);
        let selected = self.selected(&rows, cx);
        let [top, low] = self.places(selected < rows.len(), cx, area);
        let (inner, problems) = (inside(top), inside(low));
        let clicked = match table::hit(
            columns_of(inner.width),
            at,
            Some(selected.min(rows.len().saturating_sub(1))),
            rows.len(),
            inner,
        ) {
            Some(Hit::Head(column)) => {
                self.list.sort_by(column);
                return Vec::new();
            }
            Some(Hit::Row(n)) if n == selected => return self.logs(cx),
            Some(Hit::Row(n)) => Some(n),
            None if problems.contains(at.into()) => {
                let own = selected.saturating_sub(rows.len());
                let height = usize::from(problems.height);
                let total = cx.workspace.problems.len();
                let n = row_at(at.1 - problems.y, own, height, total);
                n.map(|n| rows.len() + n)
            }
            None => None,
        };
        if let Some(n) = clicked {
            self.list.select(n, &ids[n]);
        }
        Vec::new()
    }

    fn draw(&self, cx: &Context, area: Rect, buffer: &mut Buffer) {
        let rows = self.shown(cx);
        let selected = self.selected(&rows, cx);
        let on_agents = selected < rows.len() || cx.workspace.problems.is_empty();
        let [top, low] = self.places(on_agents, cx, area);
        if top.height > 0 {
            self.draw_agents(cx, &rows, selected, top, buffer);
        }
        problems::draw(cx, selected.checked_sub(rows.len()), low, buffer);
        if Self::is_split(cx) && !self.zoomed {
            focus::mark(cx, if on_agents { top } else { low }, buffer);
        }
    }

    fn hints(&self, _cx: &Context) -> Vec<Action> {
        vec![
            Action::Open,
            Action::Ask,
            Action::Filter,
            Action::SortNext,
            Action::Reload,
            Action::Zoom,
        ]
    }

    fn panels(&self, cx: &Context) -> usize {
        1 + usize::from(Self::is_split(cx))
    }

    fn subject(&self, _cx: &Context) -> Subject {
        Subject::None
    }

    fn table(&self, cx: &Context) -> Vec<Vec<String>> {
        let rows = self.shown(cx);
        let rows = rows.iter().map(|r| {
            let verdict = r.last.and_then(|(_, step)| step.verdict);
            vec![
                r.agent.id.clone(),
                r.agent.risk.level.clone(),
                r.state().0,
                verdict.map_or("", |v| v.as_str()).to_owned(),
                r.last_ms().map_or_else(String::new, |ms| ms.to_string()),
                r.packs(),
                r.agent.contexts.allowed.join(" "),
            ]
        });
        let head = [
            "agent", "risk", "state", "verdict", "lastMs", "packs", "contexts",
        ];
        with_head(&head, rows)
    }

    fn copied(&self, cx: &Context) -> Option<String> {
        let rows = self.shown(cx);
        let at = self.selected(&rows, cx);
        match at.checked_sub(rows.len()) {
            Some(n) => cx
                .workspace
                .problems
                .get(n)
                .map(crate::workspace::Problem::line_text),
            None => one_line(self.table(cx).get(at + 1)?),
        }
    }
}

impl Agents {
    fn draw_agents(
        &self,
        cx: &Context,
        rows: &[AgentRow<'_>],
        selected: usize,
        top: Rect,
        buffer: &mut Buffer,
    ) {
        let inner = inside(top);
        let note = format!("{}{}", self.list.filter_note(), summary(cx));
        let foot = table::left_out(rows.len(), inner);
        panel_with_foot(cx.theme, "Agents", &note, &foot, top, buffer);
        let source = Source {
            total: rows.len(),
            id: &|n| &rows[n].agent.id,
            cells: &|n| rows[n].cells(cx, inner.width),
        };
        let columns = columns_of(inner.width);
        let own = (selected < rows.len()).then_some(selected);
        table::draw(cx, columns, &self.list, own, &source, inner, buffer);
        if rows.is_empty() {
            let words = self.list.unknown_field(&cx.workspace.agents, "agent");
            let words = words.unwrap_or_else(|| match cx.workspace.agents.len() {
                0 => "reading the workspace".into(),
                _ => "No agent passes the filter. Esc clears it.".into(),
            });
            put(buffer, row(inner, 1), &words, cx.theme.style(Role::Dim));
        }
    }
}

/// The agents, and below them what is wrong, if anything is.
fn split(cx: &Context, area: Rect) -> [Rect; 2] {
    let problems = cx.workspace.problems.len().min(200) as u16;
    let most = (area.height / 3).max(3);
    let low = if problems == 0 {
        0
    } else {
        (problems + 2).min(most)
    };
    Layout::vertical([Constraint::Min(4), Constraint::Length(low)]).areas(area)
}

/// How many there are, and whether the operator trusts them.
fn summary(cx: &Context) -> String {
    let workspace = &cx.snapshot().workspace;
    let trust = match workspace.trust {
        Trust::BuiltIn => "built-in",
        Trust::Trusted => "trusted",
        Trust::Untrusted => "not trusted: bsm trust",
        Trust::Changed => "changed since trusted: bsm trust",
    };
    format!(
        "{}, {}, {}, {trust}",
        so_many(workspace.agents.into(), "agent", "agents"),
        so_many(workspace.errors.into(), "error", "errors"),
        so_many(workspace.warnings.into(), "warning", "warnings")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_of_the_matrix_are_the_contexts_that_there_are() {
        assert_eq!(MATRIX, CONTEXTS.join(" ").to_uppercase());
        let Some(Column { head, width, .. }) = WIDE.last() else {
            unreachable!("there are columns")
        };
        assert_eq!(head.len(), usize::from(*width));
    }
}
