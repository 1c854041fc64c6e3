//! The governance registry: `agents/registry.yaml`, and the rules it must keep.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::agent::{Agent, Approval, Contexts, Expose, Risk, Safety, is_id};
use crate::file_set::FileSet;
use crate::workspace::built_in;
use crate::workspace::problem::Problem;
use crate::workspace::yaml_position;
use crate::workspace::yaml_position::in_item;

/// Where it is.
pub const FILE: &str = "agents/registry.yaml";

/// Contexts an agent may have.
pub const CONTEXTS: &[&str] = &[
    "chat", "api", "github", "ci", "system", "security", "mobile",
];

/// The registry.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Registry {
    /// Its agents.
    #[serde(default)]
    pub agents: Vec<Entry>,
}

/// One agent's entry. Everything is optional here; the rules say what must be there.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Its id.
    #[serde(default)]
    pub id: Option<String>,
    /// Its name.
    #[serde(default)]
    pub name: Option<String>,
    /// conversational, infra, system, security, audit.
    #[serde(default)]
    pub category: Option<String>,
    /// See [`Safety`].
    #[serde(default)]
    pub safety: Option<Safety>,
    /// See [`Contexts`].
    #[serde(default)]
    pub contexts: Option<Contexts>,
    /// See [`Expose`].
    #[serde(default)]
    pub expose: Option<Expose>,
    /// See [`Risk`].
    #[serde(default)]
    pub risk: Option<Risk>,
    /// See [`Approval`].
    #[serde(default)]
    pub approval: Option<Approval>,
    /// When it starts.
    #[serde(default)]
    pub startup: Option<Startup>,
    /// How it is asked whether it is well.
    #[serde(default)]
    pub healthcheck: Option<Healthcheck>,
}

/// When an agent starts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Startup {
    /// Must be false.
    #[serde(default)]
    pub auto_start: bool,
    /// development, staging, production.
    #[serde(default)]
    pub allowed_profiles: Vec<String>,
}

/// How an agent is asked whether it is well.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Healthcheck {
    /// `/api/agents/<id>/health`.
    #[serde(default)]
    pub endpoint: String,
    /// 30 to 300.
    #[serde(default)]
    pub interval_seconds: i64,
}

impl Registry {
    /// The built-in registry.
    pub fn built_in() -> Self {
        built_in::parse(FILE)
    }

    /// The entry of an agent.
    pub fn entry(&self, id: &str) -> Option<&Entry> {
        self.agents.iter().find(|e| e.id.as_deref() == Some(id))
    }

    /// Where the registry has the agent, its values win.
    pub fn apply_to(&self, agent: &mut Agent) {
        let Some(entry) = self.entry(&agent.id) else {
            return;
        };
        if let Some(safety) = &entry.safety {
            agent.safety = safety.clone();
        }
        if let Some(contexts) = &entry.contexts {
            agent.contexts = contexts.clone();
        }
        if let Some(expose) = &entry.expose {
            agent.expose = expose.clone();
        }
        if let Some(risk) = &entry.risk {
            agent.risk = risk.clone();
        }
        if let Some(approval) = &entry.approval {
            agent.approval = approval.clone();
        }
    }
}

/// Reads the registry and holds it against its rules.
pub fn load(root: &FileSet, problems: &mut Vec<Problem>) -> Option<Registry> {
    if !root.exists(Path::new(FILE)) {
        let help = "Reading and listing go on without it; nothing that needs an approval will be approved.";
        problems.push(Problem::warning(FILE, None, "no governance registry", help));
        return None;
    }
    let (registry, text) = crate::workspace::yaml_file::read::<Registry>(
        root,
        FILE,
        "Mend the YAML at this place.",
        problems,
    )?;
    check(&registry, &text, problems);
    Some(registry)
}

fn check(registry: &Registry, text: &str, problems: &mut Vec<Problem>) {
    let mut ids: Vec<&str> = Vec::new();
    if registry.agents.is_empty() {
        problems.push(Problem::warning(
            FILE,
            yaml_position::key(text, "agents"),
            "the registry has no agents",
            "List the agents under `agents:`.",
        ));
    }
    for (index, entry) in registry.agents.iter().enumerate() {
        let id = entry.id.as_deref().unwrap_or("(without id)");
        let mut wrong = |key: &str, what: &str, help: &str| {
            let message = format!("{}: {what}", crate::text::clean_line(id, 64));
            problems.push(Problem::error(
                FILE,
                in_item(text, "agents", index, key),
                message,
                help,
            ));
        };
        for (key, present) in [
            ("id", entry.id.is_some()),
            ("name", entry.name.is_some()),
            ("category", entry.category.is_some()),
            ("contexts", entry.contexts.is_some()),
            ("expose", entry.expose.is_some()),
            ("risk", entry.risk.is_some()),
            ("approval", entry.approval.is_some()),
            ("startup", entry.startup.is_some()),
            ("healthcheck", entry.healthcheck.is_some()),
        ] {
            if !present {
                wrong(
                    key,
                    &format!("'{key}' is missing"),
                    "Every agent of the registry must have it.",
                );
            }
        }
        if entry.id.as_deref().is_some_and(|id| !is_id(id)) {
            wrong(
                "id",
                "the id is not ^[a-z0-9-]+$",
                "Use lower-case letters, digits and dashes.",
            );
        }
        if ids.contains(&id) {
            wrong("id", "the id is used twice", "Give each agent its own id.");
        }
        ids.push(id);
        check_entry(entry, &mut wrong);
    }
}

/// What is told of a fault: the key it is at, what is wrong, and what helps.
type Wrong<'a> = dyn FnMut(&str, &str, &str) + 'a;

fn check_entry(entry: &Entry, wrong: &mut Wrong<'_>) {
    check_category(entry, wrong);
    check_contexts(entry, wrong);
    check_safety(entry, wrong);
    check_risk(entry, wrong);
    check_approval(entry, wrong);
    check_expose(entry, wrong);
    check_startup(entry, wrong);
    check_healthcheck(entry, wrong);
}

fn is_one_of(value: &str, allowed: &[&str]) -> bool {
    allowed.contains(&value)
}

fn check_category(entry: &Entry, wrong: &mut Wrong<'_>) {
    if entry.category.as_deref().is_some_and(|c| {
        !is_one_of(
            c,
            &["conversational", "infra", "system", "security", "audit"],
        )
    }) {
        wrong(
            "category",
            "unknown category",
            "Use conversational, infra, system, security or audit.",
        );
    }
}

fn check_contexts(entry: &Entry, wrong: &mut Wrong<'_>) {
    let Some(contexts) = &entry.contexts else {
        return;
    };
    if contexts.allowed.is_empty() {
        wrong(
            "contexts.allowed",
            "no context is allowed",
            "Allow at least one.",
        );
    }
    if contexts.allowed.iter().any(|c| !is_one_of(c, CONTEXTS)) {
        wrong(
            "contexts.allowed",
            "unknown context",
            "Use chat, api, github, ci, system, security, mobile.",
        );
    }
}

fn check_safety(entry: &Entry, wrong: &mut Wrong<'_>) {
    let safety = entry.safety.as_ref().map_or("safe", |s| s.mode.as_str());
    if !is_one_of(safety, &["safe", "restricted", "destructive"]) {
        wrong(
            "safety.mode",
            "unknown safety mode",
            "Use safe, restricted or destructive.",
        );
    }
    if safety == "destructive"
        && entry
            .contexts
            .as_ref()
            .is_some_and(|c| c.allowed.iter().any(|c| c == "mobile"))
    {
        wrong(
            "contexts.allowed",
            "a destructive agent in context mobile",
            "Take mobile out, or make it safe.",
        );
    }
}

fn check_risk(entry: &Entry, wrong: &mut Wrong<'_>) {
    let Some(risk) = &entry.risk else {
        return;
    };
    if !is_one_of(&risk.level, &["low", "medium", "high", "critical"]) {
        wrong(
            "risk.level",
            "unknown risk level",
            "Use low, medium, high or critical.",
        );
    }
    if risk.rationale.raw().chars().count() < 10 {
        wrong(
            "risk.rationale",
            "the rationale has fewer than 10 characters",
            "Say in a sentence why the risk is what it is.",
        );
    }
    let approved = entry.approval.as_ref().is_some_and(|a| a.required);
    if is_one_of(&risk.level, &["high", "critical"]) && !approved {
        wrong(
            "approval.required",
            "high risk without approval",
            "Set approval.required and name approvers.",
        );
    }
}

fn check_approval(entry: &Entry, wrong: &mut Wrong<'_>) {
    let Some(approval) = &entry.approval else {
        return;
    };
    if !is_one_of(&approval.kind, &["none", "manual", "automated"]) {
        wrong(
            "approval.type",
            "unknown approval type",
            "Use none, manual or automated.",
        );
    }
    if approval.required && approval.kind != "none" && approval.approvers.is_empty() {
        wrong(
            "approval.approvers",
            "approval is required but nobody may give it",
            "Name at least one approver.",
        );
    }
}

fn check_expose(entry: &Entry, wrong: &mut Wrong<'_>) {
    if entry
        .expose
        .as_ref()
        .is_some_and(|e| e.internal_only && e.selectable)
    {
        wrong(
            "expose",
            "internal_only and selectable at once",
            "Set selectable to false.",
        );
    }
}

fn check_startup(entry: &Entry, wrong: &mut Wrong<'_>) {
    let Some(startup) = &entry.startup else {
        return;
    };
    if startup.auto_start {
        wrong(
            "startup.auto_start",
            "auto_start must be false",
            "Agents start on events only.",
        );
    }
    let known = |p: &String| is_one_of(p, &["development", "staging", "production"]);
    if startup.allowed_profiles.is_empty() || !startup.allowed_profiles.iter().all(known) {
        wrong(
            "startup.allowed_profiles",
            "no profile, or an unknown one",
            "Use development, staging, production.",
        );
    }
}

fn check_healthcheck(entry: &Entry, wrong: &mut Wrong<'_>) {
    let (Some(check), Some(id)) = (&entry.healthcheck, &entry.id) else {
        return;
    };
    if check.endpoint != format!("/api/agents/{id}/health") {
        wrong(
            "healthcheck.endpoint",
            "the endpoint is not /api/agents/<id>/health",
            "Use the agent's own id in it.",
        );
    }
    if !(30..=300).contains(&check.interval_seconds) {
        wrong(
            "healthcheck.interval_seconds",
            "the interval is not 30 to 300 s",
            "Choose one in that range.",
        );
    }
}
