//! The engine in this process: starts, carries commands in and pictures out, stops in bounded time.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::{Notify, Semaphore, broadcast, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Operator;
use super::audit::{Audit, Line};
use super::core::{Core, Counters, Reread};
use super::report::ReportFolder;
use super::types::command::{Command, Envelope, Refused, Reply};
use super::types::event::{Event, EventStream};
use super::types::query::{Answer, Capabilities, Query, QueryError};
use super::types::snapshot::{Mode, Snapshot};
use super::{intake, picture, run};
use crate::cache::Cache;
use crate::files::FileError;
use crate::journal::{Journal, JournalError};
use crate::model::provider::{Surroundings, known_secrets};
use crate::model::service::ModelService;
use crate::model::simulator::{Simulator, SimulatorSettings};
use crate::resilience::clock::{Clock, lock};
use crate::review::packs;
use crate::review::redact::Redactor;
use crate::settings::Settings;
use crate::settings::env::Env;
use crate::state::{StateDir, StateError};
use crate::telemetry::availability::Availability;
use crate::telemetry::latency::Latency;
use crate::telemetry::log_files::LogGuard;
use crate::telemetry::log_read;
use crate::telemetry::rate::Rate;
use crate::telemetry::resources::Resources;
use crate::text::clean_line;
use crate::workspace::trust::TrustStore;
use crate::workspace::watch::WorkspaceWatcher;
use crate::workspace::{Workspace, registry};

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
    /// Variables.
    pub env: Env,
    /// The workspace's folder; `None`: the built-in one.
    pub root: Option<PathBuf>,
    /// Trusted workspaces.
    pub trust: TrustStore,
    /// The state directory, prepared.
    pub state: StateDir,
    /// How it is started.
    pub mode: Mode,
    /// Take up unfinished runs, and watch the files: a resident engine does.
    pub resident: bool,
    /// The running log.
    pub log: Option<Arc<LogGuard>>,
    /// Clock.
    pub clock: Arc<dyn Clock>,
    /// Reads the settings again, for a reload; without it they stay as they are.
    pub reread: Option<Reread>,
    /// How the simulator behaves, under `mode.simulated`.
    pub simulator: SimulatorSettings,
}

/// A running engine.
pub struct Handle {
    core: Arc<Core>,
    snapshots: watch::Receiver<Arc<Snapshot>>,
}

/// Longest time to load a workspace's files.
const LOAD: Duration = Duration::from_secs(10);

impl Handle {
    /// Starts an engine. Must run inside tokio.
    ///
    /// # Errors
    /// When journal, state directory, workspace or simulator cannot be used.
    pub async fn start(config: EngineConfig) -> Result<Self, StartError> {
        // A file-size limit must be an error that is handled, not the end of the process.
        let limit = rustix::process::Signal::XFSZ.as_raw();
        let _ = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::from_raw(limit));
        let EngineConfig {
            settings,
            env,
            root,
            trust,
            state,
            mut mode,
            resident,
            log,
            clock,
            reread,
            simulator,
        } = config;
        mode.environment = settings.environment;
        mode.safe_mode = settings.loopback_only();
        let workspace = Workspace::load(root.as_deref(), &trust)?;
        let journal = if mode.no_save {
            Journal::in_memory()?
        } else {
            Journal::open(&state.journal())?
        };
        let salt = if mode.no_save {
            // Fingerprints of a run that is not kept mean nothing outside it.
            std::array::from_fn(|_| fastrand::u8(..))
        } else {
            state.salt()?
        };
        let audit = Audit::open((!mode.no_save).then(|| state.audit()).as_deref())?;
        let simulator = if mode.simulated {
            Some(
                Simulator::start(simulator)
                    .await
                    .map_err(StartError::Simulator)?,
            )
        } else {
            None
        };
        let secrets = known_secrets(&workspace.models, &env);
        let redactor = Redactor::new(packs::built_in(), &secrets, salt);
        let now = clock.now();
        let models = {
            let around = Surroundings {
                settings: &settings,
                env: &env,
                simulator: simulator
                    .as_ref()
                    .map(super::super::model::simulator::Simulator::url),
                clock: &clock,
            };
            ModelService::new(Arc::new(workspace.models.clone()), &around)
        };
        let reports = (!mode.no_save).then(|| match &root {
            Some(root) => ReportFolder {
                base: root.clone(),
                relative: "reports".into(),
                mode: (0o755, 0o644),
            },
            None => ReportFolder {
                base: state.path().to_path_buf(),
                relative: "reports".into(),
                mode: (0o700, 0o600),
            },
        });
        let (events, _) = broadcast::channel(4_096);
        let cache = settings.cache;
        let core = Arc::new(Core {
            slots: Arc::new(Semaphore::new(settings.engine.max_concurrent_runs as usize)),
            agents_cache: Cache::new(
                "agents",
                cache.agents,
                LOAD,
                Arc::clone(&clock),
                |w: &Workspace| 4_096 * w.agents.len() as u64,
            ),
            knowledge_cache: Cache::new(
                "knowledge",
                cache.knowledge,
                LOAD,
                Arc::clone(&clock),
                |k| k.documents.iter().map(|d| d.text.raw().len() as u64).sum(),
            ),
            registry_cache: Cache::new("registry", cache.registry, LOAD, Arc::clone(&clock), |r| {
                1_024 * r.as_ref().map_or(1, |r| r.agents.len() as u64)
            }),
            settings: ArcSwap::from_pointee(settings),
            env,
            mode,
            root,
            workspace: ArcSwap::from_pointee(workspace),
            kept_last_good: AtomicBool::new(false),
            journal,
            state,
            reports,
            models,
            simulator,
            redactor: ArcSwap::from_pointee(redactor),
            audit,
            log,
            live: Mutex::default(),
            recent: Mutex::new(VecDeque::new()),
            alerts: Mutex::new(VecDeque::new()),
            run_latency: Latency::new(now),
            runs_rate: Rate::new(now),
            counters: Counters::default(),
            availability: Availability::new(now),
            started_ms: clock.wall_ms(),
            dirty: Notify::new(),
            events,
            stopping: CancellationToken::new(),
            tasks: TaskTracker::new(),
            reloading: tokio::sync::Mutex::new(()),
            reread,
            clock,
        });
        core.apply_flags();
        let notes = core.journal.notes().clone();
        if let Some(aside) = notes.set_aside {
            core.alert(
                true,
                format!(
                    "the journal was corrupt; it is kept as {} and a new one was begun",
                    aside.display()
                ),
            );
        }
        if let Some(backup) = notes.backup {
            core.alert(
                false,
                format!(
                    "the journal was migrated; the old one is kept as {}",
                    backup.display()
                ),
            );
        }
        for row in core.journal.recent(40).await?.iter().rev() {
            if row.finished_ms.is_some()
                && let Some(brief) = run::brief_of_row(row)
            {
                lock(&core.recent).push_front(brief);
            }
        }
        let (sender, snapshots) = watch::channel(Arc::new(picture::assemble(
            &core,
            Resources::new(core.state.path().to_path_buf()).sample(),
        )));
        tokio::spawn(picture::publish(Arc::clone(&core), sender));
        if resident && !core.mode.read_only {
            run::resume(&core).await?;
            tokio::spawn(watch_files(Arc::clone(&core)));
            tokio::spawn(prune(Arc::clone(&core)));
        }
        Ok(Self { core, snapshots })
    }

    /// Stops: no new runs, running ones are parked in the journal and resume at the next start.
    /// Returns within `limit` and a little.
    pub async fn stop(&self, limit: Duration) {
        let unfinished: Vec<String> = lock(&self.core.live).keys().cloned().collect();
        self.core.stopping.cancel();
        self.core.tasks.close();
        let _ = tokio::time::timeout(limit, self.core.tasks.wait()).await;
        for id in unfinished {
            // A run that ended in the meantime is not touched.
            let _ = self.core.journal.park(&id).await;
        }
        let journal = self.core.journal.clone();
        let _ = tokio::task::spawn_blocking(move || journal.close()).await;
    }

    /// Waits until a run has ended and returns it; `None` when the engine stops first.
    pub async fn finished(&self, id: &str) -> Option<super::types::run::RunResult> {
        let mut events = self.events();
        loop {
            if self.core.live(id).is_none() {
                return match self.query(Query::Run { id: id.to_owned() }).await {
                    Ok(Answer::Run { run }) => Some(*run),
                    _ => None,
                };
            }
            tokio::select! {
                event = events.next() => { event.as_ref()?; }
                () = self.core.stopping.cancelled() => return None,
                // A dropped event must not make this wait for ever.
                () = tokio::time::sleep(Duration::from_millis(250)) => {}
            }
        }
    }

    /// For tests that reach behind the seam.
    #[doc(hidden)]
    pub fn core(&self) -> &Arc<Core> {
        &self.core
    }

    async fn dispatch(
        &self,
        command: Command,
        actor: &str,
        correlation: &str,
    ) -> Result<Reply, Refused> {
        let core = &self.core;
        if core.mode.read_only {
            return Err(Refused::ReadOnly);
        }
        if core.stopping.is_cancelled() {
            return Err(Refused::Stopping);
        }
        let done = |what: String| Ok(Reply::Done { what });
        match command {
            Command::Trigger(trigger) => intake::take_in(core, trigger, actor, correlation).await,
            Command::RunAgain { run } => intake::again(core, &run, actor, correlation).await,
            Command::CancelRun { run } => {
                let live = core
                    .live(&run)
                    .ok_or_else(|| Refused::not_found("active run", &run))?;
                core.journal
                    .cancel(&run)
                    .await
                    .map_err(|e| Refused::Journal {
                        reason: e.to_string(),
                    })?;
                live.cancel.cancel();
                core.dirty.notify_one();
                done(format!("{run} is being cancelled"))
            }
            Command::ClearCache { cache } => core
                .clear_cache(cache.as_deref())
                .map(|what| Reply::Done { what }),
            Command::ResetBreaker { breaker } => {
                let mut reset = Vec::new();
                core.models.for_each(|name, live| {
                    if breaker.as_deref().is_none_or(|b| b == name) {
                        live.guards.breaker.reset(&format!("reset by {actor}"));
                        reset.push(name.to_owned());
                    }
                });
                core.dirty.notify_one();
                match breaker {
                    Some(name) if reset.is_empty() => Err(Refused::not_found("breaker", &name)),
                    _ => done(format!("reset: {}", reset.join(", "))),
                }
            }
            Command::IsolateBreaker { breaker } => {
                let mut found = false;
                core.models.for_each(|name, live| {
                    if name == breaker {
                        live.guards.breaker.isolate(&format!("isolated by {actor}"));
                        found = true;
                    }
                });
                core.dirty.notify_one();
                if found {
                    done(format!("{breaker} is isolated until it is reset"))
                } else {
                    Err(Refused::not_found("breaker", &breaker))
                }
            }
            Command::ResizePool { pool, limit } => {
                if limit == 0 {
                    return Err(Refused::input("a pool needs room for at least 1 call"));
                }
                let mut found = false;
                core.models.for_each(|_, live| {
                    if live.guards.pool.name() == pool {
                        live.guards
                            .pool
                            .resize(crate::resilience::bulkhead::PoolSettings {
                                limit,
                                ..live.guards.pool.settings()
                            });
                        found = true;
                    }
                });
                core.dirty.notify_one();
                if found {
                    done(format!("{pool} lets {limit} calls through at once"))
                } else {
                    Err(Refused::not_found("pool", &pool))
                }
            }
            Command::SetFlag { flag, on } => {
                core.set_flag(&flag, on).map(|what| Reply::Done { what })
            }
            Command::Reload => {
                reload(core).await.map_err(Refused::input)?;
                let workspace = core.workspace.load();
                done(format!(
                    "{} agents, {} problems",
                    workspace.agents.len(),
                    workspace.problems.len()
                ))
            }
            Command::SetLogLevel { level } => match &core.log {
                Some(log) => {
                    log.set_level(&level).map_err(Refused::input)?;
                    done(format!("log level is {}", clean_line(&level, 80)))
                }
                None => Err(Refused::input("this engine writes no log")),
            },
        }
    }

    async fn answer(&self, query: Query) -> Result<Answer, QueryError> {
        let core = &self.core;
        let unavailable = |reason: String| QueryError::Unavailable { reason };
        let not_found = |what: &str, name: &str| QueryError::NotFound {
            what: what.to_owned(),
            name: clean_line(name, 80),
        };
        let journal = |e: JournalError| unavailable(e.to_string());
        match query {
            Query::Runs { limit } => {
                let rows = core
                    .journal
                    .recent(limit.min(10_000))
                    .await
                    .map_err(journal)?;
                let live = |id: &str| {
                    core.live(id).map(|l| {
                        run::brief(&lock(&l.view), l.title.clone(), *lock(&l.started_ms), None)
                    })
                };
                Ok(Answer::Runs {
                    runs: rows
                        .iter()
                        .filter_map(|r| live(&r.new.id).or_else(|| run::brief_of_row(r)))
                        .collect(),
                })
            }
            Query::Run { id } => {
                if let Some(live) = core.live(&id) {
                    return Ok(Answer::Run {
                        run: Box::new(lock(&live.view).clone()),
                    });
                }
                let row = core
                    .journal
                    .run(&id)
                    .await
                    .map_err(journal)?
                    .ok_or_else(|| not_found("run", &id))?;
                let steps = core.journal.steps(&id).await.map_err(journal)?;
                let result = run::from_row(&row, &steps)
                    .ok_or_else(|| unavailable("the run cannot be read".into()))?;
                Ok(Answer::Run {
                    run: Box::new(result),
                })
            }
            Query::Report { id } => {
                let row = core
                    .journal
                    .run(&id)
                    .await
                    .map_err(journal)?
                    .ok_or_else(|| not_found("run", &id))?;
                row.report_text
                    .map(|text| Answer::Report { text: text.into() })
                    .ok_or_else(|| not_found("report of", &id))
            }
            Query::Logs { filter } => {
                let dir = core.state.logs();
                let read = tokio::task::spawn_blocking(move || log_read::read(&dir, &filter)).await;
                let lines = read
                    .map_err(|e| unavailable(e.to_string()))?
                    .map_err(|e| unavailable(e.to_string()))?;
                Ok(Answer::Logs { lines })
            }
            Query::Workspace => {
                let workspace = core.workspace.load_full();
                // Both through their caches: an operator who looks here sees what the caches really do.
                load_workspace(core).await.map_err(unavailable)?;
                cached_registry(core).await.map_err(unavailable)?;
                Ok(Answer::Workspace {
                    agents: workspace.agents.iter().map(|a| (**a).clone()).collect(),
                    events: workspace
                        .events
                        .events
                        .iter()
                        .map(|(k, v)| (k.clone(), v.clone()))
                        .collect(),
                    problems: workspace.problems.clone(),
                })
            }
        }
    }
}

impl Operator for Handle {
    fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.snapshots.clone()
    }

    fn events(&self) -> EventStream {
        EventStream::new(self.core.events.subscribe())
    }

    fn send(&self, envelope: Envelope) -> BoxFuture<'_, Result<Reply, Refused>> {
        async move {
            let Envelope {
                command,
                actor,
                correlation,
            } = envelope;
            let correlation = correlation
                .filter(|c| is_correlation(c))
                .unwrap_or_else(new_correlation);
            let (name, object) = (
                command.name(),
                clean_line(&self.core.redactor.load().text(&command.object()), 200),
            );
            let result = self.dispatch(command, &actor, &correlation).await;
            let outcome = match &result {
                Ok(Reply::Accepted { run, .. }) => run.clone(),
                Ok(Reply::Done { what }) => what.clone(),
                Err(refused) => self
                    .core
                    .redactor
                    .load()
                    .text(&format!("refused: {refused}")),
            };
            let at = jiff::Timestamp::from_millisecond(self.core.clock.wall_ms())
                .unwrap_or_default()
                .to_string();
            self.core.audit.write(&Line {
                at,
                actor: &actor,
                command: name,
                object: &object,
                correlation: &correlation,
                result: &outcome,
            });
            tracing::info!(
                corr = correlation,
                actor,
                command = name,
                object,
                result = outcome,
                "command"
            );
            result
        }
        .boxed()
    }

    fn query(&self, query: Query) -> BoxFuture<'_, Result<Answer, QueryError>> {
        self.answer(query).boxed()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            read_only: self.core.mode.read_only,
            local_paths: true,
            saves: !self.core.mode.no_save,
        }
    }
}

/// `[A-Za-z0-9._-]{1,64}`
pub fn is_correlation(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

/// Sixteen random hex digits.
pub fn new_correlation() -> String {
    format!("{:016x}", fastrand::u64(..))
}

impl Core {
    fn apply_flags(&self) {
        let flags = self.settings.load().flags;
        self.models
            .for_each(|_, live| live.guards.breaker.set_enabled(flags.circuit_breaker));
        self.models
            .set_cache_protected(flags.cache_stampede_protection);
        self.agents_cache
            .set_protected(flags.cache_stampede_protection);
        self.knowledge_cache
            .set_protected(flags.cache_stampede_protection);
        self.registry_cache
            .set_protected(flags.cache_stampede_protection);
    }

    fn set_flag(&self, flag: &str, on: bool) -> Result<String, Refused> {
        let mut settings = (**self.settings.load()).clone();
        match flag {
            "asyncFileIo" => settings.flags.async_file_io = on,
            "circuitBreaker" => settings.flags.circuit_breaker = on,
            "cacheStampedeProtection" => settings.flags.cache_stampede_protection = on,
            other => return Err(Refused::not_found("flag", other)),
        }
        self.settings.store(Arc::new(settings));
        self.apply_flags();
        self.dirty.notify_one();
        Ok(format!("{flag} is {}", if on { "on" } else { "off" }))
    }

    fn clear_cache(&self, name: Option<&str>) -> Result<String, Refused> {
        let mut cleared = Vec::new();
        let wants = |n: &str| name.is_none_or(|w| w == n || w == "all");
        if wants("agents") {
            cleared.push(format!("agents {}", self.agents_cache.clear()));
        }
        if wants("knowledge") {
            cleared.push(format!("knowledge {}", self.knowledge_cache.clear()));
        }
        if wants("registry") {
            cleared.push(format!("registry {}", self.registry_cache.clear()));
        }
        if wants("responses") {
            cleared.push(format!("responses {}", self.models.clear_cache()));
        }
        self.dirty.notify_one();
        if cleared.is_empty() {
            return Err(Refused::not_found("cache", name.unwrap_or_default()));
        }
        Ok(format!("entries cleared: {}", cleared.join(", ")))
    }
}

/// Reads the workspace again. Parts that broke keep their last good version, and say so.
async fn reload(core: &Arc<Core>) -> Result<(), String> {
    let _one_at_a_time = core.reloading.lock().await;
    reread_settings(core);
    core.agents_cache.invalidate("workspace");
    core.registry_cache.invalidate("registry");
    core.knowledge_cache.invalidate("documents");
    let old = core.workspace.load_full();
    let fresh = load_workspace(core).await?;
    let (workspace, kept) = Workspace::clone(&fresh).keeping_good(&old);
    core.kept_last_good.store(kept, Relaxed);
    let errors = workspace.errors() as u32;
    let secrets = known_secrets(&workspace.models, &core.env);
    core.redactor
        .store(Arc::new(core.redactor.load().with_known(&secrets)));
    let settings = core.settings.load_full();
    core.models.rebuild(
        Arc::new(workspace.models.clone()),
        &core.surroundings(&settings),
    );
    core.apply_flags();
    let first = workspace
        .problems
        .iter()
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
        None => core.alert(false, "workspace read again".into()),
    }
    core.tell(Event::WorkspaceReloaded { errors });
    Ok(())
}

/// Takes new settings from their files; wrong ones change nothing and are said.
fn reread_settings(core: &Arc<Core>) {
    let Some(reread) = &core.reread else { return };
    match reread() {
        Ok(mut settings) => {
            // What was switched by hand stays as it was switched.
            settings.flags = core.settings.load().flags;
            core.agents_cache.reconfigure(settings.cache.agents);
            core.knowledge_cache.reconfigure(settings.cache.knowledge);
            core.registry_cache.reconfigure(settings.cache.registry);
            core.models.for_each(|_, live| {
                live.guards.breaker.reconfigure(settings.breaker);
                live.guards
                    .pool
                    .resize(settings.pool(live.guards.pool.name()));
            });
            core.settings.store(Arc::new(settings));
        }
        Err(error) => core.alert(
            true,
            format!("settings not taken over: {}", clean_line(&error, 300)),
        ),
    }
}

async fn load_workspace(core: &Arc<Core>) -> Result<Arc<Workspace>, String> {
    let root = core.root.clone();
    let load = move || async move {
        let read = move || {
            Workspace::load(root.as_deref(), &TrustStore::load()).map_err(|e| e.to_string())
        };
        tokio::task::spawn_blocking(read)
            .await
            .unwrap_or_else(|_| Err("reading it failed".into()))
    };
    core.agents_cache
        .get("workspace", load)
        .await
        .map(|(workspace, _)| workspace)
        .map_err(|e| e.to_string())
}

async fn watch_files(core: Arc<Core>) {
    let Some(root) = core.root.clone() else {
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

async fn prune(core: Arc<Core>) {
    loop {
        let keep = core.settings.load().engine.runs_kept;
        match core.journal.prune(keep).await {
            Ok(gone) if gone > 0 => tracing::info!(gone, "old runs pruned"),
            Ok(_) => {}
            Err(error) => tracing::warn!("pruning failed: {error}"),
        }
        tokio::select! {
            () = core.stopping.cancelled() => return,
            () = tokio::time::sleep(Duration::from_secs(600)) => {}
        }
    }
}

/// The registry through its cache, for listings.
pub async fn cached_registry(core: &Arc<Core>) -> Result<Arc<Option<registry::Registry>>, String> {
    let root = core.root.clone();
    let load = move || async move {
        let read = move || match root {
            None => Ok(crate::workspace::built_in::workspace().registry),
            Some(root) => {
                let root = crate::files::Root::open(&root).map_err(|e| e.to_string())?;
                Ok(registry::load(&root, &mut Vec::new()))
            }
        };
        tokio::task::spawn_blocking(read)
            .await
            .unwrap_or_else(|_| Err("reading it failed".into()))
    };
    core.registry_cache
        .get("registry", load)
        .await
        .map(|(r, _)| r)
        .map_err(|e| e.to_string())
}
