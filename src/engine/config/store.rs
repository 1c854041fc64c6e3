//! What is in effect right now: settings, workspace, review policy, redactor.
//!
//! Why each behind an `ArcSwap`: a reload replaces a part as a whole, and work that has begun keeps the
//! version it began with.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;

use crate::file_set::FileSet;
use crate::resilience::clock::lock;
use crate::review::policy::Policy;
use crate::review::redact::Redactor;
use crate::settings::Settings;
use crate::settings::env::Env;
use crate::workspace::Workspace;

/// Reads the settings again. Receives the workspace's policy files as they were read, and whether the
/// operator trusts them.
pub type SettingsLoader =
    Arc<dyn Fn(Option<&FileSet>, bool) -> Result<Settings, String> + Send + Sync>;

/// The newest redactor, for code outside the engine that writes too.
pub type SharedRedactor = Arc<arc_swap::ArcSwapOption<Redactor>>;

/// One per engine.
pub struct ConfigStore {
    /// Environment variables, as they were at the start.
    pub env: Env,
    /// The workspace's folder; `None`: the built-in workspace.
    pub root: Option<PathBuf>,
    settings: ArcSwap<Settings>,
    workspace: ArcSwap<Workspace>,
    policy: ArcSwap<Policy>,
    redactor: ArcSwap<Redactor>,
    shared_redactor: SharedRedactor,
    /// An operator switched safe mode by hand; `None`: as the settings say.
    safe_mode: Mutex<Option<bool>>,
    last_good_kept: AtomicBool,
    settings_broken: AtomicBool,
}

impl ConfigStore {
    /// With the versions that the engine starts with.
    pub fn new(
        env: Env,
        root: Option<PathBuf>,
        settings: Settings,
        workspace: Workspace,
        policy: Arc<Policy>,
        redactor: Redactor,
        shared_redactor: SharedRedactor,
    ) -> Arc<Self> {
        let redactor = Arc::new(redactor);
        shared_redactor.store(Some(Arc::clone(&redactor)));
        Arc::new(Self {
            env,
            root,
            settings: ArcSwap::from_pointee(settings),
            workspace: ArcSwap::from_pointee(workspace),
            policy: ArcSwap::new(policy),
            redactor: ArcSwap::new(redactor),
            shared_redactor,
            safe_mode: Mutex::new(None),
            last_good_kept: AtomicBool::new(false),
            settings_broken: AtomicBool::new(false),
        })
    }

    /// Settings in effect.
    pub fn settings(&self) -> Arc<Settings> {
        self.settings.load_full()
    }

    /// Replaces the settings.
    pub fn set_settings(&self, settings: Settings) {
        self.settings.store(Arc::new(settings));
    }

    /// The workspace in effect: the last good version of each of its parts.
    pub fn workspace(&self) -> Arc<Workspace> {
        self.workspace.load_full()
    }

    /// Replaces the workspace.
    pub fn set_workspace(&self, workspace: Workspace) {
        self.workspace.store(Arc::new(workspace));
    }

    /// How changes are reviewed.
    pub fn policy(&self) -> Arc<Policy> {
        self.policy.load_full()
    }

    /// Removes secrets from text.
    pub fn redactor(&self) -> Arc<Redactor> {
        self.redactor.load_full()
    }

    /// Replaces the review policy, and with it the redactor; `secrets` are the keys that are known now.
    pub fn set_policy(&self, policy: Arc<Policy>, secrets: &[String]) {
        let redactor = Arc::new(self.redactor().renewed(policy.rules(), secrets));
        self.policy.store(policy);
        self.shared_redactor.store(Some(Arc::clone(&redactor)));
        self.redactor.store(redactor);
    }

    /// An operator switches safe mode; a reload keeps it so.
    pub fn override_safe_mode(&self, on: bool) {
        *lock(&self.safe_mode) = Some(on);
    }

    /// Safe mode as an operator switched it; `None`: as the settings say.
    pub fn safe_mode_override(&self) -> Option<bool> {
        *lock(&self.safe_mode)
    }

    /// A broken or untrusted edit of the workspace is not in effect.
    pub fn keeps_last_good(&self) -> bool {
        self.last_good_kept.load(Relaxed)
    }

    /// See [`Self::keeps_last_good`].
    pub fn set_keeps_last_good(&self, kept: bool) {
        self.last_good_kept.store(kept, Relaxed);
    }

    /// A broken edit of the settings is not in effect.
    pub fn settings_are_broken(&self) -> bool {
        self.settings_broken.load(Relaxed)
    }

    /// See [`Self::settings_are_broken`].
    pub fn set_settings_broken(&self, broken: bool) {
        self.settings_broken.store(broken, Relaxed);
    }
}

/// What the workspace and the settings say about how changes are reviewed. Reads files: on a thread of its
/// own.
pub async fn review_policy(workspace: &Workspace, settings: &Settings) -> Arc<Policy> {
    let review = settings.review.clone();
    let (files, trusted) = (workspace.files.clone(), workspace.trust.is_trusted());
    let load = move || Policy::load(files.as_deref(), trusted, &review);
    let read = tokio::task::spawn_blocking(load).await;
    Arc::new(read.unwrap_or_else(|_| Policy::unreadable()))
}
