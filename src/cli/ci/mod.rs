//! `bsm ci`: the one command for pipelines. It finds the change, reviews it under the policy of its base, tells
//! the system in its own form, and gates.
//!
//! In this order, each in a file: what the variables say (`detect` and a file for each system), which commits
//! that is (`range`), other scanners (`scanners`), the review, the gate (`gate`), and what is left behind (`log`,
//! `outputs`).

mod actions;
mod azure;
mod buildkite;
mod circleci;
mod detect;
mod gate;
mod gitlab;
mod jenkins;
mod log;
mod outputs;
mod pipeline;
mod publish;
mod range;
mod scanners;
mod system;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use self::gate::Gate;
use self::log::Log;
use self::outputs::Outputs;
use self::pipeline::Pipeline;
use self::publish::PublishWhen;
use self::scanners::Tool;
use super::run::{self, Keeping};
use crate::cli::context::{self, Base, Setup};
use crate::cli::export_args::{Forms, Report};
use crate::cli::failure::Failure;
use crate::cli::global::Global;
use crate::cli::output::{note, say};
use crate::engine::exporters::{self, Export};
use crate::engine::protocol::command::{Subject, Trigger};
use crate::engine::protocol::run::RunResult;
use crate::review::finding::Suppressed;
use crate::review::git::Ends;
use crate::settings::env::Env;
use crate::text::{clean_line, cut, json_pretty};

/// Review the change that a pipeline is about, and gate it.
///
/// Detects GitHub Actions, GitLab CI, Gitea and Forgejo Actions, Jenkins, Buildkite, Azure Pipelines and
/// CircleCI, finds base and head, and reviews what is between them under the policy of the base. The log,
/// annotations, summary and outputs are in the form of the system at hand. docs/ci.md has a block for each.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  bsm ci --no-save                           in any of these systems
  bsm ci --no-save --sarif bsm.sarif         and a file for code scanning
  bsm ci --no-save --with gitleaks,zizmor    with what other scanners find
  bsm ci --base origin/main --head HEAD      anywhere else

Exit: 0 the gate passes, 10 a person must look (manual_review), 20 changes requested, 30 blocked,
2 wrong usage or input, 1 engine failure, 130 interrupted.")]
pub struct CiArgs {
    /// What passes: only an approval, or also what no rule objects to (default: approval if a model is
    /// configured, else findings)
    #[arg(long, value_enum)]
    gate: Option<Gate>,
    /// The base instead of the one that the system names: a revision such as origin/main
    #[arg(long, value_name = "REVISION")]
    base: Option<String>,
    /// The newest commit of the change instead of the one that the system names
    #[arg(long, value_name = "REVISION")]
    head: Option<String>,
    /// The repository (default: this folder)
    #[arg(long, value_name = "DIR", default_value = ".")]
    repo: PathBuf,
    /// Fetch nothing: what a shallow clone lacks is an error
    #[arg(long)]
    no_fetch: bool,
    /// Run other scanners over the changed files and merge what they find
    #[arg(long, value_name = "TOOLS", value_enum, value_delimiter = ',')]
    with: Vec<Tool>,
    /// The longest that one of them may take
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    with_timeout: u64,
    /// What another linter found: SARIF, rdjson or rdjsonl; may be given several times
    #[arg(long, value_name = "FILE")]
    findings: Vec<PathBuf>,
    /// Which findings count: on added lines, in touched files, or anywhere (default: review.filterMode)
    #[arg(long, value_name = "MODE", value_parser = ["added", "file", "all"])]
    filter_mode: Option<String>,
    /// Leave the decision on the pull request: status or check, comment, remarks. Needs a token in GITHUB_TOKEN
    #[arg(long, value_enum, default_value_t = PublishWhen::Auto)]
    publish: PublishWhen,
    /// Print the whole result as JSON (schema 2)
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    forms: Forms,
    #[command(flatten)]
    report: Report,
    /// Write decision, cause, gate and counts as NAME=value lines (GitLab's dotenv report)
    #[arg(long, value_name = "FILE", help_heading = "For other tools")]
    dotenv: Option<PathBuf>,
    /// Keep nothing: no state, no report in reports/; needs no home
    #[arg(long)]
    no_save: bool,
    /// How long to wait for another run, or for an engine that starts or stops, seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    wait: u64,
}

pub(super) fn run(global: &Global, args: CiArgs) -> Result<u8, Failure> {
    // What is said of a failure ends in the log, too.
    carry_out(global, &args).map_err(|failure| failure.reworded(log::harmless))
}

fn carry_out(global: &Global, args: &CiArgs) -> Result<u8, Failure> {
    args.forms.check(args.json, &args.report)?;
    context::warm_rules();
    context::allow_listed_folders(global)?;
    let env = context::variables(global)?;
    let pipeline = detect::read(&env, args.base.as_deref(), args.head.as_deref())?;
    let global = &Global {
        stateless: args.no_save,
        ..global.clone()
    };
    let ends = range::find(&args.repo, &pipeline, no_fetch(global, args)?)?;
    let setup = Setup::read_any(
        global,
        Some(&Base {
            repository: args.repo.clone(),
            commit: ends.from.clone(),
        }),
    )?;
    for warning in &setup.loaded.warnings {
        note(log::harmless(&format!("bsm: {}", clean_line(warning, 400))));
    }
    let nothing_leaves = setup.loaded.settings.loopback_only();
    let tools = scanners::find(&args.with, &env, nothing_leaves)?;
    let log = Log::new(
        pipeline.system,
        args.json || args.forms.take_output(&args.report),
    );
    let counts_on_models = gate::counts_on_models(&setup, &context::mode(global));
    let (gate, why) = Gate::choose(args.gate, counts_on_models);
    log.line(&format!("gate: {}, {why}", gate.as_str()));
    // Titles and what scanners say are text of others, which may hold a secret.
    let redact = setup.redaction();
    log.line(&heading(&pipeline, &ends, &*redact));
    let limit = Duration::from_secs(args.with_timeout);
    let mut linters = scanners::run(&tools, &args.repo, &ends, &env, limit)?;
    for report in &mut linters {
        report.failure = report.failure.take().map(|why| redact(&why));
    }
    linters.extend(run::linters(&args.findings)?);
    let trigger = Trigger {
        event: "pull_request.opened".to_owned(),
        payload: pipeline.payload(&ends.to),
        subject: Some(Subject::Range {
            repo: args.repo.clone(),
            range: format!("{}..{}", ends.from, ends.to),
        }),
        filter: args.filter_mode.as_deref().map(run::filter_mode),
        linters,
        ..Trigger::default()
    };
    let keeping = Keeping {
        no_save: args.no_save,
        wait: args.wait,
        progress: false,
    };
    let (result, interrupted, diff) = run::execute_with_diff(global, &setup, trigger, &keeping)?;
    let exit = gate.exit_code(&result, interrupted);
    let report = report_file(args, &result);
    let outputs = Outputs::of(&result, gate, why, report.as_deref());
    leave(args, &pipeline, &env, &log, &result, exit, &outputs)?;
    let left = if interrupted {
        None
    } else {
        let about = (&pipeline, ends.to.as_str());
        publish::publish(args.publish, about, (&setup, &env), (&result, diff))?
    };
    for line in left.iter().flat_map(|left| &left.lines) {
        log.line(&redact(line));
    }
    let exit = match left {
        Some(left) if left.failed && exit == 0 => 1,
        _ => exit,
    };
    let word = if exit == 0 { "passed" } else { "failed" };
    log.line(&format!(
        "gate {} {word}{}, exit {exit}",
        gate.as_str(),
        last_word(&result, exit)
    ));
    Ok(exit)
}

/// Everything that is left behind, but for the last line.
fn leave(
    args: &CiArgs,
    pipeline: &Pipeline,
    env: &Env,
    log: &Log,
    result: &RunResult,
    exit: u8,
    outputs: &Outputs,
) -> Result<(), Failure> {
    let export = Export {
        exit_code: exit,
        ..Export::of_run(result)
    };
    for line in decision(result) {
        log.line(&line);
    }
    log.group("findings", &outputs::first(findings(&export), 200));
    log.group("files not reviewed", &outputs::first(unread(result), 50));
    log.group("accepted findings", &outputs::first(accepted(result), 50));
    log.group("notes", &outputs::first(notes(result), 50));
    match pipeline.system {
        Some(system) if system.has_workflow_commands() => {
            log.command("::group::annotations");
            log.command(exporters::annotations(&export).trim_end());
            log.command("::endgroup::");
        }
        Some(system::System::Azure) => {
            for issue in exporters::azure_issues(&export) {
                log.command(&issue);
            }
        }
        Some(_) | None => {}
    }
    args.forms.write_gated(result, &args.report, exit)?;
    if args.json {
        say(json_pretty(result).map_err(Failure::engine)?);
    }
    outputs.publish(pipeline.system, env, log);
    if let Some(path) = &args.dotenv {
        outputs.write_dotenv(path)?;
    }
    Ok(())
}

/// Why nothing may be fetched; `None`: it may.
fn no_fetch(global: &Global, args: &CiArgs) -> Result<Option<&'static str>, Failure> {
    if args.no_fetch {
        return Ok(Some("--no-fetch forbids fetching it"));
    }
    let settings = context::own_user_settings(global)?;
    Ok(settings
        .loopback_only()
        .then_some("your settings let nothing leave this machine, so it is not fetched"))
}

/// `GitHub Actions, acme/app#7: 0123456789ab..ba9876543210, policy of 0123456789ab`.
fn heading(pipeline: &Pipeline, ends: &Ends, redact: &dyn Fn(&str) -> String) -> String {
    let title = pipeline.about.title.as_deref();
    let title = title.map_or_else(String::new, |title| {
        // Whole, and cut afterwards: part of a secret is not known to be one.
        let title = redact(cut(title, 1_000));
        format!(" \"{}\"", clean_line(&title, 80))
    });
    format!(
        "{}{title}: {}..{}, under the policy of {}",
        pipeline.shown(),
        cut(&ends.from, 12),
        cut(&ends.to, 12),
        cut(&ends.from, 12)
    )
}

/// The report of a kept run lies where its workspace has them; else where it was asked for.
fn report_file(args: &CiArgs, result: &RunResult) -> Option<PathBuf> {
    let asked = args.report.file().map(Path::to_path_buf);
    asked.or_else(|| result.report.as_ref().map(PathBuf::from))
}

fn decision(result: &RunResult) -> Vec<String> {
    let simulated = if result.simulated { " (simulated)" } else { "" };
    let mut lines = Vec::new();
    if let Some(decision) = &result.decision {
        lines.push(format!(
            "{}{simulated}  {}: {}",
            decision.action.as_str(),
            decision.cause_word(),
            decision.reason.line(400)
        ));
    }
    lines.push(format!(
        "evidence {} · {} · {} ms",
        result.evidence.as_str(),
        result.coverage.summary(),
        result.duration_ms.unwrap_or(0)
    ));
    lines
}

fn findings(export: &Export<'_>) -> Vec<String> {
    let line = |reported: &exporters::Reported<'_>| {
        let f = reported.finding;
        format!(
            "{:<9} {:<36} {}  {}",
            f.severity.as_str(),
            clean_line(&f.rule, 60),
            super::runs::place(f),
            f.message.line(300)
        )
    };
    export.findings.iter().map(line).collect()
}

fn unread(result: &RunResult) -> Vec<String> {
    let c = &result.coverage;
    let mut lines: Vec<String> = c
        .skipped
        .iter()
        .map(|s| format!("{} ({})", s.path.line(160), clean_line(&s.reason, 160)))
        .collect();
    if c.skipped_more > 0 {
        lines.push(format!("and {} more", c.skipped_more));
    }
    lines
}

/// What a comment or a baseline accepts: it decides nothing by itself, and a comment of the change needs a person.
fn accepted(result: &RunResult) -> Vec<String> {
    let line = |accepted: &Suppressed| {
        let f = &accepted.finding;
        let why = accepted.reason.as_ref();
        let why = why.map_or_else(String::new, |reason| format!("  ({})", reason.line(200)));
        format!(
            "{:<36} {}{why}",
            clean_line(&f.rule, 60),
            super::runs::place(f)
        )
    };
    result.suppressed.iter().map(line).collect()
}

fn notes(result: &RunResult) -> Vec<String> {
    result.notes.iter().map(|n| clean_line(n, 300)).collect()
}

/// What to do next, in a word or two.
fn last_word(result: &RunResult, exit: u8) -> &'static str {
    match exit {
        0 if result
            .decision
            .as_ref()
            .is_some_and(|d| d.action.exit_code() != 0) =>
        {
            ": no rule objects; no model looked, so a reviewer still approves"
        }
        10 => ": a person must look",
        _ => "",
    }
}
