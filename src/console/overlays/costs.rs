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
use crate::console::widgets::list::{first_visible, scrolled};
use crate::console::widgets::panel::window;
use crate::console::widgets::text::{fit, put, row};
use crate::engine::protocol::cost::{CostBy, Costs, sums};
use crate::engine::protocol::query::{Answer, Query};

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
        let inner = window(cx, &title, note, (84, rows + 6), area, buffer);
        let Some(costs) = &self.costs else {
            put(buffer, row(inner, 0), "reading it", dim);
            return;
        };
        let usd = |micro: u64| micro as f64 / 1e6;
        let mut today = format!("today (UTC) ${:.4}", usd(costs.today_micro_usd));
        if costs.reserved_micro_usd > 0 {
            today.push_str(&format!(
                ", ${:.4} set aside for calls under way",
                usd(costs.reserved_micro_usd)
            ));
        }
        today.push_str(&match costs.day_budget_usd {
            budget if budget > 0.0 => format!(", budget ${budget:.2}"),
            _ => ", no budget set (budgets.dayUsd)".to_owned(),
        });
        if cx.snapshot().mode.simulated {
            today.push_str("; simulated, nobody is paid");
        }
        put(buffer, row(inner, 0), &today, theme.style(Role::Text));
        let head = format!(
            "{} {:>8} {:>12} {:>12} {:>12}",
            fit(theme, word, 28),
            "calls",
            "input",
            "output",
            "US dollars"
        );
        put(buffer, row(inner, 2), &head, dim);
        let all = all.unwrap_or_default();
        if all.is_empty() {
            put(buffer, row(inner, 3), "No model was asked.", dim);
        }
        let height = usize::from(inner.height.saturating_sub(3));
        let first = first_visible(usize::from(self.scroll), height, all.len());
        for (n, (name, sum)) in all.iter().skip(first).take(height).enumerate() {
            let name = match name.as_str() {
                "" => "(no agent)".to_owned(),
                name => crate::text::clean_line(name, 60),
            };
            let text = format!(
                "{} {:>8} {:>12} {:>12} {:>12.4}",
                fit(theme, &name, 28),
                count(sum.calls),
                count(sum.prompt),
                count(sum.completion),
                usd(sum.micro_usd)
            );
            put(
                buffer,
                row(inner, n as u16 + 3),
                &text,
                theme.style(Role::Text),
            );
        }
    }
}
