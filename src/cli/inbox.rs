//! `bsm inbox`: the newest webhooks and what became of them, from the journal or a running engine.

use clap::{Args, Subcommand};

use super::outbox;
use super::remote::Where;
use crate::cli::context::Setup;
use crate::cli::failure::Failure;
use crate::cli::global::Global;
use crate::cli::output::say;
use crate::engine::protocol::query::{Answer, Query};
use crate::text::{clean_line, json_pretty};

/// List the newest webhooks, and what became of them; or what is published at GitHub.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct InboxArgs {
    #[command(subcommand)]
    command: Option<InboxCommand>,
    /// How many, newest first
    #[arg(long, default_value_t = 20)]
    limit: u32,
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    at: Where,
}

#[derive(Debug, Subcommand)]
enum InboxCommand {
    /// List publications: sent, waiting, or held back by a dry run
    Outbox(outbox::OutboxArgs),
}

pub(super) fn run(global: &Global, args: &InboxArgs) -> Result<u8, Failure> {
    if let Some(InboxCommand::Outbox(args)) = &args.command {
        return outbox::run(global, args);
    }
    let setup = Setup::read(global)?;
    let limit = args.limit;
    let rows = args.at.or_journal(
        &setup,
        Query::Deliveries { limit },
        |answer| match answer {
            Answer::Deliveries { deliveries } => Some(deliveries),
            _ => None,
        },
        |journal| {
            Ok(journal
                .deliveries(limit)?
                .into_iter()
                .map(Into::into)
                .collect())
        },
    )?;
    if args.json {
        say(json_pretty(&rows).map_err(Failure::engine)?);
        return Ok(0);
    }
    if rows.is_empty() {
        say(
            "No webhooks yet. `bsm serve` takes them at /webhook/github once GITHUB_WEBHOOK_SECRET is set.",
        );
    }
    for row in rows {
        let at = jiff::Timestamp::from_millisecond(row.at_ms).unwrap_or_default();
        let again = if row.repeats > 0 {
            format!(", came {} times more", row.repeats)
        } else {
            String::new()
        };
        say(format!(
            "{}  {:<9} {:<28} {:<24} {}{again}{}",
            at.strftime("%m-%d %H:%M"),
            row.outcome.as_str(),
            clean_line(&row.event, 60),
            clean_line(&row.place, 60),
            row.run.as_deref().unwrap_or("-"),
            if row.note.is_empty() {
                String::new()
            } else {
                format!("  ({})", clean_line(&row.note, 120))
            },
        ));
    }
    Ok(0)
}
