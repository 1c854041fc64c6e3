//! `bsm state`: what a workspace keeps on disk. How much it is, pruning, copies of the journal, repair.

mod backup;
mod prune;
mod repair;
mod usage;

use clap::{Args, Subcommand};

use crate::cli::context::Setup;
use crate::cli::failure::{Failure, refuse_when_read_only};
use crate::cli::global::Global;

/// What this workspace keeps on disk: usage, pruning, backups, repair.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  bsm state usage
  bsm state prune --dry-run
  bsm state prune --older-than 30d
  bsm state backup
  bsm state restore ~/bsm-20261127.db
  bsm state repair --acknowledge")]
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
    /// Copy the journal while the engine works, and check the copy
    Backup(backup::BackupArgs),
    /// Put a backup in the journal's place; what was there is kept
    Restore(backup::RestoreArgs),
    /// Check the journal and repair it, acknowledge that it was recovered, or begin a new one
    Repair(repair::RepairArgs),
}

pub(super) fn run(global: &Global, args: &StateArgs) -> Result<u8, Failure> {
    match &args.command {
        StateCommand::Usage(args) => usage::run(global, args),
        StateCommand::Prune(args) => prune::run(global, args),
        StateCommand::Backup(args) => backup::create(&Setup::read(global)?, args),
        StateCommand::Restore(args) => {
            refuse_when_read_only(global)?;
            backup::restore(&Setup::read(global)?, args)
        }
        StateCommand::Repair(args) => {
            refuse_when_read_only(global)?;
            repair::run(&Setup::read(global)?, args)
        }
    }
}
