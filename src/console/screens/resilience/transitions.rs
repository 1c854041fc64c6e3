//! How breakers changed, newest first.

use crate::console::context::Context;
use crate::console::theme::{Mark, Role};
use crate::console::widgets::table::{Cell, Column};
use crate::engine::protocol::snapshot::Snapshot;
use crate::resilience::breaker::{BreakerState, Transition};

/// Columns of the table.
pub const COLUMNS: [Column; 6] = [
    Column::text("TIME", 8, 0, 0),
    Column::text("", 1, 0, 0),
    Column::text("PROVIDER", 11, 1, 0),
    Column::text("FROM", 9, 0, 2),
    Column::text("TO", 9, 0, 0),
    Column::text("WHY", 16, 6, 1),
];

/// All that are kept, newest first, with the provider.
pub fn all(s: &Snapshot) -> Vec<(&str, &Transition)> {
    let of = s.breakers.iter();
    let mut all: Vec<_> = of
        .flat_map(|b| b.transitions.iter().map(|t| (b.name.as_str(), t)))
        .collect();
    all.sort_by_key(|(_, t)| std::cmp::Reverse((t.at_ms, t.generation)));
    all
}

fn mark(state: BreakerState) -> Mark {
    match state {
        BreakerState::Closed => Mark::Live,
        BreakerState::Open => Mark::Failed,
        BreakerState::HalfOpen => Mark::Half,
        BreakerState::Isolated | BreakerState::Disabled => Mark::Off,
    }
}

/// The cells of one.
pub fn cells(cx: &Context, (name, t): (&str, &Transition)) -> Vec<Cell> {
    let (glyph, role) = cx.theme.mark(mark(t.to));
    // What was once closed says nothing of now.
    let role = if role == Role::Good { Role::Dim } else { role };
    vec![
        Cell::dim(cx.zone.clock_seconds(t.at_ms)),
        Cell::new(glyph, role),
        Cell::plain(crate::text::clean_line(name, 40)),
        Cell::dim(t.from.as_str()),
        Cell::plain(t.to.as_str()),
        Cell::plain(crate::text::clean_line(&t.cause, 120)),
    ]
}
