//! Which key does what: the table's own keys, and those the operator has chosen instead.

use std::collections::{BTreeMap, HashMap};

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::action::{ACTIONS, Action, Scope, key_name, may_share, row_of};
use crate::text::clean_line;

/// Keys to actions and back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keymap {
    by_key: HashMap<String, Vec<Action>>,
    by_action: HashMap<Action, String>,
}

impl Default for Keymap {
    fn default() -> Self {
        let by_action = ACTIONS
            .iter()
            .map(|r| (r.action, r.key.to_owned()))
            .collect();
        Self::of(by_action)
    }
}

impl Keymap {
    fn of(by_action: HashMap<Action, String>) -> Self {
        let mut by_key: HashMap<String, Vec<Action>> = HashMap::new();
        for row in ACTIONS {
            if let Some(key) = by_action.get(&row.action) {
                by_key.entry(key.clone()).or_default().push(row.action);
            }
        }
        Self { by_key, by_action }
    }

    /// The table's keys with `chosen` (action's name → key) in their place.
    ///
    /// # Errors
    /// The name that is wrong and a sentence: an unknown action, a word that is no key, a key used twice.
    pub fn with(chosen: &BTreeMap<String, String>) -> Result<Self, (String, String)> {
        let mut keys: HashMap<Action, String> = Self::default().by_action;
        for (name, key) in chosen {
            let fail = |reason: String| Err((name.clone(), reason));
            let Some(row) = ACTIONS.iter().find(|r| r.name == name) else {
                let shown = clean_line(name, 40);
                return fail(format!(
                    "'{shown}' is no action; docs/console.md lists them"
                ));
            };
            if !is_key(key) {
                let shown = clean_line(key, 20);
                return fail(format!(
                    "'{shown}' is no key; write one character, ctrl- and a letter (not c, i, m), enter, esc, space, tab, backtab, pgup, pgdn, left or right"
                ));
            }
            keys.insert(row.action, key.clone());
        }
        // A key that was chosen may still belong to another action.
        for (name, key) in chosen {
            let users: Vec<_> = ACTIONS
                .iter()
                .filter(|r| keys.get(&r.action) == Some(key))
                .collect();
            let clash = users.iter().enumerate().find_map(|(n, a)| {
                users[n + 1..]
                    .iter()
                    .find(|b| !may_share(a, b))
                    .map(|b| (a, b))
            });
            if let Some((a, b)) = clash {
                let reason = format!("the key '{key}' is used by {} and {}", a.name, b.name);
                return Err((name.clone(), reason));
            }
        }
        Ok(Self::of(keys))
    }

    /// The key of an action.
    pub fn key_of(&self, action: Action) -> &str {
        self.by_action.get(&action).map_or("", String::as_str)
    }

    /// The action of a key press wherever one is; arrows, Backspace and Ctrl-C are second keys that stay.
    pub fn action(&self, key: KeyEvent) -> Option<Action> {
        self.action_in(key, Scope::Everywhere, false)
    }

    /// The action of a key press on a screen: its own meaning of the key, else the one it has everywhere.
    /// `panels`: several panels share the screen, so keys of [`Scope::Panels`] hold too.
    pub fn action_in(&self, key: KeyEvent, scope: Scope, panels: bool) -> Option<Action> {
        match (key.code, key.modifiers.contains(KeyModifiers::CONTROL)) {
            (KeyCode::Down, _) => return Some(Action::Down),
            (KeyCode::Up, _) => return Some(Action::Up),
            (KeyCode::Home, _) => return Some(Action::Top),
            (KeyCode::End, _) => return Some(Action::Bottom),
            (KeyCode::Backspace, _) => return Some(Action::Back),
            (KeyCode::Char('c'), true) => return Some(Action::Quit),
            _ => {}
        }
        let all = self.by_key.get(&key_name(key)?)?;
        let of = |test: &dyn Fn(Scope) -> bool| {
            let mut all = all.iter().copied();
            all.find(|a| row_of(*a).is_some_and(|r| test(r.scope)))
        };
        of(&|s| s.is_narrow() && s == scope)
            .or_else(|| of(&|s| panels && s == Scope::Panels))
            .or_else(|| of(&|s| !s.is_narrow()))
            .or_else(|| all.first().copied())
    }
}

fn is_key(word: &str) -> bool {
    let named = [
        "enter", "esc", "space", "tab", "backtab", "pgup", "pgdn", "left", "right",
    ];
    let one = |w: &str| w.chars().count() == 1 && !w.chars().any(|c| c.is_control() || c == ' ');
    let control = word.strip_prefix("ctrl-").is_some_and(|rest| {
        one(rest)
            && rest.chars().all(|c| c.is_ascii_lowercase())
            && !["c", "i", "m"].contains(&rest)
    });
    named.contains(&word) || one(word) || control
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(pairs: &[(&str, &str)]) -> Result<Keymap, (String, String)> {
        Keymap::with(
            &pairs
                .iter()
                .map(|(a, b)| ((*a).into(), (*b).into()))
                .collect(),
        )
    }

    #[test]
    fn keys_can_be_chosen_and_swapped_but_never_used_twice() {
        let swapped = with(&[("run", "n"), ("clear-cache", "r")]).unwrap();
        let press = |c| swapped.action(KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE));
        assert_eq!(
            (press('n'), press('r'), press('c')),
            (Some(Action::Trigger), Some(Action::ClearCache), None)
        );
        assert_eq!(swapped.key_of(Action::Trigger), "n");
        let (name, reason) = with(&[("run", "c")]).unwrap_err();
        assert_eq!(name, "run");
        assert!(reason.contains("run and clear-cache"), "{reason}");
        assert!(with(&[("nosuch", "x")]).is_err());
        // Both hold on the Overview; Tab is another thing where there is one panel only.
        assert!(with(&[("zoom", "v")]).is_err());
        assert!(with(&[("focus-next", "tab")]).is_ok());
        for bad in [
            "", "xy", "ctrl-c", "ctrl-i", "ctrl-m", "ctrl-", "\u{1b}", " ",
        ] {
            assert!(with(&[("run", bad)]).is_err(), "{bad:?}");
        }
    }
}
