//! Outcomes of calls as charts show them: their order, glyphs and words, and the figures of the axis.

use crate::console::theme::Role;
use crate::console::widgets::stacked_chart::Part;

/// The parts of a column from the bottom, in the order of [`CallOutcome::ALL`].
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
/// A round figure at or above the highest column.
pub(super) fn round_up(most: f64) -> f64 {
    let steps = [
        1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 50.0, 100.0, 200.0, 300.0, 500.0, 1_000.0, 2_000.0,
        5_000.0, 10_000.0,
    ];
    let step = steps.into_iter().find(|s| *s >= most);
    step.unwrap_or(most)
}

/// A figure of the axis.
pub(super) fn figure(value: f64) -> String {
    if value < 10.0 && value.fract() > 0.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.0}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axis_ends_at_a_round_figure_at_or_above_the_highest() {
        assert_eq!(round_up(0.0), 1.0);
        assert_eq!(round_up(11.0), 20.0);
        assert_eq!(round_up(30.0), 30.0);
        assert_eq!(round_up(20_000.0), 20_000.0);
    }
}
