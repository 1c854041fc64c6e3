//! Collects what the judge of health is told: trial writes, disks, files, ages.
//!
//! Why a service of its own: it waits for disks that may hang, and the snapshot must not.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::engine::audit::Audit;
use crate::engine::code_host::stats::PublicationStatus;
use crate::engine::config::store::ConfigStore;
use crate::engine::durable::Durable;
use crate::engine::lifecycle::Lifecycle;
use crate::engine::notifier::Notifier;
use crate::engine::observe::health::facts::{Disk, Facts, Probe};
use crate::engine::runs::registry::RunRegistry;
use crate::journal::JournalError;
use crate::resilience::clock::lock;
use crate::telemetry::disk_space::DiskSpace;
use crate::telemetry::log_files::LogGuard;

/// Between two trial writes. Together with [`PROBE_LIMIT`] below 10 s: a disk that hangs is noticed within that.
const PROBE_EVERY: Duration = Duration::from_secs(5);
/// A trial write that takes longer is a reason.
const PROBE_LIMIT: Duration = Duration::from_secs(3);
/// Between two looks at files and disks.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// A disk that says nothing for so long is not known.
const DISK_LIMIT: Duration = Duration::from_secs(2);
/// Lost lines are a reason for this long.
const LINES_LOST: Duration = Duration::from_secs(300);

/// What was seen last.
#[derive(Default)]
struct Seen {
    probe: Probe,
    disks: Vec<Disk>,
    oldest_publication_ms: Option<i64>,
    log_lines: Counter,
    audit_lines: Counter,
}

/// A counter of losses, and when it last grew.
#[derive(Default)]
struct Counter {
    count: u64,
    grew: Option<Instant>,
}

impl Counter {
    fn update(&mut self, count: u64, now: Instant) {
        if count > self.count {
            self.grew = Some(now);
        }
        self.count = count;
    }

    fn is_recent(&self, now: Instant) -> bool {
        self.grew
            .is_some_and(|at| now.saturating_duration_since(at) < LINES_LOST)
    }
}

/// Whom it asks.
pub struct Sources {
    /// Clock and stop.
    pub lifecycle: Arc<Lifecycle>,
    /// The signal that something changed.
    pub notifier: Arc<Notifier>,
    /// The journal, its files and what was refused.
    pub durable: Arc<Durable>,
    /// The queue.
    pub registry: Arc<RunRegistry>,
    /// Publications that wait.
    pub publications: Arc<PublicationStatus>,
    /// Whether the settings are in effect.
    pub store: Arc<ConfigStore>,
    /// Lost lines.
    pub audit: Arc<Audit>,
    /// Lost lines.
    pub log: Option<Arc<LogGuard>>,
    /// Folders that are filled, and what a sentence calls them.
    pub folders: Vec<(&'static str, PathBuf)>,
}

/// One per engine.
pub struct HealthFacts {
    from: Sources,
    seen: Mutex<Seen>,
    /// The first trial write has ended, or hangs.
    known: tokio::sync::Notify,
    /// Folders whose disk is being asked.
    asked: Arc<Mutex<BTreeSet<PathBuf>>>,
}

impl HealthFacts {
    /// Nothing is watched until [`Self::begin`], and what was not watched is not known.
    pub fn new(from: Sources) -> Arc<Self> {
        let probe = if from.lifecycle.mode.no_save {
            Probe::NotNeeded
        } else {
            Probe::NotYetKnown
        };
        Arc::new(Self {
            from,
            seen: Mutex::new(Seen {
                probe,
                ..Seen::default()
            }),
            known: tokio::sync::Notify::new(),
            asked: Arc::default(),
        })
    }

    /// Begins to watch. Returns when it is known whether the journal can be written, or that the disk hangs: before
    /// that the engine is not ready. An engine that only shows makes no trial write.
    pub async fn begin(self: &Arc<Self>, writes: bool) {
        self.look().await;
        if writes {
            let this = Arc::clone(self);
            self.from.lifecycle.spawn_detached(async move {
                this.probe().await;
                this.keep_probing().await;
            });
            self.known.notified().await;
        }
        let this = Arc::clone(self);
        self.from
            .lifecycle
            .spawn_detached(async move { this.keep_looking().await });
    }

    async fn keep_probing(&self) {
        loop {
            tokio::select! {
                () = self.from.lifecycle.stopping.cancelled() => return,
                () = self.from.durable.write_was_refused() => {}
                () = tokio::time::sleep(PROBE_EVERY) => {}
            }
            self.probe().await;
        }
    }

    async fn keep_looking(&self) {
        loop {
            tokio::select! {
                () = self.from.lifecycle.stopping.cancelled() => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            self.look().await;
        }
    }

    /// A trial write. While it hangs no second one is begun.
    async fn probe(&self) {
        let write = self
            .from
            .durable
            .journal
            .probe(self.from.lifecycle.wall_ms());
        tokio::pin!(write);
        let result = tokio::select! {
            result = &mut write => result,
            () = tokio::time::sleep(PROBE_LIMIT) => {
                self.set_probe(Probe::Pending(PROBE_LIMIT.as_secs()));
                write.await
            }
        };
        self.set_probe(match result {
            Ok(()) => Probe::Written,
            // The engine stops: what was known holds.
            Err(JournalError::Closed) => return self.known.notify_one(),
            Err(error) => Probe::Failed(error.to_string()),
        });
    }

    fn set_probe(&self, probe: Probe) {
        let mut seen = lock(&self.seen);
        if seen.probe != probe {
            seen.probe = probe;
            self.from.notifier.mark_changed();
        }
        self.known.notify_one();
    }

    /// Looks at disks and at the outbox.
    async fn look(&self) {
        let mut disks: Vec<Disk> = Vec::new();
        for (holds, path) in &self.from.folders {
            let space = self.ask_disk(path).await;
            let device = |space: &Result<DiskSpace, String>| space.as_ref().ok().map(|s| s.device);
            let known = device(&space);
            // One file system is one reason, whatever lies on it.
            if known.is_none() || disks.iter().all(|d| device(&d.space) != known) {
                disks.push(Disk { holds, space });
            }
        }
        let oldest = if self.from.publications.get().outbox.waiting > 0 {
            let journal = &self.from.durable.journal;
            let asked = tokio::time::timeout(DISK_LIMIT, journal.oldest_waiting_publication());
            asked.await.ok().and_then(Result::ok).flatten()
        } else {
            None
        };
        let mut seen = lock(&self.seen);
        seen.disks = disks;
        seen.oldest_publication_ms = oldest;
    }

    /// Asks on a thread that may hang. While it hangs no second one is begun.
    async fn ask_disk(&self, path: &Path) -> Result<DiskSpace, String> {
        let silent = || format!("no answer for {} s", DISK_LIMIT.as_secs());
        if !lock(&self.asked).insert(path.to_path_buf()) {
            return Err(silent());
        }
        let (asked, path) = (Arc::clone(&self.asked), path.to_path_buf());
        let answer = tokio::task::spawn_blocking(move || {
            let space = DiskSpace::of(&path);
            lock(&asked).remove(&path);
            space
        });
        match tokio::time::timeout(DISK_LIMIT, answer).await {
            Ok(Ok(space)) => space.map_err(|e| e.to_string()),
            Ok(Err(_)) | Err(_) => Err(silent()),
        }
    }

    /// Everything that is known now; nothing is waited for.
    pub fn facts(&self, targets_missed: Vec<String>) -> Facts {
        let now = self.from.lifecycle.now();
        let mut seen = lock(&self.seen);
        if let Some(log) = &self.from.log {
            seen.log_lines.update(log.dropped(), now);
        }
        seen.audit_lines.update(self.from.audit.lost(), now);
        Facts {
            now_ms: self.from.lifecycle.wall_ms(),
            probe: seen.probe.clone(),
            writes_failing: self.from.durable.is_failing(),
            journal_notice: self.from.durable.notice(),
            journal_damage: self.from.durable.damage(),
            lost_files: self.from.durable.files.lost(),
            intake_refused: self.from.durable.last_refused(),
            disks: seen.disks.clone(),
            log_lines_lost: seen.log_lines.is_recent(now),
            audit_lines_lost: seen.audit_lines.is_recent(now),
            oldest_queued_ms: self.from.registry.oldest_queued_ms(),
            oldest_publication_ms: seen.oldest_publication_ms,
            clock_was_set: !self.from.lifecycle.clock_is_sound(),
            settings_broken: self.from.store.settings_are_broken(),
            targets_missed,
        }
    }
}
