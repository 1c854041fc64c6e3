//! `bsm review`: the change at hand, reviewed. What a newcomer types first.

use std::path::PathBuf;

use clap::Args;

use super::remote::Where;
use super::run::{self, RunArgs};
use crate::cli::export_args::{Forms, Report};
use crate::cli::failure::Failure;
use crate::cli::global::Global;

/// Review a change and print the decision and the findings.
///
/// Without an argument: the commits of this branch since it left the default branch. The agents of
/// pull_request.opened decide; without a model the rules do, and code then needs a reviewer.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  bsm review                      this branch against its base
  bsm review main..HEAD           a range of commits
  bsm review --staged             what `git commit` would record
  git diff | bsm review --diff -  any diff

Exit: 0 approved, 10 a person must look (manual_review), 20 changes requested, 30 blocked,
2 wrong usage or input, 1 engine failure, 130 interrupted.")]
pub struct ReviewArgs {
    /// Revisions: A..B, A...B since their merge base, or A (to HEAD)
    #[arg(conflicts_with_all = ["diff", "staged"])]
    range: Option<String>,
    /// A git or unified diff (- for standard input)
    #[arg(long, value_name = "FILE", conflicts_with = "staged")]
    diff: Option<PathBuf>,
    /// What is staged, against the newest commit
    #[arg(long)]
    staged: bool,
    /// The repository (default: this folder)
    #[arg(long, value_name = "DIR", default_value = ".")]
    repo: PathBuf,
    /// The pull request as JSON: its title, body, author and labels go to the models
    #[arg(long, value_name = "FILE")]
    payload: Option<PathBuf>,
    /// What another linter found: SARIF, rdjson or rdjsonl; may be given several times
    #[arg(long, value_name = "FILE")]
    findings: Vec<PathBuf>,
    /// Which findings count: on added lines, in touched files, or anywhere (default: review.filterMode)
    #[arg(long, value_name = "MODE", value_parser = ["added", "file", "all"])]
    filter_mode: Option<String>,
    /// Print the whole result as JSON (schema 2)
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    forms: Forms,
    #[command(flatten)]
    report: Report,
    /// Keep nothing: journal in memory, no report
    #[arg(long)]
    no_save: bool,
    #[command(flatten)]
    at: Where,
}

pub(super) fn run(global: &Global, args: ReviewArgs) -> Result<u8, Failure> {
    let run = RunArgs {
        range: args.range,
        diff: args.diff,
        staged: args.staged,
        repo: Some(args.repo),
        payload: args.payload,
        findings: args.findings,
        filter_mode: args.filter_mode,
        json: args.json,
        forms: args.forms,
        report: args.report,
        no_save: args.no_save,
        at: args.at,
        ..RunArgs::of_event("pull_request.opened")
    };
    run::review(global, run)
}
