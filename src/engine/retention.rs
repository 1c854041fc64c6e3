//! What is too old or too much is removed: runs, webhooks, memory.

use std::sync::Arc;
use std::time::Duration;

use crate::engine::config::store::ConfigStore;
use crate::engine::durable::Durable;
use crate::engine::lifecycle::Lifecycle;
use crate::engine::memory::index::MemoryIndex;

/// Between two passes.
const EVERY: Duration = Duration::from_secs(600);

/// One per engine.
pub struct Retention {
    /// Clock and stop.
    pub lifecycle: Arc<Lifecycle>,
    /// How much is kept.
    pub store: Arc<ConfigStore>,
    /// What is thinned.
    pub durable: Arc<Durable>,
    /// What is remembered.
    pub memory: Arc<MemoryIndex>,
}

impl Retention {
    /// Removes what is too old or too much, every ten minutes until the engine stops.
    pub async fn run(self: Arc<Self>) {
        let journal = &self.durable.journal;
        loop {
            let keep = self.store.settings().engine.runs_kept;
            match journal.prune(keep).await {
                Ok(gone) if gone > 0 => tracing::info!(gone, "old runs pruned"),
                Ok(_) => {}
                Err(error) => tracing::warn!("pruning failed: {error}"),
            }
            if let Err(error) = self.memory.retain().await {
                tracing::warn!("memory could not be thinned: {error}");
            }
            if self.lifecycle.clock_is_sound()
                && let Err(error) = journal.forget_deliveries(self.lifecycle.wall_ms()).await
            {
                tracing::warn!("old webhooks could not be removed: {error}");
            }
            self.memory.rebuild_if_wasteful();
            tokio::select! {
                () = self.lifecycle.stopping.cancelled() => return,
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    }
}
