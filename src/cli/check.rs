//! `bsm config check`: every rule of a workspace, each problem with its place and what to do.

use clap::Args;

use crate::cli::context::Setup;
use crate::cli::failure::Failure;
use crate::cli::global::Global;
use crate::cli::output::say;
use crate::review::redact::Redactor;
use crate::review::rules::RuleWarning;
use crate::text::{clean_line, json_pretty};
use crate::workspace::{Level, Problem};

/// Check the workspace: every rule, each problem with its place.
///
/// Exit: 0 without errors (warnings are none), 1 with.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// As JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(global: &Global, args: &CheckArgs) -> Result<u8, Failure> {
    let setup = Setup::read(global)?;
    crate::cli::console_host::check(global, &setup)?;
    let mut workspace = setup.workspace();
    let policy = setup.policy();
    let redactor = Redactor::new(policy.rules(), &[], [0; 32]);
    workspace
        .problems
        .extend(super::rules::warnings(&policy, &redactor).map(problem));
    let errors = workspace.errors();
    if args.json {
        say(json_pretty(&workspace.problems).map_err(Failure::engine)?);
    } else {
        for problem in &workspace.problems {
            let word = match problem.severity {
                Level::Error => "error",
                Level::Warning => "warning",
            };
            say(format!(
                "{word}: {}\n  {}",
                problem.line_text(),
                clean_line(&problem.help, 300)
            ));
        }
        let warnings = workspace.problems.len() - errors;
        say(format!(
            "{}: {} agents, {errors} errors, {warnings} warnings",
            clean_line(&workspace.name, 80),
            workspace.agents.len()
        ));
    }
    Ok(u8::from(errors > 0))
}

/// What the rules of a workspace lack, as a problem of the workspace.
fn problem(warning: &RuleWarning) -> Problem {
    if warning.lost {
        let help = "Nothing is approved while it is left out; mend it, or take it away.";
        Problem::error(&warning.rule, None, warning.what.clone(), help)
    } else {
        let help = "`bsm rules` lists the rules in effect.";
        Problem::warning(&warning.rule, None, warning.what.clone(), help)
    }
}
