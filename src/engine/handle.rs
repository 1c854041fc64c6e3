//! The engine in this process: starts, carries commands in and pictures out, stops in bounded time.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
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
use super::types::command::{Envelope, Refused, Reply};
use super::types::completion::{Completed, Completion, Pieces};
use super::types::event::EventStream;
use super::types::query::{Answer, Capabilities, Query, QueryError};
use super::types::snapshot::{Mode, Snapshot};
use super::{
    completing, history, ledger, outbox, picture, reload, remembering, resume, schedules, views,
};
use crate::cache::{Cache, CacheSettings, Spec};
use crate::files::FileError;
use crate::journal::{Journal, JournalError};
use crate::memory::Memory;
use crate::model::provider::{Surroundings, known_secrets};
use crate::model::service::ModelService;
use crate::model::simulator::{Simulator, SimulatorSettings};
use crate::resilience::clock::{Clock, lock};
use crate::review::redact::Redactor;
use crate::settings::Settings;
use crate::settings::env::Env;
use crate::state::{StateDir, StateError};
use crate::telemetry::availability::Availability;
use crate::telemetry::latency::Latency;
use crate::telemetry::log_files::LogGuard;
use crate::telemetry::rate::Rate;
use crate::telemetry::resources::Resources;
use crate::text::clean_line;
use crate::workspace::Workspace;
use crate::workspace::knowledge::Knowledge;
use crate::workspace::registry::Registry;
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
    /// Variables.
    pub env: Env,
    /// The workspace's folder; `None`: the built-in one.
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
    /// Take up unfinished runs, and watch the files: a resident engine does.
    pub resident: bool,
    /// The running log.
    pub log: Option<Arc<LogGuard>>,
    /// Clock.
    pub clock: Arc<dyn Clock>,
    /// Reads the settings again, for a reload; without it they stay as they are.
    pub reread: Option<Reread>,
    /// What takes secrets out of log lines and exports: the engine puts its own here, the newest always.
    pub redacts: Redacts,
    /// How the simulator behaves, under `mode.simulated`.
    pub simulator: SimulatorSettings,
}

/// The newest redactor, for those outside the engine who write too.
pub type Redacts = Arc<arc_swap::ArcSwapOption<Redactor>>;

/// A running engine.
#[derive(Clone)]
pub struct Handle {
    pub(super) core: Arc<Core>,
    snapshots: watch::Receiver<Arc<Snapshot>>,
}

/// Longest time to load a workspace's files.
const LOAD: Duration = Duration::from_secs(10);

/// A cache of what is read from the workspace's files.
fn files<V>(name: &'static str, settings: CacheSettings, weigh: fn(&V) -> u64) -> Spec<V, String> {
    Spec {
        name,
        settings,
        load_timeout: LOAD,
        weigh,
        abandons: false,
        keeps: |_| true,
        life: |_| 1.0,
        is_negative: |_| false,
    }
}

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
            workspace: handed_over,
            follows_folder,
            trust,
            state,
            mut mode,
            resident,
            log,
            clock,
            reread,
            redacts,
            simulator,
        } = config;
        mode.environment = settings.environment;
        mode.safe_mode = settings.loopback_only();
        let workspace = match handed_over {
            Some(workspace) => workspace,
            None => Workspace::load(root.as_deref(), &trust)?,
        };
        let journal = if mode.no_save {
            Journal::in_memory()?
        } else {
            Journal::open(&state.journal())?
        };
        let stopped = journal.stopped().await?.into_iter().collect();
        // One run alone is asked nothing of what is past, unless its prompts are told.
        let fills = (resident || settings.memory.in_prompt) && journal.remembers().await?;
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
        let secrets = known_secrets(&workspace.models, &settings, &env);
        let policy = super::core::review_policy(&workspace, &settings).await;
        let redactor = Redactor::new(policy.rules(), &secrets, salt);
        let now = clock.now();
        let lookup = crate::outbound::egress::system_lookup();
        let models = {
            let around = Surroundings {
                settings: &settings,
                env: &env,
                simulator: simulator
                    .as_ref()
                    .map(super::super::model::simulator::Simulator::url),
                clock: &clock,
                lookup: &lookup,
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
        let calls = Arc::new(super::calls::Calls::default());
        let seen = Arc::clone(&calls);
        models.observe(Box::new(move |attempts| seen.add(attempts)));
        let cache = settings.cache;
        let core = Arc::new(Core {
            slots: Arc::new(Semaphore::new(settings.engine.max_concurrent_runs as usize)),
            agents_cache: Cache::new(
                files("agents", cache.agents, |w: &Workspace| {
                    4_096 * w.agents.len() as u64
                }),
                Arc::clone(&clock),
            ),
            knowledge_cache: Cache::new(
                files("knowledge", cache.knowledge, |k: &Knowledge| {
                    k.documents.iter().map(|d| d.text.raw().len() as u64).sum()
                }),
                Arc::clone(&clock),
            ),
            registry_cache: Cache::new(
                files("registry", cache.registry, |r: &Option<Registry>| {
                    1_024 * r.as_ref().map_or(1, |r| r.agents.len() as u64)
                }),
                Arc::clone(&clock),
            ),
            calls,
            gathered: Mutex::default(),
            on: tokio::runtime::Handle::current(),
            safe_mode: Mutex::new(None),
            raised: Mutex::default(),
            drilling: Arc::default(),
            drained: AtomicBool::new(false),
            settings: ArcSwap::from_pointee(settings),
            env,
            mode,
            root,
            workspace: ArcSwap::from_pointee(workspace),
            trust,
            follows_folder,
            kept_last_good: AtomicBool::new(false),
            settings_broken: AtomicBool::new(false),
            journal,
            state,
            reports,
            models,
            simulator,
            lookup,
            policy: ArcSwap::new(policy),
            redactor: {
                let redactor = Arc::new(redactor);
                redacts.store(Some(Arc::clone(&redactor)));
                ArcSwap::new(redactor)
            },
            redacts,
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
            boot_ms: super::core::boot_ms(),
            dirty: Notify::new(),
            events,
            stopping: CancellationToken::new(),
            tasks: TaskTracker::new(),
            reloading: tokio::sync::Mutex::new(()),
            reread,
            github: Mutex::default(),
            github_client: Mutex::default(),
            github_quiet: Mutex::default(),
            outbox: Notify::new(),
            memory: Arc::new(Memory::new(fills)),
            stopped: Mutex::new(stopped),
            attached: Mutex::default(),
            clock,
        });
        core.apply_flags();
        core.warn_of(&core.policy.load());
        if fills {
            remembering::fill(&core);
        }
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
                && let Some(brief) = views::brief_of_row(row)
            {
                lock(&core.recent).push_front(brief);
            }
        }
        let (sender, snapshots) = watch::channel(Arc::new(picture::assemble(
            &core,
            Resources::new(core.state.path().to_path_buf()).sample(),
        )));
        tokio::spawn(picture::publish(Arc::clone(&core), sender));
        if !core.mode.read_only {
            ledger::begin(&core).await?;
            core.tasks.spawn(ledger::keep(Arc::clone(&core)));
        }
        if resident && !core.mode.read_only {
            core.tasks
                .spawn(history::record(Arc::clone(&core), snapshots.clone()));
        }
        if resident && !core.mode.read_only {
            resume::resume(&core).await?;
            outbox::count(&core).await?;
            core.tasks.spawn(outbox::keep(Arc::clone(&core)));
            core.tasks.spawn(schedules::keep(Arc::clone(&core)));
            tokio::spawn(reload::watch_files(Arc::clone(&core)));
            tokio::spawn(reload::prune(Arc::clone(&core)));
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
        tokio::select! {
            run = super::finished(self, id) => run,
            () = self.core.stopping.cancelled() => None,
        }
    }

    /// For tests that reach behind the seam.
    #[doc(hidden)]
    pub fn core(&self) -> &Arc<Core> {
        &self.core
    }
}

impl Handle {
    /// The newest picture.
    pub(super) fn newest(&self) -> Arc<Snapshot> {
        self.snapshots.borrow().clone()
    }

    /// Waits until the picture shows it, not for ever: whoever looks after the answer must not see what was
    /// before the command.
    pub(super) async fn shown(&self, what: impl Fn(&Snapshot) -> bool) {
        self.core.dirty.notify_one();
        let mut pictures = self.snapshots.clone();
        let seen = pictures.wait_for(|picture| what(picture));
        let _ = tokio::time::timeout(Duration::from_secs(1), seen).await;
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
        let engine = self.clone();
        // On the engine's own runtime, and to its end: a console that stalls or leaves neither slows a
        // command down nor cuts it off before its line in the audit trail.
        async move {
            let on = engine.core.on.clone();
            let tasks = engine.core.tasks.clone();
            let work = tasks.spawn_on(async move { engine.carry_out(envelope).await }, &on);
            work.await.unwrap_or(Err(Refused::Stopping))
        }
        .boxed()
    }

    fn query(&self, query: Query) -> BoxFuture<'_, Result<Answer, QueryError>> {
        let engine = self.clone();
        async move {
            let on = engine.core.on.clone();
            let work = on.spawn(async move { engine.answer(query).await });
            work.await.unwrap_or_else(|_| {
                Err(QueryError::Unavailable {
                    reason: "the engine stops".into(),
                })
            })
        }
        .boxed()
    }

    fn complete(
        &self,
        wanted: Completion,
        pieces: Option<Pieces>,
    ) -> BoxFuture<'_, Result<Completed, Refused>> {
        // Not to its end: a reader who leaves need not be answered.
        completing::complete(&self.core, wanted, pieces).boxed()
    }

    fn attend(&self, who: String) -> super::Presence {
        super::Presence::new(&self.core, clean_line(&who, 40))
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            read_only: self.core.mode.read_only,
            local_paths: true,
            saves: !self.core.mode.no_save,
        }
    }
}

impl Handle {
    /// A command from its words to its line in the audit trail.
    async fn carry_out(&self, envelope: Envelope) -> Result<Reply, Refused> {
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
            Ok(Reply::Delivered { outcome, note, .. }) => format!("{}: {note}", outcome.word()),
            Ok(Reply::Answered { model, source, .. }) => format!("answered by {model} ({source})"),
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
