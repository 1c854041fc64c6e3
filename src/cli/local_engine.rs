//! The engine of this workspace on this host: whether one runs, its process, and what it says of itself.
//!
//! Why over the socket: the lock says that an engine runs, and only the engine knows how it is.

use std::time::Duration;

use crate::api::client::{Address, Remote};
use crate::cli::context::{self, Setup};
use crate::cli::failure::Failure;
use crate::engine::Operator as _;
use crate::engine::protocol::snapshot::Snapshot;
use crate::state::Holder;
use crate::text::clean_line;

/// An engine that has not answered after this is one whose health is unknown.
const ANSWER: Duration = Duration::from_secs(3);

/// What holds the workspace's lock, and what it says.
pub(super) enum LocalEngine {
    /// Nothing runs.
    Stopped,
    /// One `bsm run`: it ends by itself.
    OneRun,
    /// A console or a server.
    Running {
        /// Its process, where it can be known.
        pid: Option<i32>,
        /// Its newest snapshot, or why it does not answer.
        snapshot: Result<Box<Snapshot>, String>,
    },
}

/// Looks, and asks the engine if there is one.
pub(super) fn look(setup: &Setup) -> Result<LocalEngine, Failure> {
    // A lock that was deleted says nothing; the socket of a dead engine refuses.
    let listens = || std::os::unix::net::UnixStream::connect(setup.state.socket()).is_ok();
    match setup.state.holder() {
        None if !listens() => Ok(LocalEngine::Stopped),
        Some(Holder::Run) => Ok(LocalEngine::OneRun),
        None | Some(Holder::Resident) => {
            let runtime = context::runtime()?;
            let engine = runtime.block_on(ask(setup));
            runtime.shutdown_background();
            Ok(engine)
        }
    }
}

async fn ask(setup: &Setup) -> LocalEngine {
    let socket = setup.state.socket();
    let connected = tokio::time::timeout(ANSWER, tokio::net::UnixStream::connect(&socket)).await;
    // Whoever listens there holds the lock: it is the engine itself.
    let pid = match &connected {
        Ok(Ok(stream)) => stream.peer_cred().ok().and_then(|peer| peer.pid()),
        _ => None,
    };
    let written = || setup.state.holder_pid().and_then(|pid| pid.try_into().ok());
    let pid = pid.or_else(written);
    drop(connected);
    let asked = tokio::time::timeout(ANSWER, Remote::connect(Address::Socket(socket))).await;
    let snapshot = match asked {
        Ok(Ok(remote)) => Ok(Box::new((**remote.snapshots().borrow()).clone())),
        Ok(Err(error)) => Err(clean_line(&error.to_string(), 200)),
        Err(_) => Err(format!("no answer within {} s", ANSWER.as_secs())),
    };
    LocalEngine::Running { pid, snapshot }
}
