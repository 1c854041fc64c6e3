//! `bsm completions` and `bsm man`: made from the arguments themselves, so that they cannot go stale.

use clap::Args;
use clap_complete::Shell;

use crate::cli::failure::Failure;

/// Print a completion script for a shell.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

pub(super) fn run(args: &CompletionsArgs, mut command: clap::Command) -> Result<u8, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "bsm", &mut script);
    crate::cli::output::say(String::from_utf8_lossy(&script));
    Ok(0)
}

pub(super) fn man(command: clap::Command) -> Result<u8, Failure> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command)
        .render(&mut page)
        .map_err(Failure::engine)?;
    crate::cli::output::say(String::from_utf8_lossy(&page));
    Ok(0)
}
