//! What only several files together show: ids that match nowhere, and drift between them.

use super::events::FILE as EVENTS;
use super::registry::FILE as REGISTRY;
use std::path::Path;

use super::knowledge;
use crate::text::clean_line;
use crate::workspace::contents::Workspace;
use crate::workspace::problem::Problem;
use crate::workspace::yaml_file::LARGEST_FILE;
use crate::workspace::yaml_position;

/// Adds the problems between files.
pub fn across(workspace: &Workspace, problems: &mut Vec<Problem>) {
    let text = |file: &str| {
        let files = workspace.files.as_ref()?;
        files.read_text(Path::new(file), LARGEST_FILE).ok()
    };
    let events = text(EVENTS);
    for (event, rule) in &workspace.events.events {
        for id in rule
            .agents
            .iter()
            .filter(|id| workspace.agent(id).is_none())
        {
            let message = format!(
                "event {} names agent {}, which is not there",
                clean_line(event, 80),
                clean_line(id, 64)
            );
            let help = "Add the agent's file, or remove it from the event. The run will end in manual_review.";
            let (file, place) = match &events {
                Some(text) => (EVENTS, yaml_position::key(text, event)),
                None => ("(built-in events)", None),
            };
            problems.push(Problem::error(file, place, message, help));
        }
    }
    for failure in
        knowledge::load(workspace.files.as_deref()).map_or_else(|e| vec![e], |k| k.failures)
    {
        let help = "Put a plain file beneath data/knowledge/, or take its name out of the list.";
        problems.push(Problem::warning(
            "data/knowledge/index.json",
            None,
            format!("left out: {failure}"),
            help,
        ));
    }
    let Some(registry) = &workspace.registry else {
        return;
    };
    let registry_text = text(REGISTRY).unwrap_or_default();
    for (index, entry) in registry.agents.iter().enumerate() {
        if let Some(id) = entry
            .id
            .as_deref()
            .filter(|id| workspace.agent(id).is_none())
        {
            let message = format!(
                "{} is in the registry but has no agent file",
                clean_line(id, 64)
            );
            let place = yaml_position::in_item(&registry_text, "agents", index, "id");
            let help = "Add data/agents/<id>.yaml to the index, or take the entry out.";
            problems.push(Problem::warning(REGISTRY, place, message, help));
        }
    }
    for agent in &workspace.agents {
        if registry.entry(&agent.id).is_none() {
            let message = format!("{} has a file but is not in the registry", agent.id);
            let place = yaml_position::key(&registry_text, "agents");
            problems.push(Problem::warning(
                REGISTRY,
                place,
                message,
                "Add it, so that its risk and approval are governed.",
            ));
        }
    }
}

/// Reports where an agent's own file says something else than the registry (whose values win).
pub fn drift(file: &super::agent::Agent, registry: &super::registry::Registry) -> Vec<String> {
    let Some(entry) = registry.entry(&file.id) else {
        return Vec::new();
    };
    let default = super::agent::Agent::default();
    let mut fields = Vec::new();
    if file.contexts != default.contexts
        && entry.contexts.as_ref().is_some_and(|c| *c != file.contexts)
    {
        fields.push("contexts");
    }
    if file.safety != default.safety && entry.safety.as_ref().is_some_and(|s| *s != file.safety) {
        fields.push("safety");
    }
    if file.expose != default.expose && entry.expose.as_ref().is_some_and(|e| *e != file.expose) {
        fields.push("expose");
    }
    if file.risk != default.risk && entry.risk.as_ref().is_some_and(|r| *r != file.risk) {
        fields.push("risk");
    }
    fields
        .into_iter()
        .map(|f| {
            format!(
                "{}: {f} differs from the registry, whose value is used",
                file.id
            )
        })
        .collect()
}
