//! Which commands take arguments on the command line, and what they accept.

use super::action::{ACTIONS, Action, Screen};

/// What a command accepts after its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepts {
    /// A filter.
    Filter,
    /// A run's id.
    Run,
    /// A provider with a breaker.
    Provider,
    /// A pool, and its new size.
    PoolSize,
    /// A cache.
    Cache,
    /// A level of the log.
    Level,
    /// A palette.
    Theme,
    /// A drill.
    Drill,
    /// A switch, and on or off.
    Switch,
    /// What to export.
    Form,
    /// A provider, a pool, a cache or a run.
    Thing,
}

/// The commands, what they accept, and how that is written.
const COMMANDS: [(Action, Accepts, &str); 26] = [
    (Action::Show(Screen::Overview), Accepts::Filter, "FILTER"),
    (
        Action::Show(Screen::Runs),
        Accepts::Filter,
        "FILTER, or a state: failed",
    ),
    (Action::Show(Screen::Caches), Accepts::Filter, "FILTER"),
    (Action::Show(Screen::Agents), Accepts::Filter, "FILTER"),
    (Action::Show(Screen::Memory), Accepts::Filter, "TEXT"),
    (
        Action::Show(Screen::Logs),
        Accepts::Filter,
        "FILTER: level=error",
    ),
    (Action::Show(Screen::Inbox), Accepts::Filter, "FILTER"),
    (Action::Alerts, Accepts::Filter, "FILTER"),
    (Action::Filter, Accepts::Filter, "FILTER"),
    (Action::Open, Accepts::Run, "RUN"),
    (Action::Report, Accepts::Run, "RUN"),
    (Action::RunLogs, Accepts::Run, "RUN"),
    (Action::Json, Accepts::Run, "RUN"),
    (Action::Describe, Accepts::Run, "RUN"),
    (Action::Cancel, Accepts::Run, "RUN"),
    (Action::RunAgain, Accepts::Run, "RUN"),
    (Action::ResetBreaker, Accepts::Provider, "PROVIDER"),
    (Action::IsolateBreaker, Accepts::Provider, "PROVIDER"),
    (Action::CloseBreaker, Accepts::Provider, "PROVIDER"),
    (Action::ResizePool, Accepts::PoolSize, "POOL [SIZE]"),
    (Action::ClearCache, Accepts::Cache, "CACHE"),
    (
        Action::LogLevel,
        Accepts::Level,
        "error|warn|info|debug|trace",
    ),
    (Action::Theme, Accepts::Theme, "PALETTE"),
    (Action::Drill, Accepts::Drill, "DRILL"),
    (Action::SwitchFlag, Accepts::Switch, "LAYER on|off"),
    (Action::Export, Accepts::Form, "text|csv|json"),
];

/// `why` asks about anything.
const WHY: (Action, Accepts, &str) = (Action::Why, Accepts::Thing, "PROVIDER|POOL|CACHE|RUN");

/// Second names: what people type.
const SHORT: [(&str, &str); 4] = [
    ("pool", "resize-pool"),
    ("breaker", "reset-breaker"),
    ("cache", "clear-cache"),
    ("level", "log-level"),
];

/// A command with arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Command {
    /// What it does.
    pub action: Action,
    /// What it accepts.
    pub accepts: Accepts,
    /// The same as it is written.
    pub usage: &'static str,
}

/// The command of a name that takes arguments.
pub fn named(name: &str) -> Option<Command> {
    let short = SHORT.iter().find(|(short, _)| *short == name);
    let name = short.map_or(name, |(_, whole)| whole);
    let row = ACTIONS.iter().find(|row| row.name == name)?;
    of(row.action)
}

/// What an action accepts, if anything.
pub fn of(action: Action) -> Option<Command> {
    let mut all = COMMANDS.iter().chain([&WHY]);
    let (action, accepts, usage) = all.find(|(a, ..)| *a == action).copied()?;
    Some(Command {
        action,
        accepts,
        usage,
    })
}

/// A line as a command with arguments: the command, and what stands after its name.
pub fn read(line: &str) -> Option<(Command, &str)> {
    let (name, rest) = line.trim().split_once(char::is_whitespace)?;
    let rest = rest.trim();
    (!rest.is_empty()).then_some((named(name)?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_is_read_by_its_name_or_a_short_one_and_only_with_arguments() {
        let pool = read(" pool openai 12 ").map(|(c, rest)| (c.action, rest));
        assert_eq!(pool, Some((Action::ResizePool, "openai 12")));
        let runs = read("runs failed").map(|(c, rest)| (c.action, rest));
        assert_eq!(runs, Some((Action::Show(Screen::Runs), "failed")));
        for none in ["runs", "runs ", "quit now", "nosuch x", ""] {
            assert_eq!(read(none), None, "{none:?}");
        }
    }
}
