//! `bsm scan`: the rules as a linter, with the exit codes of one. No agent, no model, no decision.
//!
//! Why commit by commit: a secret that a later commit of a branch takes out again stays in the history.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::change::{self, Range};
use super::findings;
use crate::cli::context;
use crate::cli::context::Setup;
use crate::cli::export_args::{Forms, Report};
use crate::cli::failure::Failure;
use crate::cli::global::Global;
use crate::cli::output::say;
use crate::engine::exporters::Export;
use crate::review::diff::parse;
use crate::review::finding::Severity;
use crate::review::policy::Policy;
use crate::review::redact::Redactor;
use crate::review::scan::{ScanLimits, Scanned, Scanner};
use crate::review::{commit_scan, folder, git};
use crate::text::{clean_line, json_pretty};

/// Look for what the rules know, as a linter.
///
/// Without an argument: every commit of this branch since it left the default branch.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  bsm scan                         the commits of this branch
  bsm scan v1.0..HEAD              each commit of a range, its message too
  bsm scan --staged                what `git commit` would record
  bsm scan --repo . --fail-on high every tracked file
  git diff | bsm scan --diff -

Exit: 0 nothing that reaches --fail-on, 1 findings, 2 wrong usage or input,
3 something could not be read (findings win; --allow-incomplete makes it 0).")]
pub struct ScanArgs {
    /// Revisions: A..B, A...B since their merge base, or A (to HEAD)
    #[arg(conflicts_with_all = ["diff", "staged", "repo"])]
    range: Option<String>,
    /// A git or unified diff (- for standard input)
    #[arg(long, value_name = "FILE", conflicts_with_all = ["staged", "repo"])]
    diff: Option<PathBuf>,
    /// What is staged, against the newest commit
    #[arg(long, conflicts_with = "repo")]
    staged: bool,
    /// A folder as it is: its tracked files
    #[arg(long, value_name = "DIR")]
    repo: Option<PathBuf>,
    /// The mildest finding that fails the scan
    #[arg(long, value_enum, default_value_t = FailOn::Medium)]
    fail_on: FailOn,
    /// What could not be read does not fail the scan
    #[arg(long)]
    allow_incomplete: bool,
    /// Print the result as JSON: {schemaVersion, findings, coverage}
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    forms: Forms,
}

/// A severity, or never.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FailOn {
    Info,
    Low,
    Medium,
    High,
    Critical,
    Never,
}

impl FailOn {
    fn is_reached(self, severity: Severity) -> bool {
        let least = match self {
            Self::Info => Severity::Info,
            Self::Low => Severity::Low,
            Self::Medium => Severity::Medium,
            Self::High => Severity::High,
            Self::Critical => Severity::Critical,
            Self::Never => return false,
        };
        severity >= least
    }
}

/// Version of the JSON form.
const SCHEMA_VERSION: u32 = 1;
/// Findings that are kept of one scan.
const MOST_FINDINGS: usize = 10_000;

/// What is scanned.
enum Subject {
    Commits(Range, git::Ends),
    Diff(Vec<u8>),
    DiffFile(PathBuf),
    Folder(PathBuf),
}

pub(super) fn run(global: &Global, args: ScanArgs) -> Result<u8, Failure> {
    args.forms.check(args.json, &Report::default())?;
    context::warm_rules();
    context::allow_listed_folders(global)?;
    let global = &Global {
        stateless: true,
        ..global.clone()
    };
    let (subject, base) = subject(&args)?;
    let setup = Setup::read_any(global, base.as_ref())?;
    for warning in &setup.loaded.warnings {
        crate::cli::output::note(format!("bsm: {}", clean_line(warning, 400)));
    }
    let policy = setup.policy();
    let salt = std::array::from_fn(|_| fastrand::u8(..));
    let redactor = Redactor::new(policy.rules(), &setup.secrets(), salt);
    super::rules::say_warnings(&policy, &redactor);
    let scanned = scan(&subject, &policy, &redactor)?;
    let exit = exit_code(&args, &scanned);
    if args.forms.write_export(&Export::of_scan(&scanned, exit))? {
        return Ok(exit);
    }
    if args.json {
        let value = serde_json::json!({
            "schemaVersion": SCHEMA_VERSION,
            "findings": scanned.findings,
            "coverage": scanned.coverage,
        });
        say(json_pretty(&value).map_err(Failure::engine)?);
    } else {
        print(&scanned, &subject);
    }
    Ok(exit)
}

fn exit_code(args: &ScanArgs, scanned: &Scanned) -> u8 {
    let found = scanned
        .findings
        .iter()
        .any(|f| args.fail_on.is_reached(f.severity));
    let unread = scanned.coverage.files_seen < scanned.coverage.files_total
        || !scanned.coverage.skipped.is_empty();
    if found {
        1
    } else if unread && !args.allow_incomplete {
        3
    } else {
        0
    }
}

fn subject(args: &ScanArgs) -> Result<(Subject, Option<context::Base>), Failure> {
    let here = Path::new(".");
    if let Some(dir) = &args.repo {
        return Ok((Subject::Folder(dir.clone()), None));
    }
    if let Some(path) = &args.diff {
        return Ok((Subject::DiffFile(path.clone()), None));
    }
    if args.staged {
        let (bytes, base) = change::staged(here)?;
        return Ok((Subject::Diff(bytes), Some(base)));
    }
    let range = match &args.range {
        Some(range) => Range {
            repository: here.to_path_buf(),
            range: range.clone(),
        },
        None => {
            change::warn_of_uncommitted(here);
            Range::of_branch(here)?
        }
    };
    let ends = range.ends()?;
    if args.range.is_none() && ends.from == ends.to {
        return Err(Failure::usage(
            "nothing to scan: this is the default branch, and it has no commits of its own",
            "Name a range (bsm scan v1.0..HEAD), or scan the files: bsm scan --repo .",
        ));
    }
    let base = range.base()?;
    Ok((Subject::Commits(range, ends), Some(base)))
}

fn scan(subject: &Subject, policy: &Policy, redactor: &Redactor) -> Result<Scanned, Failure> {
    let limits = ScanLimits {
        // Nothing of it is kept or shown to a model.
        kept_bytes: 0,
        findings: MOST_FINDINGS,
        ..ScanLimits::default()
    };
    let scanner = || Scanner::new(redactor, limits, &|| false).under(policy);
    let of_diff = |reader: &mut dyn BufRead, name: &str| {
        let mut scanner = scanner();
        let wrong = |e: &dyn std::fmt::Display| {
            Failure::usage(
                format!("{name}: {e}"),
                "Give it a diff: git diff | bsm scan --diff -",
            )
        };
        parse(reader, &mut scanner).map_err(|e| wrong(&e))?;
        Ok(scanner.finish())
    };
    match subject {
        Subject::Commits(range, ends) => {
            commit_scan::scan(&range.repository, ends, scanner, MOST_FINDINGS)
                .map_err(|e| Failure::usage(e, "See `git log` for the commits of the range."))
        }
        Subject::Diff(bytes) => of_diff(&mut bytes.as_slice(), "the staged changes"),
        Subject::DiffFile(path) if path.as_os_str() == "-" => {
            of_diff(&mut BufReader::new(std::io::stdin()), "standard input")
        }
        Subject::DiffFile(path) => {
            let name = context::shown(path);
            let file = std::fs::File::open(path).map_err(|e| {
                Failure::usage(format!("{name}: {e}"), "Name a file that can be read.")
            })?;
            of_diff(&mut BufReader::with_capacity(64 * 1024, file), &name)
        }
        Subject::Folder(dir) => folder::scan(dir, scanner())
            .map_err(|e| Failure::usage(e, "Name a folder: bsm scan --repo DIR")),
    }
}

fn print(scanned: &Scanned, subject: &Subject) {
    findings::print(scanned);
    for note in &scanned.notes {
        say(format!("note: {}", clean_line(note, 300)));
    }
    let accepted = findings::accepted(scanned);
    let of = match subject {
        Subject::Commits(range, _) => {
            format!(" in the commits of {}", clean_line(&range.range, 80))
        }
        _ => String::new(),
    };
    say(format!(
        "{} findings{accepted}; {}{of}",
        scanned.findings.len(),
        scanned.coverage.summary()
    ));
}
