//! What is too old or too much is removed, by the table of bounds: every ten minutes, and when an operator asks.
//!
//! A clock that was set wrong must not cost anything: what is old is old by the time that is believed
//! (`clock_trust.rs`).

pub mod bounds;
mod clock_trust;
mod daily_backup;
pub mod files;
mod reports;
pub mod usage;

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use self::clock_trust::{ClockTrust, DAY_MS};

use crate::engine::audit;
use crate::engine::config::store::ConfigStore;
use crate::engine::durable::Durable;
use crate::engine::lifecycle::Lifecycle;
use crate::engine::memory::index::MemoryIndex;
use crate::engine::notifier::Notifier;
use crate::engine::protocol::retention::{Pruned, Removed, Store};
use crate::engine::runs::report::ReportFolder;
use crate::journal::{self, JournalError, Keep};
use crate::model::spend::day_of;
use crate::settings::Settings;
use crate::state::StateDir;
use crate::telemetry::log_folder;
use crate::text::clean_line;

/// Between two passes.
const EVERY: Duration = Duration::from_secs(600);

/// One per engine.
pub struct Retention {
    /// Clock and stop.
    pub lifecycle: Arc<Lifecycle>,
    /// Alerts.
    pub notifier: Arc<Notifier>,
    /// How much is kept.
    pub store: Arc<ConfigStore>,
    /// What is thinned.
    pub durable: Arc<Durable>,
    /// What is remembered.
    pub memory: Arc<MemoryIndex>,
    /// The folder of logs, trail and copies.
    pub state: StateDir,
    /// Where reports are; `None`: nowhere.
    pub reports: Option<ReportFolder>,
    /// One pass at a time, and when the clock was looked at last.
    pub turn: tokio::sync::Mutex<Option<Instant>>,
}

/// What one pass is asked for.
#[derive(Clone)]
struct Request {
    settings: Arc<Settings>,
    /// Everything older goes, wall time in milliseconds; `None`: by the bounds alone.
    older_than_ms: Option<i64>,
    now_ms: i64,
    dry_run: bool,
    /// No repair of the journal waits for somebody to look at it.
    acknowledged: bool,
}

impl Request {
    /// The later of a bound's time and the operator's; 0: none.
    fn cutoff(&self, days: u32) -> i64 {
        let bound = (days > 0).then(|| self.now_ms - i64::from(days) * DAY_MS);
        bound.max(self.older_than_ms).unwrap_or(0)
    }
}

impl Retention {
    /// Removes what is beyond its bound, every ten minutes until the engine stops.
    pub async fn run(self: Arc<Self>) {
        loop {
            let pruned = self.due_pass().await;
            for problem in &pruned.problems {
                tracing::warn!("retention: {problem}");
            }
            if !pruned.removed.is_empty() {
                tracing::info!("retention {}", pruned.summary());
            }
            tokio::select! {
                () = self.lifecycle.stopping.cancelled() => return,
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    }

    /// One pass, and the daily copy, unless the clock is in doubt.
    pub async fn due_pass(&self) -> Pruned {
        let Some(now_ms) = self.look_at_clock().await else {
            return Pruned::default();
        };
        let pruned = self.pass(now_ms, None, false).await;
        self.back_up().await;
        pruned
    }

    /// The time by which things are old now; `None`: the clock is in doubt, and nothing may be removed. Whoever
    /// denies by time asks the lifecycle, which is told here.
    pub async fn look_at_clock(&self) -> Option<i64> {
        let mut turn = self.turn.lock().await;
        let journal = &self.durable.journal;
        let (wall_ms, now) = (self.lifecycle.clock.wall_ms(), self.lifecycle.now());
        let kept = journal.clock_trust().await.ok()?;
        let before = match kept.and_then(|text| serde_json::from_str::<ClockTrust>(&text).ok()) {
            Some(trust) => trust,
            // No engine has looked yet: the clock was at least where the newest record is.
            None => ClockTrust::of(journal.newest_ms().await.ok()?.unwrap_or(wall_ms)),
        };
        let ran = turn.map_or(Duration::ZERO, |last| now.saturating_duration_since(last));
        let ran_ms = i64::try_from(ran.as_millis()).unwrap_or(i64::MAX);
        let trust = before.advance(wall_ms, ran_ms, self.lifecycle.clock_is_steady());
        self.keep_trust(trust).await;
        *turn = Some(now);
        if let Some(at_ms) = trust.behind(wall_ms) {
            self.lifecycle.write_time_from(at_ms);
        }
        if trust.is_in_doubt() {
            if !self.lifecycle.set_clock_in_doubt(true)
                && let Some(doubt) = trust.doubt(wall_ms)
            {
                self.notifier.alert(true, doubt);
            }
        } else {
            if self.lifecycle.set_clock_in_doubt(false) {
                let text = "the wall clock is believed again".to_owned();
                self.notifier.alert(false, text);
            }
            self.lifecycle.take_clock_as_it_is();
        }
        trust.now_ms(wall_ms)
    }

    /// Written down as it is now. Without it the next pass begins at the last one that was.
    async fn keep_trust(&self, trust: ClockTrust) {
        let Ok(text) = serde_json::to_string(&trust) else {
            return;
        };
        if let Err(error) = self.durable.journal.keep_clock_trust(text).await {
            tracing::warn!("what is known of the clock cannot be kept: {error}");
        }
    }

    /// Prunes because an operator asks; `older_than_days`: runs, memory, reports and logs that are older go, too.
    /// The operator's word is that the clock is right.
    pub async fn prune(&self, older_than_days: Option<u32>, dry_run: bool) -> Pruned {
        if !self.lifecycle.clock_is_steady() {
            let why = "the wall clock was set since the engine started: restart the engine when it is right, then prune";
            return Pruned {
                dry_run,
                problems: vec![why.into()],
                ..Pruned::default()
            };
        }
        let now_ms = self.lifecycle.clock.wall_ms();
        if !dry_run {
            self.keep_trust(ClockTrust::of(now_ms)).await;
            self.lifecycle.set_clock_in_doubt(false);
            self.lifecycle.take_clock_as_it_is();
        }
        self.pass(now_ms, older_than_days, dry_run).await
    }

    async fn pass(&self, now_ms: i64, older_than_days: Option<u32>, dry_run: bool) -> Pruned {
        let _turn = self.turn.lock().await;
        let request = Request {
            settings: Arc::new(self.store.settings().as_ref().clone()),
            older_than_ms: older_than_days.map(|days| now_ms - i64::from(days) * DAY_MS),
            now_ms,
            dry_run,
            acknowledged: self.durable.notice().is_none(),
        };
        let mut pruned = Pruned {
            dry_run,
            ..Pruned::default()
        };
        let indexed = match self.prune_reports(&request, &mut pruned).await {
            Ok(()) => true,
            Err(error) => {
                pruned.problems.push(problem("reports", &error));
                false
            }
        };
        if let Err(error) = self.prune_journal(&request, indexed, &mut pruned).await {
            pruned.problems.push(problem("the journal", &error));
        }
        if !self.lifecycle.mode.no_save {
            self.prune_state_files(&request, &mut pruned).await;
        }
        pruned
    }

    /// The daily copy of the journal, where it is due.
    async fn back_up(&self) {
        if self.lifecycle.mode.no_save || self.store.settings().backups.keep == 0 {
            return;
        }
        let (state, now_ms) = (self.state.clone(), self.lifecycle.wall_ms());
        match blocking(move || daily_backup::if_due(&state, now_ms)).await {
            Ok(Some(info)) => tracing::info!(
                bytes = info.bytes,
                records = info.records,
                "journal copied to {}",
                info.path.display()
            ),
            Ok(None) => {}
            Err(error) => self.notifier.alert(
                true,
                format!(
                    "the daily copy of the journal failed: {}",
                    clean_line(&error, 300)
                ),
            ),
        }
    }

    /// Reports, and the index of those that stay.
    async fn prune_reports(&self, request: &Request, pruned: &mut Pruned) -> Result<(), String> {
        let Some(folder) = self.reports.clone() else {
            return Ok(());
        };
        let journal = &self.durable.journal;
        let named = journal.report_names().await.map_err(|e| e.to_string())?;
        let state = self.state.clone();
        let limits = reports::Limits {
            older_than_ms: request.cutoff(request.settings.reports.days),
            max_bytes: request.settings.reports.max_bytes,
        };
        let (dry_run, now_ms) = (request.dry_run, request.now_ms);
        let work = move || reports::prune(&folder, &state, &named, limits, (now_ms, dry_run));
        let (items, bytes) = blocking(work).await?;
        note(pruned, Store::Reports, items, Some(bytes));
        Ok(())
    }

    /// Everything in the journal. Runs only when the index holds their reports' names.
    async fn prune_journal(
        &self,
        request: &Request,
        indexed: bool,
        pruned: &mut Pruned,
    ) -> Result<(), JournalError> {
        let journal = &self.durable.journal;
        let settings = &request.settings;
        let mut runs = settings.engine.runs_kept;
        if let Some(older) = request.older_than_ms {
            runs = runs.min(journal.runs_since(older).await?);
        }
        let keep = Keep {
            runs,
            memory: journal::Retention {
                older_than_ms: request.cutoff(settings.memory.days),
                items: settings.memory.items,
                bytes: settings.memory.bytes,
            },
            now_ms: request.now_ms,
        };
        let excess = journal.excess(keep).await?;
        let list = [
            (Store::Runs, if indexed { excess.runs } else { 0 }),
            (Store::Memory, excess.memory),
            (Store::Deliveries, excess.deliveries),
            (Store::DeliveryKeys, excess.delivery_keys),
            (Store::Approvals, excess.approvals),
            (Store::Outbox, excess.outbox),
            (Store::Spend, excess.spend),
        ];
        if !request.dry_run {
            if indexed && excess.runs > 0 {
                journal.prune(runs, request.now_ms).await?;
            }
            if excess.memory > 0 {
                self.memory.retain(keep.memory).await?;
            }
            self.memory.rebuild_if_wasteful();
            if list[2..6].iter().any(|(_, count)| *count > 0) {
                journal.forget_deliveries(request.now_ms).await?;
            }
            if excess.spend > 0 {
                journal.forget_spend().await?;
            }
            journal.tidy().await?;
        }
        for (store, items) in list {
            note(pruned, store, items, None);
        }
        Ok(())
    }

    /// The trail, logs and copies of the journal.
    async fn prune_state_files(&self, request: &Request, pruned: &mut Pruned) {
        let (state, asked) = (self.state.clone(), request.clone());
        let work = move || Ok::<_, io::Error>(state_files(&state, &asked));
        match blocking(work).await {
            Ok(parts) => {
                for (store, result) in parts {
                    match result {
                        Ok((items, bytes)) => note(pruned, store, items, Some(bytes)),
                        Err(error) => pruned.problems.push(problem(store.as_str(), &error)),
                    }
                }
            }
            Err(error) => pruned.problems.push(problem("files", &error)),
        }
    }
}

type Part = (Store, io::Result<(u64, u64)>);

fn state_files(state: &StateDir, request: &Request) -> Vec<Part> {
    let (settings, dry_run) = (&request.settings, request.dry_run);
    let sum = |gone: Vec<(String, u64)>| {
        let bytes = gone.iter().map(|(_, bytes)| bytes).sum();
        (gone.len() as u64, bytes)
    };
    let mut parts = Vec::new();
    if settings.audit.days > 0 {
        // The operator's --older-than does not shorten the trail.
        let before = request.now_ms - i64::from(settings.audit.days) * DAY_MS;
        let gone = audit::expire(&state.audit(), before, dry_run);
        parts.push((Store::Audit, gone.map(sum)));
    }
    // By days and bytes the log's own writer removes.
    if let Some(older) = request.older_than_ms
        && state.logs().is_dir()
    {
        let (first, today) = (day_of(older), day_of(request.now_ms));
        let gone = log_folder::remove_older(&state.logs(), &first, &today, dry_run);
        parts.push((Store::Logs, gone.map(sum)));
    }
    let keep = settings.backups.keep;
    let copies = [
        (
            Store::MigrationBackups,
            files::keep_newest(
                state.path(),
                keep,
                files::is_migration_backup,
                (request.now_ms, dry_run),
            ),
        ),
        (
            Store::Backups,
            files::keep_newest(
                &state.path().join(files::BACKUPS),
                keep,
                files::is_backup,
                (request.now_ms, dry_run),
            ),
        ),
    ];
    for (store, gone) in copies {
        let gone = gone.map(|g| sum(g.into_iter().map(|f| (f.name, f.bytes)).collect()));
        parts.push((store, gone));
    }
    if request.acknowledged {
        let gone = files::keep_set_aside(state.path(), keep, dry_run);
        parts.push((Store::DamagedJournals, gone));
    }
    parts
}

fn note(pruned: &mut Pruned, store: Store, items: u64, bytes: Option<u64>) {
    if items > 0 {
        pruned.removed.push(Removed {
            store,
            items,
            bytes,
        });
    }
}

fn problem(what: &str, error: &impl ToString) -> String {
    format!("{what}: {}", clean_line(&error.to_string(), 300))
}

/// Work on files, never on a thread of the runtime.
async fn blocking<T, E>(work: impl FnOnce() -> Result<T, E> + Send + 'static) -> Result<T, String>
where
    T: Send + 'static,
    E: ToString + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(|e| e.to_string()),
        Err(_) => Err("the work was cut off".into()),
    }
}
