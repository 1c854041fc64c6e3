//! An engine that outlives its console: begun in the background, found over its socket, stopped by name.

use std::process::Stdio;
use std::time::{Duration, Instant};

use super::attach;
use super::remote::Where;
use crate::api::client::Address;
use crate::cli::context;
use crate::cli::context::Setup;
use crate::cli::failure::{Failure, refuse_when_read_only};
use crate::cli::global::Global;
use crate::cli::output::say;
use crate::engine::protocol::command::Command;
use crate::state::Holder;

/// A new engine must be there within this.
const READY: Duration = Duration::from_secs(15);
/// A stopping one gone within this.
const GONE: Duration = Duration::from_secs(30);

/// Opens the console over this workspace's engine, beginning one in the background where none runs.
pub(super) fn run(global: &Global) -> Result<u8, Failure> {
    crate::cli::console_host::needs_terminal()?;
    let setup = Setup::read(global)?;
    // What the console would refuse is said before anything is begun.
    crate::cli::console_host::check(global, &setup)?;
    if setup.state.holder() != Some(Holder::Resident) {
        refuse_when_read_only(global)?;
        begin(global, &setup)?;
    }
    attach::over(global, &setup, Address::Socket(setup.state.socket()))
}

fn begin(global: &Global, setup: &Setup) -> Result<(), Failure> {
    use std::os::unix::process::CommandExt as _;
    setup.state.prepare().map_err(Failure::engine)?;
    // A file, because nobody reads a pipe once this console is gone.
    let path = setup.state.path().join("engine.stderr");
    let errors = crate::state::private_file(&path, false).map_err(Failure::engine)?;
    errors.set_len(0).map_err(Failure::engine)?;
    let program = std::env::current_exe().map_err(Failure::engine)?;
    let mut engine = std::process::Command::new(program);
    engine
        .args(words(global))
        .args(["serve", "--no-tcp", "--allow-root"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(errors.try_clone().map_err(Failure::engine)?)
        // What is typed here, Ctrl-C above all, is not meant for it.
        .process_group(0);
    let mut child = engine.spawn().map_err(Failure::engine)?;
    let until = Instant::now() + READY;
    let socket = setup.state.socket();
    loop {
        if std::os::unix::net::UnixStream::connect(&socket).is_ok() {
            return Ok(());
        }
        if let Some(ended) = child.try_wait().map_err(Failure::engine)? {
            let said = std::fs::read_to_string(&path).unwrap_or_default();
            let said = crate::text::clean_block(said.trim(), 600);
            return Err(Failure::engine(format!(
                "the engine ended ({ended}): {said}"
            )));
        }
        if Instant::now() > until {
            return Err(
                Failure::engine("the engine did not open its socket in time")
                    .with_help("`bsm logs` may say why; `bsm serve` shows it while it starts."),
            );
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The global options again, for the other process.
fn words(global: &Global) -> Vec<std::ffi::OsString> {
    let mut words: Vec<std::ffi::OsString> = Vec::new();
    for (flag, path) in [
        ("--workspace", &global.workspace),
        ("--config", &global.config),
        ("--env-file", &global.env_file),
    ] {
        if let Some(path) = path {
            words.extend([flag.into(), path.clone().into_os_string()]);
        }
    }
    for (flag, on) in [
        ("--offline", global.offline),
        ("--simulate", global.simulate),
    ] {
        if on {
            words.push(flag.into());
        }
    }
    if let Some(level) = &global.log_level {
        words.extend(["--log-level".into(), level.into()]);
    }
    words
}

/// The process that holds the workspace's lock, in words.
fn process(setup: &Setup) -> String {
    match setup.state.holder_pid() {
        Some(pid) => format!("process {pid}"),
        None => "a process whose number is unknown".to_owned(),
    }
}

/// Stop this workspace's engine in good order, or drain it.
///
/// Without an option the engine ends; unfinished runs go on at the next start.
#[derive(Debug, clap::Args)]
pub struct StopArgs {
    /// Cancel its runs and accept no more, but go on serving
    #[arg(long, conflicts_with = "undrain")]
    drain: bool,
    /// Accept runs again after a drain
    #[arg(long)]
    undrain: bool,
    #[command(flatten)]
    at: Where,
}

/// `bsm stop`: asks this workspace's engine to end in good order, and waits until it has; or drains it.
pub(super) fn stop(global: &Global, args: &StopArgs) -> Result<u8, Failure> {
    refuse_when_read_only(global)?;
    let setup = Setup::read(global)?;
    if args.drain {
        return args.at.command(&setup, Command::Drain);
    }
    if args.undrain {
        return args.at.command(&setup, Command::OpenIntake);
    }
    if args.at.named(&setup)?.is_some() {
        return Err(Failure::usage(
            "an engine somewhere else cannot be stopped from here",
            "Use --drain with --url, or stop its process where it runs.",
        ));
    }
    match setup.state.holder() {
        Some(Holder::Resident) => {}
        Some(Holder::Run) => {
            let process = process(&setup);
            say(format!(
                "no engine runs here, only one run, in {process}; it ends by itself"
            ));
            return Ok(0);
        }
        None => {
            say("no engine runs here");
            return Ok(0);
        }
    }
    let runtime = context::runtime()?;
    let peer = runtime.block_on(async {
        let stream = tokio::net::UnixStream::connect(setup.state.socket()).await?;
        stream.peer_cred()
    });
    let unreachable = |e: &dyn std::fmt::Display| {
        let holder = process(&setup);
        Failure::engine(format!(
            "the engine's socket cannot be reached: {e}; it is {holder}"
        ))
        .with_help(&format!(
            "It may be stopping already. Else end {holder} by hand: `kill`, then `kill -9`."
        ))
    };
    let peer = peer.map_err(|e| unreachable(&e))?;
    // Whoever listens there holds the lock: it is the engine itself.
    let pid = peer
        .pid()
        .and_then(rustix::process::Pid::from_raw)
        .ok_or_else(|| unreachable(&"it does not say which process it is"))?;
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).map_err(Failure::engine)?;
    let until = Instant::now() + GONE;
    while setup.state.holder() == Some(Holder::Resident) {
        if Instant::now() > until {
            let holder = process(&setup);
            let what = format!("the engine has not ended yet; it is {holder}");
            return Err(Failure::engine(what).with_help(
                "Steps under way may take their time; `bsm status` says when it is gone.",
            ));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    say("stopped; unfinished runs go on at the next start");
    Ok(0)
}
