//! `bsm breaker`: how the breakers of a running engine stand, and a hand on them.

use clap::{Args, Subcommand};

use super::remote::{Where, with};
use crate::api::client::Address;
use crate::cli::context::Setup;
use crate::cli::failure::{Failure, refuse_when_read_only};
use crate::cli::global::Global;
use crate::cli::output::say;
use crate::engine::Operator as _;
use crate::engine::protocol::command::Command;
use crate::text::{clean_line, json_pretty};

/// Say how the breakers of a running engine stand, or reset, close or isolate one.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  bsm breaker
  bsm breaker reset openai
  bsm breaker --url unix:/run/user/1000/engine.sock isolate perplexity")]
pub struct BreakerArgs {
    #[command(subcommand)]
    command: Option<BreakerCommand>,
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    at: Where,
}

#[derive(Debug, Subcommand)]
enum BreakerCommand {
    /// Close it and forget its window
    Reset {
        /// The provider, or all
        name: String,
    },
    /// Close it and keep what it knows
    Close {
        /// The provider
        name: String,
    },
    /// Refuse every call until it is reset
    Isolate {
        /// The provider
        name: String,
    },
}

pub(super) fn run(global: &Global, args: BreakerArgs) -> Result<u8, Failure> {
    let setup = Setup::read(global)?;
    if let Some(command) = args.command {
        refuse_when_read_only(global)?;
        let command = match command {
            BreakerCommand::Reset { name } => Command::ResetBreaker {
                breaker: (name != "all").then_some(name),
            },
            BreakerCommand::Close { name } => Command::CloseBreaker { breaker: name },
            BreakerCommand::Isolate { name } => Command::IsolateBreaker { breaker: name },
        };
        return args.at.command(&setup, command);
    }
    let address = match args.at.named(&setup)? {
        Some(address) => address,
        None => Address::Socket(setup.state.socket()),
    };
    let breakers = with(address, async |remote| {
        Ok(remote.snapshots().borrow().breakers.clone())
    })?;
    if args.json {
        say(json_pretty(&breakers).map_err(Failure::engine)?);
        return Ok(0);
    }
    for b in breakers {
        let error = b.last_error.as_deref().map_or_else(String::new, |e| {
            format!("  last error: {}", clean_line(e, 120))
        });
        say(format!(
            "{:<16} {:<10} {} failures in a row, {} rejected, {} trips{error}",
            clean_line(&b.name, 40),
            b.state.as_str(),
            b.failures_in_row,
            b.rejections,
            b.trips
        ));
    }
    Ok(0)
}
