//! `bsm cache`: how the caches of a running engine are, and clearing them.

use clap::{Args, Subcommand};

use super::remote::{Where, with};
use crate::api::client::Address;
use crate::cli::context::Setup;
use crate::cli::failure::{Failure, refuse_when_read_only};
use crate::cli::global::Global;
use crate::cli::output::say;
use crate::engine::Operator as _;
use crate::engine::protocol::command::Command;
use crate::text::json_pretty;

/// Say how the caches of a running engine are, or clear them.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  bsm cache
  bsm cache clear responses
  bsm cache clear --tag provider:openai
  bsm cache --url http://127.0.0.1:3000 --json")]
pub struct CacheArgs {
    #[command(subcommand)]
    command: Option<CacheCommand>,
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    at: Where,
}

#[derive(Debug, Subcommand)]
enum CacheCommand {
    /// Forget what a cache holds
    Clear {
        /// agents, knowledge, registry, responses or all
        #[arg(value_parser = ["agents", "knowledge", "registry", "responses", "all"], required_unless_present = "tag")]
        name: Option<String>,
        /// Only answers of a provider or a model: provider:NAME or model:NAME
        #[arg(long, conflicts_with = "name")]
        tag: Option<String>,
    },
}

pub(super) fn run(global: &Global, args: CacheArgs) -> Result<u8, Failure> {
    let setup = Setup::read(global)?;
    if let Some(CacheCommand::Clear { name, tag }) = args.command {
        refuse_when_read_only(global)?;
        let cache = name.filter(|n| n != "all");
        return args.at.command(&setup, Command::ClearCache { cache, tag });
    }
    let address = match args.at.named(&setup)? {
        Some(address) => address,
        None => Address::Socket(setup.state.socket()),
    };
    let caches = with(address, async |remote| {
        Ok(remote.snapshots().borrow().caches.clone())
    })?;
    if args.json {
        say(json_pretty(&caches).map_err(Failure::engine)?);
        return Ok(0);
    }
    say(format!(
        "{:<10} {:>8} {:>10} {:>10} {:>8} {:>8} {:>8}",
        "cache", "entries", "hits", "misses", "shared", "stale", "loads"
    ));
    for c in caches {
        say(format!(
            "{:<10} {:>8} {:>10} {:>10} {:>8} {:>8} {:>8}",
            c.name, c.entries, c.hits, c.misses, c.stampede_prevented, c.stale_served, c.loads
        ));
    }
    Ok(0)
}
