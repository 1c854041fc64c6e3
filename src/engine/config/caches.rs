//! The caches that the workspace is read through: `agents` (the workspace as a whole), `knowledge`,
//! `registry`.
//!
//! Why caches and not the store alone: a change that the file watcher missed is found when an entry is
//! older than its time to live, and an operator can force it by clearing a cache.

use std::sync::Arc;
use std::time::Duration;

use crate::cache::{Cache, CacheEntryInfo, CacheSettings, CacheStats, Loading, Spec};
use crate::engine::config::store::ConfigStore;
use crate::engine::lifecycle::Lifecycle;
use crate::resilience::policy::elapsed_ms;
use crate::settings::Settings;
use crate::text::Untrusted;
use crate::workspace::Workspace;
use crate::workspace::knowledge::{self, Knowledge};
use crate::workspace::registry::Registry;
use crate::workspace::trust::TrustStore;

/// Longest time to load a workspace's files.
const LOAD_TIMEOUT: Duration = Duration::from_secs(10);
/// A load of files that takes longer is logged as a warning, milliseconds.
const SLOW_MS: u64 = 500;

/// Keys: each cache holds one entry.
const WORKSPACE: &str = "workspace";
const DOCUMENTS: &str = "documents";
const REGISTRY: &str = "registry";

/// One per engine.
pub struct WorkspaceCaches {
    lifecycle: Arc<Lifecycle>,
    store: Arc<ConfigStore>,
    trust: TrustStore,
    /// The workspace is read from its folder; else it stays as it was handed over.
    follows_folder: bool,
    agents: Arc<Cache<Workspace, String>>,
    knowledge: Arc<Cache<Knowledge, String>>,
    registry: Arc<Cache<Option<Registry>, String>>,
}

impl WorkspaceCaches {
    /// Empty caches.
    pub fn new(
        lifecycle: Arc<Lifecycle>,
        store: Arc<ConfigStore>,
        trust: TrustStore,
        follows_folder: bool,
    ) -> Arc<Self> {
        let settings = store.settings().cache;
        let clock = || Arc::clone(&lifecycle.clock);
        let agents_bytes = |w: &Workspace| 4_096 * w.agents.len() as u64;
        let knowledge_bytes =
            |k: &Knowledge| k.documents.iter().map(|d| d.text.raw().len() as u64).sum();
        let registry_bytes =
            |r: &Option<Registry>| 1_024 * r.as_ref().map_or(1, |r| r.agents.len() as u64);
        Arc::new(Self {
            agents: Cache::new(spec("agents", settings.agents, agents_bytes), clock()),
            knowledge: Cache::new(
                spec("knowledge", settings.knowledge, knowledge_bytes),
                clock(),
            ),
            registry: Cache::new(spec("registry", settings.registry, registry_bytes), clock()),
            lifecycle,
            store,
            trust,
            follows_folder,
        })
    }

    /// The workspace as its files are, which is not always what is in effect.
    ///
    /// # Errors
    /// A sentence: the folder cannot be opened.
    pub async fn workspace(&self) -> Result<Arc<Workspace>, String> {
        let (root, trust) = (self.store.root.clone(), self.trust.clone());
        let handed_over = (!self.follows_folder).then(|| Workspace::clone(&self.store.workspace()));
        let clock = Arc::clone(&self.lifecycle.clock);
        let load = move |_: Loading| async move {
            let began = clock.now();
            let read = move || match handed_over {
                Some(workspace) => Ok(workspace),
                None => {
                    Workspace::load(root.as_deref(), &trust.renewed()).map_err(|e| e.to_string())
                }
            };
            let read = tokio::task::spawn_blocking(read)
                .await
                .unwrap_or_else(|_| Err("reading it failed".into()));
            log_load("agents", elapsed_ms(began, clock.now()), &read);
            read
        };
        let got = self.agents.get(WORKSPACE, load).await;
        got.map(|(workspace, _)| workspace)
            .map_err(|e| e.to_string())
    }

    /// The governance registry in effect; `None`: there is none.
    ///
    /// # Errors
    /// A sentence: the load took too long.
    pub async fn registry(&self) -> Result<Arc<Option<Registry>>, String> {
        let registry = self.store.workspace().registry.clone();
        let load = move |_: Loading| async move { Ok(registry) };
        let got = self.registry.get(REGISTRY, load).await;
        got.map(|(registry, _)| registry).map_err(|e| e.to_string())
    }

    /// The workspace's knowledge documents, redacted; none, and the reason, where they cannot be read.
    pub async fn documents(&self) -> (Arc<Knowledge>, Option<String>) {
        let workspace = self.store.workspace();
        let (files, trusted) = (workspace.files.clone(), workspace.trust.is_trusted());
        let redactor = self.store.redactor();
        let clock = Arc::clone(&self.lifecycle.clock);
        let load = move |_: Loading| async move {
            let began = clock.now();
            let read = tokio::task::spawn_blocking(move || {
                // A workspace that nobody trusts does not tell a model how to judge.
                let files = files.as_deref().filter(|_| trusted);
                let mut knowledge = knowledge::load(files)?;
                for document in &mut knowledge.documents {
                    document.text = Untrusted::new(redactor.text(document.text.raw()));
                }
                Ok(knowledge)
            })
            .await
            .unwrap_or_else(|_| Err("reading it failed".into()));
            log_load("knowledge", elapsed_ms(began, clock.now()), &read);
            read
        };
        match self.knowledge.get(DOCUMENTS, load).await {
            Ok((knowledge, _)) => (knowledge, None),
            Err(error) => (Arc::default(), Some(error.to_string())),
        }
    }

    /// The next read of anything goes to the files.
    pub fn invalidate(&self) {
        self.agents.invalidate(WORKSPACE);
        self.invalidate_parts();
    }

    /// The same for what is read from the workspace in effect.
    pub fn invalidate_parts(&self) {
        self.registry.invalidate(REGISTRY);
        self.invalidate_documents();
    }

    /// The same for the knowledge documents alone.
    pub fn invalidate_documents(&self) {
        self.knowledge.invalidate(DOCUMENTS);
    }

    /// Takes new sizes and times to live.
    pub fn reconfigure(&self, settings: &Settings) {
        self.agents.reconfigure(settings.cache.agents);
        self.knowledge.reconfigure(settings.cache.knowledge);
        self.registry.reconfigure(settings.cache.registry);
    }

    /// Switches the protection against stampedes.
    pub fn set_protected(&self, on: bool) {
        self.agents.set_protected(on);
        self.knowledge.set_protected(on);
        self.registry.set_protected(on);
    }

    /// Their sections of the snapshot: agents, knowledge, registry.
    pub fn stats(&self) -> [CacheStats; 3] {
        [
            self.agents.stats(),
            self.knowledge.stats(),
            self.registry.stats(),
        ]
    }

    /// Empties one cache; returns how many entries it held, or `None` when there is no such cache here.
    pub fn clear(&self, name: &str) -> Option<u64> {
        match name {
            "agents" => Some(self.agents.clear()),
            "knowledge" => Some(self.knowledge.clear()),
            "registry" => Some(self.registry.clear()),
            _ => None,
        }
    }

    /// Removes one entry; whether there was one, or `None` when there is no such cache here.
    pub fn remove(&self, name: &str, key: &str) -> Option<bool> {
        match name {
            "agents" => Some(self.agents.invalidate(key)),
            "knowledge" => Some(self.knowledge.invalidate(key)),
            "registry" => Some(self.registry.invalidate(key)),
            _ => None,
        }
    }

    /// What a cache holds, newest first; `None` when there is no such cache here.
    pub fn entries(&self, name: &str, most: usize) -> Option<Vec<CacheEntryInfo>> {
        match name {
            "agents" => Some(self.agents.list(most, |w| w.name.clone())),
            "knowledge" => Some(
                self.knowledge
                    .list(most, |k| format!("{} documents", k.documents.len())),
            ),
            "registry" => Some(self.registry.list(most, |_| "the registry".into())),
            _ => None,
        }
    }
}

/// A cache of what is read from the workspace's files.
fn spec<V>(name: &'static str, settings: CacheSettings, weigh: fn(&V) -> u64) -> Spec<V, String> {
    Spec {
        name,
        settings,
        load_timeout: LOAD_TIMEOUT,
        weigh,
        abandons: false,
        keeps: |_| true,
        life: |_| 1.0,
        is_negative: |_| false,
    }
}

/// Logs what a cache loaded: the cause behind a cache that is slow.
fn log_load<T>(cache: &str, ms: u64, result: &Result<T, String>) {
    match result {
        Ok(_) if ms < SLOW_MS => tracing::info!(cache, ms, "cache loaded"),
        Ok(_) => tracing::warn!(cache, ms, "cache loaded slowly"),
        Err(error) => tracing::warn!(cache, ms, error, "cache not loaded"),
    }
}
