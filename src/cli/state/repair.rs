//! `bsm state repair`: say how the journal is, repair a damaged one, acknowledge that it was recovered, or begin
//! a new one.

use clap::Args;

use super::backup::{alone, shown};
use crate::cli::context::{self, Setup};
use crate::cli::failure::Failure;
use crate::cli::output::say;
use crate::cli::remote::Where;
use crate::engine::protocol::command::Command;
use crate::journal::Journal;
use crate::journal::backup;
use crate::state::Holder;
use crate::text::clean_line;

/// Check the journal and repair it, acknowledge that it was recovered, or begin a new one.
#[derive(Debug, Args)]
pub struct RepairArgs {
    /// You have read the notice: schedules, publications and spending go on
    #[arg(long, conflicts_with = "new")]
    acknowledge: bool,
    /// Begin with an empty journal; the old one is kept beside it
    #[arg(long)]
    new: bool,
    #[command(flatten)]
    at: Where,
}

pub(super) fn run(setup: &Setup, args: &RepairArgs) -> Result<u8, Failure> {
    let remote = args.at.named(setup)?.is_some();
    let runs = setup.state.holder() == Some(Holder::Resident);
    if args.acknowledge && (remote || runs) {
        return args.at.command(setup, Command::AcknowledgeRecovery);
    }
    if remote {
        return Err(Failure::usage(
            "a journal is repaired on its own machine",
            "Only --acknowledge works with --url.",
        ));
    }
    setup.state.prepare().map_err(Failure::engine)?;
    let _lock = alone(setup)?;
    let path = setup.state.journal();
    if args.new {
        let kept = backup::set_aside(&path, "replaced").map_err(Failure::engine)?;
        Journal::open(&path).map_err(Failure::engine)?.close();
        say(match kept {
            Some(kept) => format!("a new journal; the old one is kept as {}", shown(&kept)),
            None => "a new journal; there was none".to_owned(),
        });
        return Ok(0);
    }
    let journal = Journal::open(&path).map_err(Failure::engine)?;
    let notes = journal.notes().clone();
    if let Some(healed) = &notes.healed {
        let kept = shown(&healed.kept_as);
        say(if healed.only_indexes {
            format!(
                "repaired: an index was made again, nothing was lost; the damaged file is kept as {kept}"
            )
        } else {
            format!(
                "repaired: {} records and {} more rows; the damaged file is kept as {kept}",
                healed.records, healed.rows
            )
        });
    }
    let acknowledged = args.acknowledge && notes.notice.is_some();
    if acknowledged {
        let now_ms = jiff::Timestamp::now().as_millisecond();
        context::runtime()?
            .block_on(journal.acknowledge("cli", now_ms))
            .map_err(Failure::engine)?;
    }
    journal.close();
    say(match (&notes.notice, acknowledged) {
        (Some(_), true) => "acknowledged: schedules, publications and spending go on".to_owned(),
        (Some(notice), false) => format!(
            "{}; read it, then `bsm state repair --acknowledge`",
            clean_line(notice, 400)
        ),
        (None, _) => format!("{} is whole", shown(&path)),
    });
    Ok(0)
}
