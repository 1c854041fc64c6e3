//! Builds an engine: opens what is on disk, makes each service with those it needs, starts their tasks.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::watch;

use crate::engine::audit::Audit;
use crate::engine::code_host::credentials;
use crate::engine::config::caches::WorkspaceCaches;
use crate::engine::config::store::{ConfigStore, SettingsLoader, SharedRedactor, review_policy};
use crate::engine::durable::Durable;
use crate::engine::lifecycle::Lifecycle;
use crate::engine::models::access::Models;
use crate::engine::models::pause_watch;
use crate::engine::notifier::Notifier;
use crate::engine::observe::journal_check::JournalCheck;
use crate::engine::protocol::snapshot::{Mode, Snapshot};
use crate::engine::runs::projection::summary_of_row;
use crate::engine::runs::registry::RunRegistry;
use crate::engine::runs::report::ReportFolder;
use crate::engine::services::Services;
use crate::engine::watched_files::WatchedFiles;
use crate::engine::wiring::{Ground, Parts, connect};
use crate::files::FileError;
use crate::journal::{Journal, JournalError, JournalNotes};
use crate::model::provider::known_secrets;
use crate::model::simulator::{Simulator, SimulatorSettings};
use crate::resilience::clock::Clock;
use crate::review::redact::Redactor;
use crate::settings::Settings;
use crate::settings::env::Env;
use crate::state::{StateDir, StateError};
use crate::telemetry::log_files::LogGuard;
use crate::workspace::Workspace;
use crate::workspace::trust::TrustStore;

/// Why an engine cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The state directory.
    #[error(transparent)]
    State(#[from] StateError),
    /// The workspace's folder.
    #[error(transparent)]
    Workspace(#[from] FileError),
    /// The simulator.
    #[error("the simulator cannot start: {0}")]
    Simulator(std::io::Error),
}

/// What an engine is started with.
pub struct EngineConfig {
    /// Validated settings.
    pub settings: Settings,
    /// Environment variables.
    pub env: Env,
    /// The workspace's folder; `None`: the built-in workspace.
    pub root: Option<PathBuf>,
    /// The workspace as it was read already, perhaps from the commit that a change is based on; `None`: it
    /// is read from its folder.
    pub workspace: Option<Workspace>,
    /// A reload reads the folder again; else the workspace stays as it was handed over.
    pub follows_folder: bool,
    /// Trusted workspaces.
    pub trust: TrustStore,
    /// The state directory, prepared.
    pub state: StateDir,
    /// How it is started.
    pub mode: Mode,
    /// Continue unfinished runs, watch the files, keep schedules: a resident engine does.
    pub resident: bool,
    /// The running log.
    pub log: Option<Arc<LogGuard>>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Reads the settings again, for a reload; without it they stay as they are.
    pub settings_loader: Option<SettingsLoader>,
    /// Where the engine puts its redactor, always the newest, for log lines and exports.
    pub shared_redactor: SharedRedactor,
    /// How the simulator behaves, under `mode.simulated`.
    pub simulator: SimulatorSettings,
}

/// Opens, builds and starts an engine. Must be called inside tokio.
///
/// # Errors
/// When journal, state directory, workspace or simulator cannot be used.
pub async fn start(
    config: EngineConfig,
) -> Result<(Arc<Services>, watch::Receiver<Arc<Snapshot>>), StartError> {
    // A file-size limit must be an error that is handled, not the end of the process.
    let limit = rustix::process::Signal::XFSZ.as_raw();
    let _ = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::from_raw(limit));
    let resident = config.resident;
    let (services, fills) = build(config).await?;
    services.reloader.apply_flags();
    services
        .notifier
        .alert_about_policy(&services.store.policy());
    credentials::tell(
        &services.notifier,
        &services.store.settings().github,
        &services.store.env,
    );
    if fills {
        services.memory.fill();
    }
    alert_about_journal(&services.notifier, services.durable.journal.notes());
    let frozen = services.durable.notice().is_some();
    services.models.service.spend().set_frozen(frozen);
    for row in services.durable.journal.recent(40).await?.iter().rev() {
        if row.finished_ms.is_some() {
            services.registry.push_ended(summary_of_row(row));
        }
    }
    let snapshots = start_tasks(&services, resident).await?;
    Ok((services, snapshots))
}

/// Starts the tasks of the services.
async fn start_tasks(
    services: &Arc<Services>,
    resident: bool,
) -> Result<watch::Receiver<Arc<Snapshot>>, StartError> {
    let lifecycle = &services.lifecycle;
    let acts = !lifecycle.mode.read_only;
    let models = Arc::clone(&services.models);
    lifecycle.spawn_detached(pause_watch::run(Arc::clone(lifecycle), models));
    if acts {
        services.costs.load_today().await?;
        lifecycle.spawn(Arc::clone(&services.costs).run());
    }
    if acts && resident {
        // Before anything is denied by time.
        services.retention.look_at_clock().await;
        Arc::clone(&services.recovery).resume().await?;
        services.reconciler.status.recount().await?;
        lifecycle.spawn(Arc::clone(&services.reports).run());
        lifecycle.spawn(Arc::clone(&services.reconciler).run());
        lifecycle.spawn(Arc::clone(&services.comments).run());
        lifecycle.spawn_detached(Arc::clone(&services.setup_watch).run());
        lifecycle.spawn(Arc::clone(&services.scheduler).run());
        lifecycle.spawn_detached(Arc::clone(&services.reloader).watch());
        lifecycle.spawn_detached(Arc::clone(&services.retention).run());
    }
    if resident {
        services.health.begin(acts).await;
    }
    if acts && resident {
        let check = JournalCheck {
            lifecycle: Arc::clone(lifecycle),
            notifier: Arc::clone(&services.notifier),
            durable: Arc::clone(&services.durable),
        };
        lifecycle.spawn_detached(check.run());
    }
    // The first snapshot shows the runs that were resumed.
    let (sender, snapshots) = watch::channel(Arc::new(services.snapshots.first()));
    lifecycle.spawn_detached(Arc::clone(&services.snapshots).publish(sender));
    if acts && resident {
        lifecycle.spawn(Arc::clone(&services.recorder).run(snapshots.clone()));
    }
    Ok(snapshots)
}

/// Makes each service with those that it needs; and whether memory is to be filled from the journal.
async fn build(config: EngineConfig) -> Result<(Arc<Services>, bool), StartError> {
    let EngineConfig {
        settings,
        env,
        root,
        workspace,
        follows_folder,
        trust,
        state,
        mut mode,
        resident,
        log,
        clock,
        settings_loader,
        shared_redactor,
        simulator,
    } = config;
    mode.environment = settings.environment;
    mode.safe_mode = settings.loopback_only();
    let read = || Workspace::load(root.as_deref(), &trust);
    let workspace = workspace.map_or_else(read, Ok)?;
    let journal = open_journal(&mode, &state)?;
    let files = if mode.no_save {
        WatchedFiles::none()
    } else {
        WatchedFiles::of(&state)
    };
    let stopped = journal.stopped().await?.into_iter().collect();
    // A single run needs nothing of the past, unless its prompts show past reviews.
    let fills = (resident || settings.memory.in_prompt) && journal.remembers().await?;
    let audit = open_audit(&mode, &state, &settings, &journal).await?;
    let simulator = if mode.simulated {
        let started = Simulator::start(simulator).await;
        Some(started.map_err(StartError::Simulator)?)
    } else {
        None
    };
    let reports = (!mode.no_save).then(|| ReportFolder::for_workspace(root.as_deref(), &state));
    let salt = if mode.no_save {
        // Fingerprints of a run that is not kept mean nothing outside it.
        std::array::from_fn(|_| fastrand::u8(..))
    } else {
        state.salt()?
    };
    let secrets = known_secrets(&workspace.models, &settings, &env);
    let policy = review_policy(&workspace, &settings).await;
    let redactor = Redactor::new(policy.rules(), &secrets, salt);

    let lifecycle = Lifecycle::new(Arc::clone(&clock), mode);
    let notifier = Notifier::new(Arc::clone(&clock));
    let models = Models::new(
        &workspace.models,
        &settings,
        env.clone(),
        simulator,
        clock,
        Arc::clone(&notifier),
    );
    let registry = RunRegistry::new(&lifecycle, settings.engine.max_concurrent_runs);
    let store = ConfigStore::new(
        env,
        root,
        settings,
        workspace,
        policy,
        redactor,
        shared_redactor,
    );
    let ground = Ground {
        durable: Durable::new(
            journal,
            files,
            Arc::clone(&lifecycle),
            Arc::clone(&notifier),
        ),
        caches: WorkspaceCaches::new(
            Arc::clone(&lifecycle),
            Arc::clone(&store),
            trust,
            follows_folder,
        ),
        lifecycle,
        notifier,
        store,
        models,
        registry,
        audit: Arc::new(audit),
    };
    let parts = Parts {
        state,
        log,
        settings_loader,
        follows_folder,
        stopped,
        fills,
        reports,
    };
    Ok((Arc::new(connect(ground, parts)), fills))
}

/// The journal, in memory where nothing is kept.
fn open_journal(mode: &Mode, state: &StateDir) -> Result<Journal, JournalError> {
    Ok(if mode.no_save {
        Journal::in_memory()?
    } else {
        Journal::open(&state.journal())?
    })
}

/// The audit trail, with the lines that a crash took from it.
async fn open_audit(
    mode: &Mode,
    state: &StateDir,
    settings: &Settings,
    journal: &Journal,
) -> Result<Audit, StartError> {
    let trail = (!mode.no_save).then(|| state.audit());
    let audit = Audit::open(trail.as_deref(), settings.audit.max_bytes)?;
    if !mode.read_only {
        audit.add_missing(journal).await?;
    }
    Ok(audit)
}

/// Alerts about what opening the journal changed.
fn alert_about_journal(notifier: &Notifier, notes: &JournalNotes) {
    if let Some(healed) = &notes.healed {
        let kept = healed.kept_as.display();
        let text = if healed.only_indexes {
            format!(
                "an index of the journal was damaged and was made again, nothing was lost; the damaged file is kept as {kept}"
            )
        } else {
            format!("the damaged journal is kept as {kept}")
        };
        notifier.alert(true, text);
    }
    if let Some(notice) = &notes.notice {
        let text = format!("{notice}; read it, then `bsm state repair --acknowledge`");
        notifier.alert(true, text);
    }
    if notes.unproven {
        let text =
            "the journal's record count was not beside it: whether records are missing is unknown";
        notifier.alert(true, text.to_owned());
    }
    if let Some(backup) = &notes.backup {
        let text = format!(
            "the journal was migrated; the old one is kept as {}",
            backup.display()
        );
        notifier.alert(false, text);
    }
}
