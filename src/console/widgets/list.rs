//! A list's selection, filter, sort order and marked rows. The selection stays on its row, by the row's id, when
//! others come and go.

use std::collections::BTreeSet;

use ratatui::layout::Rect;

use crate::console::action::Action;
use crate::filter::{Filter, Row};
use crate::text::clean_line;

/// How a list is sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sort {
    /// Which column.
    pub column: usize,
    /// The largest first.
    pub descending: bool,
}

/// What a list remembers.
#[derive(Debug, Clone, Default)]
pub struct ListState {
    /// The filter as it is typed.
    pub filter: String,
    /// The order that the operator chose; `None`: the list's own.
    pub sort: Option<Sort>,
    /// Ids of marked rows.
    pub marked: BTreeSet<String>,
    chosen: Option<String>,
    at: usize,
}

impl ListState {
    /// A list with a filter.
    pub fn filtered(filter: impl Into<String>) -> Self {
        Self {
            filter: filter.into(),
            ..Self::default()
        }
    }

    /// A list in an order.
    pub fn sorted(sort: Option<Sort>) -> Self {
        Self {
            sort,
            ..Self::default()
        }
    }

    /// The filter, read.
    pub fn terms(&self) -> Filter {
        Filter::read(&self.filter)
    }

    /// The selected row of `total`, whose ids `id` gives.
    pub fn selected<'a>(&self, total: usize, id: impl Fn(usize) -> &'a str) -> usize {
        let last = total.saturating_sub(1);
        let Some(chosen) = &self.chosen else {
            return self.at.min(last);
        };
        if self.at < total && id(self.at) == chosen {
            return self.at;
        }
        let found = (0..total).find(|n| id(*n) == chosen);
        found.unwrap_or(self.at.min(last))
    }

    /// Selects a row.
    pub fn select(&mut self, row: usize, id: &str) {
        self.at = row;
        self.chosen = Some(id.to_owned());
    }

    /// Selects a row wherever its id is not known.
    pub fn select_row(&mut self, row: usize) {
        self.at = row;
        self.chosen = None;
    }

    /// To the first row, which is then followed.
    pub fn follow_first(&mut self) {
        self.select_row(0);
    }

    /// Moves the selection; true where the action moves it.
    pub fn travel<'a>(
        &mut self,
        action: Action,
        total: usize,
        id: impl Fn(usize) -> &'a str,
    ) -> bool {
        let at = self.selected(total, &id);
        let Some(next) = moved(action, at, total) else {
            return false;
        };
        if total == 0 {
            self.select_row(0);
        } else {
            self.select(next, id(next));
        }
        true
    }

    /// Marks a row or takes its mark away.
    pub fn toggle_mark(&mut self, id: &str) {
        if !self.marked.remove(id) {
            self.marked.insert(id.to_owned());
        }
    }

    /// Sorts by the next column, or the one before; past the last one the list has its own order again.
    pub fn sort_next(&mut self, columns: usize, forward: bool) {
        let step = if forward { 1 } else { columns };
        let at = self.sort.map_or(0, |s| s.column + 1);
        let next = (at + step) % (columns + 1);
        self.sort = next.checked_sub(1).map(|column| Sort {
            column,
            descending: false,
        });
    }

    /// Sorts by a column; by the same one again the other way round.
    pub fn sort_by(&mut self, column: usize) {
        let again = self.sort.filter(|s| s.column == column);
        self.sort = Some(Sort {
            column,
            descending: again.is_some_and(|s| !s.descending),
        });
    }

    /// Turns the order round; a list in its own order is sorted by its first column.
    pub fn sort_reverse(&mut self) {
        let sort = self.sort.get_or_insert(Sort {
            column: 0,
            descending: false,
        });
        sort.descending = !sort.descending;
    }

    /// Sorts a table of so many columns; true where the action does so.
    pub fn sorts(&mut self, action: Action, columns: usize) -> bool {
        match action {
            Action::SortNext => self.sort_next(columns, true),
            Action::SortPrevious => self.sort_next(columns, false),
            Action::SortReverse => self.sort_reverse(),
            _ => return false,
        }
        true
    }

    /// What is said of an empty list for a field that none of its rows has.
    pub fn unknown_field<R: Row>(&self, rows: &[R], one: &str) -> Option<String> {
        if rows.is_empty() {
            return None;
        }
        let terms = self.terms();
        let field = clean_line(terms.unknown(rows.iter())?, 30);
        Some(format!("No {one} has a field '{field}'."))
    }

    /// The filter for a panel's border, or nothing.
    pub fn filter_note(&self) -> String {
        if self.filter.is_empty() {
            String::new()
        } else {
            format!("/{} ", clean_line(&self.filter, 30))
        }
    }
}

/// Where an action moves a position among `total`; `None`: it does not move.
pub fn moved(action: Action, at: usize, total: usize) -> Option<usize> {
    let last = total.saturating_sub(1);
    let next = match action {
        Action::Down => at + 1,
        Action::Up => at.saturating_sub(1),
        Action::PageDown => at + 10,
        Action::PageUp => at.saturating_sub(10),
        Action::Top => 0,
        Action::Bottom => last,
        _ => return None,
    };
    Some(next.min(last))
}

/// Moves the first line shown of a text; true where the action moves it. Drawing keeps it within the text.
pub fn scrolled(action: Action, scroll: &mut u16) -> bool {
    *scroll = match action {
        Action::Down => scroll.saturating_add(1),
        Action::Up => scroll.saturating_sub(1),
        Action::PageDown => scroll.saturating_add(10),
        Action::PageUp => scroll.saturating_sub(10),
        Action::Top => 0,
        Action::Bottom => u16::MAX / 2,
        _ => return false,
    };
    true
}

/// First row to show so that `selected` is visible in `height` rows.
pub fn first_visible(selected: usize, height: usize, total: usize) -> usize {
    if height == 0 || total <= height {
        return 0;
    }
    selected.saturating_sub(height / 2).min(total - height)
}

/// The row of a list of `total` that lies at line `line` of its `height` lines.
pub fn row_at(line: u16, selected: usize, height: usize, total: usize) -> Option<usize> {
    let row = first_visible(selected, height, total) + usize::from(line);
    (usize::from(line) < height && row < total).then_some(row)
}

/// The row that lies at `y` of a panel in `area` whose inside is the list of `total`.
pub fn row_in_panel(y: u16, selected: usize, total: usize, area: Rect) -> Option<usize> {
    let height = usize::from(area.height.saturating_sub(2));
    row_at(y.checked_sub(area.y + 1)?, selected, height, total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selection_stays_on_its_row_when_rows_are_added_above() {
        let mut list = ListState::default();
        let before = ["a", "b", "c"];
        assert_eq!(list.selected(3, |n| before[n]), 0);
        list.travel(Action::Down, 3, |n| before[n]);
        assert_eq!(list.selected(3, |n| before[n]), 1);
        let after = ["x", "y", "a", "b", "c"];
        assert_eq!(list.selected(5, |n| after[n]), 3);
        let gone = ["x"];
        assert_eq!(list.selected(1, |n| gone[n]), 0);
        list.follow_first();
        assert_eq!(list.selected(5, |n| after[n]), 0);
    }

    #[test]
    fn rows_on_screen_are_those_around_the_selection() {
        assert_eq!(first_visible(50, 10, 100), 45);
        assert_eq!(first_visible(99, 10, 100), 90);
        assert_eq!(row_at(0, 50, 10, 100), Some(45));
        assert_eq!(row_at(10, 50, 10, 100), None);
        assert_eq!(row_at(3, 0, 10, 3), None);
    }
}
