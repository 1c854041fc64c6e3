//! Which entry of the event table answers an event: its own, the most specific pattern, or that of the event it
//! stands for.

use super::event_names::{ALIASES, ENDINGS, fits};
use super::events::{EventRule, EventTable};

/// How an entry was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Match {
    /// The table names the event.
    Exact,
    /// A pattern.
    Pattern,
    /// The entry of an event that means the same.
    Alias,
}

/// An entry that answers an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found<'a> {
    /// Its name in the table.
    pub name: &'a str,
    /// The rule.
    pub rule: &'a EventRule,
    /// How it was found.
    pub how: Match,
}

impl EventTable {
    /// The entry for an event, `default` left aside. An own entry goes before a pattern, and a pattern before the
    /// event that it stands for; of several patterns the one with the most letters counts.
    pub fn find(&self, event: &str) -> Option<Found<'_>> {
        let (exact, pattern) = (Match::Exact, Match::Pattern);
        let own = self.named(event).map(|(name, rule)| (name, rule, exact));
        let by_pattern = || {
            let (name, rule) = self.by_pattern(event)?;
            Some((name, rule, pattern))
        };
        let by_alias = || {
            let (_, others) = ALIASES.iter().find(|(name, _)| *name == event)?;
            let (name, rule) = others.iter().find_map(|other| self.named(other))?;
            Some((name, rule, Match::Alias))
        };
        let (name, rule, how) = own.or_else(by_pattern).or_else(by_alias)?;
        Some(Found { name, rule, how })
    }

    fn named(&self, event: &str) -> Option<(&str, &EventRule)> {
        let found = self.events.get_key_value(event)?;
        Some((found.0.as_str(), found.1))
    }

    fn by_pattern(&self, event: &str) -> Option<(&str, &EventRule)> {
        if ENDINGS.contains(&event) {
            return None;
        }
        let fitting = self.events.iter().filter(|(name, _)| fits(name, event));
        let (name, rule) = fitting.max_by_key(|(name, _)| name.len())?;
        Some((name, rule))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(names: &[&str]) -> EventTable {
        let mut table = EventTable::built_in();
        let rule = table.events["pull_request.opened"].clone();
        table.events.clear();
        for name in names {
            table.events.insert((*name).to_owned(), rule.clone());
        }
        table
    }

    fn found<'a>(table: &'a EventTable, event: &str) -> Option<(&'a str, Match)> {
        table.find(event).map(|found| (found.name, found.how))
    }

    #[test]
    fn most_specific_entry_answers() {
        let table = table(&[
            "*",
            "pull_request.*",
            "pull_request.re*",
            "pull_request.opened",
            "default",
        ]);
        for (event, name, how) in [
            ("pull_request.opened", "pull_request.opened", Match::Exact),
            ("pull_request.reopened", "pull_request.re*", Match::Pattern),
            ("pull_request.labeled", "pull_request.*", Match::Pattern),
            ("push", "*", Match::Pattern),
        ] {
            assert_eq!(found(&table, event), Some((name, how)), "{event}");
        }
        assert_eq!(found(&table, "pull_request.closed"), None);
        assert_eq!(found(&table, "pull_request.converted_to_draft"), None);
    }

    #[test]
    fn events_that_stand_for_others_are_no_entries_of_their_own() {
        let built_in = EventTable::built_in();
        assert_eq!(built_in.events.len(), 8);
        for (event, _) in ALIASES {
            let how = found(&built_in, event).map(|(_, how)| how);
            let own = built_in.events.contains_key(*event);
            let wanted = if own { Match::Exact } else { Match::Alias };
            assert_eq!(how, Some(wanted), "{event}");
        }
        assert_eq!(
            found(&built_in, "pull_request.reopened").map(|(name, _)| name),
            Some("pull_request.opened")
        );
        assert_eq!(found(&built_in, "pull_request.labeled"), None);
        let other = table(&["pull_request.opened"]);
        assert_eq!(
            found(&other, "merge_group.checks_requested"),
            Some(("pull_request.opened", Match::Alias)),
            "the next best event's rule"
        );
    }
}
