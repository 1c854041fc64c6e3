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
    let remote = if global.read_only {
        remote.reading_only()
    } else {
        remote
    };
    let operator: Arc<dyn Operator> = Arc::new(remote);
    let ended = console_host::show(operator, options, || ());
    runtime.shutdown_background();
    console_host::ended(setup, ended)
}
