//! Files change while the engine runs: workspace and settings are read again, and a part that broke keeps
//! its last good version.

use std::sync::Arc;

use crate::engine::code_host::credentials;
use crate::engine::config::caches::WorkspaceCaches;
use crate::engine::config::store::{ConfigStore, SettingsLoader, review_policy};
use crate::engine::lifecycle::Lifecycle;
use crate::engine::models::access::Models;
use crate::engine::notifier::Notifier;
use crate::engine::protocol::command::Refused;
use crate::engine::protocol::event::Event;
use crate::model::provider::known_secrets;
use crate::text::clean_line;
use crate::workspace::trust::Trust;
use crate::workspace::watch::WorkspaceWatcher;
use crate::workspace::{Level, Problem, Workspace};

/// One per engine.
pub struct Reloader {
    lifecycle: Arc<Lifecycle>,
    notifier: Arc<Notifier>,
    store: Arc<ConfigStore>,
    caches: Arc<WorkspaceCaches>,
    models: Arc<Models>,
    /// `None`: the settings stay as they are.
    settings_loader: Option<SettingsLoader>,
    /// The folder is watched, and its edits take effect.
    follows_folder: bool,
    /// Hash of the policy files that were last put into effect, or refused because nobody trusts them.
    seen: tokio::sync::Mutex<String>,
}

impl Reloader {
    /// Over what the engine started with.
    pub fn new(
        lifecycle: Arc<Lifecycle>,
        notifier: Arc<Notifier>,
        store: Arc<ConfigStore>,
        caches: Arc<WorkspaceCaches>,
        models: Arc<Models>,
        settings_loader: Option<SettingsLoader>,
        follows_folder: bool,
    ) -> Arc<Self> {
        let seen = store.workspace().policy_hash.clone();
        Arc::new(Self {
            lifecycle,
            notifier,
            store,
            caches,
            models,
            settings_loader,
            follows_folder,
            seen: tokio::sync::Mutex::new(seen),
        })
    }

    /// The workspace for a run that begins now. Read through the agents cache: where the entry is older than
    /// its time to live the files are read again, and an edit that the watcher missed takes effect.
    pub async fn workspace(&self) -> Arc<Workspace> {
        match self.caches.workspace().await {
            Ok(read) if self.follows_folder => {
                let mut seen = self.seen.lock().await;
                if *seen != read.policy_hash {
                    self.install(&read, &mut seen).await;
                }
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(
                "the workspace cannot be read, the last good version is used: {}",
                clean_line(&error, 200)
            ),
        }
        self.store.workspace()
    }

    /// Reads workspace and settings again. Parts that broke keep their last good version, and an alert says
    /// so.
    ///
    /// # Errors
    /// A sentence: the folder cannot be opened.
    pub async fn reload(&self) -> Result<(), String> {
        let mut seen = self.seen.lock().await;
        self.models.service.forgive_keys();
        self.caches.invalidate();
        let read = self.caches.workspace().await?;
        self.install(&read, &mut seen).await;
        Ok(())
    }

    /// Puts what was read into effect, as far as it may be.
    async fn install(&self, read: &Workspace, seen: &mut String) {
        seen.clone_from(&read.policy_hash);
        self.caches.invalidate_parts();
        let old = self.store.workspace();
        if old.trust == Trust::Trusted && !read.trust.is_trusted() {
            // What the operator trusted stays in effect until the operator has looked again; the operator's own
            // settings take effect.
            self.reload_settings(&old);
            self.store.set_keeps_last_good(true);
            self.notifier.raise(
                "workspace-changed",
                "workspace",
                "the workspace changed since it was trusted; the trusted version stays in effect (bsm trust, then reload)".into(),
            );
            return;
        }
        self.reload_settings(read);
        let over = |code| {
            let text = "the workspace is in effect".to_owned();
            self.notifier.resolve(code, "workspace", text);
        };
        over("workspace-changed");
        let (workspace, kept) = Workspace::clone(read).keeping_good(&old);
        self.store.set_keeps_last_good(kept);
        let settings = self.store.settings();
        let secrets = known_secrets(&workspace.models, &settings, &self.store.env);
        let policy = review_policy(&workspace, &settings).await;
        self.notifier.alert_about_policy(&policy);
        credentials::tell(&self.notifier, &settings.github, &self.store.env);
        self.store.set_policy(policy, &secrets);
        self.models.rebuild(&workspace.models, &settings);
        self.apply_flags();
        let errors = workspace.errors() as u32;
        let first = first_error(&workspace, kept);
        self.store.set_workspace(workspace);
        if first.is_none() || kept {
            over("workspace-errors");
        }
        if !kept {
            over("workspace-broken");
        }
        match first {
            Some(problem) if kept => self.notifier.raise(
                "workspace-broken",
                "workspace",
                format!("broken edit, the last good version stays: {problem}"),
            ),
            Some(problem) => self.notifier.raise(
                "workspace-errors",
                "workspace",
                format!("workspace read again, with an error: {problem}"),
            ),
            None if self.store.settings_are_broken() => {}
            None => self.notifier.alert(false, "workspace read again".into()),
        }
        self.notifier.publish(Event::WorkspaceReloaded { errors });
    }

    /// Takes new settings from their files; wrong ones change nothing, and an alert says so.
    fn reload_settings(&self, workspace: &Workspace) {
        let Some(load) = &self.settings_loader else {
            return;
        };
        match load(workspace.files.as_deref(), workspace.trust.is_trusted()) {
            Ok(mut settings) => {
                self.store.set_settings_broken(false);
                let text = "the settings are in effect".to_owned();
                self.notifier.resolve("settings-broken", "settings", text);
                let old = self.store.settings();
                // Whatever was switched by hand stays as it was switched.
                settings.flags = old.flags;
                settings.safe_mode = self
                    .store
                    .safe_mode_override()
                    .unwrap_or(settings.safe_mode);
                self.caches.reconfigure(&settings);
                self.models
                    .reconfigure_layers(&old, &settings, self.lifecycle.now());
                self.store.set_settings(settings);
            }
            Err(error) => {
                self.store.set_settings_broken(true);
                let text = format!("settings not taken over: {}", clean_line(&error, 300));
                self.notifier.raise("settings-broken", "settings", text);
            }
        }
    }

    /// Switches a feature flag; returns a sentence.
    ///
    /// # Errors
    /// There is no such flag.
    pub async fn set_flag(&self, flag: &str, on: bool) -> Result<String, Refused> {
        // Not while settings are read again: one would undo the other.
        let _one_at_a_time = self.seen.lock().await;
        let mut settings = (*self.store.settings()).clone();
        let flags = &mut settings.flags;
        let switch = match flag {
            "asyncFileIo" => &mut flags.async_file_io,
            "circuitBreaker" => &mut flags.circuit_breaker,
            "cacheStampedeProtection" => &mut flags.cache_stampede_protection,
            "rateLimiter" => &mut flags.rate_limiter,
            "bulkhead" => &mut flags.bulkhead,
            "retry" => &mut flags.retry,
            "safeMode" => &mut settings.safe_mode,
            other => return Err(Refused::not_found("flag", other)),
        };
        *switch = on;
        if flag == "safeMode" {
            self.store.override_safe_mode(on);
            self.models
                .rebuild(&self.store.workspace().models, &settings);
        }
        self.store.set_settings(settings);
        self.apply_flags();
        self.notifier.mark_changed();
        Ok(format!("{flag} is {}", if on { "on" } else { "off" }))
    }

    /// Hands the feature flags of the settings to those that they switch.
    pub fn apply_flags(&self) {
        let flags = self.store.settings().flags;
        self.models.apply_flags(flags, self.lifecycle.now());
        self.caches.set_protected(flags.cache_stampede_protection);
    }

    /// Reloads when policy files change, until the engine stops.
    pub async fn watch(self: Arc<Self>) {
        let Some(root) = self.store.root.clone().filter(|_| self.follows_folder) else {
            return;
        };
        let mut watcher = match WorkspaceWatcher::start(&root) {
            Ok(watcher) => watcher,
            Err(error) => {
                self.notifier.alert(
                    true,
                    format!(
                        "files cannot be watched ({}); use reload after an edit",
                        clean_line(&error.to_string(), 120)
                    ),
                );
                return;
            }
        };
        let mut policy = self.store.workspace().policy_hash.clone();
        loop {
            tokio::select! {
                () = self.lifecycle.stopping.cancelled() => return,
                changed = watcher.changed() => if !changed { return },
            }
            self.caches.invalidate_documents();
            // Reports and the like change the folder too; only policy files matter.
            let now = crate::files::Root::open(&root)
                .map(|r| crate::workspace::trust::policy_hash(&r))
                .unwrap_or_default();
            if now != policy {
                policy = now;
                if let Err(error) = self.reload().await {
                    self.notifier.alert(
                        true,
                        format!("the workspace cannot be read: {}", clean_line(&error, 200)),
                    );
                }
            }
        }
    }
}

/// The first error of the workspace's files, as a line.
fn first_error(workspace: &Workspace, kept: bool) -> Option<String> {
    workspace
        .problems
        .iter()
        // A file that cannot be read is the cause; what follows from it comes after.
        .filter(|p| !kept || p.line.is_some())
        .find(|p| p.severity == Level::Error)
        .map(Problem::line_text)
}
