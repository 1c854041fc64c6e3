//! `bsm status --all`: every workspace of this user on this host, from the folders of the state home.
//!
//! Why both sources: a running engine is asked over its socket and has a few seconds to answer; of one
//! that is stopped the journal says what it left. What neither says is unknown and shown so.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use crate::api::client::{Address, Remote};
use crate::cli::context;
use crate::cli::failure::Failure;
use crate::cli::output::say;
use crate::engine::Operator as _;
use crate::engine::protocol::snapshot::Snapshot;
use crate::journal::{Journal, RunStatus};
use crate::state::{Holder, StateDir, state_home};
use crate::text::{clean_line, json_pretty};

/// An engine that has not answered after this is shown as one whose health is unknown.
const ANSWER: Duration = Duration::from_secs(3);

/// One workspace, as `--json` has it; what is not known is null.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    /// The folder's name in the state home.
    name: String,
    /// The workspace's folder, as its engine says it.
    workspace: Option<String>,
    /// running, one run, stopped.
    engine: &'static str,
    pid: Option<u32>,
    health: Option<String>,
    queued: Option<u64>,
    running: Option<u64>,
    finished: Option<u64>,
    /// Why something is unknown.
    problem: Option<String>,
    state: String,
}

pub(super) fn run(json: bool) -> Result<u8, Failure> {
    let home = state_home().map_err(Failure::engine)?;
    let folders = folders(&home).map_err(|e| {
        Failure::engine(format!("{}: {e}", context::shown(&home)))
            .with_help("Make the folder readable for you, or set XDG_STATE_HOME.")
    })?;
    let runtime = context::runtime()?;
    let work = folders.into_iter().map(entry);
    let entries = runtime.block_on(futures_util::future::join_all(work));
    runtime.shutdown_background();
    if json {
        say(json_pretty(&entries).map_err(Failure::engine)?);
        return Ok(0);
    }
    if entries.is_empty() {
        say(format!(
            "no workspace has state in {}",
            context::shown(&home)
        ));
    }
    let width = entries.iter().map(|e| e.name.len()).max();
    for entry in &entries {
        say(line(entry, width.unwrap_or_default()));
    }
    Ok(0)
}

/// Folders that an engine has used, by name.
fn folders(home: &Path) -> std::io::Result<Vec<PathBuf>> {
    let read = match std::fs::read_dir(home) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        read => read?,
    };
    let used = |path: &PathBuf| path.join("engine.lock").exists() || path.join("bsm.db").exists();
    let mut folders: Vec<PathBuf> = read.flatten().map(|e| e.path()).filter(used).collect();
    folders.sort();
    Ok(folders)
}

async fn entry(path: PathBuf) -> Entry {
    let state = StateDir::at(&path);
    let (engine, pid) = match state.holder() {
        Some(holder) => {
            let word = match holder {
                Holder::Resident => "running",
                Holder::Run => "one run",
            };
            (word, state.holder_pid())
        }
        None => ("stopped", None),
    };
    let mut entry = Entry {
        name: path
            .file_name()
            .map_or_else(String::new, |n| clean_line(&n.to_string_lossy(), 80)),
        engine,
        pid,
        state: context::shown(&path),
        ..Entry::default()
    };
    let known = if engine == "running" {
        ask(&state, &mut entry).await
    } else {
        read(&state, &mut entry)
    };
    entry.problem = known.err();
    entry
}

/// What a running engine says.
async fn ask(state: &StateDir, entry: &mut Entry) -> Result<(), String> {
    let remote = tokio::time::timeout(ANSWER, Remote::connect(Address::Socket(state.socket())));
    let remote = remote
        .await
        .map_err(|_| format!("no answer within {} s", ANSWER.as_secs()))?
        .map_err(|e| clean_line(&e.to_string(), 200))?;
    let snapshot: Snapshot = (**remote.snapshots().borrow()).clone();
    entry.workspace = Some(snapshot.workspace.name.line(80));
    entry.health = Some(snapshot.health.level().as_str().to_owned());
    entry.queued = Some(snapshot.counts.queued.into());
    entry.running = Some(snapshot.counts.running.into());
    entry.finished = Some(snapshot.counts.finished);
    Ok(())
}

/// What a stopped engine left in its journal.
fn read(state: &StateDir, entry: &mut Entry) -> Result<(), String> {
    let text = |e: crate::journal::JournalError| clean_line(&e.to_string(), 200);
    let Some(journal) = Journal::read_only(&state.journal()).map_err(text)? else {
        return Err("there is no journal".to_owned());
    };
    let count = |status| journal.count(status).map(Some).map_err(text);
    entry.queued = count(RunStatus::Queued)?;
    entry.running = count(RunStatus::Running)?;
    entry.finished = count(RunStatus::Finished)?;
    Ok(())
}

fn line(entry: &Entry, width: usize) -> String {
    let pid = entry
        .pid
        .map_or_else(String::new, |pid| format!(" (process {pid})"));
    let health = match (&entry.health, entry.engine) {
        (Some(health), _) => format!(" · health {health}"),
        (None, "running") => " · health unknown".to_owned(),
        (None, _) => String::new(),
    };
    let number = |n: Option<u64>| n.map_or_else(|| "?".to_owned(), |n| n.to_string());
    let (running, queued) = (number(entry.running), number(entry.queued));
    let finished = number(entry.finished);
    let work = if entry.engine == "stopped" {
        match (entry.running, entry.queued) {
            (Some(0), Some(0)) => format!("{finished} finished"),
            _ => format!("unfinished: {running} begun, {queued} queued · {finished} finished"),
        }
    } else {
        format!("{running} running, {queued} queued, {finished} finished")
    };
    let problem = entry
        .problem
        .as_ref()
        .map_or_else(String::new, |p| format!(" · {p}"));
    format!(
        "{:<width$}  engine {}{pid}{health} · {work}{problem}",
        entry.name, entry.engine
    )
}
