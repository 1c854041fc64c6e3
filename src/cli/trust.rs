//! `bsm trust`: the operator's word that a workspace, as it is now, may name what reaches outside.

use std::path::PathBuf;

use clap::Args;

use super::setup::{Setup, shown};
use super::{Failure, Global, refuse_when_read_only, say};
use crate::text::clean_line;
use crate::workspace::Workspace;
use crate::workspace::trust::TrustStore;

/// Let a workspace name addresses, keys and schedules, as it is now.
///
/// Trust is pinned to a hash of the policy files; when they change, it is asked again. A key goes only
/// to its provider's own host, whatever a workspace says; `keyHosts` in your own settings adds others.
#[derive(Debug, Args)]
pub struct TrustArgs {
    /// The workspace's folder (default: the one in use)
    dir: Option<PathBuf>,
    /// Take the trust back
    #[arg(long)]
    revoke: bool,
}

pub(super) fn run(global: &Global, args: &TrustArgs) -> Result<u8, Failure> {
    refuse_when_read_only(global)?;
    let global = Global {
        workspace: args.dir.clone().or_else(|| global.workspace.clone()),
        ..global.clone()
    };
    let setup = Setup::read(&global)?;
    let Some(root) = setup.root.clone() else {
        return Err(Failure::usage(
            "there is no workspace here",
            "Name its folder: bsm trust DIR",
        ));
    };
    if !Workspace::is_workspace(&root) {
        return Err(Failure::usage(
            format!("{} is no workspace", shown(&root)),
            "Name a folder with agents/ or data/agents/ in it.",
        ));
    }
    let before = setup.workspace()?;
    let mut store = TrustStore::load();
    store.set(&root, !args.revoke).map_err(Failure::engine)?;
    if args.revoke {
        say(format!("{} is no longer trusted", shown(&root)));
        return Ok(0);
    }
    say(format!(
        "{} is trusted as it is now (policy {})",
        shown(&root),
        before.policy_hash
    ));
    let after = setup.workspace()?;
    for (name, provider) in &after.models.providers {
        let keys = provider.key_env.join(", ");
        say(format!(
            "  provider {}: {} {}",
            clean_line(name, 60),
            clean_line(&provider.base_url, 200),
            clean_line(&keys, 200)
        ));
    }
    Ok(0)
}
