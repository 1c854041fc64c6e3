//! `bsm memory`: past reviews and decisions: the most alike, why changes are rejected, import and export.

use std::io::{BufRead as _, BufReader, IsTerminal as _, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::{Args, Subcommand};

use super::remote::{Where, with};
use super::setup::{self, Setup};
use crate::api::client::{Address, Remote};
use crate::cli::failure::{Failure, refuse_when_read_only};
use crate::cli::global::Global;
use crate::cli::output::say;
use crate::engine::Operator as _;
use crate::engine::memory::{import, patterns, search};
use crate::engine::protocol::command::{Command, Envelope, Reply};
use crate::engine::protocol::memory::{MemoryItem, MemoryStats, Patterns, Similar};
use crate::engine::protocol::query::{Answer, Query};
use crate::journal::{Journal, NewMemory, ReadOnly};
use crate::memory::Memory;
use crate::resilience::clock::{Clock as _, SystemClock};
use crate::review::redact::Redactor;
use crate::state::Holder;
use crate::text::{clean_line, json, json_pretty};

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

/// Items sent together.
const BATCH: usize = 500;
/// And so many bytes of them, about: a body may be a few times as large.
const BYTES: usize = 4 << 20;
/// Longest line of an import, bytes.
const LINE: u64 = 4 << 20;
/// Wrong lines that are named.
const NAMED: usize = 20;

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
            import(&setup, &at, &file)
        }
        MemoryCommand::Export { file } => export(&setup, &file),
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

/// The engine that is asked: the one that was named, else this workspace's own where it runs.
fn address(setup: &Setup, at: &Where) -> Result<Option<Address>, Failure> {
    if let Some(address) = at.named(setup)? {
        return Ok(Some(address));
    }
    let runs = setup.state.holder() == Some(Holder::Resident);
    Ok(runs.then(|| Address::Socket(setup.state.socket())))
}

fn ask(address: Address, query: Query) -> Result<Answer, Failure> {
    with(address, async |remote| {
        remote.query(query).await.map_err(Failure::engine)
    })
}

fn odd() -> Failure {
    Failure::engine("the engine answered something else")
}

fn journal(setup: &Setup) -> Result<Option<ReadOnly>, Failure> {
    Journal::read_only(&setup.state.journal()).map_err(Failure::engine)
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
            _ => return Err(odd()),
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
            hit.kind.word(),
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
    let Some(journal) = journal(setup)? else {
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

/// Where items go: to a running engine, or into the journal.
enum Target {
    Engine(Remote),
    Journal(Journal, Box<Redactor>),
}

impl Target {
    async fn put(&self, items: Vec<MemoryItem>) -> Result<(), Failure> {
        match self {
            Self::Engine(remote) => {
                let envelope = Envelope {
                    command: Command::Remember { items },
                    actor: "cli".into(),
                    correlation: None,
                };
                match remote.send(envelope).await.map_err(Failure::engine)? {
                    Reply::Done { .. } => Ok(()),
                    _ => Err(odd()),
                }
            }
            Self::Journal(journal, redactor) => {
                let now = SystemClock.wall_ms();
                let read = |item| import::read_item(item, now, Some(redactor));
                let new: Result<Vec<NewMemory>, String> = items.into_iter().map(read).collect();
                let new = new.map_err(Failure::engine)?;
                journal
                    .remember(new)
                    .await
                    .map(drop)
                    .map_err(Failure::engine)
            }
        }
    }
}

fn import(setup: &Setup, at: &Where, file: &Path) -> Result<u8, Failure> {
    let wrong = |e: std::io::Error| {
        Failure::usage(
            format!("{}: {e}", setup::shown(file)),
            "Name a file of JSON lines, or - for standard input.",
        )
    };
    let (reader, size): (Box<dyn std::io::Read>, u64) = if file.as_os_str() == "-" {
        (Box::new(std::io::stdin()), 0)
    } else {
        let opened = std::fs::File::open(file).map_err(wrong)?;
        let size = opened.metadata().map_or(0, |m| m.len());
        (Box::new(opened), size)
    };
    let address = address(setup, at)?;
    let _lock = match address {
        Some(_) => None,
        None => {
            setup.state.prepare().map_err(Failure::engine)?;
            Some(setup.state.lock(Holder::Run).map_err(Failure::engine)?)
        }
    };
    let runtime = setup::runtime()?;
    let (taken, refused) = runtime.block_on(async {
        let target = match address {
            Some(address) => {
                Target::Engine(Remote::connect(address).await.map_err(Failure::engine)?)
            }
            None => {
                let secrets = setup.secrets();
                let redactor =
                    Redactor::built_in(&secrets, std::array::from_fn(|_| fastrand::u8(..)));
                let journal = Journal::open(&setup.state.journal()).map_err(Failure::engine)?;
                Target::Journal(journal, Box::new(redactor))
            }
        };
        take_in(&target, BufReader::with_capacity(1 << 20, reader), size).await
    })?;
    runtime.shutdown_background();
    say(format!("{taken} items remembered, {refused} lines refused"));
    Ok(u8::from(refused > 0) * 2)
}

/// Reads line by line; what is wrong is named by its number and left out.
async fn take_in(
    target: &Target,
    mut lines: BufReader<Box<dyn std::io::Read>>,
    size: u64,
) -> Result<(u64, u64), Failure> {
    let progress = std::io::stderr().is_terminal();
    let (mut taken, mut refused, mut number, mut bytes) = (0_u64, 0_u64, 0_u64, 0_u64);
    let (mut batch, mut held) = (Vec::with_capacity(BATCH), 0);
    let mut shown = Instant::now();
    loop {
        let mut line = Vec::new();
        let read = lines
            .by_ref()
            .take(LINE + 1)
            .read_until(b'\n', &mut line)
            .map_err(Failure::engine)?;
        if read == 0 {
            break;
        }
        (number, bytes) = (number + 1, bytes + read as u64);
        let problem = if read as u64 > LINE {
            // The rest of it is not another line.
            skip_line(&mut lines, &line)?;
            Some(format!("longer than {} MiB", LINE >> 20))
        } else if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        } else {
            match serde_json::from_slice::<MemoryItem>(&line).map_err(|e| e.to_string()) {
                Ok(item) => match import::read_item(item.clone(), 0, None) {
                    Ok(_) => {
                        held += line.len();
                        batch.push(item);
                        None
                    }
                    Err(problem) => Some(problem),
                },
                Err(problem) => Some(problem),
            }
        };
        if let Some(problem) = problem {
            refused += 1;
            if refused <= NAMED as u64 {
                eprintln!("bsm: line {number}: {}", clean_line(&problem, 200));
            }
        }
        if batch.len() == BATCH || held > BYTES {
            taken += batch.len() as u64;
            target.put(std::mem::take(&mut batch)).await?;
            held = 0;
        }
        if progress && shown.elapsed().as_millis() > 100 {
            shown = Instant::now();
            bar(taken, bytes, size);
        }
    }
    taken += batch.len() as u64;
    if !batch.is_empty() {
        target.put(batch).await?;
    }
    if progress {
        eprint!("\r\x1b[K");
    }
    Ok((taken, refused))
}

/// Reads on to the line's end, and keeps nothing of it.
fn skip_line(lines: &mut impl std::io::BufRead, begun: &[u8]) -> Result<(), Failure> {
    if begun.ends_with(b"\n") {
        return Ok(());
    }
    loop {
        let buffer = lines.fill_buf().map_err(Failure::engine)?;
        let (length, ended) = match buffer.iter().position(|b| *b == b'\n') {
            Some(at) => (at + 1, true),
            None => (buffer.len(), buffer.is_empty()),
        };
        lines.consume(length);
        if ended {
            return Ok(());
        }
    }
}

fn bar(taken: u64, bytes: u64, size: u64) {
    const WIDTH: u64 = 30;
    if size == 0 {
        eprint!("\r{taken} items");
        return;
    }
    let full = (bytes.min(size) * WIDTH / size) as usize;
    let (done, left) = ("#".repeat(full), ".".repeat(WIDTH as usize - full));
    eprint!(
        "\r[{done}{left}] {:>3} %  {taken} items",
        bytes.min(size) * 100 / size
    );
}

fn export(setup: &Setup, file: &Path) -> Result<u8, Failure> {
    let Some(journal) = journal(setup)? else {
        say("nothing is remembered yet");
        return Ok(0);
    };
    let to_stdout = file.as_os_str() == "-";
    let mut out: Box<dyn std::io::Write> = if to_stdout {
        Box::new(std::io::stdout())
    } else {
        let file = crate::state::private_file(file, false).map_err(Failure::engine)?;
        file.set_len(0).map_err(Failure::engine)?;
        Box::new(std::io::BufWriter::new(file))
    };
    let (mut count, mut failed) = (0_u64, None);
    let each = journal.each_memory(|row| {
        let written = json(&import::exported(row))
            .map_err(std::io::Error::other)
            .and_then(|line| writeln!(out, "{line}"));
        count += 1;
        failed = written.err();
        failed.is_none()
    });
    each.map_err(Failure::engine)?;
    if let Some(error) = failed.or_else(|| out.flush().err()) {
        return Err(Failure::engine(format!("{}: {error}", setup::shown(file))));
    }
    if !to_stdout {
        say(format!("{count} items"));
    }
    Ok(0)
}

fn patterns(setup: &Setup, at: &Where, as_json: bool) -> Result<u8, Failure> {
    let patterns: Patterns = match address(setup, at)? {
        Some(address) => match ask(address, Query::Patterns { since_ms: 0 })? {
            Answer::Patterns { patterns } => *patterns,
            _ => return Err(odd()),
        },
        None => match journal(setup)? {
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
            _ => return Err(odd()),
        },
        None => match journal(setup)? {
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
    let runtime = setup::runtime()?;
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
