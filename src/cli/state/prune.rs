//! `bsm state prune`: by the running engine, else by one that is opened for it under the lock.

use std::time::Duration;

use clap::Args;

use crate::cli::context::{self, Setup};
use crate::cli::failure::{Failure, refuse_when_read_only};
use crate::cli::global::Global;
use crate::cli::memory_source::{address, unexpected};
use crate::cli::output::say;
use crate::cli::remote::{Where, with};
use crate::engine::protocol::command::{Command, Envelope, Refused, Reply};
use crate::engine::protocol::retention::Pruned;
use crate::engine::retention::bounds::human_bytes;
use crate::engine::{Handle, Operator};
use crate::state::Holder;
use crate::text::{clean_line, json_pretty};

/// So long an engine that was opened for a pruning has to stop.
const STOP: Duration = Duration::from_secs(5);

/// Remove now what is beyond its bound.
#[derive(Debug, Args)]
pub(super) struct PruneArgs {
    /// Say what would go; remove nothing
    #[arg(long)]
    dry_run: bool,
    /// Runs, memory, reports and logs that are older go, too: 30d, 8w
    #[arg(long, value_name = "AGE", value_parser = days)]
    older_than: Option<u32>,
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    at: Where,
}

/// `30`, `30d` or `8w`, in days.
fn days(text: &str) -> Result<u32, String> {
    let (number, unit) = match text.strip_suffix(['d', 'w']) {
        Some(number) if text.ends_with('w') => (number, 7),
        Some(number) => (number, 1),
        None => (text, 1),
    };
    let days = number.parse::<u32>().ok().and_then(|n| n.checked_mul(unit));
    days.filter(|days| (1..=36_500).contains(days))
        .ok_or_else(|| "write an age of 1 to 36500 days, as 30d or 8w".to_owned())
}

pub(super) fn run(global: &Global, args: &PruneArgs) -> Result<u8, Failure> {
    refuse_when_read_only(global)?;
    let setup = Setup::read(global)?;
    let envelope = Envelope {
        command: Command::Prune {
            older_than_days: args.older_than,
            dry_run: args.dry_run,
        },
        actor: "cli".into(),
        correlation: None,
    };
    let pruned = match address(&setup, &args.at)? {
        Some(address) => with(address, async |remote| send(remote, envelope).await)?,
        None if !setup.state.path().is_dir() => Pruned {
            dry_run: args.dry_run,
            ..Pruned::default()
        },
        None => alone(global, &setup, envelope)?,
    };
    if args.json {
        say(json_pretty(&pruned).map_err(Failure::engine)?);
    } else {
        for line in lines(&pruned) {
            say(line);
        }
    }
    Ok(u8::from(!pruned.problems.is_empty()))
}

/// No engine runs: one is opened under the lock, prunes, writes its line in the audit trail, and stops.
fn alone(global: &Global, setup: &Setup, envelope: Envelope) -> Result<Pruned, Failure> {
    setup.state.prepare().map_err(Failure::engine)?;
    let _lock = setup.state.lock(Holder::Run).map_err(Failure::engine)?;
    let runtime = context::runtime()?;
    let done = runtime.block_on(async {
        let engine = setup.engine(context::mode(global), false, None);
        let handle = Handle::start(engine).await.map_err(Failure::engine)?;
        let done = send(&handle, envelope).await;
        handle.stop(STOP).await;
        done
    });
    runtime.shutdown_background();
    done
}

async fn send(engine: &dyn Operator, envelope: Envelope) -> Result<Pruned, Failure> {
    match engine.send(envelope).await {
        Ok(Reply::Pruned(pruned)) => Ok(pruned),
        Ok(_) => Err(unexpected()),
        Err(refused @ Refused::InvalidInput { .. }) => {
            Err(Failure::usage(refused, "See `bsm state prune --help`."))
        }
        Err(refused) => Err(Failure::engine(refused)),
    }
}

fn lines(pruned: &Pruned) -> Vec<String> {
    let verb = if pruned.dry_run {
        "would go"
    } else {
        "removed"
    };
    let mut out: Vec<String> = pruned
        .removed
        .iter()
        .map(|r| {
            let bytes = r
                .bytes
                .map_or_else(String::new, |b| format!(" ({})", human_bytes(b)));
            format!("{:<19} {:>8} {verb}{bytes}", r.store.as_str(), r.items)
        })
        .collect();
    if out.is_empty() && pruned.problems.is_empty() {
        out.push("nothing is beyond its bound".into());
    }
    let problems = pruned.problems.iter();
    out.extend(problems.map(|p| format!("not pruned: {}", clean_line(p, 400))));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_read_in_days_and_weeks() {
        for (text, want) in [("30", 30), ("30d", 30), ("8w", 56)] {
            assert_eq!(days(text), Ok(want));
        }
        for wrong in ["", "d", "0", "-1", "1.5d", "5y", "99999999w", "ä"] {
            assert!(days(wrong).is_err(), "{wrong}");
        }
    }
}
