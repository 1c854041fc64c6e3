//! Why is it so? Ranked sentences from the picture and the newest calls; nothing in them is guessed.
//!
//! Why a pure function: the console, the command line and later the API give the same answer, and a test
//! can hold every figure still.

mod facts;
mod health;
mod layers;
pub mod past;
mod provider;
mod run;

use crate::engine::protocol::call::CallView;
use crate::engine::protocol::run::RunResult;
use crate::engine::protocol::snapshot::Snapshot;
use crate::engine::protocol::why::{About, Why};
use facts::Seen;

/// Explains `about`; `None` when there is no such thing. `calls` are the newest attempts, newest first;
/// `run` is the run where the question is about one.
pub fn explain(
    about: &About,
    snapshot: &Snapshot,
    calls: &[CallView],
    run: Option<&RunResult>,
    now_ms: i64,
) -> Option<Why> {
    let seen = Seen {
        snapshot,
        calls,
        now_ms,
    };
    match about {
        About::Health => Some(seen.health()),
        About::Provider { name } => {
            let breaker = snapshot.breakers.iter().find(|b| b.name == *name)?;
            Some(seen.provider(breaker))
        }
        About::Pool { name } => snapshot
            .pools
            .iter()
            .find(|p| p.name == *name)
            .map(|p| seen.pool(p)),
        About::Cache { name } => snapshot
            .caches
            .iter()
            .find(|c| c.name == *name)
            .map(|c| seen.cache(c)),
        About::Run { .. } => run.map(|r| seen.run(r)),
        About::Latency => Some(seen.latency()),
    }
}
