//! `bsm runs`: what the journal knows, read without disturbing a running engine, or what one that is named says.

use clap::{Args, Subcommand};

use super::forms::{Forms, Report};
use super::remote::Where;
use super::setup::Setup;
use crate::cli::failure::Failure;
use crate::cli::global::Global;
use crate::cli::output::say;
use crate::engine::exporters::Export;
use crate::engine::protocol::query::{Answer, Query};
use crate::engine::protocol::run::{Cause, RunResult, StepStatus};
use crate::engine::protocol::snapshot::RunBrief;
use crate::engine::runs::projection::{brief_of_row, from_row};
use crate::journal::Journal;
use crate::review::finding::{Finding, SuppressedBy};
use crate::text::{clean_line, json_pretty};

/// List runs, or show one.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:
  bsm runs --limit 5
  bsm runs show k3f9qa --json"
)]
pub struct RunsArgs {
    #[command(subcommand)]
    command: Option<RunsCommand>,
    /// How many, newest first
    #[arg(long, default_value_t = 20)]
    limit: u32,
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    at: Where,
}

#[derive(Debug, Subcommand)]
enum RunsCommand {
    /// Show one run, by its id or the end of it
    Show {
        /// The run's id
        id: String,
        /// As JSON (schema 2)
        #[arg(long)]
        json: bool,
        /// Its report, in Markdown
        #[arg(long, conflicts_with = "json")]
        report: bool,
        #[command(flatten)]
        forms: Forms,
        #[command(flatten)]
        markdown: Report,
        #[command(flatten)]
        at: Where,
    },
}

pub(super) fn run(global: &Global, args: RunsArgs) -> Result<u8, Failure> {
    let setup = Setup::read(global)?;
    if let Some(done) = there(&setup, &args)? {
        return Ok(done);
    }
    let journal = Journal::read_only(&setup.state.journal()).map_err(Failure::engine)?;
    let Some(journal) = journal else {
        if args.json {
            say("[]");
        } else {
            say("No runs yet. Start one: bsm run pull_request.opened --sample risky");
        }
        return Ok(0);
    };
    if let Some(RunsCommand::Show {
        id,
        json,
        report,
        forms,
        markdown,
        ..
    }) = args.command
    {
        forms.check(json, &markdown)?;
        let missing = || {
            Failure::usage(
                format!("there is no run '{}'", clean_line(&id, 80)),
                "`bsm runs` lists their ids.",
            )
        };
        let row = journal
            .run(&id)
            .map_err(Failure::engine)?
            .ok_or_else(missing)?;
        let steps = journal.steps(&row.new.id).map_err(Failure::engine)?;
        let result =
            from_row(&row, &steps).ok_or_else(|| Failure::engine("the run cannot be read"))?;
        if forms.write(&result, &markdown)? {
        } else if report {
            print_report(&row.report_text.unwrap_or_default());
        } else if json {
            say(json_pretty(&result).map_err(Failure::engine)?);
        } else {
            print_run(&result);
        }
        return Ok(0);
    }
    let rows = journal.recent(args.limit).map_err(Failure::engine)?;
    let briefs: Vec<_> = rows.iter().filter_map(brief_of_row).collect();
    print_list(&briefs, args.json)
}

/// The same of an engine that was named; `None`: none was.
fn there(setup: &Setup, args: &RunsArgs) -> Result<Option<u8>, Failure> {
    let odd = || Failure::engine("the engine answered something else");
    match &args.command {
        None => {
            let query = Query::Runs {
                limit: args.limit,
                filter: String::new(),
            };
            match args.at.ask(setup, query)? {
                None => Ok(None),
                Some(Answer::Runs { runs }) => print_list(&runs, args.json).map(Some),
                Some(_) => Err(odd()),
            }
        }
        Some(RunsCommand::Show {
            id,
            json,
            report,
            forms,
            markdown,
            at,
        }) => {
            forms.check(*json, markdown)?;
            let id = id.clone();
            let query = if *report {
                Query::Report { id }
            } else {
                Query::Run { id }
            };
            match at.ask(setup, query)? {
                None => return Ok(None),
                Some(Answer::Report { text }) => print_report(text.raw()),
                Some(Answer::Run { run }) if forms.write(&run, markdown)? => {}
                Some(Answer::Run { run }) if *json => {
                    say(json_pretty(&run).map_err(Failure::engine)?);
                }
                Some(Answer::Run { run }) => print_run(&run),
                Some(_) => return Err(odd()),
            }
            Ok(Some(0))
        }
    }
}

/// A report is Markdown that was escaped when it was written.
fn print_report(text: &str) {
    say(crate::text::clean_block(text, usize::MAX));
}

fn print_list(briefs: &[RunBrief], json: bool) -> Result<u8, Failure> {
    if json {
        say(json_pretty(briefs).map_err(Failure::engine)?);
        return Ok(0);
    }
    for run in briefs {
        let simulated = if run.simulated { " (simulated)" } else { "" };
        let action = run
            .action
            .map_or("…", crate::engine::protocol::run::Action::word);
        let reason = run.reason.as_ref().map_or_else(String::new, |r| r.line(80));
        let at = jiff::Timestamp::from_millisecond(run.created_ms).unwrap_or_default();
        say(format!(
            "{}  {}  {:<28} {action:<18}{simulated} {reason}",
            at.strftime("%m-%d %H:%M"),
            run.id,
            run.event.line(28)
        ));
    }
    Ok(0)
}

/// Where a finding is, in a terminal.
pub(super) fn place(finding: &Finding) -> String {
    match (&finding.file, finding.line) {
        (Some(file), Some(line)) => format!("{}:{line}", file.line(120)),
        (Some(file), None) => file.line(120),
        _ => String::new(),
    }
}

/// A run for people: the decision first, then each finding once, then who said what.
pub(super) fn print_run(result: &RunResult) {
    let simulated = if result.simulated { " (simulated)" } else { "" };
    if let Some(decision) = &result.decision {
        say(format!(
            "{}{simulated}  {}: {}",
            decision.action.word(),
            decision.cause_word(),
            decision.reason.line(400)
        ));
    }
    let c = &result.coverage;
    say(format!(
        "evidence {} · {} · {} ms",
        result.evidence.word(),
        c.words(),
        result.duration_ms.unwrap_or(0)
    ));
    for skipped in c.skipped.iter().take(10) {
        say(format!(
            "  not reviewed: {} ({})",
            skipped.path.line(160),
            clean_line(&skipped.reason, 120)
        ));
    }
    let findings = Export::of_run(result).findings;
    if !findings.is_empty() {
        say("");
    }
    for reported in &findings {
        let f = reported.finding;
        say(format!(
            "  {:<9} {:<32} {}",
            f.severity.word(),
            clean_line(&f.rule, 60),
            place(f)
        ));
        say(format!("            {}", f.message.line(300)));
    }
    say("");
    for step in &result.agents {
        let verdict = step
            .verdict
            .map_or("–", crate::review::verdict::Verdict::word);
        // What the rules say is no model's approval.
        let verdict = if step.status == StepStatus::Degraded {
            format!("rules: {verdict}")
        } else {
            verdict.to_owned()
        };
        let model = match (&step.model, &step.substitute_for) {
            (Some(model), Some(wanted)) => {
                format!(
                    "{} instead of {}",
                    clean_line(model, 60),
                    clean_line(wanted, 60)
                )
            }
            (Some(model), None) => clean_line(model, 60),
            (None, _) => "rules alone".to_owned(),
        };
        let error = step
            .error
            .as_ref()
            .map_or_else(String::new, |e| format!("  {}", e.line(200)));
        say(format!(
            "{:<26} {:<22} {:<10} {model}{error}",
            clean_line(&step.agent_id, 64),
            verdict,
            step.status.word()
        ));
    }
    if !result.suppressed.is_empty() {
        say(format!("\naccepted findings ({})", result.suppressed.len()));
    }
    for s in &result.suppressed {
        let by = match s.by {
            SuppressedBy::Inline => "inline",
            SuppressedBy::Standing => "standing ignore",
            SuppressedBy::Baseline => "baseline",
        };
        let reason = s.reason.as_ref().map_or_else(String::new, |r| r.line(200));
        say(format!(
            "  {:<9} {:<32} {}  {reason}",
            by,
            clean_line(&s.finding.rule, 60),
            place(&s.finding)
        ));
    }
    for note in &result.notes {
        say(format!("note: {}", clean_line(note, 300)));
    }
    let cause = result.decision.as_ref().and_then(|d| d.cause);
    if cause == Some(Cause::RulesOnly) && result.documentation.obstacle.is_some() {
        if let Some(obstacle) = &result.documentation.obstacle {
            say(format!(
                "note: not documentation alone: {}",
                obstacle.line(300)
            ));
        }
        say(
            "note: to have models review it too, set a provider's key, for example OPENAI_API_KEY (bsm config, docs/models.md)",
        );
    }
    if let Some(report) = &result.report {
        say(format!("\nreport {}", clean_line(report, 400)));
    }
}
