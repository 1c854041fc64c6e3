//! The engine: an event goes in; a decision, a report and a snapshot come out.
//!
//! A run goes one way: [`runs`]`::intake` (rules on the raw change, redaction, journal) → `executor` (its turn,
//! its agents) → `step` (rules' verdict, model's verdict, the stricter) → `decision` → `completion` (report,
//! publications). Each file here or below is one service; it is given those that it needs by `builder`, and
//! only [`handle`], `commands` and `queries` know all of them. Faces know the trait [`Operator`] and
//! [`protocol`], and nothing else.

mod agents;
mod alert_book;
mod attachment;
pub mod audit;
mod builder;
pub mod code_host;
mod commands;
pub mod config;
mod drill_runner;
mod durable;
mod errors;
pub mod exporters;
pub mod failpoint;
pub mod handle;
mod lifecycle;
pub mod memory;
pub mod models;
mod notifier;
pub mod observe;
mod periodic;
pub mod protocol;
mod queries;
pub mod retention;
mod rows;
pub mod runs;
mod services;
mod watched_files;
mod wiring;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::watch;

use crate::settings::GatewaySettings;
pub use attachment::Attachment;
pub use builder::{EngineConfig, StartError};
pub use handle::Handle;
use protocol::command::{Envelope, Refused, Reply};
use protocol::event::{Event, EventStream};
use protocol::forward::{ForwardError, ForwardReply, ForwardRequest};
use protocol::query::{Answer, Capabilities, Query, QueryError};
use protocol::run::{RunResult, RunState};
use protocol::snapshot::Snapshot;

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
    /// Passes another program's request on. An engine somewhere else has a gateway of its own for that.
    fn forward(
        &self,
        _wanted: ForwardRequest,
    ) -> BoxFuture<'_, Result<ForwardReply, ForwardError>> {
        let here = "requests are passed on where the engine is; ask its own gateway";
        let error = ForwardError::invalid(bsm_wire::error::ErrorKind::Unavailable, here);
        Box::pin(async move { Err(error) })
    }
    /// Whether a program (`api.gatewayTokens`) may use the gateway still.
    fn knows_program(&self, _name: &str) -> bool {
        true
    }
    /// How the gateway is set at this moment.
    fn gateway_settings(&self) -> GatewaySettings {
        GatewaySettings::default()
    }
    /// Somebody looks at it from outside until this is dropped; the picture names them.
    fn attach(&self, _who: String) -> Attachment {
        Attachment::default()
    }
    /// A face made this file for the engine, or made it anew: health says when it is gone or replaced.
    fn watch_file(&self, _path: &std::path::Path) {}
    /// The face removes the file itself.
    fn forget_file(&self, _path: &std::path::Path) {}
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
