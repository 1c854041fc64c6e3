//! `bsm state usage`: read from the files, beside a running engine or without one.

use clap::Args;

use crate::cli::context::Setup;
use crate::cli::failure::Failure;
use crate::cli::global::Global;
use crate::cli::output::say;
use crate::engine::protocol::storage::span_days;
use crate::engine::retention::bounds::human_bytes;
use crate::engine::retention::usage::{Part, Usage, measure};
use crate::engine::runs::report::ReportFolder;
use crate::text::{clean_line, json_pretty};

/// Say what takes how much, what its bound is and when it is full.
#[derive(Debug, Args)]
pub(super) struct UsageArgs {
    /// As JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(global: &Global, args: &UsageArgs) -> Result<u8, Failure> {
    let setup = Setup::read(global)?;
    let folder = ReportFolder::for_workspace(setup.root.as_deref(), &setup.state);
    let now_ms = jiff::Timestamp::now().as_millisecond();
    let usage = measure(&setup.state, &folder, &setup.loaded.settings, now_ms);
    if args.json {
        say(json_pretty(&usage).map_err(Failure::engine)?);
    } else {
        for line in lines(&usage) {
            say(line);
        }
    }
    // What could not be measured must not look like nothing.
    Ok(u8::from(!usage.problems.is_empty()))
}

fn lines(usage: &Usage) -> Vec<String> {
    let mut out = vec![
        format!("state    {}", clean_line(&usage.state, 400)),
        format!("reports  {}", clean_line(&usage.reports, 400)),
        format!(
            "total    {}; {} free, disk full in {}",
            human_bytes(usage.total_bytes),
            usage
                .disk_free_bytes
                .map_or_else(|| "unknown".into(), human_bytes),
            match usage.disk_full_days {
                Some(days) => span_days(days),
                None => "unknown".into(),
            }
        ),
        String::new(),
        heading("files"),
    ];
    out.extend(usage.files.iter().map(line));
    out.extend([String::new(), heading("in the journal")]);
    out.extend(usage.journal.iter().map(line));
    let all = usage.files.iter().chain(&usage.journal);
    let next: Vec<String> = all
        .filter_map(|part| {
            let next = part.next.as_ref()?;
            Some(format!("  {:<17} {}", part.name, clean_line(next, 200)))
        })
        .collect();
    if !next.is_empty() {
        out.extend([String::new(), "goes next".to_owned()]);
        out.extend(next);
    }
    for problem in &usage.problems {
        out.push(format!("not measured: {}", clean_line(problem, 400)));
    }
    out
}

fn heading(name: &str) -> String {
    format!(
        "{name:<17} {:>9} {:>7} {:>9} {:<11} bound",
        "size", "items", "a day", "full in"
    )
}

fn line(part: &Part) -> String {
    let items = part.items.map_or_else(|| "-".into(), |n| n.to_string());
    let rate = part
        .bytes_per_day
        .map_or_else(|| "unknown".into(), |b| human_bytes(b.max(0.0) as u64));
    let (rate, bound) = match &part.bound {
        Some(bound) => (rate, bound.summary()),
        None => ("-".into(), "-".into()),
    };
    format!(
        "{:<17} {:>9} {items:>7} {rate:>9} {:<11} {bound}",
        part.name,
        human_bytes(part.bytes),
        part.full.words()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::protocol::storage::Full;

    #[test]
    fn unknown_rate_is_said_and_not_shown_as_zero() {
        let part = Part {
            name: "reports".into(),
            bytes: 2_048,
            items: Some(3),
            oldest_ms: None,
            bound: crate::engine::retention::bounds::bounds(&crate::settings::Settings::default())
                .into_iter()
                .find(|b| b.store == crate::engine::protocol::retention::Store::Reports),
            next: None,
            bytes_per_day: None,
            items_per_day: None,
            full: Full::Unknown,
        };
        let line = line(&part);
        assert_eq!(
            line,
            "reports             2.0 KiB       3   unknown unknown     90 days, 1.0 GiB"
        );
    }
}
