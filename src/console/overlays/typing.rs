//! What dialogs with a line to type in share.

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::widgets::{Clear, Widget as _};
use tui_input::Input;

use crate::console::context::Context;
use crate::console::theme::Role;
use crate::console::widgets::text::put;
use crate::text::clean_line;

/// Keys that close what is only read.
pub fn closes(key: KeyEvent) -> bool {
    matches!(key.code, KeyCode::Esc | KeyCode::Enter | KeyCode::Char('q'))
}

/// Puts a pasted text at the cursor, at once: a character each would be quadratic.
pub fn paste(input: &mut Input, text: &str) {
    let cursor = input.cursor();
    let mut value: String = input.value().chars().take(cursor).collect();
    value.push_str(text);
    let after = cursor + text.chars().count();
    value.extend(input.value().chars().skip(cursor));
    *input = Input::new(value).with_cursor(after);
}

/// Pastes the first line of a text, at most so many characters.
pub fn paste_line(input: &mut Input, text: &str, most: usize) {
    paste(
        input,
        &clean_line(text.lines().next().unwrap_or_default(), most),
    );
}

/// Pastes a text of several lines as one.
pub fn paste_joined(input: &mut Input, text: &str, most: usize) {
    let joined = text.lines().collect::<Vec<_>>().join(" ");
    paste(input, &clean_line(&joined, most));
}

/// The end of what is typed, in so many characters: that is what one looks at.
pub fn tail(text: &str, room: usize) -> String {
    let from = text.char_indices().rev().nth(room.saturating_sub(1));
    let from = from.map_or(0, |(at, _)| at);
    clean_line(&text[from..], room)
}

/// The last line of an area, in which something is typed, with nothing shining through.
pub fn draw_line(cx: &Context, text: &str, area: Rect, buffer: &mut Buffer) {
    let place = Rect {
        y: area.y + area.height.saturating_sub(1),
        height: area.height.min(1),
        ..area
    };
    Clear.render(place, buffer);
    put(buffer, place, text, cx.theme.style(Role::Title));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paste_of_a_megabyte_lands_at_the_cursor_at_once() {
        let mut input = Input::new("ab".into()).with_cursor(1);
        let large = "x".repeat(1 << 20);
        let began = std::time::Instant::now();
        paste(&mut input, &large);
        assert!(began.elapsed().as_millis() < 500, "{:?}", began.elapsed());
        assert_eq!(input.value().len(), (1 << 20) + 2);
        assert_eq!(input.cursor(), (1 << 20) + 1);
        assert!(input.value().starts_with("ax") && input.value().ends_with("xb"));
    }

    #[test]
    fn tail_shows_the_end_of_what_is_typed() {
        assert_eq!(tail("abcdef", 3), "def");
        assert_eq!(tail("äöü", 2), "öü");
        assert_eq!(tail("ab", 10), "ab");
        assert_eq!(tail("", 3), "");
    }
}
