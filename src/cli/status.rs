//! `bsm status`: how things are, from the lock, the journal and the workspace, or from an engine that is
//! named; it starts nothing.

use clap::Args;
use serde::Serialize;

use super::remote::{Where, with};
use crate::api::client::Address;
use crate::cli::context::Setup;
use crate::cli::failure::Failure;
use crate::cli::global::Global;
use crate::cli::output::say;
use crate::engine::Operator as _;
use crate::engine::protocol::snapshot::{Health, RunSummary, Snapshot};
use crate::journal::RunStatus;
use crate::state::Holder;
use crate::text::{clean_line, json_pretty};
use crate::workspace::trust::Trust;

/// Say how the engine of this workspace is.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// As JSON
    #[arg(long, conflicts_with = "line")]
    json: bool,
    /// In one line, for a prompt or a status bar
    #[arg(long)]
    line: bool,
    /// Exit 1 when the workspace has errors or the journal cannot be read
    #[arg(long)]
    check: bool,
    /// Every workspace of yours on this host, one line each
    #[arg(long, conflicts_with_all = ["line", "check", "url"])]
    all: bool,
    #[command(flatten)]
    at: Where,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    workspace: String,
    trust: Trust,
    engine: &'static str,
    queued: u64,
    running: u64,
    finished: u64,
    errors: usize,
    last: Option<RunSummary>,
    state: String,
}

pub(super) fn run(global: &Global, args: &StatusArgs) -> Result<u8, Failure> {
    if args.all {
        return super::status_all::run(args.json);
    }
    let setup = Setup::read(global)?;
    if let Some(address) = args.at.named(&setup)? {
        return there(args, address);
    }
    let workspace = setup.workspace();
    let engine = match setup.state.holder() {
        Some(Holder::Resident) => "running",
        Some(Holder::Run) => "one run",
        None => "stopped",
    };
    let journal = setup.journal()?;
    let count = |status| {
        journal
            .as_ref()
            .map_or(Ok(0), |j| j.count(status))
            .map_err(Failure::engine)
    };
    let last = match &journal {
        Some(journal) => journal
            .recent(1)
            .map_err(Failure::engine)?
            .first()
            .map(crate::engine::runs::projection::summary_of_row),
        None => None,
    };
    let status = Status {
        workspace: clean_line(&workspace.name, 80),
        trust: workspace.trust,
        engine,
        queued: count(RunStatus::Queued)?,
        running: count(RunStatus::Running)?,
        finished: count(RunStatus::Finished)?,
        errors: workspace.errors(),
        last,
        state: setup.state.path().display().to_string(),
    };
    if args.json {
        say(json_pretty(&status).map_err(Failure::engine)?);
    } else {
        let last = status.last.as_ref().map_or_else(
            || "no runs yet".to_owned(),
            |r| {
                format!(
                    "last {} {}",
                    r.event.line(40),
                    r.action
                        .map_or("…", crate::engine::protocol::run::Action::as_str)
                )
            },
        );
        let errors = if status.errors > 0 {
            format!(" · {} errors in the workspace (bsm check)", status.errors)
        } else {
            String::new()
        };
        let unfinished = status.running + status.queued;
        let work = match status.engine {
            "stopped" if unfinished > 0 => {
                format!("{unfinished} unfinished, resumed by the next console")
            }
            _ => format!("{} running, {} queued", status.running, status.queued),
        };
        let line = format!(
            "{} · engine {} · {work} · {last}{errors}",
            status.workspace, status.engine
        );
        say(&line);
        if !args.line {
            say(format!("state {}", clean_line(&status.state, 300)));
        }
    }
    Ok(u8::from(args.check && status.errors > 0))
}

/// How an engine somewhere else is, as it says itself.
fn there(args: &StatusArgs, address: Address) -> Result<u8, Failure> {
    let snapshot: Snapshot = with(address, async |remote| {
        let snapshot = remote.snapshots().borrow().clone();
        Ok((*snapshot).clone())
    })?;
    let bad = snapshot.workspace.errors > 0 || snapshot.health == Health::Unhealthy;
    if args.json {
        say(json_pretty(&snapshot).map_err(Failure::engine)?);
        return Ok(u8::from(args.check && bad));
    }
    let counts = snapshot.counts;
    let health = match snapshot.health {
        Health::Healthy => "healthy",
        Health::Degraded => "degraded",
        Health::Unhealthy => "unhealthy",
    };
    say(format!(
        "{} · engine {health} · {} running, {} queued, {} finished",
        snapshot.workspace.name.line(80),
        counts.running,
        counts.queued,
        counts.finished
    ));
    if !args.line {
        for reason in &snapshot.reasons {
            say(format!("  {}", clean_line(&reason.message, 300)));
        }
    }
    Ok(u8::from(args.check && bad))
}
