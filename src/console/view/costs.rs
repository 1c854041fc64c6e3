//! What models cost: by model, agent, provider or day, with today's budget.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::overlay::window;
use super::pieces::{first_visible, fit, put, row};
use crate::console::format::count;
use crate::console::state::{OpenCosts, State};
use crate::console::theme::Role;
use crate::engine::protocol::cost::sums;

pub fn draw(state: &State, open: &OpenCosts, area: Rect, buffer: &mut Buffer) {
    let theme = state.theme;
    let dim = theme.style(Role::Dim);
    let by = open.by();
    let all = open.costs.as_ref().map(|c| sums(&c.lines, by));
    let rows = all.as_ref().map_or(1, Vec::len).clamp(1, 16) as u16;
    let title = format!(
        "What it costs, {} days, by {}",
        OpenCosts::DAYS,
        open.as_str()
    );
    let note = "Tab by another  Esc closes";
    let inner = window(state, &title, note, (84, rows + 6), area, buffer);
    let Some(costs) = &open.costs else {
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
    if state.snapshot().mode.simulated {
        today.push_str("; simulated, nobody is paid");
    }
    put(buffer, row(inner, 0), &today, theme.style(Role::Text));
    let head = format!(
        "{} {:>8} {:>12} {:>12} {:>12}",
        fit(theme, open.as_str(), 28),
        "calls",
        "read",
        "written",
        "US dollars"
    );
    put(buffer, row(inner, 2), &head, dim);
    let all = all.unwrap_or_default();
    if all.is_empty() {
        put(buffer, row(inner, 3), "No model was paid or read.", dim);
    }
    let height = usize::from(inner.height.saturating_sub(3));
    let first = first_visible(usize::from(open.scroll), height, all.len());
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
