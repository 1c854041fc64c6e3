//! What an operator has chosen at the console and finds again the next time.
//!
//! Why not in the settings: those are files that people write and share; this is a habit of one person
//! on one machine. Whatever the settings say wins over it.

use serde::{Deserialize, Serialize};

use super::action::Screen;
use super::context::Context;
use super::format::Zone;
use super::list_habits::ListHabits;
use super::theme::Palette;

/// The habits.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Remembered {
    /// The palette.
    pub theme: Option<Palette>,
    /// Times in UTC.
    pub utc: Option<bool>,
    /// The mouse is reported.
    pub mouse: Option<bool>,
    /// The digit of the screen that was left.
    pub screen: Option<char>,
    /// Order, columns and saved filters of lists.
    pub lists: ListHabits,
    /// Lines that were run on the command line, the newest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub commands: Vec<String>,
}

/// Lines of the command line that are remembered.
const MOST_COMMANDS: usize = 50;
/// Characters of such a line.
const LONGEST_COMMAND: usize = 500;

fn is_command(line: &str) -> bool {
    !line.trim().is_empty()
        && line.chars().nth(LONGEST_COMMAND).is_none()
        && !line.contains(char::is_control)
}

/// Adds a line that was run; the same one is there once, where it was run last.
pub fn remember_command(commands: &mut Vec<String>, line: &str) {
    if is_command(line) {
        commands.retain(|known| known != line);
        commands.insert(0, line.to_owned());
        commands.truncate(MOST_COMMANDS);
    }
}

impl Remembered {
    /// Reads them; what cannot be read was no habit.
    pub fn read(text: &str) -> Self {
        let read: Self = serde_json::from_str(text).unwrap_or_default();
        let mut commands = read.commands;
        commands.retain(|line| is_command(line));
        commands.truncate(MOST_COMMANDS);
        Self {
            lists: read.lists.bounded(),
            commands,
            ..read
        }
    }

    /// As the console is left.
    pub fn of(cx: &Context, screen: Screen, lists: ListHabits) -> Self {
        Self {
            theme: Some(cx.theme.palette),
            utc: Some(cx.zone == Zone::Utc),
            mouse: Some(cx.mouse),
            screen: Some(screen.digit()),
            lists,
            commands: cx.commands.clone(),
        }
    }

    /// Without secrets in what was typed.
    #[must_use]
    pub fn redacted(mut self, redact: &dyn Fn(&str) -> String) -> Self {
        self.commands = self.commands.iter().map(|line| redact(line)).collect();
        self
    }

    /// The screen to begin with.
    pub fn screen(&self) -> Option<Screen> {
        let digit = self.screen?;
        Screen::ALL.into_iter().find(|s| s.digit() == digit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_that_was_run_again_is_first_and_the_list_is_bounded() {
        let mut commands = Vec::new();
        for n in 0..MOST_COMMANDS + 9 {
            remember_command(&mut commands, &format!("runs {n}"));
        }
        remember_command(&mut commands, "runs 30");
        for refused in ["", " ", "a\u{1b}b", &"x".repeat(LONGEST_COMMAND + 1)] {
            remember_command(&mut commands, refused);
        }
        assert_eq!(commands.len(), MOST_COMMANDS);
        assert_eq!(
            (commands[0].as_str(), commands[1].as_str()),
            ("runs 30", "runs 58")
        );
        let many = serde_json::json!({ "commands": vec!["x"; 500] }).to_string();
        assert_eq!(Remembered::read(&many).commands.len(), MOST_COMMANDS);
    }

    #[test]
    fn rubbish_is_no_habit_and_habits_come_back() {
        for text in ["", "[]", "{\"theme\":\"pink\"}", "{\"screen\":\"77\"}"] {
            assert_eq!(Remembered::read(text), Remembered::default(), "{text}");
        }
        let mut lists = ListHabits::default();
        lists.toggle("runs", "state:queued").unwrap();
        let kept = Remembered {
            theme: Some(Palette::ColorBlind),
            utc: Some(true),
            mouse: None,
            screen: Some('3'),
            lists,
            commands: vec!["runs failed".into()],
        };
        let text = serde_json::to_string(&kept).unwrap();
        assert_eq!(Remembered::read(&text), kept);
        assert_eq!(kept.screen(), Some(Screen::Resilience));
    }
}
