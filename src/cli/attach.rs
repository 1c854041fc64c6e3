//! `bsm attach`: the console over an engine that runs somewhere else.

use crate::cli::console_host;
use std::sync::Arc;

use clap::Args;

use super::remote::{Token, address};
use crate::api::client::{Address, Remote};
use crate::cli::context;
use crate::cli::context::Setup;
use crate::cli::failure::Failure;
use crate::cli::global::Global;
use crate::engine::Operator;
use crate::engine::protocol::snapshot::Mode;

/// Open the console over a running engine; leaving it leaves the engine alone.
///
/// Without an address: the engine of this workspace, over its socket.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  bsm attach
  bsm attach unix:/run/user/1000/engine.sock
  ssh -L 3000:127.0.0.1:3000 host        then: BSM_TOKEN=… bsm attach http://127.0.0.1:3000")]
pub struct AttachArgs {
    /// http://HOST:PORT, https://HOST or unix:PATH
    address: Option<String>,
    #[command(flatten)]
    token: Token,
}

pub(crate) fn run(global: &Global, args: &AttachArgs) -> Result<u8, Failure> {
    console_host::needs_terminal()?;
    let setup = Setup::read(global)?;
    let address = match &args.address {
        Some(text) => address(text, args.token.read(&setup)?)?,
        None => Address::Socket(setup.state.socket()),
    };
    over(global, &setup, address)
}

/// The console over an engine somewhere else.
pub(super) fn over(global: &Global, setup: &Setup, address: Address) -> Result<u8, Failure> {
    let shown = match &address {
        Address::Socket(_) => "this machine".to_owned(),
        http @ Address::Http { .. } => http.to_string(),
    };
    let options = console_host::options_for(global, setup, Some(shown))?;
    let runtime = context::runtime()?;
    let remote = runtime
        .block_on(Remote::connect_console(address))
        .map_err(|e| {
            Failure::engine(e)
                .with_help("Is it running? `bsm serve` starts one, `bsm status` says what runs.")
        })?;
    refuse_other_mode(global, &remote.snapshots().borrow().mode)?;
    let remote = if global.read_only {
        remote.reading_only()
    } else {
        remote
    };
    let operator: Arc<dyn Operator> = Arc::new(remote);
    let lists = console_host::remembered(setup).lists;
    let ended = console_host::show(operator, options, lists, || ());
    runtime.shutdown_background();
    console_host::ended(setup, ended)
}

/// A mode that was asked for, and that the running engine does not have: its models would be others than those
/// that the operator means.
fn refuse_other_mode(global: &Global, running: &Mode) -> Result<(), Failure> {
    let wanted = [
        ("--simulate", global.simulate && !running.simulated),
        ("--offline", global.offline && !running.offline),
    ];
    let lacks: Vec<&str> = wanted.iter().filter(|w| w.1).map(|w| w.0).collect();
    if lacks.is_empty() {
        return Ok(());
    }
    let asked = lacks.join(" ");
    let runs = match (running.simulated, running.offline) {
        (true, true) => "with --simulate --offline",
        (true, false) => "with --simulate",
        (false, true) => "with --offline",
        (false, false) => "with real models",
    };
    Err(Failure::engine(format!(
        "{asked} was asked for, and this workspace's engine runs {runs}"
    ))
    .with_help(&format!(
        "Leave {asked} out to open the console over it, or stop it first: bsm stop; or name another \
         workspace with -C."
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn global(simulate: bool, offline: bool) -> Global {
        use clap::Parser as _;
        let mut global = crate::cli::Cli::parse_from(["bsm"]).global;
        (global.simulate, global.offline) = (simulate, offline);
        global
    }

    fn running(simulated: bool, offline: bool) -> Mode {
        Mode {
            offline,
            simulated,
            ..Mode::default()
        }
    }

    #[test]
    fn mode_that_the_engine_lacks_is_refused_with_both_named() {
        let refused = refuse_other_mode(&global(true, false), &running(false, false)).unwrap_err();
        assert_eq!(refused.exit, 1);
        assert_eq!(
            refused.message,
            "--simulate was asked for, and this workspace's engine runs with real models"
        );
        let refused = refuse_other_mode(&global(true, true), &running(true, false)).unwrap_err();
        assert_eq!(
            refused.message,
            "--offline was asked for, and this workspace's engine runs with --simulate"
        );
    }

    #[test]
    fn mode_that_the_engine_has_or_that_nobody_asked_for_is_attached_to() {
        for (asked, has) in [
            ((false, false), (false, false)),
            ((false, false), (true, true)),
            ((true, false), (true, false)),
            ((true, true), (true, true)),
        ] {
            let mode = running(has.0, has.1);
            assert!(refuse_other_mode(&global(asked.0, asked.1), &mode).is_ok());
        }
    }
}
