//! `bsm state`: what is on disk. What takes how much, copies of the journal, repair.

mod backup;
mod repair;

use clap::{Args, Subcommand};

use crate::cli::context::Setup;
use crate::cli::failure::{Failure, refuse_when_read_only};
use crate::cli::global::Global;

/// What this workspace keeps on disk: back it up, restore it, repair it.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  bsm state backup
  bsm state restore ~/bsm-20261127.db
  bsm state repair
  bsm state repair --acknowledge")]
pub struct StateArgs {
    #[command(subcommand)]
    command: StateCommand,
}

#[derive(Debug, Subcommand)]
enum StateCommand {
    /// Copy the journal while the engine works, and check the copy
    Backup(backup::BackupArgs),
    /// Put a backup in the journal's place; what was there is kept
    Restore(backup::RestoreArgs),
    /// Check the journal and repair it, acknowledge that it was recovered, or begin a new one
    Repair(repair::RepairArgs),
}

pub(super) fn run(global: &Global, args: &StateArgs) -> Result<u8, Failure> {
    let setup = Setup::read(global)?;
    match &args.command {
        StateCommand::Backup(args) => backup::create(&setup, args),
        StateCommand::Restore(args) => {
            refuse_when_read_only(global)?;
            backup::restore(&setup, args)
        }
        StateCommand::Repair(args) => {
            refuse_when_read_only(global)?;
            repair::run(&setup, args)
        }
    }
}
