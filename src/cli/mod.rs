//! The command line: one file a command. This one knows the arguments that all share, and how a
//! failure is said: what happened, where, what to do.

mod alerts;
mod approvals;
mod attach;
mod breaker;
mod cache;
mod change;
mod check;
mod ci;
mod command_groups;
mod completions;
mod config;
mod console;
mod console_host;
mod context;
mod cost;
mod daemon;
mod doctor;
mod drill;
mod drill_engine;
mod export_args;
mod failure;
mod findings;
mod follow;
mod global;
mod inbox;
mod init;
mod local_engine;
mod logs;
mod memory;
mod memory_files;
mod memory_source;
mod outbox;
mod output;
mod ownership;
mod remote;
mod review;
mod rules;
mod rules_dismissals;
mod rules_explain;
mod run;
mod run_turn;
mod runs;
mod runs_table;
mod scan;
mod sd_notify;
mod serve;
mod simulate;
mod state;
mod status;
mod status_all;
mod trust;

use std::process::ExitCode;

pub use self::failure::Failure;
pub use self::global::{Color, Global};
use clap::{CommandFactory as _, Parser, Subcommand};
use miette::Diagnostic;

/// An operations console for language-model agents, in the terminal.
///
/// Without a command it opens the console over an engine of its own. Everything works offline, with no
/// key: rules decide; models add to it when a key is set.
#[derive(Debug, Parser)]
#[command(name = "bsm", version, propagate_version = true, max_term_width = 100, after_help = EXAMPLES,
    help_template = help_template())]
pub struct Cli {
    /// What every command understands.
    #[command(flatten)]
    pub global: Global,
    /// The engine runs in the background and outlives the console; `bsm stop` ends it
    #[arg(long)]
    pub detachable: bool,
    /// The command; the console where there is none.
    #[command(subcommand)]
    pub command: Option<CliCommand>,
}

const EXAMPLES: &str = "Examples:
  bsm                                              open the console; press r, Enter for a first run
  bsm review                                       review this branch
  git diff main | bsm review --diff -              review any diff
  bsm scan --staged                                the rules as a linter, before a commit
  bsm run repository.health_check --repo .
  bsm --simulate                                   try it with simulated models
  bsm config check && bsm config                   what is wrong, and what is in effect";

/// The commands.
#[derive(Debug, Subcommand)]
pub enum CliCommand {
    /// Open the console (the same as no command)
    Console,
    /// Serve the engine over HTTP and a socket, without a screen
    Serve(serve::ServeArgs),
    /// Stop this workspace's engine in good order, or drain it
    Stop(daemon::StopArgs),
    /// Look for what is wrong: engine, files, disk, settings, keys, host; one line each
    Doctor(doctor::DoctorArgs),
    /// Open the console over a running engine
    Attach(attach::AttachArgs),
    /// Review a change: this branch, a range, what is staged, or a diff
    Review(review::ReviewArgs),
    /// Look for what the rules know, as a linter
    Scan(scan::ScanArgs),
    /// Review the change that a pipeline is about, and gate it
    Ci(Box<ci::CiArgs>),
    /// Run an event's agents once and print the decision
    Run(run::RunArgs),
    /// List runs, show one, start one again or cancel it
    Runs(runs::RunsArgs),
    /// The rules of a review: list them, show one, try them on a diff, make a baseline
    Rules(rules::RulesArgs),
    /// The old name of `bsm config check`
    #[command(hide = true)]
    Check(check::CheckArgs),
    /// Write the built-in workspace into a folder, to make it your own
    Init(init::InitArgs),
    /// Let a workspace name addresses, keys and schedules, as it is now
    Trust(trust::TrustArgs),
    /// Print the settings in effect and where each came from, or check the workspace
    Config(config::ConfigArgs),
    /// Say how the engine of this workspace is
    Status(status::StatusArgs),
    /// Say what models cost, by day, provider, model or agent
    Cost(cost::CostArgs),
    /// Try out what is promised of providers and of the disk, promise beside measurement
    Drill(drill::DrillArgs),
    /// Run a mock model server with fault injection
    Simulate(simulate::SimulateArgs),
    /// Print log lines
    Logs(logs::LogsArgs),
    /// Say how the caches of a running engine are, or clear them
    Cache(cache::CacheArgs),
    /// Say how the breakers of a running engine stand, or reset one
    Breaker(breaker::BreakerArgs),
    /// What this workspace keeps on disk: usage, pruning, backups, repair
    State(state::StateArgs),
    /// List the newest webhooks, or publications at GitHub
    Inbox(inbox::InboxArgs),
    /// The old name of `bsm inbox outbox`
    #[command(hide = true)]
    Outbox(outbox::OutboxArgs),
    /// Past reviews and decisions: the most alike, and why changes are rejected
    Memory(memory::MemoryArgs),
    /// List alerts of a running engine, show what to do about one, or acknowledge it
    Alerts(alerts::AlertsArgs),
    /// List pending approvals, or decide on one
    Approvals(approvals::ApprovalsArgs),
    /// Print a completion script for a shell
    #[command(hide = true)]
    Completions(completions::CompletionsArgs),
    /// Print the manual page
    #[command(hide = true)]
    Man,
}

/// The help of `bsm` itself, with the commands in groups.
fn help_template() -> String {
    command_groups::help_template(&CliCommand::augment_subcommands(clap::Command::new("bsm")))
}

/// Runs a command; the exit code says how it went.
pub fn run(cli: Cli) -> ExitCode {
    let global = cli.global;
    let result = match cli.command {
        None | Some(CliCommand::Console) if cli.detachable => daemon::run(&global),
        None | Some(CliCommand::Console) => console::run(&global),
        Some(_) if cli.detachable => Err(Failure::usage(
            "--detachable is for the console",
            "Leave the command out, or use `bsm serve`.",
        )),
        Some(CliCommand::Stop(args)) => daemon::stop(&global, &args),
        Some(CliCommand::Doctor(args)) => doctor::run(&global, &args),
        Some(CliCommand::Serve(args)) => serve::run(&global, &args),
        Some(CliCommand::Attach(args)) => attach::run(&global, &args),
        Some(CliCommand::Review(args)) => review::run(&global, args),
        Some(CliCommand::Scan(args)) => scan::run(&global, args),
        Some(CliCommand::Ci(args)) => ci::run(&global, *args),
        Some(CliCommand::Run(args)) => run::run(&global, args),
        Some(CliCommand::Runs(args)) => runs::run(&global, args),
        Some(CliCommand::Rules(args)) => rules::run(&global, args),
        Some(CliCommand::Check(args)) => check::run(&global, &args),
        Some(CliCommand::Init(args)) => init::run(&global, &args),
        Some(CliCommand::Trust(args)) => trust::run(&global, &args),
        Some(CliCommand::Config(args)) => config::run(&global, &args),
        Some(CliCommand::Status(args)) => status::run(&global, &args),
        Some(CliCommand::Cost(args)) => cost::run(&global, &args),
        Some(CliCommand::Drill(args)) => drill::run(&global, &args),
        Some(CliCommand::Simulate(args)) => simulate::run(&global, &args),
        Some(CliCommand::Logs(args)) => logs::run(&global, &args),
        Some(CliCommand::Cache(args)) => cache::run(&global, args),
        Some(CliCommand::Breaker(args)) => breaker::run(&global, args),
        Some(CliCommand::State(args)) => state::run(&global, &args),
        Some(CliCommand::Inbox(args)) => inbox::run(&global, &args),
        Some(CliCommand::Outbox(args)) => outbox::run(&global, &args),
        Some(CliCommand::Memory(args)) => memory::run(&global, args),
        Some(CliCommand::Alerts(args)) => alerts::run(&global, args),
        Some(CliCommand::Approvals(args)) => approvals::run(&global, args),
        Some(CliCommand::Completions(args)) => completions::run(&args, Cli::command()),
        Some(CliCommand::Man) => completions::man(Cli::command()),
    };
    match result {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            crate::cli::output::note(format!(
                "bsm: {}",
                crate::text::clean_block(&failure.message, 2_000)
            ));
            if let Some(help) = failure.help() {
                crate::cli::output::note(format!("     {help}"));
            }
            ExitCode::from(failure.exit)
        }
    }
}

/// What the process needs before anything else: private files, one crypto provider, no core dumps, and
/// room for sockets.
pub fn prepare_process() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit, umask};
    // State, logs and SQLite's own files are private from their creation; what is meant for others
    // (reports, a workspace written by init) gets its mode explicitly.
    umask(rustix::fs::Mode::from_raw_mode(0o077));
    let _ = setrlimit(
        Resource::Core,
        Rlimit {
            current: Some(0),
            maximum: Some(0),
        },
    );
    let files = getrlimit(Resource::Nofile);
    let wanted = files.maximum.map_or(65_536, |most| most.min(65_536));
    if files.current.is_some_and(|now| now < wanted) {
        let _ = setrlimit(
            Resource::Nofile,
            Rlimit {
                current: Some(wanted),
                maximum: files.maximum,
            },
        );
    }
    // A second provider installed by a test is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
