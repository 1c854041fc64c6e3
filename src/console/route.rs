//! Where the operator is. One stack of routes says it: a screen at the bottom, what was opened from it above.
//! Esc takes the topmost away; nothing else does.

use super::action::{Action, Screen, row_of};

/// A place in the console.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// A screen, by its number.
    Screen(Screen),
    /// One run.
    Run {
        /// Its id.
        id: String,
    },
    /// A run's report.
    Report {
        /// The run's id.
        id: String,
    },
    /// Everything about a run, as JSON.
    Json {
        /// The run's id.
        id: String,
    },
    /// All fields of a run as text.
    Describe {
        /// The run's id.
        id: String,
    },
    /// The newest attempts.
    Calls {
        /// At this provider; none: at all of them.
        provider: Option<String>,
    },
    /// Log lines about one thing.
    Logs {
        /// Only this run's.
        run: Option<String>,
        /// The filter to begin with.
        filter: String,
        /// The agent whose failed attempt is selected.
        agent: Option<String>,
    },
    /// Log lines around a time.
    LogsAround {
        /// The time, wall time in milliseconds: the line nearest to it is selected.
        at_ms: i64,
        /// From.
        from_ms: i64,
        /// To.
        to_ms: i64,
    },
    /// Alerts with what to do.
    Alerts,
    /// Charts over time.
    Trends,
    /// What takes how much of the disk.
    Storage,
}

impl Route {
    /// The kind of its list: lists of one kind share their saved filters.
    pub fn list(&self) -> &'static str {
        match self {
            Self::Screen(Screen::Overview | Screen::Runs) => "runs",
            Self::Screen(screen) => screen_name(*screen),
            Self::Calls { .. } => "calls",
            Self::Logs { .. } | Self::LogsAround { .. } => "logs",
            Self::Run { .. } | Self::Report { .. } | Self::Json { .. } | Self::Describe { .. } => {
                "text"
            }
            Self::Alerts => "alerts",
            Self::Trends => "trends",
            Self::Storage => "storage",
        }
    }

    /// The log lines of a run.
    pub fn logs_of_run(run: String) -> Self {
        Self::Logs {
            run: Some(run),
            filter: String::new(),
            agent: None,
        }
    }

    /// Log lines in which a name stands.
    pub fn logs_naming(name: &str) -> Self {
        let filter = format!("\"{}\"", name.replace('"', " "));
        let plain = name
            .chars()
            .all(|c| c.is_alphanumeric() || "-_.".contains(c));
        Self::Logs {
            run: None,
            filter: if plain { name.to_owned() } else { filter },
            agent: None,
        }
    }
}

/// A screen's name, as commands have it.
pub fn screen_name(screen: Screen) -> &'static str {
    row_of(Action::Show(screen)).map_or("", |row| row.name)
}
