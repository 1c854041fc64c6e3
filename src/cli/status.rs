//! `bsm status`: how things are, from the running engine on this host, from one that is named, or, where none runs,
//! from the journal and the workspace; it starts nothing.

use clap::Args;
use serde::Serialize;

use super::local_engine::{LocalEngine, look};
use super::remote::{Where, with};
use crate::api::client::Address;
use crate::cli::context::Setup;
use crate::cli::failure::Failure;
use crate::cli::global::Global;
use crate::cli::output::say;
use crate::engine::Operator as _;
use crate::engine::observe::health::code::Code;
use crate::engine::protocol::health::{Check, Reason};
use crate::engine::protocol::run::Action;
use crate::engine::protocol::snapshot::{RunSummary, Snapshot};
use crate::journal::{JournalError, RunStatus};
use crate::text::{clean_line, json_pretty};
use crate::workspace::trust::Trust;

/// Health where no engine says it.
const UNKNOWN: &str = "unknown";

/// Say how the engine of this workspace is.
#[derive(Debug, Args)]
#[command(
    after_help = "--check exits 0 when the engine runs, is not drained, its health is pass or warn, and the \
workspace has no errors; else 1. A stopped engine is exit 1: its health is unknown."
)]
pub struct StatusArgs {
    /// As JSON
    #[arg(long, conflicts_with = "line")]
    json: bool,
    /// In one line, for a prompt or a status bar
    #[arg(long)]
    line: bool,
    /// Exit 1 unless the engine runs and its health is pass or warn
    #[arg(long)]
    check: bool,
    /// Every workspace of yours on this host, one line each
    #[arg(long, conflicts_with_all = ["line", "check", "url"])]
    all: bool,
    #[command(flatten)]
    at: Where,
}

/// One shape, wherever the engine is and whether one runs. What is not known is null.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    workspace: String,
    trust: Trust,
    /// running, one run, stopped.
    engine: &'static str,
    pid: Option<i32>,
    /// pass, warn, fail, unknown.
    health: &'static str,
    reasons: Vec<Reason>,
    checks: Vec<Check>,
    drained: Option<bool>,
    /// Share of the last hour's runs that ended with full evidence, percent.
    availability: Option<f64>,
    queued: Option<u64>,
    running: Option<u64>,
    finished: Option<u64>,
    errors: usize,
    last: Option<RunSummary>,
    /// Why something is not known.
    problem: Option<String>,
    state: Option<String>,
}

impl Status {
    /// Takes what an engine says of itself.
    fn hear(&mut self, snapshot: &Snapshot) {
        self.engine = "running";
        self.health = snapshot.health.level().as_str();
        self.reasons.clone_from(&snapshot.reasons);
        self.checks.clone_from(&snapshot.checks);
        self.drained = Some(snapshot.drained);
        self.availability = snapshot.availability;
        self.queued = Some(snapshot.counts.queued.into());
        self.running = Some(snapshot.counts.running.into());
        self.errors = self.errors.max(snapshot.workspace.errors as usize);
    }

    /// What `--check` asks.
    fn is_well(&self) -> bool {
        matches!(self.health, "pass" | "warn") && self.drained == Some(false) && self.errors == 0
    }
}

pub(super) fn run(global: &Global, args: &StatusArgs) -> Result<u8, Failure> {
    if args.all {
        return super::status_all::run(args.json);
    }
    let setup = Setup::read(global)?;
    let status = match args.at.named(&setup)? {
        Some(address) => there(address)?,
        None => here(&setup)?,
    };
    if args.json {
        say(json_pretty(&status).map_err(Failure::engine)?);
    } else {
        print(&status, args.line);
    }
    Ok(u8::from(args.check && !status.is_well()))
}

/// The engine says that its disk does not answer.
fn is_frozen(engine: &LocalEngine) -> bool {
    let LocalEngine::Running {
        snapshot: Ok(snapshot),
        ..
    } = engine
    else {
        return false;
    };
    let frozen = Code::JournalSlow.as_str();
    snapshot.reasons.iter().any(|r| r.code == frozen)
}

/// The engine of this workspace on this host.
fn here(setup: &Setup) -> Result<Status, Failure> {
    let workspace = setup.workspace();
    let mut status = Status {
        workspace: clean_line(&workspace.name, 80),
        trust: workspace.trust,
        engine: "stopped",
        pid: None,
        health: UNKNOWN,
        reasons: Vec::new(),
        checks: Vec::new(),
        drained: None,
        availability: None,
        queued: None,
        running: None,
        finished: None,
        errors: workspace.errors(),
        last: None,
        problem: None,
        state: Some(setup.state.path().display().to_string()),
    };
    let engine = look(setup)?;
    // Whoever opens a file on a disk that stands still stands still, too.
    let read = if is_frozen(&engine) {
        Err(Failure::engine("the journal does not answer"))
    } else {
        read_journal(setup, &mut status)
    };
    match engine {
        LocalEngine::Stopped => read?,
        LocalEngine::OneRun => {
            status.engine = "one run";
            read?;
        }
        LocalEngine::Running { pid, snapshot } => {
            (status.engine, status.pid) = ("running", pid);
            match snapshot {
                // What the journal does not say, the engine does.
                Ok(snapshot) => {
                    status.problem = read.err().map(|e| clean_line(&e.message, 200));
                    status.hear(&snapshot);
                }
                Err(why) => status.problem = Some(format!("the engine does not answer: {why}")),
            }
        }
    }
    Ok(status)
}

/// What the journal has of runs.
fn read_journal(setup: &Setup, status: &mut Status) -> Result<(), Failure> {
    let Some(journal) = setup.journal()? else {
        (status.queued, status.running, status.finished) = (Some(0), Some(0), Some(0));
        return Ok(());
    };
    let count = |of| journal.count(of).map(Some);
    let counts = || -> Result<_, JournalError> {
        Ok((
            count(RunStatus::Queued)?,
            count(RunStatus::Running)?,
            count(RunStatus::Finished)?,
        ))
    };
    (status.queued, status.running, status.finished) = counts().map_err(Failure::engine)?;
    status.last = journal
        .recent(1)
        .map_err(Failure::engine)?
        .first()
        .map(crate::engine::runs::projection::summary_of_row);
    Ok(())
}

/// An engine somewhere else, as it says itself.
fn there(address: Address) -> Result<Status, Failure> {
    let snapshot: Snapshot = with(address, async |remote| {
        let snapshot = remote.snapshots().borrow().clone();
        Ok((*snapshot).clone())
    })?;
    let over = |run: &&RunSummary| run.finished_ms.is_some();
    let mut status = Status {
        workspace: snapshot.workspace.name.line(80),
        trust: snapshot.workspace.trust,
        engine: "running",
        pid: None,
        health: UNKNOWN,
        reasons: Vec::new(),
        checks: Vec::new(),
        drained: None,
        availability: None,
        queued: None,
        running: None,
        finished: Some(snapshot.counts.finished),
        errors: 0,
        last: snapshot.runs.iter().find(over).cloned(),
        problem: None,
        state: None,
    };
    status.hear(&snapshot);
    Ok(status)
}

fn print(status: &Status, line_only: bool) {
    say(line(status));
    if line_only {
        return;
    }
    for reason in &status.reasons {
        say(format!(
            "  {}  {} -> {}",
            reason.level.as_str(),
            clean_line(&reason.message, 300),
            reason.runbook
        ));
    }
    if let Some(state) = &status.state {
        say(format!("state {}", clean_line(state, 300)));
    }
}

fn line(status: &Status) -> String {
    let last = status.last.as_ref().map_or_else(
        || "no runs yet".to_owned(),
        |r| {
            let action = r.action.map_or("…", Action::as_str);
            format!("last {} {action}", r.event.line(40))
        },
    );
    let number = |n: Option<u64>| n.map_or_else(|| "?".to_owned(), |n| n.to_string());
    let unfinished = status.running.unwrap_or(0) + status.queued.unwrap_or(0);
    let work = if status.engine == "stopped" && unfinished > 0 {
        format!("{unfinished} unfinished, resumed by the next console")
    } else {
        let (running, queued) = (number(status.running), number(status.queued));
        format!("{running} running, {queued} queued")
    };
    let mut parts = vec![status.workspace.clone()];
    let pid = status
        .pid
        .map_or_else(String::new, |pid| format!(" (process {pid})"));
    parts.push(format!("engine {}{pid}", status.engine));
    if status.engine == "running" {
        parts.push(format!("health {}", status.health));
    }
    if status.drained == Some(true) {
        parts.push("drained, `bsm stop --undrain` takes runs again".into());
    }
    parts.extend([work, last]);
    if let Some(available) = status.availability {
        parts.push(format!(
            "available {available:.2} % (full evidence, last hour)"
        ));
    }
    if status.errors > 0 {
        parts.push(format!(
            "{} errors in the workspace (bsm config check)",
            status.errors
        ));
    }
    if let Some(problem) = &status.problem {
        parts.push(problem.clone());
    }
    parts.join(" · ")
}
