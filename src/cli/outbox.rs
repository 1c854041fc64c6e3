//! `bsm inbox outbox`: publications at GitHub, from the journal or a running engine.

use clap::Args;

use super::remote::Where;
use crate::cli::context::Setup;
use crate::cli::failure::Failure;
use crate::cli::global::Global;
use crate::cli::output::say;
use crate::code_host::Publication;
use crate::engine::code_host::reconciler::view;
use crate::engine::protocol::query::{Answer, Query};
use crate::text::{clean_block, json_pretty};

/// List publications: sent, waiting, or held back by a dry run.
#[derive(Debug, Args)]
pub struct OutboxArgs {
    /// How many, newest first
    #[arg(long, default_value_t = 20)]
    limit: u32,
    /// The whole text of comments and reviews
    #[arg(long, conflicts_with = "json")]
    full: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    at: Where,
}

pub(super) fn run(global: &Global, args: &OutboxArgs) -> Result<u8, Failure> {
    let setup = Setup::read(global)?;
    let limit = args.limit;
    let entries = args.at.or_journal(
        &setup,
        Query::Outbox { limit },
        |answer| match answer {
            Answer::Outbox { entries } => Some(entries),
            _ => None,
        },
        |journal| Ok(journal.outbox(limit)?.into_iter().map(view).collect()),
    )?;
    if args.json {
        say(json_pretty(&entries).map_err(Failure::engine)?);
        return Ok(0);
    }
    if entries.is_empty() {
        say(
            "Nothing to publish. Decisions of webhooks are, once GITHUB_BSU_TOKEN and github.repositories are set.",
        );
    }
    for entry in entries {
        let at = jiff::Timestamp::from_millisecond(entry.created_ms).unwrap_or_default();
        let note = entry.note.line(200);
        let note = if note.is_empty() {
            note
        } else {
            format!("  ({note})")
        };
        say(format!(
            "{}  {:<8} {:<8} {:<24} {}{note}",
            at.strftime("%m-%d %H:%M"),
            entry.state.as_str(),
            entry.kind,
            entry.place.line(60),
            entry.says.line(160)
        ));
        if let (true, Some(Publication::Comment { body, .. } | Publication::Review { body, .. })) =
            (args.full, &entry.publication)
        {
            say(format!("{}\n", clean_block(body, 100_000)));
        }
    }
    Ok(0)
}
