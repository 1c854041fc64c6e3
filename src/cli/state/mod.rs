//! `bsm state`: what a workspace keeps on disk, and how much of it.

mod prune;
mod usage;

use clap::{Args, Subcommand};

use crate::cli::failure::Failure;
use crate::cli::global::Global;

/// What this workspace keeps on disk: how much it is, and pruning.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  bsm state usage
  bsm state usage --json
  bsm state prune --dry-run
  bsm state prune --older-than 30d")]
pub struct StateArgs {
    #[command(subcommand)]
    command: StateCommand,
}

#[derive(Debug, Subcommand)]
enum StateCommand {
    /// Say what takes how much, what its bound is and when it is full
    Usage(usage::UsageArgs),
    /// Remove now what is beyond its bound, and with --older-than what is older
    Prune(prune::PruneArgs),
}

pub(super) fn run(global: &Global, args: &StateArgs) -> Result<u8, Failure> {
    match &args.command {
        StateCommand::Usage(args) => usage::run(global, args),
        StateCommand::Prune(args) => prune::run(global, args),
    }
}
