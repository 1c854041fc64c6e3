//! The workspace that comes with the binary: useful at once, anywhere. Its files are those of this
//! repository's own `agents/` and `data/`.

use std::sync::{Arc, OnceLock};

use super::agent::Agent;
use super::events::EventTable;
use super::knowledge::{Document, Knowledge};
use super::models::ModelTable;
use super::registry::Registry;
use super::trust::Trust;
use super::{Problem, Workspace};

macro_rules! files {
    ($($path:literal),* $(,)?) => {
        &[$(($path, include_str!(concat!("../../", $path)))),*]
    };
}

/// Every file of the built-in workspace: path and text.
pub const FILES: &[(&str, &str)] = files![
    "agents/registry.yaml",
    "agents/events.yaml",
    "agents/models.yaml",
    "data/agents/index.json",
    "data/agents/governance-agent.yaml",
    "data/agents/governance-review-agent.yaml",
    "data/agents/code-review-agent.yaml",
    "data/agents/security-agent.yaml",
    "data/agents/integrity-agent.yaml",
    "data/agents/pr-merge-agent.yaml",
    "data/agents/legal-agent.yaml",
    "data/agents/bsu-audit-agent.yaml",
    "data/agents/bsu-autonomous-architect.yaml",
    "data/agents/runner.yaml",
    "data/agents/security.yaml",
    "data/knowledge/index.json",
    "data/knowledge/review-policy.md",
];

/// The sample diffs, for a first run: name and text.
pub const SAMPLES: &[(&str, &str)] = &[
    ("risky", include_str!("../../assets/samples/risky.diff")),
    ("docs", include_str!("../../assets/samples/docs.diff")),
    ("code", include_str!("../../assets/samples/code.diff")),
];

struct Parsed {
    registry: Registry,
    events: EventTable,
    models: ModelTable,
    agents: Vec<Arc<Agent>>,
    problems: Vec<Problem>,
}

fn text(path: &str) -> &'static str {
    FILES
        .iter()
        .find(|(p, _)| *p == path)
        .map_or("", |(_, t)| t)
}

fn parsed() -> &'static Parsed {
    static PARSED: OnceLock<Parsed> = OnceLock::new();
    PARSED.get_or_init(|| {
        let mut problems = Vec::new();
        fn read<T: serde::de::DeserializeOwned + Default>(
            path: &str,
            problems: &mut Vec<Problem>,
        ) -> T {
            serde_yaml::from_str(text(path)).unwrap_or_else(|error| {
                problems.push(Problem::error(
                    path,
                    None,
                    error.to_string(),
                    "This build is broken; report it.",
                ));
                T::default()
            })
        }
        let registry: Registry = read("agents/registry.yaml", &mut problems);
        let events = read("agents/events.yaml", &mut problems);
        let models = read("agents/models.yaml", &mut problems);
        let files = FILES
            .iter()
            .filter(|(p, _)| p.starts_with("data/agents/") && p.ends_with(".yaml"));
        let agents = files
            .map(|(path, _)| {
                let mut agent: Agent = read(path, &mut problems);
                registry.apply_to(&mut agent);
                Arc::new(agent)
            })
            .collect();
        Parsed {
            registry,
            events,
            models,
            agents,
            problems,
        }
    })
}

/// The built-in events.
pub fn events() -> EventTable {
    parsed().events.clone()
}

/// The built-in models.
pub fn models() -> ModelTable {
    parsed().models.clone()
}

/// The built-in agents.
pub fn agents() -> &'static [Arc<Agent>] {
    &parsed().agents
}

/// The built-in agent of that id.
pub fn agent(id: &str) -> Option<&'static Arc<Agent>> {
    parsed().agents.iter().find(|a| a.id == id)
}

/// The built-in knowledge.
pub fn knowledge() -> Knowledge {
    let name = "data/knowledge/review-policy.md";
    Knowledge {
        documents: vec![Document {
            name: "review-policy.md".into(),
            text: text(name).into(),
        }],
        failures: Vec::new(),
    }
}

/// The whole of it.
pub fn workspace() -> Workspace {
    let parsed = parsed();
    let all: String = FILES
        .iter()
        .map(|(path, text)| format!("{path}\0{text}"))
        .collect();
    Workspace {
        root: None,
        name: "built-in".into(),
        agents: parsed.agents.clone(),
        registry: Some(parsed.registry.clone()),
        events: parsed.events.clone(),
        models: parsed.models.clone(),
        problems: parsed.problems.clone(),
        trust: Trust::BuiltIn,
        policy_hash: state_hash(&all),
        files: None,
    }
}

fn state_hash(text: &str) -> String {
    crate::state::short_hash(text.as_bytes())
}
