//! `bsm run`: one event, one decision, an exit code that a script can use.

use std::io::{IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use super::change::{self, Range};
use super::follow::follow;
use super::remote::{Where, with};
use crate::cli::context;
use crate::cli::context::{Base, Setup};
use crate::cli::export_args::{Forms, Report};
use crate::cli::failure::Failure;
use crate::cli::global::Global;
use crate::cli::output::say;
use crate::cli::run_turn::{Turn, lock_or_submit};
use crate::engine::protocol::blob::{Blob, DiffContent};
use crate::engine::protocol::command::{LinterReport, Subject, Trigger};
use crate::engine::protocol::run::RunResult;
use crate::engine::{Handle, Operator as _};
use crate::files::open_plain;
use crate::review::finding::FilterMode;
use crate::text::{clean_line, json_pretty};

/// Run an event's agents once and print the decision.
///
/// Exit: 0 approve_and_merge or pass, 10 manual_review, 20 request_changes, 30 block_pr, 2 wrong usage
/// or input, 1 engine failure or no agent selected, 130 interrupted.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  bsm run pull_request.opened --repo . --range main..HEAD --payload pr.json --json
  bsm run repository.health_check --repo .
  cargo clippy --message-format json | clippy-sarif > clippy.sarif
  bsm run pull_request.opened --range main..HEAD --findings clippy.sarif --sarif bsm.sarif
  bsm run repository.health_check --repo ~/src/payments

Exit: 0 approve_and_merge or pass, 10 manual_review, 20 request_changes, 30 block_pr, 2 wrong usage or
input, 1 engine failure or no agent selected, 130 interrupted.")]
pub struct RunArgs {
    /// The event, for example pull_request.opened
    pub(super) event: String,
    /// The event's payload: a JSON object (- for standard input)
    #[arg(long, value_name = "FILE")]
    pub(super) payload: Option<PathBuf>,
    /// The change: a git or unified diff (- for standard input)
    #[arg(long, value_name = "FILE", conflicts_with_all = ["repo", "range", "sample"])]
    pub(super) diff: Option<PathBuf>,
    /// A git repository: with --range its changes, without it the folder itself
    #[arg(long, value_name = "DIR")]
    pub(super) repo: Option<PathBuf>,
    /// Revisions of --repo (default: this folder): A..B, or A...B since their merge base
    #[arg(long, value_name = "A..B")]
    pub(super) range: Option<String>,
    /// What is staged in --repo, against the newest commit
    #[arg(long, conflicts_with_all = ["diff", "range", "sample"])]
    pub(super) staged: bool,
    /// A built-in sample change: risky, docs or code
    #[arg(long, value_name = "NAME", conflicts_with_all = ["repo", "range"])]
    pub(super) sample: Option<String>,
    /// Which findings count: on added lines, in touched files, or anywhere (default: review.filterMode)
    #[arg(long, value_name = "MODE", value_parser = ["added", "file", "all"])]
    pub(super) filter_mode: Option<String>,
    /// What another linter found: SARIF, rdjson or rdjsonl; may be given several times
    #[arg(long, value_name = "FILE")]
    pub(super) findings: Vec<PathBuf>,
    /// Print the whole result as JSON (schema 2)
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) forms: Forms,
    #[command(flatten)]
    pub(super) report: Report,
    /// Keep nothing: journal in memory, no report
    #[arg(long)]
    pub(super) no_save: bool,
    /// Asked twice with the same key, it runs once
    #[arg(long, value_name = "KEY")]
    pub(super) idempotency_key: Option<String>,
    /// How long to wait for another `bsm run`, or for an engine that starts or stops, seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pub(super) wait: u64,
    #[command(flatten)]
    pub(super) at: Where,
}

/// Bytes of a diff that are read from a file or a pipe.
const LARGEST_DIFF: u64 = 512 << 20;
/// Bytes of one linter's findings.
const LARGEST_FINDINGS: u64 = 16 << 20;
/// Bytes of a payload.
const LARGEST_PAYLOAD: u64 = 16 << 20;

impl RunArgs {
    /// An event and nothing else.
    pub(super) fn of_event(event: &str) -> Self {
        Self {
            event: event.to_owned(),
            payload: None,
            diff: None,
            repo: None,
            range: None,
            staged: false,
            sample: None,
            filter_mode: None,
            findings: Vec::new(),
            json: false,
            forms: Forms::default(),
            report: Report::default(),
            no_save: false,
            idempotency_key: None,
            wait: 30,
            at: Where::default(),
        }
    }

    fn repository(&self) -> &Path {
        self.repo.as_deref().unwrap_or(Path::new("."))
    }
}

/// How a command finds its workspace: whether a folder without one is refused.
type ReadSetup = fn(&Global, Option<&Base>) -> Result<Setup, Failure>;

/// `bsm review`: where no change is named, that of this branch.
pub(super) fn review(global: &Global, args: RunArgs) -> Result<u8, Failure> {
    context::allow_listed_folders(global)?;
    let named = args.range.is_some() || args.diff.is_some() || args.staged;
    if named {
        return carry_out(global, args, Setup::read_any);
    }
    change::warn_of_uncommitted(args.repository());
    let branch = Range::of_branch(args.repository())?;
    let ends = branch.ends()?;
    if ends.from == ends.to {
        return Err(Failure::usage(
            "nothing to review: this is the default branch, and it has no commits of its own",
            "Name a range (bsm review HEAD~3..HEAD), or review what is staged: bsm review --staged",
        ));
    }
    if !args.json {
        crate::cli::output::note(format!("bsm: reviewing {}", clean_line(&branch.range, 120)));
    }
    let args = RunArgs {
        range: Some(branch.range),
        ..args
    };
    carry_out(global, args, Setup::read_any)
}

pub(super) fn run(global: &Global, args: RunArgs) -> Result<u8, Failure> {
    context::allow_listed_folders(global)?;
    carry_out(global, args, Setup::read_for)
}

fn carry_out(global: &Global, args: RunArgs, read: ReadSetup) -> Result<u8, Failure> {
    args.forms.check(args.json, &args.report)?;
    context::warm_rules();
    let (staged, base) = match (&args.range, args.staged) {
        (Some(range), _) => {
            let range = Range {
                repository: args.repository().to_path_buf(),
                range: range.clone(),
            };
            (None, Some(range.base()?))
        }
        (None, true) => {
            let (bytes, base) = change::staged(args.repository())?;
            (Some(bytes), Some(base))
        }
        (None, false) => (None, None),
    };
    let global = &Global {
        stateless: args.no_save,
        ..global.clone()
    };
    let setup = read(global, base.as_ref())?;
    for warning in &setup.loaded.warnings {
        crate::cli::output::note(format!("bsm: {}", clean_line(warning, 400)));
    }
    let mut trigger = trigger(&args)?;
    if let Some(bytes) = staged {
        trigger.subject = Some(Subject::Diff { diff: bytes.into() });
    }
    if let Some(address) = args.at.named(&setup)? {
        let progress = std::io::stderr().is_terminal() && !args.json;
        let ended = with(address, async |remote| {
            follow(remote, carried(trigger)?, progress).await
        })?;
        return report(ended, &args);
    }
    let ended = execute(global, &setup, trigger, &args.keeping())?;
    report(ended, &args)
}

/// Whether a run is kept, and how it is waited for.
pub(super) struct Keeping {
    /// Nothing is kept.
    pub(super) no_save: bool,
    /// Seconds that another run or an engine is waited for.
    pub(super) wait: u64,
    /// Steps are told on standard error.
    pub(super) progress: bool,
}

impl RunArgs {
    fn keeping(&self) -> Keeping {
        Keeping {
            no_save: self.no_save,
            wait: self.wait,
            progress: std::io::stderr().is_terminal() && !self.json,
        }
    }
}

/// Carries a run out, in this process or in the workspace's resident engine; says whether it was interrupted.
///
/// # Errors
/// The engine cannot start, the run cannot be kept, or the trigger cannot be used.
pub(super) fn execute(
    global: &Global,
    setup: &Setup,
    trigger: Trigger,
    keeping: &Keeping,
) -> Result<(RunResult, bool), Failure> {
    let (result, interrupted, _) = execute_with_diff(global, setup, trigger, keeping)?;
    Ok((result, interrupted))
}

/// The same, and the redacted diff that was reviewed; empty where it is not kept.
///
/// # Errors
/// As [`execute`].
pub(super) fn execute_with_diff(
    global: &Global,
    setup: &Setup,
    trigger: Trigger,
    keeping: &Keeping,
) -> Result<(RunResult, bool, String), Failure> {
    let mut mode = context::mode(global);
    mode.no_save = keeping.no_save;
    let lock = if mode.no_save {
        None
    } else {
        match lock_or_submit(global, setup, &trigger, keeping.wait, keeping.progress)? {
            Turn::Own(lock) => Some(lock),
            Turn::Ended(ended) => {
                let (result, interrupted) = *ended;
                let kept = setup.journal()?;
                let row = kept.and_then(|journal| journal.run(&result.run_id).ok().flatten());
                return Ok((
                    result,
                    interrupted,
                    row.map_or_else(String::new, |r| r.new.diff),
                ));
            }
        }
    };
    let log = if mode.no_save {
        None
    } else {
        Some(Arc::new(setup.start_log()?))
    };
    let runtime = context::runtime()?;
    let result = runtime.block_on(async {
        let handle = Handle::start(setup.engine(mode, false, log))
            .await
            .map_err(Failure::engine)?;
        // What happened before anybody listened: a corrupt journal set aside, an edit that is broken.
        for alert in handle.snapshots().borrow().alerts.iter().filter(|a| a.bad) {
            crate::cli::output::note(format!("bsm: {}", clean_line(&alert.text, 400)));
        }
        let outcome = follow(&handle, trigger, keeping.progress).await;
        let diff = match &outcome {
            Ok((result, _)) => handle.reviewed_diff(&result.run_id).await,
            Err(_) => String::new(),
        };
        handle.stop(Duration::from_secs(5)).await;
        outcome.map(|(result, interrupted)| (result, interrupted, diff))
    })?;
    runtime.shutdown_timeout(Duration::from_secs(1));
    drop(lock);
    Ok(result)
}

fn report((result, interrupted): (RunResult, bool), args: &RunArgs) -> Result<u8, Failure> {
    if !args.forms.write(&result, &args.report)? {
        print(&result, args.json)?;
    }
    if interrupted {
        return Ok(130);
    }
    Ok(result.decision.map_or(1, |d| d.action.exit_code()))
}

/// What an engine on another machine can be given: content, no paths.
fn carried(trigger: Trigger) -> Result<Trigger, Failure> {
    if matches!(
        trigger.subject,
        Some(Subject::Range { .. } | Subject::Folder { .. })
    ) {
        return Err(Failure::usage(
            "--repo names a folder of this machine, and the engine is on another",
            "Send the change: git diff A..B | bsm run EVENT --diff - --url URL",
        ));
    }
    Ok(trigger)
}

fn trigger(args: &RunArgs) -> Result<Trigger, Failure> {
    let both_stdin =
        args.payload.as_deref().is_some_and(is_dash) && args.diff.as_deref().is_some_and(is_dash);
    if both_stdin {
        return Err(Failure::usage(
            "--payload - and --diff - cannot both read standard input",
            "Put one of them into a file.",
        ));
    }
    if args.event.trim().is_empty() {
        return Err(Failure::usage(
            "the event has no name",
            "Name one, for example pull_request.opened.",
        ));
    }
    let payload = match &args.payload {
        None => serde_json::Value::Null,
        Some(path) => {
            let bytes = read(path, LARGEST_PAYLOAD)?;
            let value: serde_json::Value = serde_json::from_slice(&bytes).map_err(|e| {
                Failure::usage(
                    format!("{}: not JSON: {e}", context::shown(path)),
                    "Give --payload a JSON object, such as a GitHub event.",
                )
            })?;
            if !value.is_object() {
                return Err(Failure::usage(
                    format!("{}: not a JSON object", context::shown(path)),
                    "Give --payload a JSON object.",
                ));
            }
            value
        }
    };
    let subject = match (&args.diff, &args.sample, &args.range, &args.repo) {
        (Some(path), ..) => Some(Subject::Diff { diff: diff(path)? }),
        (_, Some(name), ..) => Some(Subject::Sample { name: name.clone() }),
        (_, _, Some(range), repo) => Some(Subject::Range {
            repo: repo.clone().unwrap_or_else(|| ".".into()),
            range: range.clone(),
        }),
        (_, _, None, Some(dir)) if !args.staged => Some(Subject::Folder { dir: dir.clone() }),
        _ => None,
    };
    let filter = args.filter_mode.as_deref().map(filter_mode);
    let linters = linters(&args.findings)?;
    Ok(Trigger {
        event: args.event.clone(),
        payload,
        subject,
        idempotency_key: args.idempotency_key.clone(),
        filter,
        linters,
        ..Trigger::default()
    })
}

/// The value of `--filter-mode`.
pub(super) fn filter_mode(word: &str) -> FilterMode {
    match word {
        "file" => FilterMode::File,
        "all" => FilterMode::All,
        _ => FilterMode::Added,
    }
}

/// What other linters wrote into these files.
pub(super) fn linters(paths: &[PathBuf]) -> Result<Vec<LinterReport>, Failure> {
    paths
        .iter()
        .map(|path| {
            Ok(LinterReport {
                name: context::shown(path),
                content: Blob(read(path, LARGEST_FINDINGS)?),
                failure: None,
            })
        })
        .collect()
}

/// Whoever names a file reads it: another process must not open another one under that name (a pipe, its own
/// standard input). A plain file is read as a stream; anything else is read here, where Ctrl-C ends it.
fn diff(path: &Path) -> Result<DiffContent, Failure> {
    if !is_dash(path)
        && let Ok(file) = open_plain(path)
    {
        return Ok(DiffContent::File(Arc::new(file)));
    }
    Ok(read(path, LARGEST_DIFF)?.into())
}

fn is_dash(path: &std::path::Path) -> bool {
    path.as_os_str() == "-"
}

fn read(path: &std::path::Path, most: u64) -> Result<Vec<u8>, Failure> {
    let fail = |e: std::io::Error| {
        Failure::usage(
            format!("{}: {e}", context::shown(path)),
            "Name a file that can be read, or - for standard input.",
        )
    };
    let mut bytes = Vec::new();
    if is_dash(path) {
        std::io::stdin()
            .take(most + 1)
            .read_to_end(&mut bytes)
            .map_err(fail)?;
    } else {
        std::fs::File::open(path)
            .map_err(fail)?
            .take(most + 1)
            .read_to_end(&mut bytes)
            .map_err(fail)?;
    }
    if bytes.len() as u64 > most {
        return Err(Failure::usage(
            format!("{}: more than {} MiB", context::shown(path), most >> 20),
            "Use --repo and --range for a very large change.",
        ));
    }
    Ok(bytes)
}

fn print(result: &RunResult, json: bool) -> Result<(), Failure> {
    if json {
        say(json_pretty(result).map_err(Failure::engine)?);
        return Ok(());
    }
    super::runs::print_run(result);
    Ok(())
}
