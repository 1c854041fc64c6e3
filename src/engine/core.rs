//! What all parts of a running engine share.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{Notify, Semaphore, broadcast};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::audit::Audit;
use super::report::ReportFolder;
use super::types::event::Event;
use super::types::github::GithubStats;
use super::types::run::RunResult;
use super::types::snapshot::{Alert, DecisionCount, Mode, RunBrief};
use crate::cache::Cache;
use crate::file_set::FileSet;
use crate::github::Github;
use crate::journal::{Journal, JournalError};
use crate::memory::Memory;
use crate::model::provider::Surroundings;
use crate::model::service::ModelService;
use crate::resilience::clock::{Clock, lock};
use crate::review::policy::Policy;
use crate::review::redact::Redactor;
use crate::settings::Settings;
use crate::settings::env::Env;
use crate::state::StateDir;
use crate::telemetry::availability::Availability;
use crate::telemetry::latency::Latency;
use crate::telemetry::log_files::LogGuard;
use crate::telemetry::rate::Rate;
use crate::text::clean_line;
use crate::workspace::Workspace;
use crate::workspace::knowledge::Knowledge;
use crate::workspace::registry::Registry;
use crate::workspace::trust::TrustStore;

/// Reads settings again; given the workspace's policy files as they were read, and whether they are trusted.
pub type Reread = Arc<dyn Fn(Option<&FileSet>, bool) -> Result<Settings, String> + Send + Sync>;

/// Alerts kept.
const ALERTS: usize = 20;
/// Finished runs kept for the list.
const RECENT: usize = 40;

/// A run that has not ended.
pub struct LiveRun {
    /// As it is now.
    pub view: Mutex<RunResult>,
    /// What its list entry says beside that.
    pub title: Option<crate::text::Untrusted>,
    /// First begun, wall time.
    pub started_ms: Mutex<Option<i64>>,
    /// Stops it.
    pub cancel: CancellationToken,
}

/// Counters of the engine itself.
#[derive(Default)]
pub struct Counters {
    /// Runs ended.
    pub finished: AtomicU64,
    /// Of those, failed.
    pub failed: AtomicU64,
    /// Refused because the queue was full.
    pub refused: AtomicU64,
    /// Journal writes tried again.
    pub journal_retries: AtomicU64,
    /// Decisions by action and evidence.
    pub decisions: Mutex<Vec<DecisionCount>>,
    /// Writers that are failing right now.
    pub journal_failing: AtomicU32,
}

/// The shared state.
pub struct Core {
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Settings now.
    pub settings: ArcSwap<Settings>,
    /// Variables.
    pub env: Env,
    /// How it was started.
    pub mode: Mode,
    /// The workspace's folder.
    pub root: Option<PathBuf>,
    /// Its last good version.
    pub workspace: ArcSwap<Workspace>,
    /// Trusted workspaces.
    pub trust: TrustStore,
    /// The policy is that of the folder and follows its edits; else it was handed over and stays.
    pub follows_folder: bool,
    /// A broken edit is not in effect.
    pub kept_last_good: AtomicBool,
    /// A broken edit of the settings is not in effect.
    pub settings_broken: AtomicBool,
    /// The journal.
    pub journal: Journal,
    /// The state directory.
    pub state: StateDir,
    /// Where reports go; `None`: nowhere.
    pub reports: Option<ReportFolder>,
    /// Models.
    pub models: ModelService,
    /// Names to addresses.
    pub lookup: crate::outbound::egress::Lookup,
    /// Where the simulator is.
    pub simulator: Option<crate::model::simulator::Simulator>,
    /// Loaded workspaces.
    pub agents_cache: Arc<Cache<Workspace, String>>,
    /// Knowledge.
    pub knowledge_cache: Arc<Cache<Knowledge, String>>,
    /// The registry.
    pub registry_cache: Arc<Cache<Option<Registry>, String>>,
    /// The newest attempts at providers.
    pub calls: Arc<super::calls::Calls>,
    /// Recorded pictures that are not on disk yet, oldest first.
    pub gathered: Mutex<Vec<crate::journal::Recorded>>,
    /// The engine's runtime: whoever calls from another one must not do its work there.
    pub on: tokio::runtime::Handle,
    /// Safe mode as an operator switched it; `None`: as the settings say.
    pub safe_mode: Mutex<Option<bool>>,
    /// Alerts of missed targets that are not over.
    pub raised: Mutex<Vec<String>>,
    /// A drill runs.
    pub drilling: Arc<tokio::sync::Mutex<()>>,
    /// Takes no runs.
    pub drained: AtomicBool,
    /// The same for those outside.
    pub redacts: super::handle::Redacts,
    /// Takes secrets out.
    pub redactor: ArcSwap<Redactor>,
    /// How changes are looked at.
    pub policy: ArcSwap<Policy>,
    /// The audit trail.
    pub audit: Audit,
    /// The log, where one runs.
    pub log: Option<Arc<LogGuard>>,
    /// Runs that have not ended.
    pub live: Mutex<BTreeMap<String, Arc<LiveRun>>>,
    /// Runs that have, newest first.
    pub recent: Mutex<VecDeque<RunBrief>>,
    /// Newest first.
    pub alerts: Mutex<VecDeque<Alert>>,
    /// Places for runs.
    pub slots: Arc<Semaphore>,
    /// Runs' time from start to decision.
    pub run_latency: Latency,
    /// Runs taken in.
    pub runs_rate: Rate,
    /// Counters.
    pub counters: Counters,
    /// Time the engine could work.
    pub availability: Availability,
    /// Started, wall time.
    pub started_ms: i64,
    /// The same by the clock that is never set and goes on while the machine sleeps, milliseconds.
    pub boot_ms: i64,
    /// Something changed: assemble a new picture.
    pub dirty: Notify,
    /// What happens.
    pub events: broadcast::Sender<Event>,
    /// Begins the stop.
    pub stopping: CancellationToken,
    /// All tasks of runs.
    pub tasks: TaskTracker,
    /// One reload at a time.
    pub reloading: tokio::sync::Mutex<()>,
    /// Reads the settings again.
    pub reread: Option<Reread>,
    /// Webhooks, outbox and approvals in figures.
    pub github: Mutex<GithubStats>,
    /// The client for GitHub, and what it was made with.
    pub github_client: Mutex<Option<(super::outbox::Made, Arc<Github>)>>,
    /// GitHub wants to be left alone until then.
    pub github_quiet: Mutex<Option<std::time::Instant>>,
    /// The outbox has something to do.
    pub outbox: Notify,
    /// What past reviews are like.
    pub memory: Arc<Memory>,
    /// Agents that an operator stopped.
    pub stopped: Mutex<BTreeSet<String>>,
    /// Who looks at it from outside this process.
    pub attached: Mutex<BTreeMap<u64, String>>,
}

/// Milliseconds since the machine started, its sleep included.
pub fn boot_ms() -> i64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    time.tv_sec * 1_000 + time.tv_nsec / 1_000_000
}

impl Core {
    /// Tells the world, and asks for a new picture.
    pub fn tell(&self, event: Event) {
        // Without listeners nobody misses it.
        let _ = self.events.send(event);
        self.dirty.notify_one();
    }

    /// Says what is wrong with how changes are looked at, the worst of it.
    pub fn warn_of(&self, policy: &Policy) {
        let worst = policy.broken.iter().max_by_key(|w| w.lost);
        if let Some(warning) = worst {
            let (rule, what) = (
                clean_line(&warning.rule, 120),
                clean_line(&warning.what, 200),
            );
            let more = match policy.broken.len() - 1 {
                0 => String::new(),
                n => format!(" (and {n} more: bsm check)"),
            };
            let lost = if warning.lost {
                "; nothing is approved while it is left out"
            } else {
                ""
            };
            self.alert(warning.lost, format!("review: {rule}: {what}{lost}{more}"));
        }
    }

    /// An alert: header, list, log, event.
    pub fn alert(&self, bad: bool, text: String) {
        let mut alerts = lock(&self.alerts);
        alerts.push_front(Alert {
            at_ms: self.clock.wall_ms(),
            bad,
            text: text.clone(),
        });
        alerts.truncate(ALERTS);
        drop(alerts);
        if bad {
            tracing::warn!(alert = text);
        } else {
            tracing::info!(alert = text);
        }
        self.tell(Event::Notice { bad, text });
    }

    /// The wall clock went on as the machine did: nobody set it since the start. What is let go of by age, or
    /// denied by time, asks this first.
    pub fn clock_is_sound(&self) -> bool {
        let expected = self.started_ms + (boot_ms() - self.boot_ms);
        (self.clock.wall_ms() - expected).abs() < 600_000
    }

    /// A run has ended: from live to recent.
    pub fn retire(&self, id: &str, brief: RunBrief) {
        lock(&self.live).remove(id);
        let mut recent = lock(&self.recent);
        recent.push_front(brief);
        recent.truncate(RECENT);
    }

    /// Alerts of keys that were refused since the last time.
    pub fn tell_key_news(&self) {
        for text in self.models.key_news() {
            self.alert(true, text);
        }
    }

    /// The run, if it has not ended.
    pub fn live(&self, id: &str) -> Option<Arc<LiveRun>> {
        lock(&self.live).get(id).cloned()
    }

    /// What decides how providers are built, right now.
    pub fn surroundings<'a>(&'a self, settings: &'a Settings) -> Surroundings<'a> {
        Surroundings {
            settings,
            env: &self.env,
            simulator: self
                .simulator
                .as_ref()
                .map(super::super::model::simulator::Simulator::url),
            clock: &self.clock,
            lookup: &self.lookup,
        }
    }

    /// Writes to the journal until it succeeds: work that was done is not lost to a full disk.
    /// Gives up only when the engine stops.
    pub async fn persist<T, F, Fut>(&self, mut write: F) -> Result<T, JournalError>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T, JournalError>>,
    {
        let mut failing = false;
        let result = loop {
            match write().await {
                Ok(done) => break Ok(done),
                Err(JournalError::Closed) => break Err(JournalError::Closed),
                Err(error) => {
                    self.counters.journal_retries.fetch_add(1, Relaxed);
                    if !failing {
                        failing = true;
                        self.counters.journal_failing.fetch_add(1, Relaxed);
                        self.availability.set(false, self.clock.now());
                        self.alert(true, format!("{error}; work waits until it can be kept"));
                    }
                }
            }
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(500)) => {}
                () = self.stopping.cancelled() => break Err(JournalError::Closed),
            }
        };
        if failing && self.counters.journal_failing.fetch_sub(1, Relaxed) == 1 {
            self.availability.set(true, self.clock.now());
            self.alert(false, "the journal can be written again".into());
        }
        result
    }
}

/// What the workspace says of how changes are reviewed.
pub(super) async fn review_policy(workspace: &Workspace, settings: &Settings) -> Arc<Policy> {
    let review = settings.review.clone();
    let (files, trusted) = (workspace.files.clone(), workspace.trust.is_trusted());
    let load = move || Policy::load(files.as_deref(), trusted, &review);
    let read = tokio::task::spawn_blocking(load).await;
    Arc::new(read.unwrap_or_else(|_| Policy::unreadable()))
}
