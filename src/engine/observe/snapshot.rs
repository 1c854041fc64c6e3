//! Assembles the snapshot and publishes it when something in it has changed.
//!
//! Why not on every change: a burst of two hundred runs changes thousands of things a second; a person can
//! follow a few snapshots. And why not on a clock alone: an unchanged snapshot is not published, so that an
//! idle screen writes nothing.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::engine::agents::AgentControl;
use crate::engine::attachment::Attachments;
use crate::engine::audit::Audit;
use crate::engine::code_host::stats::PublicationStatus;
use crate::engine::config::caches::WorkspaceCaches;
use crate::engine::config::store::ConfigStore;
use crate::engine::durable::Durable;
use crate::engine::lifecycle::Lifecycle;
use crate::engine::models::access::Models;
use crate::engine::notifier::Notifier;
use crate::engine::observe::health::since::Since;
use crate::engine::observe::health::{checks, judge, word};
use crate::engine::observe::health_facts::HealthFacts;
use crate::engine::observe::impact::{self, ImpactFacts};
use crate::engine::observe::provider_rows;
use crate::engine::observe::watchdog::Watchdog;
use crate::engine::protocol::decision_stats::DecisionStats;
use crate::engine::protocol::health::{Level as HealthLevel, Reason};
use crate::engine::protocol::impact::Impact;
use crate::engine::protocol::snapshot::{
    Health, Losses, Mode, Money, Snapshot, VERSION, WorkspaceStats,
};
use crate::engine::runs::registry::RunRegistry;
use crate::resilience::bulkhead::PoolStats;
use crate::resilience::clock::lock;
use crate::settings::Settings;
use crate::telemetry::log_files::LogGuard;
use crate::telemetry::resources::{ResourceStats, Resources};
use crate::text::Untrusted;
use crate::workspace::Level;

/// Shortest time between two snapshots.
const SHORTEST: Duration = Duration::from_millis(100);
/// Rates and windows move on even when nothing happens.
const TICK: Duration = Duration::from_secs(1);
/// Between two samples of the process.
const SAMPLE: Duration = Duration::from_secs(2);

/// Reads the figures of every service. One per engine.
pub struct SnapshotSource {
    /// Clock, mode, stop.
    pub lifecycle: Arc<Lifecycle>,
    /// Alerts, and the signal that something changed.
    pub notifier: Arc<Notifier>,
    /// Settings and workspace.
    pub store: Arc<ConfigStore>,
    /// Caches of the workspace's files.
    pub caches: Arc<WorkspaceCaches>,
    /// The journal's figures.
    pub durable: Arc<Durable>,
    /// Runs.
    pub registry: Arc<RunRegistry>,
    /// Providers and calls.
    pub models: Arc<Models>,
    /// Webhooks, outbox, approvals.
    pub publications: Arc<PublicationStatus>,
    /// Agents that are stopped.
    pub agents: Arc<AgentControl>,
    /// Consoles in other processes.
    pub attachments: Arc<Attachments>,
    /// Lost lines.
    pub audit: Arc<Audit>,
    /// Lost lines.
    pub log: Option<Arc<LogGuard>>,
    /// Where the process keeps its state: the disk that is sampled.
    pub state_dir: std::path::PathBuf,
    /// Alerts of missed targets that are not over.
    pub raised: Mutex<Vec<String>>,
    /// What health is judged by.
    pub health: Arc<HealthFacts>,
    /// Since when each reason holds.
    pub since: Mutex<Since>,
}

impl SnapshotSource {
    /// Publishes snapshots until the engine stops.
    pub async fn publish(self: Arc<Self>, sender: watch::Sender<Arc<Snapshot>>) {
        let mut resources = Resources::new(self.state_dir.clone());
        let mut sampled = resources.sample();
        let mut last_sample = self.lifecycle.now();
        let mut watchdog = Watchdog::default();
        let mut failing = BTreeSet::new();
        let mut watched = self.lifecycle.now();
        let stopping = &self.lifecycle.stopping;
        loop {
            tokio::select! {
                () = stopping.cancelled() => return,
                () = self.notifier.changed() => {}
                () = tokio::time::sleep(TICK) => {}
            }
            self.models.report_refused_keys();
            let now = self.lifecycle.now();
            if now.saturating_duration_since(last_sample) >= SAMPLE {
                last_sample = now;
                sampled = resources.sample();
            }
            let mut snapshot = self.assemble(sampled);
            self.alert_about_failures(&mut failing, &snapshot);
            if now.saturating_duration_since(watched) >= TICK {
                watched = now;
                self.watch(&mut watchdog, &snapshot);
            }
            sender.send_if_modified(|old| {
                snapshot.sequence = old.sequence;
                if **old == snapshot {
                    return false;
                }
                snapshot.sequence = old.sequence + 1;
                *old = Arc::new(snapshot);
                true
            });
            tokio::select! {
                () = stopping.cancelled() => return,
                () = tokio::time::sleep(SHORTEST) => {}
            }
        }
    }

    /// An alert about each reason why a check fails, until it is over.
    fn alert_about_failures(&self, failing: &mut BTreeSet<(String, String)>, snapshot: &Snapshot) {
        let fails = snapshot
            .reasons
            .iter()
            .filter(|r| r.level == HealthLevel::Fail);
        let key = |r: &Reason| (r.code.clone(), r.check.clone());
        let now: BTreeSet<(String, String)> = fails.clone().map(key).collect();
        for reason in fails {
            let text = reason.message.clone();
            self.notifier.raise(&reason.code, &reason.check, text);
        }
        for (code, check) in failing.difference(&now) {
            let text = if now.iter().any(|(_, other)| other == check) {
                format!("the check '{check}' fails for another reason now")
            } else {
                format!("the check '{check}' fails no more")
            };
            self.notifier.resolve(code, check, text);
        }
        *failing = now;
    }

    /// Alerts about targets that are missed, or met again.
    fn watch(&self, watchdog: &mut Watchdog, snapshot: &Snapshot) {
        let settings = self.store.settings().alerts;
        for change in watchdog.check(snapshot, &settings) {
            let (code, subject) = (change.code, &change.subject);
            if change.bad {
                self.notifier.raise(code, subject, change.text);
            } else {
                self.notifier.resolve(code, subject, change.text);
            }
        }
        *lock(&self.raised) = watchdog.raised();
    }

    /// The first snapshot, with a sample of the process.
    pub fn first(&self) -> Snapshot {
        self.assemble(Resources::new(self.state_dir.clone()).sample())
    }

    /// The snapshot at this moment.
    pub fn assemble(&self, resources: ResourceStats) -> Snapshot {
        let now = self.lifecycle.now();
        let settings = self.store.settings();
        let service = &self.models.service;
        let meters = service.meters();
        let (mut breakers, mut limiters) = (Vec::new(), Vec::new());
        let mut pools: Vec<PoolStats> = Vec::new();
        service.for_each(|_, live| {
            breakers.push(live.guards.breaker.stats(now));
            breakers.extend(provider_rows::deployment_breakers(live, now));
            let pool = live.guards.pool.stats();
            if !pools.iter().any(|p| p.name == pool.name) {
                pools.push(pool);
            }
            let forwarded = live.gateway_pool.stats();
            if forwarded.admitted > 0 || forwarded.queued > 0 {
                pools.push(forwarded);
            }
            limiters.push(provider_rows::limits(live, now));
        });
        let [agents, knowledge, registry] = self.caches.stats();
        let runs = self.registry.at_once();
        let outcomes = self.registry.outcomes(now);
        let mut snapshot = Snapshot {
            version: VERSION,
            sequence: 0,
            started_ms: self.lifecycle.started_ms,
            disconnected: None,
            health: Health::Healthy,
            impact: Vec::new(),
            reasons: Vec::new(),
            checks: Vec::new(),
            workspace: self.workspace(),
            mode: Mode {
                safe_mode: settings.loopback_only(),
                ..self.lifecycle.mode.clone()
            },
            flags: settings.flags,
            drained: self.lifecycle.is_drained(),
            targets: settings.targets,
            added_latency: meters.added.stats(now),
            call_latency: meters.call.stats(now),
            run_latency: self.registry.latency.stats(now),
            calls: meters.sent.stats(now),
            runs_rate: self.registry.rate.stats(now),
            call_history: meters.history.stats(now),
            calls_failed: meters.failed.load(Relaxed),
            tokens: meters.tokens.load(Relaxed),
            cost_usd: meters.cost_micro_usd.load(Relaxed) as f64 / 1e6,
            first_token: meters.first_token.stats(now),
            money: self.money(&settings),
            caches: vec![agents, knowledge, registry, service.cache_stats()],
            breakers,
            pools,
            limiters,
            retry_budget: service.policy().budget().stats(&settings.retry, now),
            providers: service.providers(),
            provider_rows: provider_rows::rows(service, now),
            resources,
            availability: outcomes.availability(),
            outcomes,
            decisions_hour: self.decisions(now),
            counts: runs.counts,
            runs: runs.briefs,
            runs_left_out: runs.left_out,
            alerts: self.notifier.alerts(),
            losses: Losses {
                log_lines: self.log.as_ref().map_or(0, |l| l.dropped()),
                runs_refused: self.registry.refused(),
                journal_retries: self.durable.retries(),
                audit_lines: self.audit.lost(),
            },
            decisions: runs.decisions,
            github: self.publications.get(),
            stopped_agents: self.agents.stopped(),
            attached: self.attachments.people(),
        };
        let facts = self.health.facts(lock(&self.raised).clone());
        let findings = judge(&snapshot, &facts);
        snapshot.health = word(&findings);
        snapshot.checks = checks(&findings);
        snapshot.reasons = lock(&self.since).stamp(findings, facts.now_ms);
        snapshot.impact = self.impact(&snapshot, now);
        snapshot
    }

    fn impact(&self, snapshot: &Snapshot, now: Instant) -> Vec<Impact> {
        let now_ms = self.models.service.meters().wall_ms(now);
        let outcomes_since = |at_ms: i64| {
            let span = u64::try_from(now_ms - at_ms).unwrap_or(0);
            self.registry
                .outcomes_within(Duration::from_millis(span), now)
        };
        let facts = ImpactFacts {
            now_ms,
            outcomes_since: &outcomes_since,
        };
        impact::judge(snapshot, &facts)
    }

    fn decisions(&self, now: Instant) -> DecisionStats {
        let mut stats = self.registry.decision_stats(now);
        let github = self.publications.get();
        stats.waiting.approvals = github.approvals;
        let oldest = [stats.waiting.oldest_ms, github.oldest_approval_ms];
        stats.waiting.oldest_ms = oldest.into_iter().flatten().min();
        stats
    }

    fn money(&self, settings: &Settings) -> Money {
        let spend = self.models.service.spend();
        let (today_micro_usd, reserved_micro_usd) = spend.today(self.lifecycle.wall_ms());
        Money {
            today_micro_usd,
            reserved_micro_usd,
            day_budget_usd: settings.budgets.day_usd,
            saved_micro_usd: self.models.service.meters().saved_micro_usd.load(Relaxed),
            simulated: self.lifecycle.mode.simulated,
        }
    }

    fn workspace(&self) -> WorkspaceStats {
        let workspace = self.store.workspace();
        let count = |level: Level| {
            let problems = workspace.problems.iter();
            problems.filter(|p| p.severity == level).count() as u32
        };
        WorkspaceStats {
            name: Untrusted::new(workspace.name.clone()),
            root: workspace
                .root
                .as_ref()
                .map(|r| Untrusted::new(r.display().to_string())),
            trust: workspace.trust,
            agents: workspace.agents.len() as u32,
            errors: count(Level::Error),
            warnings: count(Level::Warning),
            kept_last_good: self.store.keeps_last_good(),
        }
    }
}
