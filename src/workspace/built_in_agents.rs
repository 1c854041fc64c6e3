//! The agents that come with the binary, with the built-in registry's values.

use std::sync::{Arc, OnceLock};

use crate::workspace::agent::Agent;
use crate::workspace::built_in::{FILES, parse};
use crate::workspace::problem::Problem;
use crate::workspace::registry::Registry;

/// The built-in agents.
pub fn agents() -> &'static [Arc<Agent>] {
    static AGENTS: OnceLock<Vec<Arc<Agent>>> = OnceLock::new();
    AGENTS.get_or_init(|| {
        let registry = Registry::built_in();
        FILES
            .iter()
            .filter(|(p, _)| p.starts_with("data/agents/") && p.ends_with(".yaml"))
            .map(|(path, _)| {
                let mut agent: Agent = parse(path);
                registry.apply_to(&mut agent);
                Arc::new(agent)
            })
            .collect()
    })
}

/// The built-in agent of that id.
pub fn agent(id: &str) -> Option<&'static Arc<Agent>> {
    agents().iter().find(|a| a.id == id)
}

/// The built-in agents, then those of a workspace that is not trusted whose ids are new. An agent of its own
/// under a built-in id could look away; it is left out, and named.
pub(super) fn built_in_first(own: Vec<Agent>, problems: &mut Vec<Problem>) -> Vec<Agent> {
    let mut agents: Vec<Agent> = agents().iter().map(|a| Agent::clone(a)).collect();
    for agent in own {
        match agents.iter().find(|a| a.id == agent.id) {
            None => agents.push(agent),
            Some(built_in) if *built_in == agent => {}
            Some(_) => problems.push(Problem::warning(
                "data/agents/index.json",
                None,
                format!("agent {} is ignored: the workspace is not trusted, so the built-in one decides", agent.id),
                "Look at it, then run `bsm trust`.",
            )),
        }
    }
    agents
}
