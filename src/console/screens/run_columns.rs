//! The columns of the runs: all there are, which of them the operator wants, and wide mode, in which none is left out
//! and those beyond the right edge are reached sideways.

use crate::console::action::Action;
use crate::console::context::Context;
use crate::console::list_habits::ListHabit;
use crate::console::widgets::table::{Column, layout};
use crate::engine::protocol::identity::short_sha;
use crate::engine::protocol::snapshot::RunSummary;

/// How many there are.
const COUNT: usize = 15;

/// Columns of the table.
pub const COLUMNS: [Column; COUNT] = [
    Column::figure("AGE", 4, 0),
    Column::text("REPO#PR", 15, 2, 1),
    Column::text("TITLE", 18, 6, 2),
    Column::text("AUTHOR", 9, 1, 5),
    Column::text("DECISION", 11, 0, 0),
    Column::text("WHY", 12, 5, 0),
    Column::text("AGENTS", 8, 0, 4),
    Column::figure("WAIT/MODEL", 15, 6),
    Column::figure("COST", 8, 7),
    Column::text("EVENT", 13, 1, 8),
    Column::text("RUN", 6, 0, 9),
    Column::text("BRANCH", 16, 1, 10),
    Column::text("COMMIT", 12, 0, 11),
    Column::text("EVIDENCE", 9, 0, 12),
    Column::text("CAUSE", 18, 0, 13),
];

/// Columns that are shown where nothing was chosen.
const USUAL: usize = 11;
/// Columns that stay while one goes sideways: which run it is.
const FIXED: usize = 2;
/// Columns of the terminal of a long text in wide mode.
const LONG_TEXT: u16 = 40;

/// What the columns after [`USUAL`] say of a run; empty: unknown.
pub fn more(run: &RunSummary) -> [String; COUNT - USUAL] {
    let identity = run.identity.as_ref();
    let branch = identity.and_then(|i| i.branch.as_ref());
    let sha = identity.and_then(|i| i.head_sha.as_deref());
    [
        branch.map_or_else(String::new, |b| b.line(60)),
        sha.and_then(short_sha).unwrap_or_default(),
        run.evidence.map_or("", |e| e.as_str()).to_owned(),
        run.cause.map_or("", |c| c.as_str()).to_owned(),
    ]
}

/// Which columns are shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunColumns {
    /// Heads; none: the usual ones.
    heads: Option<Vec<&'static str>>,
    /// None is left out for want of room.
    wide: bool,
    /// How many of those that are not fixed lie beyond the left edge.
    from: usize,
}

impl RunColumns {
    /// As they were left the last time; a head that there is no more is none.
    pub fn of(habit: &ListHabit) -> Self {
        let known = |head: &String| {
            let mut all = COLUMNS.iter();
            all.find(|c| c.head == head.as_str()).map(|c| c.head)
        };
        let heads = habit.columns.as_ref();
        let heads = heads.map(|all| all.iter().filter_map(known).collect::<Vec<_>>());
        Self {
            heads: heads.filter(|all| !all.is_empty()),
            wide: habit.wide,
            from: 0,
        }
    }

    /// Adds them to what is remembered.
    pub fn remember(&self, habit: ListHabit) -> ListHabit {
        let heads = self.heads.as_ref();
        let columns = heads.map(|all| all.iter().map(|head| (*head).to_owned()).collect());
        ListHabit {
            columns,
            wide: self.wide,
            ..habit
        }
    }

    /// Heads of the columns that are wanted.
    pub fn chosen(&self) -> Vec<&'static str> {
        let usual = || COLUMNS[..USUAL].iter().map(|c| c.head).collect();
        self.heads.clone().unwrap_or_else(usual)
    }

    /// Shows these, in the table's own order.
    pub fn choose(&mut self, heads: &[&'static str]) {
        let all = COLUMNS.iter().map(|c| c.head);
        let chosen: Vec<&'static str> = all.filter(|head| heads.contains(head)).collect();
        let usual = Self::default().chosen();
        self.heads = (!chosen.is_empty() && chosen != usual).then_some(chosen);
        self.from = 0;
    }

    /// The table's columns as they are now; those that are not shown are hidden.
    pub fn columns(&self) -> [Column; COUNT] {
        self.columns_from(self.from)
    }

    fn columns_from(&self, from: usize) -> [Column; COUNT] {
        let chosen = self.chosen();
        let mut all = COLUMNS;
        let mut shown = 0;
        for column in &mut all {
            column.hidden = !(self.heads.is_none() && self.wide || chosen.contains(&column.head));
            if !self.wide || column.hidden {
                continue;
            }
            let fixed = shown < FIXED;
            column.hidden = !fixed && shown < FIXED + from;
            shown += 1;
            // Of equals the one at the right has no room first.
            column.leaves = u8::from(!fixed);
            column.grows = 0;
            if matches!(column.head, "TITLE" | "WHY") {
                column.width = LONG_TEXT;
            }
        }
        all
    }

    /// The last column has room in a table this wide.
    fn ends_within(&self, from: usize, width: u16) -> bool {
        let columns = self.columns_from(from);
        let last = (0..COUNT).rev().find(|n| !columns[*n].hidden);
        let shown = layout(&columns, width);
        last.is_none_or(|last| shown.iter().any(|(i, _)| *i == last))
    }

    /// Wide mode and back, and sideways in it; true where the action does so.
    pub fn on_action(&mut self, action: Action, cx: &Context) -> bool {
        let width = cx.size.0.saturating_sub(4);
        match action {
            Action::Wide => {
                self.wide = !self.wide;
                self.from = 0;
            }
            Action::CursorOn if self.wide => {
                if !self.ends_within(self.from, width) {
                    self.from += 1;
                }
            }
            Action::CursorBack if self.wide => self.from = self.from.saturating_sub(1),
            _ => return false,
        }
        true
    }

    /// What a panel's border says of them.
    pub fn note(&self, cx: &Context) -> String {
        if !self.wide {
            return String::new();
        }
        let width = cx.size.0.saturating_sub(4);
        let columns = self.columns();
        let wanted = columns.iter().filter(|c| !c.hidden).count();
        let beyond = wanted - layout(&columns, width).len();
        let keys = cx.keys_of(&[(Action::CursorBack, ""), (Action::CursorOn, "")]);
        let keys = keys.split_whitespace().collect::<Vec<_>>().join(" ");
        match (self.from, beyond) {
            (0, 0) => "wide  ".to_owned(),
            (left, right) => format!("wide, {keys}: +{left} left, +{right} right  "),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(columns: &RunColumns, width: u16) -> Vec<&'static str> {
        let all = columns.columns();
        let laid_out = layout(&all, width);
        laid_out.into_iter().map(|(i, _)| all[i].head).collect()
    }

    #[test]
    fn chosen_columns_come_back_and_the_usual_ones_are_not_written() {
        let mut columns = RunColumns::default();
        columns.choose(&["COST", "AGE", "BRANCH"]);
        assert_eq!(shown(&columns, 200), ["AGE", "COST", "BRANCH"]);
        let habit = columns.remember(ListHabit::default());
        assert_eq!(RunColumns::of(&habit), columns);
        columns.choose(&columns.chosen().clone());
        columns.choose(&RunColumns::default().chosen());
        assert_eq!(columns.remember(ListHabit::default()).columns, None);
        let foreign = ListHabit {
            columns: Some(vec!["NOSUCH".into()]),
            ..ListHabit::default()
        };
        assert_eq!(RunColumns::of(&foreign), RunColumns::default());
    }

    #[test]
    fn wide_mode_leaves_no_column_out_and_goes_sideways_to_the_last() {
        let columns = |from| RunColumns {
            wide: true,
            from,
            ..RunColumns::default()
        };
        assert_eq!(shown(&columns(0), 400).len(), COUNT);
        assert_eq!(shown(&columns(0), 76)[..3], ["AGE", "REPO#PR", "TITLE"]);
        let last = (0..COUNT).find(|from| columns(*from).ends_within(*from, 76));
        let last = last.unwrap_or_default();
        let heads = shown(&columns(last), 76);
        assert_eq!(heads[..2], ["AGE", "REPO#PR"]);
        assert_eq!(heads.last(), Some(&"CAUSE"));
        let mut seen: Vec<&str> = (0..=last).flat_map(|n| shown(&columns(n), 76)).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), COUNT, "{seen:?}");
    }
}
