//! Whose turn a run is that is to be kept: this process's, which takes the workspace's lock, or the resident
//! engine's. It waits for one of them, or says why it cannot; it never goes on with nothing kept.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::follow::follow;
use crate::api::client::{Address, Remote};
use crate::cli::context;
use crate::cli::context::Setup;
use crate::cli::failure::Failure;
use crate::cli::global::Global;
use crate::engine::Operator as _;
use crate::engine::protocol::command::{Subject, Trigger};
use crate::engine::protocol::run::RunResult;
use crate::state::{Holder, Lock, StateError};

/// Who carries a run out that is to be kept.
pub(super) enum Turn {
    /// This process: it has the workspace's lock.
    Own(Lock),
    /// The resident engine did.
    Ended(Box<(RunResult, bool)>),
}

/// The workspace's lock; or, where a resident engine has it, that engine carries the run out. One that cannot be
/// reached is starting or stopping: it is waited for, as another `bsm run` is.
///
/// # Errors
/// Neither comes in time, or the engine must not carry it out. A run that is to be kept never goes unkept.
pub(super) fn lock_or_submit(
    global: &Global,
    setup: &Setup,
    trigger: &Trigger,
    wait_s: u64,
    progress: bool,
) -> Result<Turn, Failure> {
    let until = Instant::now() + Duration::from_secs(wait_s);
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if let Some(lock) = lock(setup, left)? {
            return Ok(Turn::Own(lock));
        }
        if setup.is_based() && setup.policy_hash() != Setup::read_any(global, None)?.policy_hash() {
            return Err(Failure::engine(
                "an engine runs on this workspace, and the policy of the base commit is another than its own: \
                 this run cannot be kept",
            )
            .with_help("Stop the engine (`bsm stop`), or use --no-save: nothing is kept."));
        }
        if let Some(ended) = submit(global, setup, trigger, progress)? {
            return Ok(Turn::Ended(Box::new(ended)));
        }
        if Instant::now() >= until {
            return Err(Failure::engine(format!(
                "an engine runs on this workspace{} and has not answered at its socket for {} s: this run cannot be kept",
                setup.state.holder_pid().map_or_else(String::new, |pid| format!(" (process {pid})")),
                wait_s
            ))
            .with_help("`bsm doctor` says how it is. Wait longer with --wait SECONDS, or use --no-save: nothing is kept."));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Has the resident engine of this workspace carry the run out; `None`: it cannot be reached.
///
/// # Errors
/// It runs in another mode than was asked for here, or the run failed.
fn submit(
    global: &Global,
    setup: &Setup,
    trigger: &Trigger,
    progress: bool,
) -> Result<Option<(RunResult, bool)>, Failure> {
    let trigger = here(trigger.clone());
    let runtime = context::runtime()?;
    runtime.block_on(async {
        let address = Address::Socket(setup.state.socket());
        let Ok(remote) = Remote::connect(address).await else {
            return Ok(None);
        };
        let theirs = remote.snapshots().borrow().mode.clone();
        let other = (theirs.simulated, theirs.offline) != (global.simulate, global.offline);
        if other || theirs.read_only {
            let mode = |simulated, offline| match (simulated, offline) {
                (true, _) => "with --simulate",
                (_, true) => "with --offline",
                _ => "with real models",
            };
            let what = if theirs.read_only {
                "with --read-only".to_owned()
            } else {
                let (theirs, own) = (
                    mode(theirs.simulated, theirs.offline),
                    mode(global.simulate, global.offline),
                );
                format!("{theirs}, this run is {own}")
            };
            return Err(Failure::engine(format!(
                "an engine runs on this workspace {what}: this run cannot be kept"
            ))
            .with_help(
                "Run in the engine's mode, stop it (`bsm stop`), or use --no-save: nothing is kept.",
            ));
        }
        follow(&remote, trigger, progress).await.map(Some)
    })
}

/// Files named from this folder, as they are named from any other.
fn here(mut trigger: Trigger) -> Trigger {
    let absolute = |path: &mut PathBuf| {
        if let Ok(whole) = std::path::absolute(&*path) {
            *path = whole;
        }
    };
    match &mut trigger.subject {
        Some(Subject::Range { repo, .. }) => absolute(repo),
        Some(Subject::Folder { dir }) => absolute(dir),
        _ => {}
    }
    trigger
}

/// The workspace's lock; `None` when a resident engine has it. Another `bsm run` is waited for.
fn lock(setup: &Setup, wait: Duration) -> Result<Option<Lock>, Failure> {
    setup.state.prepare().map_err(|e| {
        Failure::engine(e)
            .with_help("Set XDG_STATE_HOME to a private, local folder, or use --no-save.")
    })?;
    let until = Instant::now() + wait;
    loop {
        match setup.state.lock(Holder::Run) {
            Ok(lock) => return Ok(Some(lock)),
            Err(StateError::Locked {
                holder: Holder::Resident,
                ..
            }) => return Ok(None),
            Err(StateError::Locked { .. }) if Instant::now() < until => {
                std::thread::sleep(Duration::from_millis(50));
            }
            Err(error @ StateError::Locked { .. }) => {
                return Err(Failure::engine(error)
                    .with_help("Wait longer with --wait SECONDS, or use --no-save."));
            }
            Err(error) => {
                return Err(Failure::engine(error).with_help(
                    "Make the state directory writable (`bsm doctor` looks at it), or use --no-save.",
                ));
            }
        }
    }
}
