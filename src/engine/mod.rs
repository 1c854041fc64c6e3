//! The engine: an event goes in; a decision, a report and a picture come out.
//!
//! The way of a run, never turning back: [`intake`] (rules on the raw change, redaction, journal) →
//! [`run`] (its turn, its agents) → [`step`] (rules' verdict, model's verdict, the stricter) →
//! [`decision`] → [`report`] → what is published. A webhook's change is fetched before the first step.
//! [`handle`] carries commands in and pictures out; [`picture`] assembles
//! them. Faces know the trait [`Operator`] and nothing else.

mod approvals;
pub mod asking;
mod audit;
pub mod calls;
mod commands;
mod completing;
pub mod core;
pub mod decision;
mod drills;
mod ending;
pub mod failpoint;
mod fetching;
pub mod forms;
pub mod handle;
mod history;
pub mod intake;
pub mod ledger;
mod numbered_diff;
pub mod outbox;
pub mod picture;
pub mod presence;
pub mod prompt;
mod publish;
mod queries;
mod reload;
pub mod remembering;
pub mod report;
mod resume;
pub mod run;
mod saying;
mod schedules;
pub mod step;
mod ticking;
pub mod types;
pub mod views;
mod watchdog;
mod webhook;
pub mod why;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::watch;

pub use handle::{EngineConfig, Handle, StartError};
pub use presence::Presence;
use types::command::{Envelope, Refused, Reply};
use types::completion::{Completed, Completion, Pieces};
use types::event::{Event, EventStream};
use types::query::{Answer, Capabilities, Query, QueryError};
use types::run::{RunResult, RunState};
use types::snapshot::Snapshot;

/// The seam between the engine and every face. In the process it is [`Handle`]; over HTTP and from a
/// recording it will be others.
pub trait Operator: Send + Sync {
    /// The newest picture; an unchanged one is not published.
    fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>>;
    /// What happens from now on.
    fn events(&self) -> EventStream;
    /// Sends a command.
    fn send(&self, envelope: Envelope) -> BoxFuture<'_, Result<Reply, Refused>>;
    /// Asks for details.
    fn query(&self, query: Query) -> BoxFuture<'_, Result<Answer, QueryError>>;
    /// Passes another program's question on; `pieces` hears the answer while it comes. An engine somewhere
    /// else has a gateway of its own for that.
    fn complete(
        &self,
        _wanted: Completion,
        _pieces: Option<Pieces>,
    ) -> BoxFuture<'_, Result<Completed, Refused>> {
        let here = "questions are passed on where the engine is; ask its own gateway";
        Box::pin(async move { Err(Refused::input(here)) })
    }
    /// Somebody looks at it from outside until this is dropped; the picture names them.
    fn attend(&self, _who: String) -> Presence {
        Presence::default()
    }
    /// What this engine can do.
    fn capabilities(&self) -> Capabilities;
}

/// Waits until a run has ended; `None` when there is none, or the engine cannot be asked any more.
pub async fn finished(operator: &dyn Operator, id: &str) -> Option<RunResult> {
    const TRIES: u32 = 40;
    let mut events = operator.events();
    let mut lost = 0;
    loop {
        match operator.query(Query::Run { id: id.to_owned() }).await {
            Ok(Answer::Run { run })
                if !matches!(run.state, RunState::Queued | RunState::Running) =>
            {
                return Some(*run);
            }
            Ok(_) => lost = 0,
            Err(QueryError::NotFound { .. }) => return None,
            Err(_) if lost == TRIES => return None,
            Err(_) => lost += 1,
        }
        let ended = async {
            loop {
                match events.next().await {
                    Some(Event::RunFinished { run, .. }) if run == id => return,
                    Some(_) => {}
                    None => std::future::pending().await,
                }
            }
        };
        // An event that was lost on the way must not make this wait for ever.
        let _ = tokio::time::timeout(Duration::from_millis(250), ended).await;
    }
}
