//! Colours by role and marks by meaning. State is never told by colour alone.
//!
//! Why sixteen colours on the terminal's own background: the operator chose that background. With
//! NO_COLOR or a dumb terminal the roles keep bold, dim and reverse, and lose their colours.

use ratatui::style::{Color, Modifier, Style};

/// What a piece of text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Ordinary.
    Text,
    /// Normal, not worth a look.
    Dim,
    /// A heading.
    Title,
    /// All is well.
    Good,
    /// Needs a look.
    Warn,
    /// Wrong.
    Bad,
    /// Selected.
    Selected,
    /// A key.
    Key,
    /// A frame.
    Border,
}

/// Colours and marks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Theme {
    /// With colours.
    pub color: bool,
    /// Only ASCII.
    pub ascii: bool,
}

/// The marks; each has an ASCII form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// Live, closed.
    Live,
    /// Half-open, degraded.
    Half,
    /// Isolated, off.
    Off,
    /// Failed, blocked, open.
    Failed,
    /// Passed.
    Passed,
    /// Needs a person.
    Person,
    /// Waiting.
    Waiting,
    /// Over its target.
    Over,
}

impl Theme {
    /// The style of a role.
    pub fn style(self, role: Role) -> Style {
        let plain = Style::default();
        let colored = |color: Color| if self.color { plain.fg(color) } else { plain };
        match role {
            Role::Text => plain,
            Role::Dim => plain.add_modifier(Modifier::DIM),
            Role::Title => plain.add_modifier(Modifier::BOLD),
            Role::Good => colored(Color::Green),
            Role::Warn => colored(Color::Yellow).add_modifier(Modifier::BOLD),
            Role::Bad => colored(Color::Red).add_modifier(Modifier::BOLD),
            Role::Selected => plain.add_modifier(Modifier::REVERSED),
            Role::Key => colored(Color::Cyan).add_modifier(Modifier::BOLD),
            Role::Border => plain.add_modifier(Modifier::DIM),
        }
    }

    /// A mark and the role it is drawn in.
    pub fn mark(self, mark: Mark) -> (&'static str, Role) {
        let (glyph, ascii, role) = match mark {
            Mark::Live => ("●", "*", Role::Good),
            Mark::Half => ("◐", "~", Role::Warn),
            Mark::Off => ("○", "o", Role::Dim),
            Mark::Failed => ("✗", "x", Role::Bad),
            Mark::Passed => ("✓", "v", Role::Good),
            Mark::Person => ("?", "?", Role::Warn),
            Mark::Waiting => ("◌", ".", Role::Dim),
            Mark::Over => ("⚠", "!", Role::Warn),
        };
        (if self.ascii { ascii } else { glyph }, role)
    }

    /// Eight heights of a small column, lowest first.
    pub fn columns(self) -> [&'static str; 8] {
        if self.ascii {
            ["_", ".", ",", "-", "=", "+", "*", "#"]
        } else {
            ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"]
        }
    }

    /// A full and an empty piece of a bar.
    pub fn bar(self) -> (&'static str, &'static str) {
        if self.ascii {
            ("#", ".")
        } else {
            ("█", "░")
        }
    }

    /// A done and an open piece of a progress.
    pub fn progress(self) -> (&'static str, &'static str) {
        if self.ascii {
            ("#", "-")
        } else {
            ("▰", "▱")
        }
    }

    /// A dot between words, a dash for "nothing", and an ellipsis.
    pub fn signs(self) -> (&'static str, &'static str, &'static str) {
        if self.ascii {
            ("-", "-", "..")
        } else {
            ("·", "—", "…")
        }
    }
}
