//! `bsm trust`: the operator says that a workspace, as it is now, may decide.

use crate::workspace::built_in_agents;
use crate::workspace::events::EventTable;
use std::path::PathBuf;

use clap::Args;

use crate::cli::context::{Setup, shown};
use crate::cli::failure::{Failure, refuse_when_read_only};
use crate::cli::global::Global;
use crate::cli::output::say;
use crate::review::policy::Policy;
use crate::text::clean_line;
use crate::workspace::Workspace;
use crate::workspace::agent::Agent;

/// Trust a workspace as it is now: its addresses, keys, schedules, rules and settings take effect.
///
/// Trust is pinned to a hash of the policy files; when they change, it is asked again. A key goes only
/// to its provider's own host, whatever a workspace says; `keyHosts` in your own settings adds others.
/// A pipeline sets BSM_TRUST to the hash instead: it trusts exactly that policy.
#[derive(Debug, Args)]
pub struct TrustArgs {
    /// The workspace's folder (default: the one in use)
    dir: Option<PathBuf>,
    /// Take the trust back
    #[arg(long)]
    revoke: bool,
    /// Only show what would be trusted, and its hash
    #[arg(long, conflicts_with = "revoke")]
    show: bool,
}

pub(super) fn run(global: &Global, args: &TrustArgs) -> Result<u8, Failure> {
    if !args.show {
        refuse_when_read_only(global)?;
    }
    let global = Global {
        workspace: args.dir.clone().or_else(|| global.workspace.clone()),
        ..global.clone()
    };
    let setup = Setup::read(&global)?;
    let (Some(root), Some(hash)) = (setup.root.clone(), setup.policy_hash()) else {
        return Err(Failure::usage(
            "there is no workspace here",
            "Name its folder: bsm trust DIR",
        ));
    };
    if !Workspace::is_workspace(&root) {
        return Err(Failure::usage(
            format!("{} is not a workspace", shown(&root)),
            "Name a folder with agents/ or data/agents/ in it.",
        ));
    }
    let mut store = setup.trust.clone();
    if args.revoke {
        store.set(&root, None).map_err(Failure::engine)?;
        say(format!("{} is not trusted any more", shown(&root)));
        return Ok(0);
    }
    // What is shown, hashed and trusted are the same bytes.
    let trusted = setup.workspace_if_trusted();
    let policy = setup.policy_if_trusted();
    for line in pins(&trusted, &policy, &setup) {
        say(format!("  {line}"));
    }
    if args.show {
        say(format!("policy {hash} of {}", shown(&root)));
        return Ok(0);
    }
    store.set(&root, Some(&hash)).map_err(Failure::engine)?;
    say(format!(
        "{} is trusted as it is now (policy {hash})",
        shown(&root)
    ));
    Ok(0)
}

/// What a workspace gets by being trusted, a line each: where keys and prompts go, what runs by itself, what
/// of the built-in review it weakens.
fn pins(workspace: &Workspace, policy: &Policy, setup: &Setup) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, provider) in &workspace.models.providers {
        lines.push(format!(
            "provider {}: {} {}",
            clean_line(name, 60),
            clean_line(&provider.base_url, 200),
            clean_line(&provider.key_env.join(", "), 200)
        ));
        for header in provider.headers.keys() {
            lines.push(format!("  sends header {}", clean_line(header, 80)));
        }
    }
    for (name, rule) in &workspace.events.events {
        if rule.schedule.is_some() {
            lines.push(format!("event {} runs by itself", clean_line(name, 80)));
        }
        let built_in = EventTable::built_in().events.remove(name);
        let missing: Vec<String> = built_in
            .into_iter()
            .flat_map(|b| b.agents)
            .filter(|a| !rule.agents.contains(a))
            .collect();
        if !missing.is_empty() {
            let agents = clean_line(&missing.join(", "), 200);
            lines.push(format!(
                "weaker: event {} is reviewed without {agents}",
                clean_line(name, 80)
            ));
        }
    }
    for agent in &workspace.agents {
        let packs = |a: &Agent| a.packs.clone().unwrap_or_default();
        let lost: Vec<String> = built_in_agents::agent(&agent.id)
            .map(|b| packs(b))
            .unwrap_or_default()
            .into_iter()
            .filter(|pack| !agent.decides_by(pack))
            .collect();
        if !lost.is_empty() {
            let packs = clean_line(&lost.join(", "), 200);
            lines.push(format!("weaker: {} does not decide by {packs}", agent.id));
        }
    }
    lines.extend(policy.weakened());
    for warning in &setup.loaded.warnings {
        lines.push(clean_line(warning, 200));
    }
    lines
}
