//! `bsm state backup` and `bsm state restore`: copies of the journal, and putting one back.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::context::Setup;
use crate::cli::failure::Failure;
use crate::cli::output::say;
use crate::journal::backup::{self, BackupInfo};
use crate::state::{Holder, StateError};
use crate::text::clean_line;

/// Copy the journal while the engine works, and check the copy.
#[derive(Debug, Args)]
pub struct BackupArgs {
    /// Where to (default: `backups/` in the state directory, named by the time)
    file: Option<PathBuf>,
}

/// Put a backup in the journal's place. What was there is kept beside it.
#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// The backup
    file: PathBuf,
}

pub(super) fn create(setup: &Setup, args: &BackupArgs) -> Result<u8, Failure> {
    let journal = setup.state.journal();
    if !journal.exists() {
        return Err(Failure::usage(
            format!("there is no journal yet ({})", shown(&journal)),
            "It begins with the first run.",
        ));
    }
    let target = match &args.file {
        Some(file) => file.clone(),
        None => setup.state.new_backup().map_err(Failure::engine)?,
    };
    let info = backup::create(&journal, &target).map_err(Failure::engine)?;
    say(line(&info));
    Ok(0)
}

pub(super) fn restore(setup: &Setup, args: &RestoreArgs) -> Result<u8, Failure> {
    setup.state.prepare().map_err(Failure::engine)?;
    let _lock = alone(setup)?;
    let now_ms = jiff::Timestamp::now().as_millisecond();
    let journal = setup.state.journal();
    let (info, kept) = backup::restore(&journal, &args.file, now_ms).map_err(Failure::engine)?;
    say(format!("restored {}", line(&info)));
    if let Some(kept) = kept {
        say(format!("the journal before it is kept as {}", shown(&kept)));
    }
    say(
        "Approvals that waited are expired. Schedules, publications and spending stop until you have \
         looked: `bsm state repair --acknowledge`.",
    );
    Ok(0)
}

/// The engine's lock, so that no engine works with the journal meanwhile.
pub(super) fn alone(setup: &Setup) -> Result<crate::state::Lock, Failure> {
    setup.state.lock(Holder::Run).map_err(|error| match error {
        StateError::Locked { .. } => Failure::usage(
            "an engine is at work on this workspace",
            "Stop it first: `bsm stop`.",
        ),
        other => Failure::engine(other),
    })
}

fn line(info: &BackupInfo) -> String {
    format!(
        "{} · {} bytes · {} runs · record {}",
        shown(&info.path),
        info.bytes,
        info.runs,
        info.records
    )
}

pub(super) fn shown(path: &Path) -> String {
    clean_line(&path.display().to_string(), 300)
}
