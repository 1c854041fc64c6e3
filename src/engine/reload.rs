//! Files change while the engine runs: the workspace and its settings are read again, a part that broke
//! keeps its last good version; and what is old (runs, webhooks, memory) is let go of.

use super::core::Core;
use super::types::event::Event;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use crate::cache::Loading;
use crate::model::provider::known_secrets;
use crate::resilience::clock::lock;
use crate::resilience::policy::elapsed_ms;
use crate::text::clean_line;
use crate::workspace::Workspace;
use crate::workspace::trust::Trust;
use crate::workspace::watch::WorkspaceWatcher;

/// Reads the workspace again. Parts that broke keep their last good version, and say so.
pub(super) async fn reload(core: &Arc<Core>) -> Result<(), String> {
    let _one_at_a_time = core.reloading.lock().await;
    core.models.forgive_keys();
    core.agents_cache.invalidate("workspace");
    core.registry_cache.invalidate("registry");
    core.knowledge_cache.invalidate("documents");
    let old = core.workspace.load_full();
    let fresh = load_workspace(core).await?;
    if old.trust == Trust::Trusted && !fresh.trust.is_trusted() {
        // What the operator looked at stays in effect until the operator has looked again.
        core.kept_last_good.store(true, Relaxed);
        core.alert(
            true,
            "the workspace changed since it was trusted; the trusted version stays in effect (bsm trust, then reload)".into(),
        );
        return Ok(());
    }
    reread_settings(core, &fresh);
    let (workspace, kept) = Workspace::clone(&fresh).keeping_good(&old);
    core.kept_last_good.store(kept, Relaxed);
    let errors = workspace.errors() as u32;
    let secrets = known_secrets(&workspace.models, &core.settings.load(), &core.env);
    let policy = super::core::review_policy(&workspace, &core.settings.load()).await;
    let redactor = Arc::new(core.redactor.load().renewed(policy.rules(), &secrets));
    core.warn_of(&policy);
    core.policy.store(policy);
    core.redacts.store(Some(Arc::clone(&redactor)));
    core.redactor.store(redactor);
    let settings = core.settings.load_full();
    core.models.rebuild(
        Arc::new(workspace.models.clone()),
        &core.surroundings(&settings),
    );
    core.apply_flags();
    let first = workspace
        .problems
        .iter()
        // A file that cannot be read is the cause; what follows from it comes after.
        .filter(|p| !kept || p.line.is_some())
        .find(|p| p.severity == crate::workspace::Level::Error)
        .map(crate::workspace::Problem::line_text);
    core.workspace.store(Arc::new(workspace));
    match first {
        Some(problem) if kept => core.alert(
            true,
            format!("broken edit, the last good version stays: {problem}"),
        ),
        Some(problem) => core.alert(
            true,
            format!("workspace read again, with an error: {problem}"),
        ),
        None if core.settings_broken.load(Relaxed) => {}
        None => core.alert(false, "workspace read again".into()),
    }
    core.tell(Event::WorkspaceReloaded { errors });
    Ok(())
}

/// Takes new settings from their files; wrong ones change nothing and are said.
pub(super) fn reread_settings(core: &Arc<Core>, workspace: &Workspace) {
    let Some(reread) = &core.reread else { return };
    match reread(workspace.files.as_deref(), workspace.trust.is_trusted()) {
        Ok(mut settings) => {
            core.settings_broken.store(false, Relaxed);
            // What was switched by hand stays as it was switched.
            settings.flags = core.settings.load().flags;
            settings.safe_mode = lock(&core.safe_mode).unwrap_or(settings.safe_mode);
            core.agents_cache.reconfigure(settings.cache.agents);
            core.knowledge_cache.reconfigure(settings.cache.knowledge);
            core.registry_cache.reconfigure(settings.cache.registry);
            let old = core.settings.load();
            core.models.for_each(|_, live| {
                let now = core.clock.now();
                live.guards.breaker.reconfigure(settings.breaker, now);
                // A pool that an operator has resized keeps that size until its own setting changes.
                let name = live.guards.pool.name();
                if settings.pool(name) != old.pool(name) {
                    live.guards.pool.reconfigure(settings.pool(name));
                }
            });
            core.settings.store(Arc::new(settings));
        }
        Err(error) => {
            core.settings_broken.store(true, Relaxed);
            core.alert(
                true,
                format!("settings not taken over: {}", clean_line(&error, 300)),
            );
        }
    }
}

pub(super) async fn load_workspace(core: &Arc<Core>) -> Result<Arc<Workspace>, String> {
    let (root, trust) = (core.root.clone(), core.trust.clone());
    let handed_over = (!core.follows_folder).then(|| Workspace::clone(&core.workspace.load()));
    let clock = Arc::clone(&core.clock);
    let load = move |_: Loading| async move {
        let began = clock.now();
        let read = move || match handed_over {
            Some(workspace) => Ok(workspace),
            None => Workspace::load(root.as_deref(), &trust.renewed()).map_err(|e| e.to_string()),
        };
        let read = tokio::task::spawn_blocking(read)
            .await
            .unwrap_or_else(|_| Err("reading it failed".into()));
        super::run::loaded("agents", elapsed_ms(began, clock.now()), &read);
        read
    };
    core.agents_cache
        .get("workspace", load)
        .await
        .map(|(workspace, _)| workspace)
        .map_err(|e| e.to_string())
}

pub(super) async fn watch_files(core: Arc<Core>) {
    let Some(root) = core.root.clone().filter(|_| core.follows_folder) else {
        return;
    };
    let mut watcher = match WorkspaceWatcher::start(&root) {
        Ok(watcher) => watcher,
        Err(error) => {
            core.alert(
                true,
                format!(
                    "files cannot be watched ({}); use reload after an edit",
                    clean_line(&error.to_string(), 120)
                ),
            );
            return;
        }
    };
    let mut policy = core.workspace.load().policy_hash.clone();
    loop {
        tokio::select! {
            () = core.stopping.cancelled() => return,
            changed = watcher.changed() => if !changed { return },
        }
        core.knowledge_cache.invalidate("documents");
        // Reports and the like change the folder too; only policy files matter.
        let now = crate::files::Root::open(&root)
            .map(|r| crate::workspace::trust::policy_hash(&r))
            .unwrap_or_default();
        if now != policy {
            policy = now;
            if let Err(error) = reload(&core).await {
                core.alert(
                    true,
                    format!("the workspace cannot be read: {}", clean_line(&error, 200)),
                );
            }
        }
    }
}

pub(super) async fn prune(core: Arc<Core>) {
    loop {
        let keep = core.settings.load().engine.runs_kept;
        match core.journal.prune(keep).await {
            Ok(gone) if gone > 0 => tracing::info!(gone, "old runs pruned"),
            Ok(_) => {}
            Err(error) => tracing::warn!("pruning failed: {error}"),
        }
        if let Err(error) = super::remembering::retain(&core).await {
            tracing::warn!("memory could not be thinned: {error}");
        }
        if core.clock_is_sound()
            && let Err(error) = core.journal.forget_deliveries(core.clock.wall_ms()).await
        {
            tracing::warn!("old webhooks could not be let go of: {error}");
        }
        super::remembering::renew(&core);
        tokio::select! {
            () = core.stopping.cancelled() => return,
            () = tokio::time::sleep(Duration::from_secs(600)) => {}
        }
    }
}
