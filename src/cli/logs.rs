//! `bsm logs`: lines of the log files, filtered, followed; or those of an engine that is named.

use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::time::Duration;

use clap::Args;

use super::remote::Where;
use crate::cli::context::Setup;
use crate::cli::failure::Failure;
use crate::cli::global::Global;
use crate::cli::output::{self, say};
use crate::cli::runs::no_such_run;
use crate::engine::protocol::query::{Answer, Query};
use crate::telemetry::log_read::{LogFilter, LogLine, matches, parse, read};

/// Print log lines.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  bsm logs --level warn
  bsm logs -f --run job_1795000000000_k3f9qa")]
pub struct LogsArgs {
    /// Go on with new lines
    #[arg(short, long)]
    follow: bool,
    /// Only this run's
    #[arg(long, value_name = "ID")]
    run: Option<String>,
    /// Only this correlation id's
    #[arg(long, value_name = "ID")]
    correlation: Option<String>,
    /// Only this level and worse
    #[arg(long, value_name = "LEVEL", value_parser = ["error", "warn", "info", "debug", "trace"])]
    level: Option<String>,
    /// Only lines with this text
    #[arg(long)]
    text: Option<String>,
    /// Only lines for which all these terms hold, as in the console: level:warn agent:security-agent -retry
    #[arg(long, value_name = "TERMS", allow_hyphen_values = true)]
    filter: Option<String>,
    /// How many lines
    #[arg(short = 'n', long, default_value_t = 50)]
    lines: usize,
    #[command(flatten)]
    at: Where,
}

pub(super) fn run(global: &Global, args: &LogsArgs) -> Result<u8, Failure> {
    let setup = Setup::read(global)?;
    let dir = setup.state.logs();
    let filter = LogFilter {
        terms: args.filter.clone().unwrap_or_default(),
        run: args.run.clone(),
        agent: None,
        correlation: args.correlation.clone(),
        level: args.level.clone(),
        text: args.text.clone(),
        limit: args.lines,
        ..LogFilter::default()
    };
    if let Some(answer) = args.at.ask(
        &setup,
        Query::Logs {
            filter: filter.clone(),
        },
    )? {
        if args.follow {
            return Err(Failure::usage(
                "--follow reads this machine's files",
                "Leave it out with --url, or open the console: `bsm attach URL`, then 7.",
            ));
        }
        if let Answer::Logs { lines } = answer {
            lines.iter().for_each(print);
        }
        return Ok(0);
    }
    let mut at = newest(&dir);
    let lines = read(&dir, &filter).map_err(Failure::engine)?;
    lines.iter().for_each(print);
    if let Some(run) = args.run.as_ref().filter(|_| lines.is_empty()) {
        check_run(&setup, run)?;
    }
    if !args.follow {
        return Ok(0);
    }
    while !output::reader_left() {
        std::thread::sleep(Duration::from_millis(250));
        let now = newest(&dir);
        let from = match (&at, &now) {
            (Some((old, size)), Some((new, _))) if old == new => *size,
            _ => 0,
        };
        if let Some((path, size)) = &now
            && *size > from
            && let Ok(text) = tail(path, from)
        {
            // A line that is still being written waits for its end.
            let whole = text.rfind('\n').map_or(0, |end| end + 1);
            for line in text[..whole]
                .lines()
                .filter_map(parse)
                .filter(|l| matches(l, &filter))
            {
                print(&line);
            }
            at = Some((path.clone(), from + whole as u64));
        } else if now.is_some() && at.is_none() {
            at = now;
        }
    }
    Ok(0)
}

/// Fails when the journal knows no such run: without lines it would look like a run that logged nothing.
fn check_run(setup: &Setup, run: &str) -> Result<(), Failure> {
    match setup.journal()? {
        Some(journal) if journal.run(run).map_err(Failure::engine)?.is_none() => {
            Err(no_such_run(&journal, run)?)
        }
        _ => Ok(()),
    }
}

fn newest(dir: &Path) -> Option<(std::path::PathBuf, u64)> {
    let mut files: Vec<_> = std::fs::read_dir(dir)
        .ok()?
        .flatten()
        .map(|e| e.path())
        .filter(|p| p.extension().is_some_and(|e| e == "jsonl"))
        .collect();
    files.sort();
    let path = files.pop()?;
    let size = std::fs::metadata(&path).ok()?.len();
    Some((path, size))
}

fn tail(path: &Path, from: u64) -> std::io::Result<String> {
    let mut file = std::fs::File::open(path)?;
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(8 << 20).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn print(line: &LogLine) {
    let at = line.at.get(11..23).unwrap_or(&line.at);
    let run = line.run.as_ref().map_or_else(String::new, |r| {
        format!(" run={}", crate::text::clean_line(r, 64))
    });
    say(format!(
        "{at} {:<5} {}{run} {}",
        line.level,
        line.message.line(400),
        line.fields.line(600)
    ));
}
