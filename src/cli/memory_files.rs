//! `bsm memory import` and `export`: items of the memory as JSON lines, from and into a file.

use std::io::{BufRead as _, BufReader, IsTerminal as _, Read as _, Write as _};
use std::path::Path;
use std::time::Instant;

use super::memory_source::{address, unexpected};
use super::remote::Where;
use crate::api::client::Remote;
use crate::cli::context;
use crate::cli::context::Setup;
use crate::cli::failure::Failure;
use crate::cli::output::say;
use crate::engine::Operator as _;
use crate::engine::memory::import;
use crate::engine::protocol::command::{Command, Envelope, Reply};
use crate::engine::protocol::memory::MemoryItem;
use crate::journal::{Journal, NewMemory};
use crate::resilience::clock::{Clock as _, SystemClock};
use crate::review::redact::Redactor;
use crate::state::Holder;
use crate::text::{clean_line, json};

/// Items sent together.
const BATCH: usize = 500;
/// And so many bytes of them, about: a body may be a few times as large.
const BYTES: usize = 4 << 20;
/// Longest line of an import, bytes.
const LINE: u64 = 4 << 20;
/// Wrong lines that are named.
const NAMED: usize = 20;

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
                    _ => Err(unexpected()),
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

/// Remembers the items of a file, one JSON object a line; exit 2 when lines were refused.
pub(super) fn import(setup: &Setup, at: &Where, file: &Path) -> Result<u8, Failure> {
    let wrong = |e: std::io::Error| {
        Failure::usage(
            format!("{}: {e}", context::shown(file)),
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
    let runtime = context::runtime()?;
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
                crate::cli::output::note(format!(
                    "bsm: line {number}: {}",
                    clean_line(&problem, 200)
                ));
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
        crate::cli::output::note_part("\r\x1b[K");
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
        crate::cli::output::note_part(format!("\r{taken} items"));
        return;
    }
    let full = (bytes.min(size) * WIDTH / size) as usize;
    let (done, left) = ("#".repeat(full), ".".repeat(WIDTH as usize - full));
    crate::cli::output::note_part(format!(
        "\r[{done}{left}] {:>3} %  {taken} items",
        bytes.min(size) * 100 / size
    ));
}

/// Writes every item into a file, one JSON object a line.
pub(super) fn export(setup: &Setup, file: &Path) -> Result<u8, Failure> {
    let Some(journal) = setup.journal()? else {
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
    let failed = failed.or_else(|| out.flush().err());
    // A reader that has had enough is no failure.
    let left = |e: &std::io::Error| to_stdout && e.kind() == std::io::ErrorKind::BrokenPipe;
    if let Some(error) = failed.filter(|e| !left(e)) {
        return Err(Failure::engine(format!(
            "{}: {error}",
            context::shown(file)
        )));
    }
    if !to_stdout {
        say(format!("{count} items"));
    }
    Ok(0)
}
