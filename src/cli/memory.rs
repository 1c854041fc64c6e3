//! `bsm memory`: past reviews and decisions: the most alike, why changes are rejected, import and export.

use std::io::Read as _;
use std::path::PathBuf;
use std::time::Instant;

use clap::{Args, Subcommand};

use super::memory_files;
use super::memory_source::{address, ask, unexpected};
use super::remote::Where;
use crate::cli::context;
use crate::cli::context::Setup;
use crate::cli::failure::{Failure, refuse_when_read_only};
use crate::cli::global::Global;
use crate::cli::output::say;
use crate::engine::memory::{patterns, search};
use crate::engine::protocol::command::Command;
use crate::engine::protocol::memory::{MemoryStats, Patterns, Similar};
use crate::engine::protocol::query::{Answer, Query};
use crate::journal::Journal;
use crate::memory::Memory;
use crate::state::Holder;
use crate::text::{clean_line, json_pretty};

/// Past reviews and decisions: which are most like this, and why changes are rejected.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  bsm memory search 'unsafe { ptr.read() }' -k 3
  git diff main | grep '^+' | bsm memory search - --json
  bsm memory patterns
  bsm memory import reviews.jsonl
  bsm memory export backup.jsonl")]
pub struct MemoryArgs {
    #[command(subcommand)]
    command: MemoryCommand,
}

#[derive(Debug, Subcommand)]
enum MemoryCommand {
    /// The items most like a text, exactly, best first
    Search {
        /// The text; - for standard input
        text: String,
        /// How many
        #[arg(short, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
        k: u32,
        /// At least so like, 0 to 1
        #[arg(long, default_value_t = 0.0)]
        min_score: f64,
        /// As JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        at: Where,
    },
    /// Remember items from a file, one JSON object a line
    Import {
        /// The file; - for standard input
        file: PathBuf,
        #[command(flatten)]
        at: Where,
    },
    /// Write every item into a file, one JSON object a line
    Export {
        /// The file; - for standard output
        file: PathBuf,
    },
    /// Why changes are rejected
    Patterns {
        /// As JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        at: Where,
    },
    /// How much is remembered
    Stats {
        /// As JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        at: Where,
    },
    /// Forget one item, really
    Delete {
        /// Its id
        id: String,
        #[command(flatten)]
        at: Where,
    },
}

pub(super) fn run(global: &Global, args: MemoryArgs) -> Result<u8, Failure> {
    let setup = Setup::read(global)?;
    match args.command {
        MemoryCommand::Search {
            text,
            k,
            min_score,
            json,
            at,
        } => search(&setup, &at, &text, (k, min_score), json),
        MemoryCommand::Import { file, at } => {
            refuse_when_read_only(global)?;
            memory_files::import(&setup, &at, &file)
        }
        MemoryCommand::Export { file } => memory_files::export(&setup, &file),
        MemoryCommand::Patterns { json, at } => patterns(&setup, &at, json),
        MemoryCommand::Stats { json, at } => stats(&setup, &at, json),
        MemoryCommand::Delete { id, at } => {
            refuse_when_read_only(global)?;
            match address(&setup, &at)? {
                Some(_) => at.command(&setup, Command::Forget { id }),
                None => forget(&setup, &id),
            }
        }
    }
}

fn search(
    setup: &Setup,
    at: &Where,
    text: &str,
    (k, min_score): (u32, f64),
    as_json: bool,
) -> Result<u8, Failure> {
    if !(0.0..=1.0).contains(&min_score) {
        return Err(Failure::usage(
            "--min-score is from 0 to 1",
            "For example 0.3.",
        ));
    }
    let text = if text == "-" {
        let mut read = Vec::new();
        let most = 1 << 20;
        std::io::stdin()
            .take(most)
            .read_to_end(&mut read)
            .map_err(Failure::engine)?;
        String::from_utf8_lossy(&read).into_owned()
    } else {
        text.to_owned()
    };
    let similar = match address(setup, at)? {
        Some(address) => match ask(address, Query::Similar { text, k, min_score })? {
            Answer::Similar { found } => *found,
            _ => return Err(unexpected()),
        },
        None => here(setup, &text, k, min_score)?,
    };
    if as_json {
        say(json_pretty(&similar).map_err(Failure::engine)?);
        return Ok(0);
    }
    if similar.hits.is_empty() {
        say(format!("nothing alike among {} items", similar.total));
    }
    for hit in &similar.hits {
        let at = jiff::Timestamp::from_millisecond(hit.created_at).unwrap_or_default();
        say(format!(
            "{:.3}  {}/{} words  {}  {}  {}",
            hit.score,
            hit.overlap,
            hit.union,
            at.strftime("%Y-%m-%d"),
            hit.kind.as_str(),
            clean_line(&hit.id, 120)
        ));
        say(format!("       {}", hit.code.line(100)));
        say(format!("       {}", hit.review.line(160)));
    }
    if !similar.ready {
        say(format!(
            "(the index still fills: {} items so far)",
            similar.total
        ));
    }
    Ok(0)
}

/// Without an engine: the index is built for this one question.
fn here(setup: &Setup, text: &str, k: u32, min_score: f64) -> Result<Similar, Failure> {
    let memory = Memory::new(false);
    let Some(journal) = setup.journal()? else {
        return Ok(Similar {
            hits: Vec::new(),
            total: 0,
            took_us: 0,
            ready: true,
        });
    };
    journal
        .scan_memory(|seq, created_ms, code| {
            memory.insert(seq, created_ms, code);
            true
        })
        .map_err(Failure::engine)?;
    let began = Instant::now();
    let hits = memory.nearest(text, k as usize, min_score);
    let took_us = began.elapsed().as_micros() as u64;
    let seqs: Vec<i64> = hits.iter().map(|h| h.key).collect();
    let rows = journal.memories(&seqs).map_err(Failure::engine)?;
    Ok(Similar {
        hits: search::with_rows(&hits, rows),
        total: memory.progress().items,
        took_us,
        ready: true,
    })
}

fn patterns(setup: &Setup, at: &Where, as_json: bool) -> Result<u8, Failure> {
    let patterns: Patterns = match address(setup, at)? {
        Some(address) => match ask(address, Query::Patterns { since_ms: 0 })? {
            Answer::Patterns { patterns } => *patterns,
            _ => return Err(unexpected()),
        },
        None => match setup.journal()? {
            Some(journal) => {
                patterns::patterns(&journal.memory_decisions(0).map_err(Failure::engine)?)
            }
            None => Patterns::default(),
        },
    };
    if as_json {
        say(json_pretty(&patterns).map_err(Failure::engine)?);
        return Ok(0);
    }
    say(format!(
        "{} decisions, {} rejected ({:.0} %)",
        patterns.total,
        patterns.rejections,
        patterns.rate * 100.0
    ));
    for (reason, count) in &patterns.reasons {
        say(format!("  {count:>6}  {}", reason.line(120)));
    }
    let mut last = "";
    for group in &patterns.groups {
        if group.by != last {
            say(format!("\nby {}", group.by));
            last = &group.by;
        }
        say(format!(
            "  {:>6} of {:<6} {}",
            group.rejections,
            group.total,
            clean_line(&group.name, 100)
        ));
    }
    Ok(0)
}

fn stats(setup: &Setup, at: &Where, as_json: bool) -> Result<u8, Failure> {
    let stats = match address(setup, at)? {
        Some(address) => match ask(address, Query::MemoryStats)? {
            Answer::MemoryStats { stats } => stats,
            _ => return Err(unexpected()),
        },
        None => match setup.journal()? {
            Some(journal) => {
                let counts = journal.memory_counts().map_err(Failure::engine)?;
                MemoryStats {
                    reviews: counts.reviews,
                    decisions: counts.decisions,
                    text_bytes: counts.bytes,
                    ..MemoryStats::default()
                }
            }
            None => MemoryStats::default(),
        },
    };
    if as_json {
        say(json_pretty(&stats).map_err(Failure::engine)?);
        return Ok(0);
    }
    say(format!(
        "{} reviews and {} decisions, {} kB of text",
        stats.reviews,
        stats.decisions,
        stats.text_bytes.div_ceil(1_000)
    ));
    if stats.indexed > 0 {
        let state = if stats.ready { "ready" } else { "filling" };
        say(format!(
            "index: {} items, {} kB, {state}",
            stats.indexed,
            stats.index_bytes.div_ceil(1_000)
        ));
    }
    Ok(0)
}

/// Without an engine: straight from the journal.
fn forget(setup: &Setup, id: &str) -> Result<u8, Failure> {
    setup.state.prepare().map_err(Failure::engine)?;
    let _lock = setup.state.lock(Holder::Run).map_err(Failure::engine)?;
    let runtime = context::runtime()?;
    let gone = runtime.block_on(async {
        let journal = Journal::open(&setup.state.journal()).map_err(Failure::engine)?;
        journal.forget(id).await.map_err(Failure::engine)
    })?;
    if gone.is_none() {
        return Err(Failure::usage(
            format!("nothing is remembered as '{}'", clean_line(id, 120)),
            "`bsm memory search` shows ids.",
        ));
    }
    say(format!("{} is forgotten", clean_line(id, 120)));
    Ok(0)
}
