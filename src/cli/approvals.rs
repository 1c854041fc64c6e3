//! `bsm approvals`: pending approvals, and deciding on them.

use clap::{Args, Subcommand};

use super::remote::Where;
use crate::cli::context::Setup;
use crate::cli::failure::{Failure, refuse_when_read_only};
use crate::cli::global::Global;
use crate::cli::output::say;
use crate::engine::protocol::command::Command;
use crate::engine::protocol::github::Secret;
use crate::engine::protocol::query::{Answer, Query};
use crate::text::{clean_line, json_pretty};

/// List pending approvals, or decide on one.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  bsm approvals
  BSM_APPROVER_TOKEN=… bsm approvals approve apr_k3f9qa1b --reason 'looked at the diff'
  bsm approvals deny apr_k3f9qa1b --reason 'not before the release' --approver-env ANAS_TOKEN")]
pub struct ApprovalsArgs {
    #[command(subcommand)]
    command: Option<Word>,
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    at: Where,
}

#[derive(Debug, Subcommand)]
enum Word {
    /// Let it happen
    Approve(Why),
    /// Do not
    Deny(Why),
}

#[derive(Debug, Args)]
struct Why {
    /// Its id
    id: String,
    /// CacheEntryInfo with the decision
    #[arg(long)]
    reason: String,
    /// The variable that holds the approver's token
    #[arg(long, value_name = "NAME", default_value = "BSM_APPROVER_TOKEN")]
    approver_env: String,
}

pub(super) fn run(global: &Global, args: ApprovalsArgs) -> Result<u8, Failure> {
    let setup = Setup::read(global)?;
    let (why, grant) = match args.command {
        None => return list(&setup, &args.at, args.json),
        Some(Word::Approve(why)) => (why, true),
        Some(Word::Deny(why)) => (why, false),
    };
    refuse_when_read_only(global)?;
    let Some(token) = setup.env.get(&why.approver_env) else {
        return Err(Failure::usage(
            format!("{} is not set", clean_line(&why.approver_env, 60)),
            "An approver decides with their own token; name its variable with --approver-env.",
        ));
    };
    let command = Command::Decide {
        approval: why.id,
        grant,
        reason: why.reason,
        token: Secret(token.trim().to_owned()),
    };
    args.at.command(&setup, command)
}

fn list(setup: &Setup, at: &Where, json: bool) -> Result<u8, Failure> {
    const LIMIT: u32 = 50;
    let rows = at.or_journal(
        setup,
        Query::Approvals { limit: LIMIT },
        |answer| match answer {
            Answer::Approvals { approvals } => Some(approvals),
            _ => None,
        },
        |journal| {
            Ok(journal
                .approvals(LIMIT)?
                .into_iter()
                .map(Into::into)
                .collect())
        },
    )?;
    if json {
        say(json_pretty(&rows).map_err(Failure::engine)?);
        return Ok(0);
    }
    if rows.is_empty() {
        say("Nothing waits. The registry says which agents act only with an approval.");
    }
    for row in rows {
        let until = jiff::Timestamp::from_millisecond(row.expires_ms).unwrap_or_default();
        let who = match (&row.by, &row.reason) {
            (Some(by), Some(reason)) => {
                format!("{}: {}", clean_line(by, 60), clean_line(reason, 160))
            }
            _ if row.approvers.is_empty() => {
                format!("any approver, until {}", until.strftime("%m-%d %H:%M UTC"))
            }
            _ => format!(
                "{}, until {}",
                clean_line(&row.approvers.join(" or "), 120),
                until.strftime("%m-%d %H:%M UTC")
            ),
        };
        say(format!(
            "{}  {:<9} {}  ({who})",
            row.id,
            row.state.as_str(),
            clean_line(&row.what, 200)
        ));
    }
    Ok(0)
}
