//! Which of several panels has the focus, whether it is shown alone, and how that is seen.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::console::action::Action;
use crate::console::context::Context;
use crate::console::theme::Role;

/// The focus among the panels `P` of a screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Focus<P> {
    home: P,
    at: P,
    alone: bool,
}

impl<P: Copy + PartialEq> Focus<P> {
    /// On the screen's main panel, all panels shown.
    pub fn on(home: P) -> Self {
        Self {
            home,
            at: home,
            alone: false,
        }
    }

    /// The focused panel; `shown`: those that have room. A panel that has none gives the focus to the main one.
    pub fn panel(&self, shown: &[P]) -> P {
        if self.alone || shown.contains(&self.at) {
            self.at
        } else {
            self.home
        }
    }

    /// The panel that is shown alone.
    pub fn alone(&self) -> Option<P> {
        self.alone.then_some(self.at)
    }

    /// Takes the focus to a panel.
    pub fn take(&mut self, panel: P) {
        self.at = panel;
    }

    /// Moves the focus, or shows its panel alone and all of them again; true where the action does so.
    /// `shown`: panels that have room, in their order; `all`: every panel, for one alone has room always.
    pub fn on_action(&mut self, action: Action, shown: &[P], all: &[P]) -> bool {
        match action {
            Action::FocusNext | Action::FocusPrevious => {
                let among = if self.alone { all } else { shown };
                let now = self.panel(shown);
                let at = among.iter().position(|p| *p == now).unwrap_or(0);
                let step = if action == Action::FocusNext {
                    1
                } else {
                    among.len().saturating_sub(1)
                };
                if let Some(next) = among.get((at + step) % among.len().max(1)) {
                    self.at = *next;
                }
            }
            Action::Zoom => {
                self.at = self.panel(shown);
                self.alone = !self.alone;
            }
            Action::Back if self.alone => self.alone = false,
            _ => return false,
        }
        true
    }
}

impl<P: Copy + PartialEq + Default> Default for Focus<P> {
    fn default() -> Self {
        Self::on(P::default())
    }
}

/// What borders are drawn with.
const BORDER: [&str; 9] = ["─", "│", "┌", "┐", "└", "┘", "-", "|", "+"];

/// Marks the panel that was drawn in `area` as the focused one: a sign before its title, its border bright.
pub fn mark(cx: &Context, area: Rect, buffer: &mut Buffer) {
    let area = area.intersection(buffer.area);
    if area.width < 4 || area.height < 2 {
        return;
    }
    let bright = Style::reset().patch(cx.theme.style(Role::Key));
    let (left, right) = (area.x, area.right() - 1);
    let (top, bottom) = (area.y, area.bottom() - 1);
    let edges = (left..=right)
        .flat_map(|x| [(x, top), (x, bottom)])
        .chain((top..=bottom).flat_map(|y| [(left, y), (right, y)]));
    for place in edges {
        let cell = &mut buffer[place];
        if BORDER.contains(&cell.symbol()) {
            cell.set_style(bright);
        }
    }
    let sign = if cx.theme.ascii { ">" } else { "▸" };
    buffer[(left + 1, top)].set_symbol(sign).set_style(bright);
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [char; 3] = ['a', 'b', 'c'];

    #[test]
    fn focus_goes_round_among_the_panels_that_have_room() {
        let mut focus = Focus::on('c');
        let shown = ['a', 'c'];
        assert!(focus.on_action(Action::FocusNext, &shown, &ALL));
        assert_eq!(focus.panel(&shown), 'a');
        assert!(focus.on_action(Action::FocusNext, &shown, &ALL));
        assert_eq!(focus.panel(&shown), 'c');
        assert!(focus.on_action(Action::FocusPrevious, &ALL, &ALL));
        assert_eq!(focus.panel(&ALL), 'b');
        assert_eq!(focus.panel(&shown), 'c', "b has no room any more");
        assert!(!focus.on_action(Action::Open, &shown, &ALL));
        assert!(
            !focus.on_action(Action::Back, &shown, &ALL),
            "none is alone"
        );
    }

    #[test]
    fn panel_alone_reaches_those_without_room_and_esc_shows_all_again() {
        let mut focus = Focus::on('a');
        assert!(focus.on_action(Action::Zoom, &['a'], &ALL));
        assert!(focus.on_action(Action::FocusNext, &['a'], &ALL));
        assert_eq!(focus.alone(), Some('b'));
        assert!(focus.on_action(Action::Back, &['a'], &ALL));
        assert_eq!((focus.alone(), focus.panel(&['a'])), (None, 'a'));
    }
}
