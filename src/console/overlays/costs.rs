//! What models cost: by model, agent, provider or day, with today's budget.

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::typing::closes;
use crate::console::action::Action;
use crate::console::component::{Dialog, DialogKind, Step};
use crate::console::context::Context;
use crate::console::format::count;
use crate::console::theme::Role;
use crate::console::widgets::list::{ListState, first_visible, scrolled};
use crate::console::widgets::panel::window;
use crate::console::widgets::table::{self, Cell, Column};
use crate::console::widgets::text::{put, row};
use crate::engine::protocol::cost::{CostBy, Costs, sums};
use crate::engine::protocol::query::{Answer, Query};
use crate::model::spend::Line;

/// Days that are read.
pub const DAYS: u32 = 30;
/// By what they are added up.
const WAYS: [(CostBy, &str); 4] = [
    (CostBy::Model, "model"),
    (CostBy::Agent, "agent"),
    (CostBy::Provider, "provider"),
    (CostBy::Day, "day"),
];

/// The table of costs.
#[derive(Debug, Clone, Default)]
pub struct CostTable {
    costs: Option<Box<Costs>>,
    way: usize,
    /// The row in the middle.
    scroll: u16,
}

impl Dialog for CostTable {
    fn kind(&self) -> DialogKind {
        DialogKind::Costs
    }

    fn on_key(&mut self, key: KeyEvent, action: Option<Action>, _cx: &Context) -> Step {
        match key.code {
            KeyCode::Tab => self.way = (self.way + 1) % WAYS.len(),
            KeyCode::BackTab => self.way = (self.way + WAYS.len() - 1) % WAYS.len(),
            _ if action.is_some_and(|a| scrolled(a, &mut self.scroll)) => {}
            _ if closes(key) => return Step::close(),
            _ => {}
        }
        Step::stay()
    }

    fn on_answer(&mut self, query: &Query, answer: &Answer, _cx: &Context) -> Step {
        if let (Query::Costs { .. }, Answer::Costs { costs }) = (query, answer) {
            self.costs = Some(costs.clone());
        }
        Step::stay()
    }

    fn draw(&self, cx: &Context, area: Rect, buffer: &mut Buffer) {
        let (by, word) = WAYS[self.way];
        let theme = cx.theme;
        let dim = theme.style(Role::Dim);
        let all = self.costs.as_ref().map(|c| sums(&c.lines, by));
        let rows = all.as_ref().map_or(1, Vec::len).clamp(1, 16) as u16;
        let title = format!("What it costs, {DAYS} days, by {word}");
        let note = "Tab: group by another  Esc: close";
        let height = (rows + 6).min(area.height);
        // Of the window's lines two are its border, two are words and one is the head.
        let fits = usize::from(height.saturating_sub(5));
        let more = all.as_ref().map_or(0, |all| all.len().saturating_sub(fits));
        let note = match more {
            0 => note.to_owned(),
            more => format!("+{more}  {note}"),
        };
        let inner = window(cx, &title, &note, (84, height), area, buffer);
        let Some(costs) = &self.costs else {
            put(buffer, row(inner, 0), "reading it", dim);
            return;
        };
        let simulated = cx.snapshot().mode.simulated;
        let style = theme.style(Role::Text);
        put(buffer, row(inner, 0), &today(costs, simulated), style);
        if simulated {
            let words =
                "Simulated models: nobody is paid. Earlier days may be real: it is not recorded.";
            put(buffer, row(inner, 1), words, theme.style(Role::Warn));
        }
        let columns = columns(by, simulated);
        let rows = Rect {
            y: inner.y + 2.min(inner.height),
            height: inner.height.saturating_sub(2),
            ..inner
        };
        let all = all.unwrap_or_default();
        let list = ListState::default();
        let first = first_visible(usize::from(self.scroll), table::height(rows), all.len());
        table::draw_head(cx, &columns, &list, rows, buffer);
        let shown = all.iter().skip(first).take(table::height(rows));
        for (n, sum) in shown.enumerate() {
            let place = row(rows, n as u16 + 1);
            table::draw_row(cx, &columns, &cells(sum, simulated), place, buffer);
        }
        if all.is_empty() {
            put(buffer, row(rows, 1), "No model was asked.", dim);
        }
    }
}

/// Today's money, with the sign of money that nobody pays.
fn today(costs: &Costs, simulated: bool) -> String {
    let sign = if simulated { "~" } else { "" };
    let usd = |micro: u64| micro as f64 / 1e6;
    let mut today = format!("today (UTC) {sign}${:.4}", usd(costs.today_micro_usd));
    if costs.reserved_micro_usd > 0 {
        today.push_str(&format!(
            ", {sign}${:.4} set aside for calls under way",
            usd(costs.reserved_micro_usd)
        ));
    }
    today.push_str(&match costs.day_budget_usd {
        budget if budget > 0.0 => format!(", budget ${budget:.2}"),
        _ => ", no budget set (budgets.dayUsd)".to_owned(),
    });
    today
}

fn columns(by: CostBy, simulated: bool) -> [Column; 5] {
    let head = match by {
        CostBy::Model => "MODEL",
        CostBy::Agent => "AGENT",
        CostBy::Provider => "PROVIDER",
        CostBy::Day => "DAY (UTC)",
    };
    let money = if simulated { "~USD, SIMULATED" } else { "USD" };
    [
        Column::text(head, 20, 1, 0),
        Column::figure("CALLS", 8, 1),
        Column::figure("TOKENS IN", 12, 2),
        Column::figure("TOKENS OUT", 12, 3),
        Column::figure(money, 15, 0),
    ]
}

fn cells((name, sum): &(String, Line), simulated: bool) -> Vec<Cell> {
    let name = match name.as_str() {
        "" => "(no agent)".to_owned(),
        name => crate::text::clean_line(name, 60),
    };
    let sign = if simulated { "~" } else { "" };
    vec![
        Cell::plain(name),
        Cell::plain(count(sum.calls)),
        Cell::plain(count(sum.prompt)),
        Cell::plain(count(sum.completion)),
        Cell::plain(format!("{sign}{:.4}", sum.micro_usd as f64 / 1e6)),
    ]
}
