//! `bsm rules`: what a review knows, how often its rules were right, and what it would say of a diff. Needs no engine
//! and keeps nothing.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::findings;
use super::remote::Where;
use super::rules_dismissals;
use super::rules_explain;
use crate::cli::context;
use crate::cli::context::Setup;
use crate::cli::failure::Failure;
use crate::cli::global::Global;
use crate::cli::output::say;
use crate::engine::runs::projection::from_row;
use crate::engine::runs::rule_precision::{RulePrecision, RulePrecisions};
use crate::journal::DismissalRow;
use crate::review::baseline::{self, Baseline};
use crate::review::diff::parse;
use crate::review::finding::{Finding, Severity};
use crate::review::policy::Policy;
use crate::review::redact::Redactor;
use crate::review::rule::Rule;
use crate::review::rules::RuleWarning;
use crate::review::scan::{ScanLimits, Scanned, Scanner};
use crate::review::verdict::{Verdict, of_findings};
use crate::review::{folder, packs};
use crate::text::{clean_line, json_pretty};

/// The rules of a review.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:
  bsm rules --pack security
  bsm rules show security/unpinned-action
  git diff main | bsm rules test -
  bsm rules baseline . --output .bsmbaseline.json"
)]
pub struct RulesArgs {
    #[command(subcommand)]
    command: Option<RulesCommand>,
    #[command(flatten)]
    list: List,
}

#[derive(Debug, Default, Args)]
struct List {
    /// Only this pack
    #[arg(long, value_name = "PACK")]
    pack: Option<String>,
    /// The identifiers of gitleaks' rules, each with the rules here that cover it
    #[arg(long, conflicts_with = "pack")]
    gitleaks: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum RulesCommand {
    /// List the rules in effect (the same as no command)
    List(List),
    /// Show one rule: what it finds and why, what to do, examples
    Show {
        /// pack/id, or the id alone
        id: String,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Say what the rules find in a diff, or why a rule does or does not match a line
    #[command(after_help = "Examples:
  git diff main | bsm rules test -
  bsm rules test --line 'eval(x)' --path src/a.js
  bsm rules test --line 'token: abc' --path a.yml --rule secrets/assigned-secret-unquoted

Exit: 0 nothing that matters, 10 a person should look (also at what \
        could not be read, or at an empty diff), \
        20 something must be changed, 30 it must not be merged, 2 wrong input.")]
    Test {
        /// A git or unified diff (- for standard input)
        #[arg(required_unless_present = "line")]
        diff: Option<PathBuf>,
        /// A line to explain, instead of a diff
        #[arg(long, value_name = "TEXT", conflicts_with = "diff")]
        line: Option<String>,
        /// The file in which the line stands: its name decides which rules look at it
        #[arg(
            long,
            value_name = "PATH",
            requires = "line",
            default_value = "example.txt"
        )]
        path: String,
        /// Explain this rule only, whatever becomes of it
        #[arg(long, value_name = "ID", requires = "line")]
        rule: Option<String>,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// List findings that somebody dismissed by a comment on a pull request
    Dismissals {
        /// Those that ended or were taken back too
        #[arg(long)]
        all: bool,
        /// As JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        at: Where,
    },
    /// Take a dismissal back: the next decision counts its finding again
    Revoke {
        /// Its id, dis_…
        id: String,
        #[command(flatten)]
        at: Where,
    },
    /// Write a baseline: what is found in a folder now is accepted
    Baseline {
        /// The folder
        #[arg(default_value = ".")]
        dir: PathBuf,
        /// The file to write (default: standard output)
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
    },
}

pub(super) fn run(global: &Global, args: RulesArgs) -> Result<u8, Failure> {
    context::warm_rules();
    let setup = Setup::read_any(global, None)?;
    let policy = setup.policy();
    let redactor = Redactor::new(
        policy.rules(),
        &setup.secrets(),
        std::array::from_fn(|_| fastrand::u8(..)),
    );
    match args.command.unwrap_or(RulesCommand::List(args.list)) {
        RulesCommand::Dismissals { all, json, at } => {
            rules_dismissals::list(&setup, &at, all, json)
        }
        RulesCommand::Revoke { id, at } => {
            crate::cli::failure::refuse_when_read_only(global)?;
            rules_dismissals::revoke(&setup, &at, id)
        }
        RulesCommand::List(list) => print_list(&setup, &policy, &redactor, &list),
        RulesCommand::Show { id, json } => show(&redactor, &id, json),
        RulesCommand::Test {
            line: Some(line),
            path,
            rule,
            json,
            ..
        } => rules_explain::explain(&redactor, &line, &path, rule.as_deref(), json),
        RulesCommand::Test { diff, json, .. } => test(
            &policy,
            &redactor,
            &diff.unwrap_or_else(|| "-".into()),
            json,
        ),
        RulesCommand::Baseline { dir, output } => {
            if output.is_some() {
                crate::cli::failure::refuse_when_read_only(global)?;
            }
            make_baseline(policy, &redactor, &dir, output.as_deref())
        }
    }
}

/// What a workspace's own rules lack, each on a line.
pub(super) fn warnings<'a>(
    policy: &'a Policy,
    redactor: &'a Redactor,
) -> impl Iterator<Item = &'a RuleWarning> {
    policy.broken.iter().chain(redactor.rules().warnings())
}

pub(super) fn say_warnings(policy: &Policy, redactor: &Redactor) {
    for warning in warnings(policy, redactor) {
        crate::cli::output::note(format!(
            "bsm: {}: {}{}",
            clean_line(&warning.rule, 120),
            clean_line(&warning.what, 300),
            if warning.lost {
                " (left out; nothing is approved while it is)"
            } else {
                ""
            }
        ));
    }
}

fn print_list(
    setup: &Setup,
    policy: &Policy,
    redactor: &Redactor,
    list: &List,
) -> Result<u8, Failure> {
    if let Some(pack) = &list.pack
        && !packs::names().any(|n| n == pack)
    {
        let known: Vec<&str> = packs::names().collect();
        return Err(Failure::usage(
            format!("there is no pack '{}'", clean_line(pack, 60)),
            &format!("Packs: {}.", known.join(", ")),
        ));
    }
    let rules: Vec<&Rule> = redactor
        .rules()
        .rules()
        .iter()
        .filter(|r| {
            list.pack
                .as_ref()
                .is_none_or(|p| r.id.split('/').next() == Some(p))
        })
        .collect();
    say_warnings(policy, redactor);
    if list.gitleaks {
        return rules_explain::print_gitleaks(redactor, list.json);
    }
    let precisions = precisions(setup)?;
    if list.json {
        let rules: Vec<_> = rules
            .iter()
            .map(|rule| {
                let mut described = described(rule);
                described["precision"] = serde_json::json!(precisions.get(&rule.id));
                described
            })
            .collect();
        say(json_pretty(&rules).map_err(Failure::engine)?);
        return Ok(0);
    }
    for rule in &rules {
        let weight = if rule.reports {
            rule.severity.as_str()
        } else {
            "off"
        };
        let precision = precisions.get(&rule.id).map(|of| match of.percent() {
            Some(percent) => format!(" (right: {percent} % of {} findings)", of.found),
            // Too few to say a share; what was dismissed is said all the same.
            None => format!(" ({} findings, {} dismissed)", of.found, of.dismissed),
        });
        say(format!(
            "{weight:<9} {:<40} {}{}",
            clean_line(&rule.id, 60),
            clean_line(rule.docs.title(), 120),
            precision.unwrap_or_default()
        ));
    }
    Ok(0)
}

/// What the newest runs say of rules: what they found, and how much of it somebody accepted for good.
fn precisions(setup: &Setup) -> Result<BTreeMap<String, RulePrecision>, Failure> {
    /// Runs that are looked at.
    const NEWEST: u32 = 1_000;
    let mut precisions = RulePrecisions::default();
    let journal = setup.journal()?;
    if let Some(journal) = journal {
        for dismissal in journal.dismissals().map_err(Failure::engine)? {
            if dismissal.revoked_ms.is_none() {
                let DismissalRow {
                    rule,
                    file,
                    fingerprint,
                    ..
                } = dismissal;
                precisions.add_dismissal(rule, file, fingerprint);
            }
        }
        for row in journal.recent(NEWEST).map_err(Failure::engine)? {
            let steps = journal.steps(&row.new.id).map_err(Failure::engine)?;
            if let Some(run) = from_row(&row, &steps) {
                precisions.add_run(&run);
            }
        }
    }
    Ok(precisions.counted())
}

fn described(rule: &Rule) -> serde_json::Value {
    let docs = &rule.docs;
    serde_json::json!({
        "id": rule.id,
        "severity": rule.severity.as_str(),
        "reported": rule.reports,
        "what": docs.title(),
        "why": docs.why,
        "help": docs.help,
        "aliases": docs.aliases,
        "class": docs.class,
        "languages": docs.languages,
        "bad": docs.bad,
        "good": docs.good,
    })
}

fn show(redactor: &Redactor, id: &str, json: bool) -> Result<u8, Failure> {
    let rules = redactor.rules();
    let rule = rules_explain::rule_called(rules, id)?;
    if json {
        say(json_pretty(&described(rule)).map_err(Failure::engine)?);
        return Ok(0);
    }
    let off = if rule.reports { "" } else { ", switched off" };
    say(format!(
        "{} ({}{off})",
        clean_line(&rule.id, 80),
        rule.severity.as_str()
    ));
    let docs = &rule.docs;
    for (name, text) in [
        ("", docs.title()),
        ("Why: ", &docs.why),
        ("Do: ", &docs.help),
    ] {
        if !text.is_empty() {
            say(format!("  {name}{}", clean_line(text, 500)));
        }
    }
    for (name, list) in [
        ("Class", std::slice::from_ref(&docs.class)),
        ("Languages", docs.languages.as_slice()),
    ] {
        if list.iter().any(|l| !l.is_empty()) {
            say(format!("  {name}: {}", clean_line(&list.join(", "), 200)));
        }
    }
    if !docs.aliases.is_empty() {
        say(format!(
            "  Known as: {}",
            clean_line(&docs.aliases.join(", "), 300)
        ));
    }
    for (name, examples) in [("Finds:", &docs.bad), ("Leaves alone:", &docs.good)] {
        if examples.is_empty() {
            continue;
        }
        say(format!("\n  {name}"));
        for example in examples.iter().take(3) {
            for line in example.lines() {
                say(format!("    {}", clean_line(line, 160)));
            }
        }
    }
    say(format!(
        "\n  Off or weighed otherwise: review: {{severities: {{\"{}\": off}}}} in bsm.yaml",
        clean_line(&rule.id, 80)
    ));
    Ok(0)
}

fn test(policy: &Policy, redactor: &Redactor, path: &Path, json: bool) -> Result<u8, Failure> {
    say_warnings(policy, redactor);
    let wrong = |e: &dyn std::fmt::Display| {
        Failure::usage(
            format!("{}: {e}", context::shown(path)),
            "Give it a diff: git diff main | bsm rules test -",
        )
    };
    let mut reader: Box<dyn BufRead> = if path.as_os_str() == "-" {
        Box::new(BufReader::new(std::io::stdin()))
    } else {
        let file = std::fs::File::open(path).map_err(|e| wrong(&e))?;
        Box::new(BufReader::with_capacity(64 * 1024, file))
    };
    let mut scanner = Scanner::new(redactor, ScanLimits::default(), &|| false).under(policy);
    let files = parse(&mut reader, &mut scanner).map_err(|e| wrong(&e))?;
    if files == 0 {
        // A diff that could not be made must pass no gate.
        crate::cli::output::note("bsm: nothing to review: the diff is empty");
        return Ok(10);
    }
    print_scanned(&scanner.finish(), json)
}

fn print_scanned(scanned: &Scanned, json: bool) -> Result<u8, Failure> {
    let verdict = of_findings(&scanned.findings);
    if json {
        let value = serde_json::json!({
            "verdict": verdict.as_str(),
            "findings": scanned.findings,
            "suppressed": scanned.suppressed,
            "coverage": scanned.coverage,
            "size": scanned.size,
        });
        say(json_pretty(&value).map_err(Failure::engine)?);
    } else {
        findings::print(scanned);
        let accepted = findings::accepted(scanned);
        let whole = if scanned.coverage.is_complete() {
            ""
        } else {
            " (of what was reviewed)"
        };
        say(format!(
            "{}{whole}: {} findings{accepted}; {}",
            verdict.as_str(),
            scanned.findings.len(),
            scanned.coverage.summary()
        ));
    }
    Ok(match verdict {
        // What was not looked at passes no gate.
        Verdict::Approve if !scanned.coverage.is_complete() => 10,
        Verdict::Approve => 0,
        Verdict::Comment => 10,
        Verdict::RequestChanges => 20,
        Verdict::Block => 30,
    })
}

fn make_baseline(
    policy: Policy,
    redactor: &Redactor,
    dir: &Path,
    output: Option<&Path>,
) -> Result<u8, Failure> {
    // What is known already is accepted again: a baseline is made anew.
    let policy = policy.without_baseline();
    let mut made = Baseline::new();
    let mut take = |finding: &Finding, matched: &[u8]| {
        if finding.severity > Severity::Info {
            made.add(finding, matched);
        }
    };
    let scanner = Scanner::new(redactor, ScanLimits::default(), &|| false)
        .under(&policy)
        .telling(&mut take);
    folder::scan(dir, scanner)
        .map_err(|e| Failure::usage(e, "Name a folder: bsm rules baseline DIR"))?;
    let text = json_pretty(&made).map_err(Failure::engine)?;
    match output {
        None => say(text),
        Some(path) => {
            std::fs::write(path, format!("{text}\n")).map_err(|e| {
                Failure::usage(
                    format!("{}: {e}", context::shown(path)),
                    "Name a file that can be written.",
                )
            })?;
            crate::cli::output::note(format!(
                "bsm: {} findings written to {}; it counts as {} of a workspace",
                made.findings().len(),
                context::shown(path),
                baseline::FILE
            ));
        }
    }
    Ok(0)
}
