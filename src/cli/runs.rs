//! `bsm runs`: what the journal knows, read without disturbing a running engine, or what one that is named says.

use clap::{Args, Subcommand};

use super::remote::Where;
use super::runs_table;
use crate::cli::context::Setup;
use crate::cli::export_args::{Forms, Report};
use crate::cli::failure::{Failure, refuse_when_read_only};
use crate::cli::global::Global;
use crate::cli::output::say;
use crate::engine::exporters::Export;
use crate::engine::protocol::command::Command;
use crate::engine::protocol::query::{Answer, Query};
use crate::engine::protocol::run::{Cause, RunResult, Step, StepStatus};
use crate::engine::protocol::snapshot::RunSummary;
use crate::engine::runs::projection::{from_row, summary_of_row};
use crate::journal::ReadOnly;
use crate::review::finding::{Finding, Suppressed, SuppressedBy};
use crate::text::{clean_line, json_pretty};

/// List runs, show one, start one again or cancel it.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:
  bsm runs --limit 5
  bsm runs show k3f9qa --json
  bsm runs rerun k3f9qa"
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
    /// Start a run again with what it looked at; the engine must be running
    Rerun(OneRun),
    /// Stop a run under way; the engine must be running
    Cancel(OneRun),
}

#[derive(Debug, Args)]
struct OneRun {
    /// The run's id, or the end of it
    id: String,
    #[command(flatten)]
    at: Where,
}

pub(super) fn run(global: &Global, args: RunsArgs) -> Result<u8, Failure> {
    let setup = Setup::read(global)?;
    match &args.command {
        Some(RunsCommand::Rerun(one)) => {
            return one.send(global, &setup, |run| Command::RunAgain { run });
        }
        Some(RunsCommand::Cancel(one)) => {
            return one.send(global, &setup, |run| Command::CancelRun { run });
        }
        _ => {}
    }
    if let Some(done) = there(&setup, &args)? {
        return Ok(done);
    }
    let journal = setup.journal()?;
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
        let row = journal.run(&id).map_err(Failure::engine)?;
        let Some(row) = row else {
            return Err(no_such_run(&journal, &id)?);
        };
        if report {
            print_report(&row.report_text.unwrap_or_default());
            return Ok(0);
        }
        let steps = journal.steps(&row.new.id).map_err(Failure::engine)?;
        let result = from_row(&row, &steps).ok_or_else(|| {
            Failure::engine(format!(
                "{}: written by another version of bsm; its details cannot be read",
                row.new.id
            ))
            .with_help("`bsm runs show ID --report` prints its report, as it was written.")
        })?;
        if forms.write(&result, &markdown)? {
        } else if json {
            say(result.to_json_text().map_err(Failure::engine)?);
        } else {
            print_run(&result);
        }
        return Ok(0);
    }
    let rows = journal.recent(args.limit).map_err(Failure::engine)?;
    let briefs: Vec<_> = rows.iter().map(summary_of_row).collect();
    print_list(&briefs, args.json)
}

impl OneRun {
    /// Sends a command about the run to its engine. Part of an id is looked up in this machine's journal.
    fn send(
        &self,
        global: &Global,
        setup: &Setup,
        command: impl FnOnce(String) -> Command,
    ) -> Result<u8, Failure> {
        refuse_when_read_only(global)?;
        let mut id = self.id.clone();
        if self.at.named(setup)?.is_none()
            && let Some(journal) = setup.journal()?
        {
            let row = journal.run(&id).map_err(Failure::engine)?;
            id = match row {
                Some(row) => row.new.id,
                None => return Err(no_such_run(&journal, &id)?),
            };
        }
        self.at.command(setup, command(id))
    }
}

/// Why an id names no run: nothing is called so, or several are.
pub(super) fn no_such_run(journal: &ReadOnly, id: &str) -> Result<Failure, Failure> {
    let like = journal.ids_like(id).map_err(Failure::engine)?;
    let id = clean_line(id, 80);
    Ok(if like.is_empty() {
        Failure::usage(
            format!("there is no run '{id}'"),
            "`bsm runs` lists their ids.",
        )
    } else {
        Failure::usage(
            format!("'{id}' may be several runs"),
            &format!("Say which: {}.", like.join(", ")),
        )
    })
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
                    say(run.to_json_text().map_err(Failure::engine)?);
                }
                Some(Answer::Run { run }) => print_run(&run),
                Some(_) => return Err(odd()),
            }
            Ok(Some(0))
        }
        Some(RunsCommand::Rerun(_) | RunsCommand::Cancel(_)) => Ok(None),
    }
}

/// A report is Markdown that was escaped when it was written.
fn print_report(text: &str) {
    say(crate::text::clean_block(text, usize::MAX));
}

fn print_list(briefs: &[RunSummary], json: bool) -> Result<u8, Failure> {
    if json {
        say(json_pretty(briefs).map_err(Failure::engine)?);
        return Ok(0);
    }
    let now_ms = jiff::Timestamp::now().as_millisecond();
    for line in runs_table::lines(briefs, now_ms) {
        say(line);
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
    print_decision(result);
    print_coverage(result);
    print_findings(result);
    say("");
    for step in &result.agents {
        print_step(step);
    }
    print_suppressed(&result.suppressed);
    print_notes(result);
    if let Some(report) = &result.report {
        say(format!("\nreport {}", clean_line(report, 400)));
    }
}

fn print_decision(result: &RunResult) {
    let simulated = if result.simulated { " (simulated)" } else { "" };
    if let Some(decision) = &result.decision {
        say(format!(
            "{}{simulated}  {}: {}",
            decision.action.as_str(),
            decision.cause_word(),
            decision.reason.line(400)
        ));
    }
}

/// What the decision rests on, and what was not reviewed.
fn print_coverage(result: &RunResult) {
    let c = &result.coverage;
    say(format!(
        "evidence {} · {} · {} ms",
        result.evidence.as_str(),
        c.summary(),
        result.duration_ms.unwrap_or(0)
    ));
    for skipped in c.skipped.iter().take(10) {
        say(format!(
            "  not reviewed: {} ({})",
            skipped.path.line(160),
            clean_line(&skipped.reason, 120)
        ));
    }
}

fn print_findings(result: &RunResult) {
    let findings = Export::of_run(result).findings;
    if !findings.is_empty() {
        say("");
    }
    for reported in &findings {
        let f = reported.finding;
        say(format!(
            "  {:<9} {:<32} {}",
            f.severity.as_str(),
            clean_line(&f.rule, 60),
            place(f)
        ));
        say(format!("            {}", f.message.line(300)));
    }
}

/// One agent: its verdict, its status and the model that was asked.
fn print_step(step: &Step) {
    let verdict = step
        .verdict
        .map_or("–", crate::review::verdict::Verdict::as_str);
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
        step.status.as_str()
    ));
}

/// Findings that do not count, and why.
fn print_suppressed(suppressed: &[Suppressed]) {
    if !suppressed.is_empty() {
        say(format!("\naccepted findings ({})", suppressed.len()));
    }
    for s in suppressed {
        let by = match s.by {
            SuppressedBy::Inline => "inline",
            SuppressedBy::Standing => "standing ignore",
            SuppressedBy::Baseline => "baseline",
            SuppressedBy::Dismissed => "dismissal",
        };
        let reason = s.reason.as_ref().map_or_else(String::new, |r| r.line(200));
        say(format!(
            "  {:<9} {:<32} {}  {reason}",
            by,
            clean_line(&s.finding.rule, 60),
            place(&s.finding)
        ));
    }
}

fn print_notes(result: &RunResult) {
    for note in &result.notes {
        say(format!("note: {}", clean_line(note, 300)));
    }
    let cause = result.decision.as_ref().and_then(|d| d.cause);
    if cause == Some(Cause::RulesOnly)
        && let Some(obstacle) = &result.documentation.obstacle
    {
        say(format!(
            "note: not documentation alone: {}",
            obstacle.line(300)
        ));
        say(
            "note: to have models review it too, set a provider's key, for example OPENAI_API_KEY (bsm config, docs/models.md)",
        );
    }
}
