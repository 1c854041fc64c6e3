//! Outcomes of calls as charts show them: their order, glyphs and words.

use crate::console::theme::Role;
use crate::console::widgets::stacked_chart::Part;

/// The parts of a column from the bottom, in the order of `CallOutcome::ALL`.
pub(super) const PARTS: [Part; 5] = [
    Part {
        glyph: ("█", "#"),
        role: Role::Good,
    },
    Part {
        glyph: ("▓", "="),
        role: Role::Text,
    },
    Part {
        glyph: ("▒", "%"),
        role: Role::Warn,
    },
    Part {
        glyph: ("×", "x"),
        role: Role::Bad,
    },
    Part {
        glyph: ("·", "."),
        role: Role::Bad,
    },
];
/// The same in words.
pub(super) const WORDS: [&str; 5] = ["answered", "retried", "429", "failed", "refused"];
