//! Where `bsm memory` reads and writes: a running engine, else the journal.

use super::remote::{Where, with};
use crate::api::client::Address;
use crate::cli::context::Setup;
use crate::cli::failure::Failure;
use crate::engine::Operator as _;
use crate::engine::protocol::query::{Answer, Query};
use crate::state::Holder;

/// The engine that is asked: the one that was named, else this workspace's own where it runs.
pub(super) fn address(setup: &Setup, at: &Where) -> Result<Option<Address>, Failure> {
    if let Some(address) = at.named(setup)? {
        return Ok(Some(address));
    }
    let runs = setup.state.holder() == Some(Holder::Resident);
    Ok(runs.then(|| Address::Socket(setup.state.socket())))
}

/// Asks a running engine.
pub(super) fn ask(address: Address, query: Query) -> Result<Answer, Failure> {
    with(address, async |remote| {
        remote.query(query).await.map_err(Failure::engine)
    })
}

/// The engine answered with another kind of answer than was asked for.
pub(super) fn unexpected() -> Failure {
    Failure::engine("the engine answered something else")
}
