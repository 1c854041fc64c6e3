//! `bsm drill`: what is promised, tried out here and now, promise beside measurement.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use crate::cli::context;
use crate::cli::drill_engine;
use crate::cli::failure::Failure;
use crate::cli::global::Global;
use crate::cli::output::say;
use crate::drill::harness::{Length, Say};
use crate::drill::measure::Want;
use crate::drill::{DISK_DRILLS, DRILLS, Drill, Drilled, of, run as carry_out};
use crate::text::{clean_line, json_pretty};

/// Try out what is promised: of providers against a simulator, with --disk of the disk against an engine of its own.
///
/// Without a name: all of them. Nothing of your engine or its state is touched. Exit: 0 when every count is as promised, 1 when one is not (with
/// --strict also when a time is not). Times depend on the machine.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  bsm drill                          all, in about half a minute
  bsm drill brownout --strict
  bsm drill --disk                   full disk, I/O errors, kill -9 and more, in a minute
  bsm drill --disk --at /srv/bsm     the same on the disk that matters
  bsm drill --json --save before.json
  bsm drill --compare before.json")]
pub struct DrillArgs {
    /// The drill: outage, slow, flaky, rate-limited, stampede, poison, brownout, recovery; of the disk:
    /// full-disk, io-error, frozen-disk, kill-9, clock, deleted-file
    name: Option<String>,
    /// The drills of the disk: a real engine over a state directory that is made for them
    #[arg(long, conflicts_with = "name")]
    disk: bool,
    /// Where that state directory is made (default: where temporary files go); it is removed at the end
    #[arg(long, value_name = "DIR")]
    at: Option<PathBuf>,
    /// As JSON
    #[arg(long)]
    json: bool,
    /// Times decide too
    #[arg(long)]
    strict: bool,
    /// With the waits of real life: minutes instead of seconds
    #[arg(long)]
    full: bool,
    /// Keep the result in a file
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Show what an earlier result had
    #[arg(long, value_name = "FILE")]
    compare: Option<PathBuf>,
    /// Be a drill's engine over this state directory
    #[arg(long, value_name = "DIR", hide = true)]
    engine: Option<PathBuf>,
    /// Its wall clock is so far ahead
    #[arg(long, hide = true, default_value_t = 0, allow_negative_numbers = true)]
    ahead_ms: i64,
}

pub(super) fn run(global: &Global, args: &DrillArgs) -> Result<u8, Failure> {
    if let Some(state) = &args.engine {
        return drill_engine::run(state, args.ahead_ms);
    }
    let drills = chosen(args)?;
    let before = args.compare.as_ref().map_or(Ok(Vec::new()), earlier)?;
    if let Some(path) = &args.save {
        // Before minutes are spent on it.
        let file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(path);
        file.map_err(|e| {
            Failure::usage(
                format!("{}: {e}", path.display()),
                "Give a file that can be written.",
            )
        })?;
    }
    let length = if args.full {
        Length::Full
    } else {
        Length::Short
    };
    let runtime = context::runtime()?;
    let mut all = Vec::new();
    for drill in drills {
        if !args.json {
            say(format!("{}: {}", drill.name, drill.promise));
        }
        let aloud: Say = if args.json {
            Arc::new(|_| ())
        } else {
            Arc::new(|line| crate::cli::output::note(format!("  · {line}")))
        };
        let drilled = runtime
            .block_on(carry_out(drill, length, args.at.as_deref(), aloud))
            .map_err(Failure::engine)?;
        if !args.json {
            print(global, &drilled, &before, args.strict);
        }
        all.push(drilled);
    }
    if args.json {
        say(json_pretty(&all).map_err(Failure::engine)?);
    }
    if let Some(path) = &args.save {
        let text = json_pretty(&all).map_err(Failure::engine)?;
        std::fs::write(path, text + "\n").map_err(|e| {
            Failure::usage(
                format!("{}: {e}", path.display()),
                "Give a file that can be written.",
            )
        })?;
    }
    let broken: Vec<&str> = all
        .iter()
        .filter(|d| !d.kept(args.strict))
        .map(|d| d.name.as_str())
        .collect();
    if !args.json {
        say(if broken.is_empty() {
            "Every promise that decides is kept.".to_owned()
        } else {
            format!("Not kept: {}.", broken.join(", "))
        });
    }
    Ok(u8::from(!broken.is_empty()))
}

/// The drills that are asked for.
fn chosen(args: &DrillArgs) -> Result<Vec<&'static Drill>, Failure> {
    Ok(match &args.name {
        None if args.disk => DISK_DRILLS.iter().collect(),
        None => DRILLS.iter().collect(),
        Some(name) => vec![of(name).ok_or_else(|| {
            let all = DRILLS.iter().chain(DISK_DRILLS);
            let names: Vec<&str> = all.map(|d| d.name).collect();
            Failure::usage(
                format!("there is no drill '{}'", clean_line(name, 40)),
                &format!("There are {}.", names.join(", ")),
            )
        })?],
    })
}

fn print(global: &Global, drilled: &Drilled, before: &[Drilled], strict: bool) {
    let old: BTreeMap<&str, String> = before
        .iter()
        .filter(|d| d.name == drilled.name)
        .flat_map(|d| &d.measures)
        .map(|m| (m.name.as_str(), m.measured()))
        .collect();
    for m in &drilled.measures {
        let sign = match (m.want, m.kept(), m.decides(strict)) {
            (Want::Nothing, ..) => " ",
            (_, true, _) => {
                if global.ascii {
                    "+"
                } else {
                    "✓"
                }
            }
            (_, false, true) => {
                if global.ascii {
                    "x"
                } else {
                    "✗"
                }
            }
            (_, false, false) => "!",
        };
        let then = old
            .get(m.name.as_str())
            .map_or_else(String::new, |then| format!("   was {then}"));
        say(format!(
            "  {sign} {:<62} {:>10} {:>14}{then}",
            m.name,
            m.promised(global.ascii),
            m.measured()
        ));
    }
    say(format!("  in {:.1} s\n", drilled.took_ms as f64 / 1e3));
}

/// Largest earlier result, bytes.
const LARGEST: u64 = 4 << 20;

fn earlier(path: &PathBuf) -> Result<Vec<Drilled>, Failure> {
    let wrong = |what: String| {
        Failure::usage(
            format!("{}: {what}", path.display()),
            "Give a file that `bsm drill --save` wrote.",
        )
    };
    let size = std::fs::metadata(path)
        .map_err(|e| wrong(e.to_string()))?
        .len();
    if size > LARGEST {
        return Err(wrong("too large".into()));
    }
    let text = std::fs::read_to_string(path).map_err(|e| wrong(e.to_string()))?;
    serde_json::from_str(&text).map_err(|e| wrong(clean_line(&e.to_string(), 120)))
}
