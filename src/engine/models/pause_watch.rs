//! Notices that this process stood still: SIGSTOP, a frozen container. Calls under way meanwhile are not
//! counted against their providers (`resilience::pauses` says why).

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::engine::lifecycle::Lifecycle;
use crate::engine::models::access::Models;

/// Between two ticks.
const EVERY: Duration = Duration::from_secs(1);

/// Ticks until the engine stops.
pub async fn run(lifecycle: Arc<Lifecycle>, models: Arc<Models>) {
    let pauses = models.service.pauses();
    loop {
        if let Some(pause) = pauses.tick(Instant::now()) {
            tracing::warn!(
                "this process stood still for {} s; calls under way are not counted against their providers",
                pause.as_secs()
            );
        }
        tokio::select! {
            () = lifecycle.stopping.cancelled() => break,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
    pauses.end();
}
