//! Agents: `data/agents/index.json` and one YAML file each.

use crate::workspace::built_in;
use std::collections::HashMap;
use std::path::Path;
use std::sync::LazyLock;

use crate::filter::{Row, lowered};
use serde::{Deserialize, Deserializer, Serialize};

use crate::file_set::FileSet;
use crate::review::{linters, packs};
use crate::text::Untrusted;
use crate::workspace::problem::Problem;
use crate::workspace::yaml_position;

/// Actions an agent may name; another one is a warning.
pub const KNOWN_ACTIONS: &[&str] = &[
    "create_file",
    "review_pr",
    "request_changes",
    "approve_pr",
    "create_review_comment",
    "generate_fix_suggestion",
    "scan_vulnerabilities",
    "block_pr",
    "alert_security_team",
    "generate_security_report",
    "suggest_fixes",
    "auto_merge",
    "manual_review_request",
    "run_tests",
    "deploy_staging",
    "rollback_merge",
    "validate_structure",
    "cleanup_stale_prs",
    "archive_old_issues",
    "optimize_database",
    "generate_health_report",
    "audit_configuration",
    "validate_guards",
    "check_api_routes",
    "verify_ui_config",
    "generate_audit_report",
    "audit_ios_ui",
    "validate_mobile_api_contract",
    "check_safe_area_support",
    "test_keyboard_behavior",
    "generate_ios_report",
    "update_file",
    "review_repository",
    "generate_repository_report",
    "suggest_improvements",
];

/// An agent. Only `id` is mandatory; unknown fields are ignored.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Agent {
    /// `^[a-z0-9-]+$`, unique.
    pub id: String,
    /// For people.
    #[serde(default)]
    pub name: Untrusted,
    /// What it is for, in a line.
    #[serde(default)]
    pub role: Untrusted,
    /// Longer.
    #[serde(default)]
    pub description: Untrusted,
    /// What it is told to do; often right-to-left.
    #[serde(default)]
    pub instructions: Untrusted,
    /// Integer, float or text in the file.
    #[serde(default, deserialize_with = "loose")]
    pub version: String,
    /// Wanted provider.
    #[serde(default)]
    pub model_provider: Option<String>,
    /// Name of a key set.
    #[serde(default)]
    pub model_key: Option<String>,
    /// Wanted model.
    #[serde(default)]
    pub model_name: Option<String>,
    /// The task its models are routed by.
    #[serde(default)]
    pub task: Option<String>,
    /// Rule packs it decides by; all of them where the file says nothing.
    #[serde(default)]
    pub packs: Option<Vec<String>>,
    /// What it can do, for people.
    #[serde(default)]
    pub capabilities: Vec<String>,
    /// What it may do.
    #[serde(default)]
    pub actions: Vec<String>,
    /// Template of the system prompt.
    #[serde(default)]
    pub system_prompt: Option<Untrusted>,
    /// Template of the user prompt.
    #[serde(default)]
    pub user_prompt: Option<Untrusted>,
    /// Where it may be used.
    #[serde(default)]
    pub contexts: Contexts,
    /// How careful it must be.
    #[serde(default)]
    pub safety: Safety,
    /// How risky it is.
    #[serde(default)]
    pub risk: Risk,
    /// Who must agree before it acts.
    #[serde(default)]
    pub approval: Approval,
    /// Where it shows.
    #[serde(default)]
    pub expose: Expose,
    /// Free text of the file: active, deprecated, …
    #[serde(default)]
    pub status: Option<String>,
}

/// Contexts an agent may be used in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contexts {
    /// chat, api, github, ci, system, security, mobile.
    #[serde(default)]
    pub allowed: Vec<String>,
}

/// Safety of an agent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Safety {
    /// safe, restricted, destructive.
    #[serde(default)]
    pub mode: String,
    /// A person must agree.
    #[serde(default)]
    pub requires_approval: bool,
}

/// Risk of an agent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Risk {
    /// low, medium, high, critical.
    #[serde(default)]
    pub level: String,
    /// Why.
    #[serde(default)]
    pub rationale: Untrusted,
}

/// Approval that an agent needs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// Needed at all.
    #[serde(default)]
    pub required: bool,
    /// none, manual, automated.
    #[serde(default, rename = "type")]
    pub kind: String,
    /// Who may give it.
    #[serde(default)]
    pub approvers: Vec<String>,
}

/// Where an agent shows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expose {
    /// Can be chosen by a person.
    #[serde(default)]
    pub selectable: bool,
    /// Only other agents see it.
    #[serde(default)]
    pub internal_only: bool,
}

impl Agent {
    /// The rule packs it decides by.
    pub fn decides_by(&self, pack: &str) -> bool {
        self.packs.as_ref().is_none_or(|packs| {
            packs
                .iter()
                .any(|p| p == pack || (p == linters::PACK && linters::is_pack(pack)))
        })
    }

    /// The task its models are routed by: as the file says, else guessed from its id.
    pub fn task(&self) -> &str {
        if let Some(task) = &self.task {
            return task;
        }
        match self.id.as_str() {
            id if id.contains("security") => "security_scan",
            id if id.contains("legal") => "legal_analysis",
            id if id.contains("review") || id.contains("merge") => "code_review",
            _ => "chat_response",
        }
    }
}

fn loose<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Loose {
        Whole(i64),
        Float(f64),
        Text(String),
    }
    Ok(match Loose::deserialize(deserializer)? {
        Loose::Whole(n) => n.to_string(),
        Loose::Float(n) => n.to_string(),
        Loose::Text(text) => text,
    })
}

/// True for `^[a-z0-9-]+$` of a sensible length.
pub fn is_id(id: &str) -> bool {
    (1..=64).contains(&id.len())
        && id
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

#[derive(Deserialize)]
struct Index {
    agents: Vec<String>,
}

/// Loads every agent that can be loaded.
pub fn load(root: &FileSet, problems: &mut Vec<Problem>) -> Vec<Agent> {
    const INDEX: &str = "data/agents/index.json";
    let help = "Make it {\"agents\": [\"file.yaml\", …]}.";
    let Some((index, _)) = crate::workspace::yaml_file::read::<Index>(root, INDEX, help, problems)
    else {
        if !root.exists(Path::new(INDEX)) {
            problems.push(Problem::warning(
                INDEX,
                None,
                "no list of agents",
                "Write data/agents/index.json, or run `bsm init` elsewhere to see one.",
            ));
        }
        return Vec::new();
    };
    let mut agents: Vec<Agent> = Vec::new();
    for name in index.agents {
        let file = format!("data/agents/{name}");
        let help = "Mend the YAML at this place; the other agents are loaded.";
        let before = problems.len();
        let Some((mut agent, text)) =
            crate::workspace::yaml_file::read::<Agent>(root, &file, help, problems)
        else {
            if problems.len() == before {
                let message = format!(
                    "{} is listed but is not there",
                    crate::text::clean_line(&name, 120)
                );
                let help = "Add the file or take its name out of the list.";
                problems.push(Problem::error(INDEX, None, message, help));
            }
            continue;
        };
        if !is_id(&agent.id) {
            let message = format!(
                "id '{}' is not ^[a-z0-9-]+$",
                crate::text::clean_line(&agent.id, 60)
            );
            problems.push(Problem::error(
                &file,
                yaml_position::key(&text, "id"),
                message,
                "Use lower-case letters, digits and dashes.",
            ));
            continue;
        }
        if agents.iter().any(|a| a.id == agent.id) {
            problems.push(Problem::error(
                &file,
                yaml_position::key(&text, "id"),
                format!("id {} is used twice", agent.id),
                "Give each agent its own id.",
            ));
            continue;
        }
        for action in agent
            .actions
            .iter()
            .filter(|a| !KNOWN_ACTIONS.contains(&a.as_str()))
        {
            let message = format!("unknown action '{}'", crate::text::clean_line(action, 60));
            problems.push(Problem::warning(
                &file,
                yaml_position::key(&text, "actions"),
                message,
                "Known actions are listed in the documentation of agents.",
            ));
        }
        for pack in agent
            .packs
            .iter()
            .flatten()
            .filter(|p| !linters::is_pack(p) && !packs::names().any(|n| n == p.as_str()))
        {
            let message = format!("unknown rule pack '{}'", crate::text::clean_line(pack, 60));
            problems.push(Problem::error(
                &file,
                yaml_position::key(&text, "packs"),
                message,
                "Packs: secrets, security, supply-chain, governance, quality, hidden-text, lint.",
            ));
        }
        // A file written for the first implementation names no packs: an agent we know keeps its own.
        if agent.packs.is_none() {
            agent.packs = built_in_packs(&agent.id);
        }
        agents.push(agent);
    }
    agents
}

impl Row for Agent {
    fn field(&self, key: &str) -> Vec<String> {
        match key {
            "id" | "agent" => vec![lowered(&self.id)],
            "risk" => vec![lowered(&self.risk.level)],
            "mode" | "context" => self.contexts.allowed.iter().map(|c| lowered(c)).collect(),
            _ => Vec::new(),
        }
    }

    fn number(&self, _: &str) -> Option<u64> {
        None
    }

    fn shows(&self, word: &str) -> bool {
        ["id", "risk", "mode"]
            .iter()
            .any(|key| self.field(key).iter().any(|f| f.contains(word)))
    }
}

/// The rule packs of the built-in agent of that id.
fn built_in_packs(id: &str) -> Option<Vec<String>> {
    static PACKS: LazyLock<HashMap<String, Option<Vec<String>>>> = LazyLock::new(|| {
        let files = built_in::FILES
            .iter()
            .filter(|(path, _)| path.starts_with("data/agents/") && path.ends_with(".yaml"));
        files
            .map(|(path, _)| built_in::parse::<Agent>(path))
            .map(|agent| (agent.id, agent.packs))
            .collect()
    });
    PACKS.get(id).cloned().flatten()
}
