//! `bsm cost`: what models cost, from the journal; it starts nothing.

use clap::{Args, ValueEnum};

use crate::cli::context::Setup;
use crate::cli::failure::Failure;
use crate::cli::global::Global;
use crate::cli::output::say;
use crate::engine::models::cost_ledger::{first_day, line};
use crate::engine::protocol::cost::{CostBy, Costs, sums};
use crate::model::spend::{Line, day_of};
use crate::resilience::clock::{Clock as _, SystemClock};
use crate::text::{clean_line, json_pretty};

/// What models cost.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  bsm cost                      the last seven days, by model
  bsm cost --days 30 --by agent --json")]
pub struct CostArgs {
    /// The newest so many days (UTC), today included
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=400))]
    days: u32,
    /// Added up by
    #[arg(long, value_enum, default_value_t = By::Model)]
    by: By,
    /// As JSON, every line
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum By {
    Day,
    Provider,
    Model,
    Agent,
}

impl By {
    fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Provider => "provider",
            Self::Model => "model",
            Self::Agent => "agent",
        }
    }
}

pub(super) fn run(global: &Global, args: &CostArgs) -> Result<u8, Failure> {
    let setup = Setup::read(global)?;
    let now = SystemClock.wall_ms();
    let journal = setup.journal()?;
    let rows = match &journal {
        Some(journal) => journal
            .spend_since(&first_day(now, args.days))
            .map_err(Failure::engine)?,
        None => Vec::new(),
    };
    let lines: Vec<Line> = rows.into_iter().map(line).collect();
    let today = day_of(now);
    let budgets = setup.loaded.settings.budgets;
    let costs = Costs {
        today_micro_usd: lines
            .iter()
            .filter(|l| l.day == today)
            .map(|l| l.micro_usd)
            .sum(),
        reserved_micro_usd: 0,
        run_budget_usd: budgets.run_usd,
        day_budget_usd: budgets.day_usd,
        lines,
    };
    if args.json {
        say(json_pretty(&costs).map_err(Failure::engine)?);
        return Ok(0);
    }
    let by = match args.by {
        By::Day => CostBy::Day,
        By::Provider => CostBy::Provider,
        By::Model => CostBy::Model,
        By::Agent => CostBy::Agent,
    };
    let sums = sums(&costs.lines, by);
    if sums.is_empty() {
        say(format!("No model was paid or read in {} days.", args.days));
    } else {
        say(format!(
            "{:<28} {:>8} {:>12} {:>12} {:>12}",
            args.by.as_str(),
            "calls",
            "read",
            "written",
            "US dollars"
        ));
    }
    for (name, sum) in &sums {
        let name = if name.is_empty() {
            "(no agent)".to_owned()
        } else {
            clean_line(name, 28)
        };
        say(format!(
            "{name:<28} {:>8} {:>12} {:>12} {:>12.4}",
            sum.calls,
            sum.prompt,
            sum.completion,
            sum.micro_usd as f64 / 1e6
        ));
    }
    let budget = if costs.day_budget_usd > 0.0 {
        format!(" of ${:.2}", costs.day_budget_usd)
    } else {
        " (no budget: set budgets.dayUsd)".to_owned()
    };
    say(format!(
        "today (UTC) ${:.4}{budget}",
        costs.today_micro_usd as f64 / 1e6
    ));
    Ok(0)
}
