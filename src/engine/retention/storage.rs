//! Storage usage for faces: measured on a thread of its own, and not more often than anybody can read it.
//!
//! Why it is kept for a while: it walks every file and every table, and a panel asks again with each look.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::engine::config::store::ConfigStore;
use crate::engine::lifecycle::Lifecycle;
use crate::engine::protocol::storage::Usage;
use crate::engine::retention::usage::measure;
use crate::engine::runs::report::ReportFolder;
use crate::resilience::clock::lock;
use crate::state::StateDir;

/// A measurement is good for so long.
const FRESH: Duration = Duration::from_secs(30);

/// One per engine.
pub struct Storage {
    lifecycle: Arc<Lifecycle>,
    store: Arc<ConfigStore>,
    state: StateDir,
    reports: ReportFolder,
    newest: Mutex<Option<(Instant, Usage)>>,
    turn: tokio::sync::Mutex<()>,
}

impl Storage {
    /// Nothing is measured yet. `reports`: `None`, nothing is kept there.
    pub fn new(
        lifecycle: Arc<Lifecycle>,
        store: Arc<ConfigStore>,
        state: StateDir,
        reports: Option<ReportFolder>,
    ) -> Arc<Self> {
        let reports =
            reports.unwrap_or_else(|| ReportFolder::for_workspace(store.root.as_deref(), &state));
        Arc::new(Self {
            lifecycle,
            store,
            state,
            reports,
            newest: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
        })
    }

    /// What takes how much, at most 30 seconds old.
    ///
    /// # Errors
    /// The measurement broke off; a sentence.
    pub async fn usage(&self) -> Result<Usage, String> {
        // Several who ask at once wait for one measurement.
        let _turn = self.turn.lock().await;
        let now = self.lifecycle.now();
        let fresh = |at: &Instant| now.saturating_duration_since(*at) < FRESH;
        if let Some((_, usage)) = lock(&self.newest).as_ref().filter(|(at, _)| fresh(at)) {
            return Ok(usage.clone());
        }
        let (state, reports) = (self.state.clone(), self.reports.clone());
        let (settings, now_ms) = (self.store.settings(), self.lifecycle.wall_ms());
        let work =
            tokio::task::spawn_blocking(move || measure(&state, &reports, &settings, now_ms));
        let usage = work
            .await
            .map_err(|_| "measuring the storage broke off; this is a defect, please report it")?;
        *lock(&self.newest) = Some((now, usage.clone()));
        Ok(usage)
    }
}
