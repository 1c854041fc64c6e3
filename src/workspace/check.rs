//! What only several files together show: ids that match nowhere, and drift between them.

use super::events::FILE as EVENTS;
use super::registry::FILE as REGISTRY;
use super::{Problem, Workspace};
use crate::text::clean_line;

/// Adds the problems between files.
pub fn across(workspace: &Workspace, problems: &mut Vec<Problem>) {
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
            let own = workspace
                .root
                .as_ref()
                .is_some_and(|r| r.join(EVENTS).is_file());
            let file = if own { EVENTS } else { "(built-in events)" };
            problems.push(Problem::error(file, None, message, "Add the agent's file, or take it out of the event. The run will end in manual_review."));
        }
    }
    let Some(registry) = &workspace.registry else {
        return;
    };
    for entry in &registry.agents {
        if let Some(id) = entry
            .id
            .as_deref()
            .filter(|id| workspace.agent(id).is_none())
        {
            let message = format!(
                "{} is in the registry but has no agent file",
                clean_line(id, 64)
            );
            problems.push(Problem::warning(
                REGISTRY,
                None,
                message,
                "Add data/agents/<id>.yaml to the index, or take the entry out.",
            ));
        }
    }
    for agent in &workspace.agents {
        if registry.entry(&agent.id).is_none() {
            let message = format!("{} has a file but is not in the registry", agent.id);
            problems.push(Problem::warning(
                REGISTRY,
                None,
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
