//! What is missing at GitHub, as alerts: asked a while after the start, after a change of the settings, once a day.
//!
//! Why not at the start: a start must not cost requests before anything is reviewed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::engine::code_host::setup_checks::{SetupCheck, checks};
use crate::engine::config::store::ConfigStore;
use crate::engine::lifecycle::Lifecycle;
use crate::engine::notifier::Notifier;
use crate::engine::protocol::health::Level;
use crate::outbound::egress::Lookup;
use crate::resilience::clock::lock;
use crate::settings::Settings;

/// From the start, or a change of the settings, to the look.
const FIRST: Duration = Duration::from_secs(120);
/// Between two looks.
const DAILY: Duration = Duration::from_secs(86_400);
/// The alert's code.
const CODE: &str = "code-host-setup";

/// One per engine.
pub struct SetupWatch {
    /// Clock, mode, stop.
    pub lifecycle: Arc<Lifecycle>,
    /// Alerts.
    pub notifier: Arc<Notifier>,
    /// Settings and variables.
    pub store: Arc<ConfigStore>,
    /// Looks names up.
    pub lookup: Lookup,
    /// What is raised now: subject → text.
    pub raised: Mutex<BTreeMap<String, String>>,
}

impl SetupWatch {
    /// Looks until the engine stops.
    pub async fn run(self: Arc<Self>) {
        let mut pause = FIRST;
        loop {
            let before = self.store.settings();
            let waited = tokio::time::Instant::now() + pause;
            let changed = loop {
                tokio::select! {
                    () = self.lifecycle.stopping.cancelled() => return,
                    () = tokio::time::sleep(FIRST.min(pause)) => {}
                }
                if !Arc::ptr_eq(&before, &self.store.settings()) {
                    break true;
                }
                if tokio::time::Instant::now() >= waited {
                    break false;
                }
            };
            tracing::debug!(changed, "what is missing at GitHub is asked");
            self.look().await;
            pause = DAILY;
        }
    }

    /// Looks now. Only where there is something to do at GitHub at all.
    pub async fn look(&self) {
        let settings = self.store.settings();
        let is_used = |s: &Settings| !s.github.repositories.is_empty() && !s.safe_mode;
        if self.lifecycle.mode.simulated || !is_used(&settings) {
            return self.show(&[]);
        }
        let found = checks(&settings, &self.store.env, &self.lookup).await;
        self.show(&found);
    }

    /// Raises what is wrong, and calms what is right again.
    fn show(&self, found: &[SetupCheck]) {
        let wrong = found.iter().filter(|check| check.level != Level::Pass);
        let mut now: BTreeMap<String, String> = BTreeMap::new();
        for check in wrong {
            let help = check.help.as_deref().unwrap_or_default();
            let text = format!("{}: {}; {help}", check.name, check.sentence);
            now.insert(format!("{} {}", check.name, check.sentence), text);
        }
        let before = std::mem::replace(&mut *lock(&self.raised), now.clone());
        for (subject, text) in &now {
            self.notifier.raise(CODE, subject, text.clone());
        }
        for subject in before.keys().filter(|subject| !now.contains_key(*subject)) {
            let text = format!("no longer missing at GitHub: {subject}");
            self.notifier.resolve(CODE, subject, text);
        }
    }
}
