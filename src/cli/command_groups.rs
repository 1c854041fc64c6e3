//! The commands in groups, for `bsm --help`.
//!
//! Why it is rendered here: clap lists subcommands in one block. The list is made from clap's own data, so
//! that a command which no group names is still printed, and a test says that it has none.

use std::fmt::Write as _;

use clap::builder::Styles;

/// Groups in the order of the help, each with its commands in order. A name that is not a command of this
/// program is passed over.
const GROUPS: [(&str, &[&str]); 6] = [
    ("Review", &["review", "scan", "ci", "run", "rules"]),
    (
        "Watch",
        &[
            "console",
            "attach",
            "status",
            "runs",
            "logs",
            "cost",
            "alerts",
            "inbox",
            "approvals",
        ],
    ),
    ("Act", &["breaker", "cache", "keys", "memory"]),
    (
        "Engine",
        &["serve", "stop", "doctor", "state", "incident", "fleet"],
    ),
    ("Set up", &["init", "trust", "config"]),
    ("Try", &["demo", "drill", "simulate"]),
];

/// The heading of visible commands that no group names.
const UNGROUPED: &str = "Other";

/// One group: its heading, and each command's name and line.
type Group = (&'static str, Vec<(String, String)>);

/// The visible commands by group; a group without any is left out.
fn groups(root: &clap::Command) -> Vec<Group> {
    let line = |command: &clap::Command| {
        let about = command.get_about().map(ToString::to_string);
        (command.get_name().to_owned(), about.unwrap_or_default())
    };
    let visible = || root.get_subcommands().filter(|c| !c.is_hide_set());
    let mut groups: Vec<Group> = GROUPS
        .iter()
        .map(|(heading, names)| {
            let named = |name: &&str| visible().find(|c| c.get_name() == *name);
            (*heading, names.iter().filter_map(named).map(line).collect())
        })
        .collect();
    let named = |name: &str| GROUPS.iter().any(|(_, names)| names.contains(&name));
    let rest = visible().filter(|c| !named(c.get_name())).map(line);
    groups.push((UNGROUPED, rest.collect()));
    groups.retain(|(_, commands)| !commands.is_empty());
    groups
}

/// The help of `bsm` itself: the commands in groups, then the options and the examples.
pub(super) fn help_template(root: &clap::Command) -> String {
    let groups = groups(root);
    let names = groups.iter().flat_map(|(_, commands)| commands);
    let width = names.map(|(name, _)| name.len()).max().unwrap_or_default();
    let styles = Styles::styled();
    let (header, literal) = (styles.get_header(), styles.get_literal());
    let mut text = String::from("{about-with-newline}\n{usage-heading} {usage}\n");
    for (heading, commands) in groups {
        let _ = write!(text, "\n{header}{heading}:{header:#}\n");
        for (name, about) in commands {
            let pad = width - name.len();
            let _ = writeln!(text, "  {literal}{name}{literal:#}{:pad$}  {about}", "");
        }
    }
    let _ = write!(
        text,
        "\n`bsm COMMAND --help` has a command's own options.\n\n{header}Options:{header:#}\n{{options}}{{after-help}}"
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ungrouped_command_is_still_listed() {
        let root = clap::Command::new("bsm")
            .subcommand(clap::Command::new("surprise").about("Not in any group"))
            .subcommand(clap::Command::new("secret").hide(true));
        let line = ("surprise".to_owned(), "Not in any group".to_owned());
        assert_eq!(groups(&root), [(UNGROUPED, vec![line])]);
    }
}
