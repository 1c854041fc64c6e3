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
    /// Order and saved filters of lists.
    pub lists: ListHabits,
}

impl Remembered {
    /// Reads them; what cannot be read was no habit.
    pub fn read(text: &str) -> Self {
        let read: Self = serde_json::from_str(text).unwrap_or_default();
        Self {
            lists: read.lists.bounded(),
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
        }
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
        };
        let text = serde_json::to_string(&kept).unwrap();
        assert_eq!(Remembered::read(&text), kept);
        assert_eq!(kept.screen(), Some(Screen::Resilience));
    }
}
