//! Agents that an operator stops and starts, and what the registry and the profile allow.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use crate::engine::config::caches::WorkspaceCaches;
use crate::engine::config::store::ConfigStore;
use crate::engine::durable::Durable;
use crate::engine::notifier::Notifier;
use crate::engine::protocol::command::Refused;
use crate::resilience::clock::lock;
use crate::workspace::agent::Agent;

/// One per engine.
pub struct AgentControl {
    store: Arc<ConfigStore>,
    caches: Arc<WorkspaceCaches>,
    durable: Arc<Durable>,
    notifier: Arc<Notifier>,
    stopped: Mutex<BTreeSet<String>>,
}

impl AgentControl {
    /// `stopped`: as the journal has them.
    pub fn new(
        store: Arc<ConfigStore>,
        caches: Arc<WorkspaceCaches>,
        durable: Arc<Durable>,
        notifier: Arc<Notifier>,
        stopped: BTreeSet<String>,
    ) -> Arc<Self> {
        Arc::new(Self {
            store,
            caches,
            durable,
            notifier,
            stopped: Mutex::new(stopped),
        })
    }

    /// An agent of the workspace.
    ///
    /// # Errors
    /// There is none of that id.
    pub fn agent(&self, id: &str) -> Result<Arc<Agent>, Refused> {
        let agent = self.store.workspace().agent(id).cloned();
        agent.ok_or_else(|| Refused::not_found("agent", id))
    }

    /// Whether the registry lets an agent start here and now.
    ///
    /// # Errors
    /// [`Refused::Forbidden`], with the reason.
    pub async fn may_start(&self, agent: &Agent) -> Result<(), Refused> {
        let forbidden = |reason: String| Err(Refused::Forbidden { reason });
        let settings = self.store.settings();
        if settings.safe_mode && agent.safety.mode == "destructive" {
            return forbidden(format!("safe mode: {} is destructive", agent.id));
        }
        let registry = match self.caches.registry().await {
            Ok(registry) => registry,
            Err(error) => return forbidden(format!("the registry cannot be read: {error}")),
        };
        let entry = (*registry).as_ref().and_then(|r| r.entry(&agent.id));
        let profiles = entry
            .and_then(|e| e.startup.as_ref())
            .map(|s| &s.allowed_profiles);
        let here = settings.environment.as_str();
        match profiles {
            Some(allowed) if !allowed.iter().any(|p| p == here) => {
                forbidden(format!("{} may not start in {here}", agent.id))
            }
            _ => Ok(()),
        }
    }

    /// An operator stopped it.
    pub fn is_stopped(&self, id: &str) -> bool {
        lock(&self.stopped).contains(id)
    }

    /// Those that an operator stopped.
    pub fn stopped(&self) -> Vec<String> {
        lock(&self.stopped).iter().cloned().collect()
    }

    /// Stops an agent, or lets it work again; on disk when this returns.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub async fn set_stopped(&self, id: &str, stopped: bool) -> Result<(), Refused> {
        self.durable.journal.set_stopped(id, stopped).await?;
        if stopped {
            lock(&self.stopped).insert(id.to_owned());
        } else {
            lock(&self.stopped).remove(id);
        }
        self.notifier.mark_changed();
        Ok(())
    }
}
