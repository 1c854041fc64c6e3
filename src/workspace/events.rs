//! Which agents an event selects: `agents/events.yaml`, or the built-in table where it is absent.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::built_in;
use super::event_names::{ALIASES, is_pattern};
use super::schedule::Schedule;
use super::trust::Trust;
use crate::file_set::FileSet;
use crate::workspace::problem::Problem;
use crate::workspace::yaml_position;

/// Where it is.
pub const FILE: &str = "agents/events.yaml";

/// How an event's agents run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Strategy {
    /// All at once.
    Parallel,
    /// One after another, in the order listed.
    Sequential,
}

/// What a run of the event can end in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OutcomeKind {
    /// The four actions of a pull request.
    Review,
    /// `pass` instead of a merge.
    Health,
}

/// One event's rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EventRule {
    /// The agents, in order.
    pub agents: Vec<String>,
    /// How they run.
    #[serde(default = "sequential")]
    pub strategy: Strategy,
    /// What it can end in.
    #[serde(default = "review")]
    pub outcome: OutcomeKind,
    /// Longest time of one step, milliseconds; the engine's setting where absent.
    #[serde(default)]
    pub step_timeout_ms: Option<u64>,
    /// When it runs by itself.
    #[serde(default)]
    pub schedule: Option<Schedule>,
    /// Without a diff there is nothing to review.
    #[serde(default)]
    pub needs_diff: bool,
}

fn sequential() -> Strategy {
    Strategy::Sequential
}

fn review() -> OutcomeKind {
    OutcomeKind::Review
}

/// The table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventTable {
    /// 1.
    #[serde(default)]
    pub version: u32,
    /// By name; `default` answers all others.
    pub events: BTreeMap<String, EventRule>,
}

impl EventTable {
    /// The built-in events.
    pub fn built_in() -> Self {
        built_in::parse(FILE)
    }

    /// The rule for an event and whether it is its own, a pattern's or an alias's (else the default's).
    pub fn rule(&self, event: &str) -> Option<(&EventRule, bool)> {
        match self.find(event) {
            Some(found) => Some((found.rule, found.name != "default")),
            None => self.events.get("default").map(|rule| (rule, false)),
        }
    }
}

/// Loads the table; where it is absent or broken, the built-in one (with a problem in the second case).
pub fn load(root: &FileSet, trust: Trust, problems: &mut Vec<Problem>) -> EventTable {
    let help = "Mend the YAML at this place; until then the built-in events are used.";
    let Some((mut table, text)) =
        crate::workspace::yaml_file::read::<EventTable>(root, FILE, help, problems)
    else {
        return EventTable::built_in();
    };
    crate::workspace::yaml_file::expect_version_1(table.version, FILE, &text, problems);
    if !trust.is_trusted() {
        let built_in = EventTable::built_in().events;
        for (name, rule) in built_in {
            let own = table.events.insert(name.clone(), rule);
            if own.is_some_and(|own| table.events.get(&name) != Some(&own)) {
                let message = format!(
                    "event {name} is ignored: the workspace is not trusted, so the built-in agents review it"
                );
                let place = yaml_position::key(&text, &name);
                let help = "Look at it, then run `bsm trust`.";
                problems.push(Problem::warning(FILE, place, message, help));
            }
        }
    }
    if !trust.is_trusted() {
        leave_out_loose(&mut table, &text, problems);
    }
    for (name, rule) in &mut table.events {
        if rule.agents.is_empty() {
            let message = format!(
                "event {} selects no agent",
                crate::text::clean_line(name, 80)
            );
            problems.push(Problem::error(
                FILE,
                yaml_position::key(&text, name),
                message,
                "Name at least one agent.",
            ));
        }
        if rule.schedule.is_some() && trust != Trust::Trusted {
            rule.schedule = None;
            let message = format!(
                "the schedule of {} is ignored: the workspace is not trusted",
                crate::text::clean_line(name, 80)
            );
            problems.push(Problem::warning(
                FILE,
                yaml_position::key(&text, name),
                message,
                "Look at it, then run `bsm trust`.",
            ));
        }
    }
    if !table.events.contains_key("default")
        && let Some(rule) = EventTable::built_in().events.remove("default")
    {
        table.events.insert("default".into(), rule);
    }
    table
}

/// Of a workspace that nobody trusts, entries that would answer in the place of a built-in one are left out.
fn leave_out_loose(table: &mut EventTable, text: &str, problems: &mut Vec<Problem>) {
    let built_in = EventTable::built_in().events;
    let is_loose = |name: &str| is_pattern(name) || ALIASES.iter().any(|(alias, _)| *alias == name);
    table.events.retain(|name, _| {
        let stays = built_in.contains_key(name) || !is_loose(name);
        if !stays {
            let shown = crate::text::clean_line(name, 80);
            let message = format!("event {shown} is ignored: the workspace is not trusted");
            let place = yaml_position::key(text, name);
            let help = "Look at it, then run `bsm trust`.";
            problems.push(Problem::warning(FILE, place, message, help));
        }
        stays
    });
}
