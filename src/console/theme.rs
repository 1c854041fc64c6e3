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

/// Which colours stand for the roles.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Palette {
    /// The terminal's own sixteen.
    #[default]
    Terminal,
    /// For a light background, where yellow cannot be read.
    Light,
    /// Bright, and nothing dimmed.
    HighContrast,
    /// Blue, yellow and vermilion: pairs that colour-blind eyes tell apart.
    ColorBlind,
    /// None.
    Mono,
}

impl Palette {
    /// All of them in order.
    pub const ALL: [Self; 5] = [
        Self::Terminal,
        Self::Light,
        Self::HighContrast,
        Self::ColorBlind,
        Self::Mono,
    ];

    /// Its name, as in the settings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Terminal => "terminal",
            Self::Light => "light",
            Self::HighContrast => "high-contrast",
            Self::ColorBlind => "color-blind",
            Self::Mono => "mono",
        }
    }

    /// The palette of a name.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|p| p.as_str() == word)
    }

    /// Good, warn, bad, key.
    fn colors(self) -> [Color; 4] {
        match self {
            Self::Terminal | Self::Mono => [Color::Green, Color::Yellow, Color::Red, Color::Cyan],
            Self::Light => [Color::Green, Color::Magenta, Color::Red, Color::Blue],
            Self::HighContrast => [
                Color::LightGreen,
                Color::LightYellow,
                Color::LightRed,
                Color::LightCyan,
            ],
            Self::ColorBlind => [
                Color::Indexed(33),
                Color::Indexed(220),
                Color::Indexed(202),
                Color::Indexed(33),
            ],
        }
    }
}

/// Colours and marks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Theme {
    /// With colours.
    pub color: bool,
    /// Only ASCII.
    pub ascii: bool,
    /// Which colours.
    pub palette: Palette,
}

impl Default for Theme {
    fn default() -> Self {
        Self {
            color: true,
            ascii: false,
            palette: Palette::default(),
        }
    }
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
        let on = self.color && self.palette != Palette::Mono;
        let [good, warn, bad, key] = self.palette.colors();
        let colored = |color: Color| if on { plain.fg(color) } else { plain };
        let dim = if self.palette == Palette::HighContrast {
            plain
        } else {
            plain.add_modifier(Modifier::DIM)
        };
        match role {
            Role::Text => plain,
            Role::Dim => dim,
            Role::Title => plain.add_modifier(Modifier::BOLD),
            Role::Good => colored(good),
            Role::Warn => colored(warn).add_modifier(Modifier::BOLD),
            Role::Bad => colored(bad).add_modifier(Modifier::BOLD),
            Role::Selected => plain.add_modifier(Modifier::REVERSED),
            Role::Key => colored(key).add_modifier(Modifier::BOLD),
            Role::Border => dim,
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
