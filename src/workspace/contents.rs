//! A workspace as loaded: everything that could be read, and what could not.

use crate::file_set::FileSet;
use crate::workspace::agent::Agent;
use crate::workspace::events;
use crate::workspace::events::EventTable;
use crate::workspace::models;
use crate::workspace::models::ModelTable;
use crate::workspace::problem::Level;
use crate::workspace::problem::Problem;
use crate::workspace::registry;
use crate::workspace::registry::Registry;
use crate::workspace::trust::Trust;
use std::path::PathBuf;
use std::sync::Arc;

/// A workspace as loaded: everything that could be read, and what could not.
#[derive(Debug, Clone)]
pub struct Workspace {
    /// Its folder; `None` for the built-in one.
    pub root: Option<PathBuf>,
    /// Its name, for people.
    pub name: String,
    /// The agents that loaded, registry values applied.
    pub agents: Vec<Arc<Agent>>,
    /// The registry, if there is one and it can be read.
    pub registry: Option<Registry>,
    /// Events → agents.
    pub events: EventTable,
    /// Providers, models, routes.
    pub models: ModelTable,
    /// What is wrong.
    pub problems: Vec<Problem>,
    /// Whether the operator trusts it.
    pub trust: Trust,
    /// Hash of the policy files: a run is pinned to it.
    pub policy_hash: String,
    /// The policy files as they were read; `None` for the built-in workspace.
    pub files: Option<Arc<FileSet>>,
}
impl Workspace {
    /// This version with the parts that broke taken from the last good one; true when there were any.
    #[must_use]
    pub fn keeping_good(mut self, old: &Self) -> (Self, bool) {
        let broken = |file: &str| {
            self.problems
                .iter()
                .any(|p| p.severity == Level::Error && p.file == file && p.line.is_some())
        };
        let (events, models, registry) = (
            broken(events::FILE),
            broken(models::FILE),
            broken(registry::FILE),
        );
        let agents = self
            .problems
            .iter()
            .any(|p| p.severity == Level::Error && p.file.starts_with("data/agents/"));
        let mut kept = false;
        if events && self.events != old.events {
            self.events = old.events.clone();
            kept = true;
        }
        if models && self.models != old.models {
            self.models = old.models.clone();
            kept = true;
        }
        if registry && self.registry.is_none() && old.registry.is_some() {
            self.registry.clone_from(&old.registry);
            if let Some(registry) = &self.registry {
                for agent in &mut self.agents {
                    registry.apply_to(Arc::make_mut(agent));
                }
            }
            kept = true;
        }
        if agents {
            for agent in &old.agents {
                if self.agent(&agent.id).is_none() {
                    self.agents.push(Arc::clone(agent));
                    // It is in effect after all: what was said to be missing is not.
                    let (named, listed) = (
                        format!("agent {}, which is not there", agent.id),
                        format!("{} is in the registry", agent.id),
                    );
                    self.problems.retain(|p| {
                        !p.message.raw().contains(&named) && !p.message.raw().contains(&listed)
                    });
                    kept = true;
                }
            }
        }
        (self, kept)
    }

    /// The agent of that id.
    pub fn agent(&self, id: &str) -> Option<&Arc<Agent>> {
        self.agents.iter().find(|a| a.id == id)
    }

    /// How many of its problems are errors.
    pub fn errors(&self) -> usize {
        self.problems
            .iter()
            .filter(|p| p.severity == Level::Error)
            .count()
    }
}
