//! `bsm alerts`: what an engine raised, what to do about it, and that somebody has seen it.

use clap::{Args, Subcommand};

use super::remote::{Where, with};
use crate::api::client::Address;
use crate::cli::context::Setup;
use crate::cli::failure::{Failure, refuse_when_read_only};
use crate::cli::global::Global;
use crate::cli::output::say;
use crate::engine::Operator as _;
use crate::engine::protocol::alert::Alert;
use crate::engine::protocol::command::Command;
use crate::engine::protocol::query::{Answer, Query};
use crate::engine::protocol::runbook;
use crate::text::{clean_line, json_pretty};

/// List the alerts of a running engine, show what to do about one, or acknowledge it.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:
  bsm alerts
  bsm alerts show alr_k3f9qa
  bsm alerts acknowledge alr_k3f9qa
  bsm alerts runbook pool-full"
)]
pub struct AlertsArgs {
    #[command(subcommand)]
    command: Option<Word>,
    /// Only those that hold
    #[arg(long)]
    active: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    at: Where,
}

#[derive(Debug, Subcommand)]
enum Word {
    /// Show one alert, and what to do about it
    Show(One),
    /// Say that you have seen it; what still holds stays active
    Acknowledge(One),
    /// Print a runbook; without a name, their names
    Runbook {
        /// Its name, for example pool-full
        name: Option<String>,
    },
}

#[derive(Debug, Args)]
struct One {
    /// The alert's id
    id: String,
    #[command(flatten)]
    at: Where,
}

pub(super) fn run(global: &Global, args: AlertsArgs) -> Result<u8, Failure> {
    match args.command {
        Some(Word::Runbook { name }) => print_runbook(name.as_deref()),
        Some(Word::Acknowledge(one)) => {
            refuse_when_read_only(global)?;
            let setup = Setup::read(global)?;
            let alert = one.id;
            one.at.command(&setup, Command::AcknowledgeAlert { alert })
        }
        Some(Word::Show(one)) => {
            let alerts = ask(&Setup::read(global)?, &one.at)?;
            let Some(alert) = alerts.iter().find(|a| a.id == one.id) else {
                let id = clean_line(&one.id, 80);
                let what = format!("there is no alert '{id}'");
                return Err(Failure::usage(what, "`bsm alerts` lists their ids."));
            };
            show(alert);
            Ok(0)
        }
        None => {
            let mut alerts = ask(&Setup::read(global)?, &args.at)?;
            alerts.retain(|a| !args.active || a.is_active());
            list(&alerts, args.json)
        }
    }
}

/// The alerts of the engine that was named, else of this workspace's own. They live in its memory.
fn ask(setup: &Setup, at: &Where) -> Result<Vec<Alert>, Failure> {
    let named = at.named(setup)?;
    let address = named.unwrap_or_else(|| Address::Socket(setup.state.socket()));
    with(address, async |remote| {
        match remote.query(Query::Alerts).await {
            Ok(Answer::Alerts { alerts }) => Ok(alerts),
            Ok(_) => Err(Failure::engine("the engine answered something else")),
            Err(error) => Err(Failure::engine(error)),
        }
    })
}

fn list(alerts: &[Alert], json: bool) -> Result<u8, Failure> {
    if json {
        say(json_pretty(alerts).map_err(Failure::engine)?);
        return Ok(0);
    }
    if alerts.is_empty() {
        say("No alerts since this engine started.");
    }
    for alert in alerts {
        let page = alert.runbook.as_deref().unwrap_or("-");
        say(format!(
            "{:<10}  {}  {:<12} {:<18} {}",
            alert.id,
            clock(alert.at_ms),
            state(alert),
            clean_line(page, 18),
            clean_line(&alert.text, 300)
        ));
    }
    Ok(0)
}

/// How an alert stands, in a word.
fn state(alert: &Alert) -> &'static str {
    match (
        alert.drill,
        alert.bad,
        alert.resolved_ms,
        alert.acknowledged_ms,
    ) {
        (true, ..) => "drill",
        (_, false, ..) => "news",
        (_, _, Some(_), _) => "resolved",
        (_, _, None, Some(_)) => "acknowledged",
        (_, _, None, None) => "active",
    }
}

fn show(alert: &Alert) {
    say(format!(
        "{}  {}  {}",
        alert.id,
        state(alert),
        clean_line(&alert.text, 400)
    ));
    let mut times = format!("first raised {}", clock(alert.first_ms));
    if alert.count > 1 {
        times.push_str(&format!(
            ", raised {} times, last {}",
            alert.count,
            clock(alert.at_ms)
        ));
    }
    times.push_str(&format!(", last changed {}", clock(alert.changed_ms)));
    if let Some(at) = alert.resolved_ms {
        times.push_str(&format!(", resolved {}", clock(at)));
    }
    say(times);
    if let (Some(by), Some(at)) = (&alert.acknowledged_by, alert.acknowledged_ms) {
        say(format!(
            "acknowledged by {} {}",
            clean_line(by, 60),
            clock(at)
        ));
    }
    if let Some(text) = alert.runbook.as_deref().and_then(runbook::text) {
        say("");
        say(text.trim_end());
    }
}

fn print_runbook(name: Option<&str>) -> Result<u8, Failure> {
    let Some(name) = name else {
        for (name, text) in runbook::RUNBOOKS {
            let title = text.lines().next().unwrap_or_default();
            say(format!("{name:<20} {}", title.trim_start_matches("# ")));
        }
        return Ok(0);
    };
    let text = runbook::text(name).ok_or_else(|| {
        let name = clean_line(name, 80);
        let what = format!("there is no runbook '{name}'");
        Failure::usage(what, "`bsm alerts runbook` lists their names.")
    })?;
    say(text.trim_end());
    Ok(0)
}

fn clock(at_ms: i64) -> String {
    let at = jiff::Timestamp::from_millisecond(at_ms).unwrap_or_default();
    at.strftime("%m-%d %H:%M:%S UTC").to_string()
}
