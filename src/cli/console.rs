//! `bsm`, `bsm console`: an engine in this process, and the console over it on a thread of its own.

use std::sync::Arc;
use std::time::Duration;

use crate::api::client::Address;
use crate::api::{ApiConfig, Face};
use crate::cli::console_host::{needs_terminal, options, remembered, show};
use crate::cli::context;
use crate::cli::context::Setup;
use crate::cli::failure::Failure;
use crate::cli::global::Global;
use crate::engine::{Handle, Operator};
use crate::state::{Holder, StateError};

/// How long running work may take to stop; what is not done then resumes at the next start.
const STOP: Duration = Duration::from_millis(500);

pub(super) fn run(global: &Global) -> Result<u8, Failure> {
    needs_terminal()?;
    let setup = Setup::read(global)?;
    let options = options(global, &setup)?;
    let log = Arc::new(setup.start_log()?);
    let _lock = match setup.state.lock(Holder::Resident) {
        Ok(lock) => lock,
        Err(StateError::Locked {
            holder: Holder::Resident,
            ..
        }) => {
            // Somebody serves this workspace already: the console goes over that one.
            drop(log);
            let socket = Address::Socket(setup.state.socket());
            return super::attach::over(global, &setup, socket);
        }
        Err(error @ StateError::Locked { .. }) => {
            return Err(Failure::engine(error).with_help(
                "Wait for the other one, or look from outside with bsm status, bsm runs, bsm logs.",
            ));
        }
        Err(other) => return Err(Failure::engine(other)),
    };
    let runtime = context::runtime()?;
    let handle = Arc::new(
        runtime
            .block_on(Handle::start(setup.engine(
                context::mode(global),
                true,
                Some(log),
            )))
            .map_err(Failure::engine)?,
    );
    let operator: Arc<dyn Operator> = Arc::clone(&handle) as Arc<dyn Operator>;
    // Others may attach and submit runs. Without the socket the console works all the same.
    let face = runtime.block_on(open_socket(&setup, Arc::clone(&operator)));
    let (engine, on) = (Arc::clone(&handle), runtime.handle().clone());
    let stop = move || on.block_on(engine.stop(STOP));
    let ended = show(operator, options, remembered(&setup).lists, stop);
    // Stopped already, unless the console panicked.
    runtime.block_on(handle.stop(STOP));
    drop(face);
    runtime.shutdown_timeout(Duration::from_millis(200));
    crate::cli::console_host::ended(&setup, ended)
}

async fn open_socket(setup: &Setup, operator: Arc<dyn Operator>) -> Option<Face> {
    let config = ApiConfig {
        listen: None,
        socket: Some(setup.state.socket()),
        admin_token: None,
        gateway_tokens: Vec::new(),
        webhook_secrets: Vec::new(),
        settings: setup.loaded.settings.api.clone(),
        keys: super::serve::keys(setup).unwrap_or_default(),
    };
    match Face::open(operator, config).await {
        Ok(face) => Some(face),
        Err(error) => {
            tracing::warn!("no socket, nobody can attach: {error}");
            None
        }
    }
}
