//! How one person likes lists: their order and the filters that were saved, found again at the next start.
//!
//! Bounded, for the file is read at every start: [`MOST_FILTERS`] filters a list, [`LONGEST`] characters each.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Saved filters of a list; of more the oldest go.
pub const MOST_FILTERS: usize = 20;
/// Characters of a saved filter.
pub const LONGEST: usize = 500;
/// Columns of a list that are remembered.
const MOST_COLUMNS: usize = 64;
/// Lists that are remembered.
const MOST_LISTS: usize = 32;

/// How a list was left.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ListHabit {
    /// The head of the column that sorts; none: the list's own order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sort: Option<String>,
    /// The largest first.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub descending: bool,
    /// The filter in effect. Only one that was saved comes back: a filter that nobody remembers hides rows.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub filter: String,
    /// Heads of the columns that were chosen; none: the usual ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub columns: Option<Vec<String>>,
    /// No column is left out for want of room.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub wide: bool,
}

/// All lists.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ListHabits {
    /// How each screen's list was left, by the screen's name.
    pub left: BTreeMap<String, ListHabit>,
    /// Saved filters by the kind of list, the newest first.
    pub filters: BTreeMap<String, Vec<String>>,
}

fn is_short(text: &str) -> bool {
    text.chars().nth(LONGEST).is_none()
}

impl ListHabits {
    /// The same within its bounds: the file may be anybody's.
    #[must_use]
    pub fn bounded(mut self) -> Self {
        let known = |name: &String| name.len() <= 40;
        self.left
            .retain(|name, habit| known(name) && is_short(&habit.filter));
        for columns in self.left.values_mut().filter_map(|h| h.columns.as_mut()) {
            columns.retain(|head| head.len() <= 40);
            columns.truncate(MOST_COLUMNS);
        }
        self.filters.retain(|name, _| known(name));
        while self.left.len() > MOST_LISTS {
            self.left.pop_last();
        }
        while self.filters.len() > MOST_LISTS {
            self.filters.pop_last();
        }
        for saved in self.filters.values_mut() {
            saved.retain(|filter| is_short(filter) && !filter.trim().is_empty());
            saved.truncate(MOST_FILTERS);
        }
        self
    }

    /// Saved filters of a kind of list, the newest first.
    pub fn saved(&self, list: &str) -> &[String] {
        self.filters.get(list).map_or(&[], Vec::as_slice)
    }

    /// Saves a filter, or forgets one that was saved; what happened, in words.
    ///
    /// # Errors
    /// Why it cannot be saved.
    pub fn toggle(&mut self, list: &str, text: &str) -> Result<&'static str, String> {
        let text = text.trim();
        if text.is_empty() {
            return Err("there is no filter to save; type one first".into());
        }
        if !is_short(text) {
            return Err(format!(
                "a saved filter has at most {LONGEST} characters; make it shorter"
            ));
        }
        let saved = self.filters.entry(list.to_owned()).or_default();
        if let Some(at) = saved.iter().position(|s| s == text) {
            saved.remove(at);
            return Ok("filter forgotten");
        }
        saved.insert(0, text.to_owned());
        saved.truncate(MOST_FILTERS);
        Ok("filter saved; Up in the filter line recalls it")
    }

    /// How a screen's list is left now.
    pub fn leave(&mut self, screen: &str, list: &str, mut habit: ListHabit) {
        if !self.saved(list).contains(&habit.filter) {
            habit.filter.clear();
        }
        self.left.insert(screen.to_owned(), habit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn saved_filters_are_bounded_and_saving_again_forgets() {
        let mut habits = ListHabits::default();
        for n in 0..MOST_FILTERS + 5 {
            habits.toggle("runs", &format!("pr:{n}")).unwrap();
        }
        assert_eq!(habits.saved("runs").len(), MOST_FILTERS);
        assert_eq!(habits.saved("runs")[0], "pr:24");
        habits.toggle("runs", " pr:24 ").unwrap();
        assert_eq!(habits.saved("runs")[0], "pr:23");
        assert!(habits.toggle("runs", "  ").is_err());
        assert!(habits.toggle("runs", &"x".repeat(LONGEST + 1)).is_err());
        assert!(habits.saved("logs").is_empty());
    }

    #[test]
    fn filter_that_was_not_saved_does_not_come_back() {
        let mut habits = ListHabits::default();
        habits.toggle("runs", "state:queued").unwrap();
        let left = |filter: &str| ListHabit {
            sort: Some("COST".into()),
            descending: true,
            filter: filter.into(),
            ..ListHabit::default()
        };
        habits.leave("runs", "runs", left("state:queued"));
        habits.leave("overview", "runs", left("author:bo"));
        assert_eq!(habits.left["runs"].filter, "state:queued");
        assert_eq!(habits.left["overview"].filter, "");
        assert_eq!(habits.left["overview"].sort.as_deref(), Some("COST"));
    }

    #[test]
    fn habits_of_a_hostile_file_are_cut_to_their_bounds() {
        let mut hostile = ListHabits::default();
        for n in 0..100 {
            hostile
                .filters
                .insert(format!("l{n}"), vec!["x".repeat(LONGEST + 1); 50]);
            let columns = Some(vec!["x".repeat(41), "COST".into()]);
            let habit = ListHabit {
                columns,
                ..ListHabit::default()
            };
            hostile.left.insert(format!("l{n}"), habit);
        }
        hostile.filters.insert("a".into(), vec!["ok".into(); 50]);
        let kept = hostile.bounded();
        assert_eq!((kept.left.len(), kept.filters.len()), (32, 32));
        assert_eq!(kept.saved("a").len(), MOST_FILTERS);
        assert!(kept.saved("l0").is_empty());
        assert_eq!(kept.left["l0"].columns, Some(vec!["COST".to_owned()]));
    }
}
