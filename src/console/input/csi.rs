//! Sequences that begin with `ESC [` or `ESC O`: keys, mouse and focus. Everything else is a terminal's answer.

use crossterm::event::{
    Event, KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind,
};

fn key(code: KeyCode) -> Event {
    Event::Key(KeyEvent::new(code, KeyModifiers::NONE))
}

/// The key of a letter that ends a sequence.
fn lettered(letter: u8) -> Option<KeyCode> {
    Some(match letter {
        b'A' => KeyCode::Up,
        b'B' => KeyCode::Down,
        b'C' => KeyCode::Right,
        b'D' => KeyCode::Left,
        b'H' => KeyCode::Home,
        b'F' => KeyCode::End,
        b'P' => KeyCode::F(1),
        b'Q' => KeyCode::F(2),
        b'S' => KeyCode::F(4),
        b'Z' => KeyCode::BackTab,
        _ => return None,
    })
}

/// The key of a number before `~`.
fn numbered(number: u16) -> Option<KeyCode> {
    let function = |n: u16| u8::try_from(n).ok().map(KeyCode::F);
    match number {
        1 | 7 => Some(KeyCode::Home),
        2 => Some(KeyCode::Insert),
        3 => Some(KeyCode::Delete),
        4 | 8 => Some(KeyCode::End),
        5 => Some(KeyCode::PageUp),
        6 => Some(KeyCode::PageDown),
        11..=15 => function(number - 10),
        17..=21 => function(number - 11),
        23 | 24 => function(number - 12),
        _ => None,
    }
}

/// Modifiers as xterm numbers them: 2 is Shift, 3 Alt, 5 Control.
fn modifiers(number: u16) -> KeyModifiers {
    let bits = number.saturating_sub(1);
    let mut out = KeyModifiers::NONE;
    for (bit, modifier) in [
        (1, KeyModifiers::SHIFT),
        (2, KeyModifiers::ALT),
        (4, KeyModifiers::CONTROL),
    ] {
        if bits & bit != 0 {
            out |= modifier;
        }
    }
    out
}

/// The key after `ESC O`; `None`: it is none.
pub(super) fn ss3(byte: u8) -> Option<Event> {
    match byte {
        b'R' => Some(key(KeyCode::F(3))),
        b'M' => Some(key(KeyCode::Enter)),
        b'Z' => None,
        other => lettered(other).map(key),
    }
}

/// What a whole sequence means; `None`: no key.
pub(super) fn event(parameters: &[u8], end: u8) -> Option<Event> {
    if let Some(rest) = parameters.strip_prefix(b"<") {
        return mouse(&numbers(rest)?, end == b'M');
    }
    if parameters == b"[" {
        // The console of Linux has five such keys.
        return (b'A'..=b'E')
            .contains(&end)
            .then(|| key(KeyCode::F(end - b'A' + 1)));
    }
    let of = numbers(parameters)?;
    let held = modifiers(of.get(1).copied().unwrap_or(1));
    let with = |code: KeyCode| Event::Key(KeyEvent::new(code, held));
    match (end, of.as_slice()) {
        (b'I', []) => Some(Event::FocusGained),
        (b'O', []) => Some(Event::FocusLost),
        (b'M', [button, column, row]) => mouse(&[button.checked_sub(32)?, *column, *row], true),
        (b'~', [number, ..]) => numbered(*number).map(with),
        (_, [] | [1] | [1, _]) => lettered(end).map(with),
        _ => None,
    }
}

/// Numbers between semicolons; `None` where something else stands there, as in answers.
fn numbers(parameters: &[u8]) -> Option<Vec<u16>> {
    if parameters.is_empty() {
        return Some(Vec::new());
    }
    let text = std::str::from_utf8(parameters).ok()?;
    text.split(';').map(|n| n.parse().ok()).collect()
}

/// A press or the wheel; a release and a movement mean nothing here.
fn mouse(report: &[u16], pressed: bool) -> Option<Event> {
    let [button, column, row] = report else {
        return None;
    };
    let kind = match (button & 0b1110_0011, pressed) {
        (0, true) => MouseEventKind::Down(MouseButton::Left),
        (1, true) => MouseEventKind::Down(MouseButton::Middle),
        (2, true) => MouseEventKind::Down(MouseButton::Right),
        (64, true) => MouseEventKind::ScrollUp,
        (65, true) => MouseEventKind::ScrollDown,
        _ => return None,
    };
    Some(Event::Mouse(MouseEvent {
        kind,
        column: column.checked_sub(1)?,
        row: row.checked_sub(1)?,
        modifiers: KeyModifiers::NONE,
    }))
}

/// A report of three bytes, each 32 more than what it says.
pub(super) fn old_mouse(bytes: &[u8]) -> Option<Event> {
    let numbers: Option<Vec<u16>> = bytes
        .iter()
        .map(|b| b.checked_sub(32).map(u16::from))
        .collect();
    mouse(&numbers?, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mouse_is_read_in_all_three_forms_and_movement_is_nothing() {
        let at = |event: Option<Event>| match event {
            Some(Event::Mouse(m)) => Some((m.kind, m.column, m.row)),
            _ => None,
        };
        let left = MouseEventKind::Down(MouseButton::Left);
        assert_eq!(at(event(b"<0;10;5", b'M')), Some((left, 9, 4)));
        assert_eq!(at(event(b"<0;10;5", b'm')), None, "a release");
        assert_eq!(at(event(b"<35;10;5", b'M')), None, "a movement");
        assert_eq!(
            at(event(b"<65;1;1", b'M')),
            Some((MouseEventKind::ScrollDown, 0, 0))
        );
        assert_eq!(at(event(b"32;10;5", b'M')), Some((left, 9, 4)));
        assert_eq!(at(old_mouse(&[32, 42, 37])), Some((left, 9, 4)));
        for hostile in [&b"<0;0;0"[..], b"<0;1", b"<;;", b"<70000;1;1", b"1;1;1"] {
            assert_eq!(at(event(hostile, b'M')), None, "{hostile:?}");
        }
    }
}
