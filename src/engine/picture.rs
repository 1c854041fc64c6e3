//! Assembles the picture and publishes it when something in it has changed.
//!
//! Why not on every change: a burst of two hundred runs changes thousands of things a second; a person
//! can follow a few pictures. And why not on a clock alone: an unchanged picture is not published, so
//! that an idle screen writes nothing.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::sync::watch;

use super::core::Core;
use super::types::event::Event;
use super::types::run::RunState;
use super::types::snapshot::{
    Health, Losses, Mode, Money, RunBrief, RunCounts, Snapshot, VERSION, WorkspaceStats,
};
use super::views::brief;
use super::watchdog::Watchdog;
use crate::resilience::breaker::BreakerState;
use crate::resilience::clock::lock;
use crate::settings::Settings;
use crate::telemetry::resources::{ResourceStats, Resources};
use crate::text::Untrusted;
use crate::workspace::Level;
use crate::workspace::trust::Trust;

/// Shortest time between two pictures.
const SHORTEST: Duration = Duration::from_millis(100);
/// Rates and windows move on even when nothing happens.
const TICK: Duration = Duration::from_secs(1);
/// Runs in the picture.
const RUNS: usize = 40;

/// Publishes pictures until the engine stops.
pub async fn publish(core: Arc<Core>, sender: watch::Sender<Arc<Snapshot>>) {
    let mut resources = Resources::new(core.state.path().to_path_buf());
    let mut sampled = resources.sample();
    let mut last_sample = core.clock.now();
    let mut sequence = 0;
    let mut watchdog = Watchdog::default();
    let mut watched = core.clock.now();
    loop {
        tokio::select! {
            () = core.stopping.cancelled() => return,
            () = core.dirty.notified() => {}
            () = tokio::time::sleep(TICK) => {}
        }
        tell_transitions(&core);
        if core.clock.now().saturating_duration_since(last_sample) >= Duration::from_secs(2) {
            last_sample = core.clock.now();
            sampled = resources.sample();
        }
        let mut snapshot = assemble(&core, sampled);
        if core.clock.now().saturating_duration_since(watched) >= TICK {
            watched = core.clock.now();
            let alerts = core.settings.load().alerts;
            watchdog.look(&core, &snapshot, &alerts);
        }
        snapshot.sequence = sequence;
        let changed = sender.send_if_modified(|old| {
            snapshot.sequence = old.sequence;
            if **old == snapshot {
                return false;
            }
            snapshot.sequence = old.sequence + 1;
            *old = Arc::new(snapshot.clone());
            true
        });
        if changed {
            sequence = snapshot.sequence;
        }
        tokio::select! {
            () = core.stopping.cancelled() => return,
            () = tokio::time::sleep(SHORTEST) => {}
        }
    }
}

fn tell_transitions(core: &Core) {
    core.tell_key_news();
    let mut transitions = Vec::new();
    core.models.for_each(|name, live| {
        transitions.extend(
            live.guards
                .breaker
                .take_transitions()
                .into_iter()
                .map(|t| (name.to_owned(), t)),
        );
    });
    for (name, transition) in transitions {
        let bad = matches!(transition.to, BreakerState::Open | BreakerState::Isolated);
        let word = transition.to.word();
        core.alert(bad, format!("{name} {word}: {}", transition.cause));
        core.tell(Event::Breaker { name, transition });
    }
}

/// The picture at this moment.
pub fn assemble(core: &Core, resources: ResourceStats) -> Snapshot {
    let now = core.clock.now();
    let settings = core.settings.load();
    let meters = core.models.meters();
    let (mut breakers, mut pools, mut limiters) = (Vec::new(), Vec::new(), Vec::new());
    core.models.for_each(|_, live| {
        breakers.push(live.guards.breaker.stats(now));
        let pool = live.guards.pool.stats();
        if !pools
            .iter()
            .any(|p: &crate::resilience::bulkhead::PoolStats| p.name == pool.name)
        {
            pools.push(pool);
        }
        limiters.push(live.guards.limiter.stats());
    });
    let runs = runs(core);
    let live_total = lock(&core.live).len() as u32;
    let running = lock(&core.live)
        .values()
        .filter(|l| lock(&l.view).state == RunState::Running)
        .count() as u32;
    let counts = RunCounts {
        running,
        queued: live_total.saturating_sub(running),
        finished: core.counters.finished.load(Relaxed),
        failed: core.counters.failed.load(Relaxed),
    };
    let workspace = workspace(core);
    let mut snapshot = Snapshot {
        version: VERSION,
        sequence: 0,
        started_ms: core.started_ms,
        health: Health::Healthy,
        reasons: Vec::new(),
        workspace,
        mode: Mode {
            safe_mode: settings.loopback_only(),
            ..core.mode.clone()
        },
        flags: settings.flags,
        drained: core.drained.load(Relaxed),
        targets: settings.targets,
        added_latency: meters.added.stats(now),
        call_latency: meters.call.stats(now),
        run_latency: core.run_latency.stats(now),
        calls: meters.sent.stats(now),
        runs_rate: core.runs_rate.stats(now),
        calls_failed: meters.failed.load(Relaxed),
        tokens: meters.tokens.load(Relaxed),
        cost_usd: meters.cost_micro_usd.load(Relaxed) as f64 / 1e6,
        first_token: meters.first_token.stats(now),
        money: money(core, &settings),
        caches: vec![
            core.agents_cache.stats(),
            core.knowledge_cache.stats(),
            core.registry_cache.stats(),
            core.models.cache_stats(),
        ],
        breakers,
        pools,
        limiters,
        retry_budget: core.models.policy().budget().stats(&settings.retry, now),
        providers: core.models.providers(),
        resources,
        availability: (core.availability.percent(now) * 100.0).floor() / 100.0,
        counts,
        runs,
        alerts: lock(&core.alerts).iter().cloned().collect(),
        losses: Losses {
            log_lines: core.log.as_ref().map_or(0, |l| l.dropped()),
            runs_refused: core.counters.refused.load(Relaxed),
            journal_retries: core.counters.journal_retries.load(Relaxed),
            audit_lines: core.audit.lost(),
        },
        decisions: lock(&core.counters.decisions).clone(),
        github: *lock(&core.github),
        stopped_agents: lock(&core.stopped).iter().cloned().collect(),
        attached: lock(&core.attached).values().cloned().collect(),
    };
    judge(core, &mut snapshot);
    snapshot
}

fn money(core: &Core, settings: &Settings) -> Money {
    let (today_micro_usd, reserved_micro_usd) = core.models.spend().today(core.clock.wall_ms());
    Money {
        today_micro_usd,
        reserved_micro_usd,
        day_budget_usd: settings.budgets.day_usd,
    }
}

/// Health in a word, and why.
fn judge(core: &Core, snapshot: &mut Snapshot) {
    let mut worst = Health::Healthy;
    let mut reasons: Vec<(Health, String)> = Vec::new();
    if core.counters.journal_failing.load(Relaxed) > 0 {
        reasons.push((Health::Unhealthy, "the journal cannot be written".into()));
    }
    // The worst first: a header has room for one.
    for (state, word) in [
        (BreakerState::Open, "open"),
        (BreakerState::Isolated, "isolated"),
        (BreakerState::HalfOpen, "recovering"),
    ] {
        let named = snapshot.breakers.iter().filter(|b| b.state == state);
        reasons.extend(named.map(|b| (Health::Degraded, format!("{} {word}", b.name))));
    }
    for provider in &snapshot.providers {
        let refused =
            !provider.keys.is_empty() && provider.keys.iter().all(|k| k.refused.is_some());
        if refused {
            let text = format!("{}: every key was refused", provider.name);
            reasons.push((Health::Degraded, text));
        }
    }
    let money = snapshot.money;
    if money.day_budget_usd > 0.0 && money.today_micro_usd as f64 >= money.day_budget_usd * 1e6 {
        reasons.push((Health::Degraded, "the day's budget is used up".into()));
    }
    for text in lock(&core.raised).iter() {
        reasons.push((Health::Degraded, text.clone()));
    }
    let flags = snapshot.flags;
    for (on, what) in [
        (flags.circuit_breaker, "breakers are switched off"),
        (flags.bulkhead, "pools are switched off"),
        (flags.rate_limiter, "rate limits are switched off"),
        (flags.retry, "retries are switched off"),
    ] {
        if !on {
            reasons.push((Health::Degraded, what.into()));
        }
    }
    if snapshot.drained {
        reasons.push((Health::Degraded, "drained: no run is taken in".into()));
    }
    if core.settings_broken.load(Relaxed) {
        reasons.push((
            Health::Degraded,
            "the edited settings are not in effect".into(),
        ));
    }
    if snapshot.workspace.kept_last_good {
        reasons.push((Health::Degraded, "a broken edit is not in effect".into()));
    } else if snapshot.workspace.errors > 0 {
        reasons.push((
            Health::Degraded,
            format!("{} errors in the workspace", snapshot.workspace.errors),
        ));
    }
    if snapshot.workspace.trust == Trust::Changed {
        reasons.push((
            Health::Degraded,
            "the workspace changed since it was trusted".into(),
        ));
    }
    reasons.sort_by_key(|(health, _)| std::cmp::Reverse(*health));
    for (health, _) in &reasons {
        worst = worst.max(*health);
    }
    snapshot.health = worst;
    snapshot.reasons = reasons.into_iter().map(|(_, text)| text).collect();
}

fn workspace(core: &Core) -> WorkspaceStats {
    let workspace = core.workspace.load();
    let count = |level: Level| {
        workspace
            .problems
            .iter()
            .filter(|p| p.severity == level)
            .count() as u32
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
        kept_last_good: core.kept_last_good.load(Relaxed),
    }
}

/// Live runs and the newest ended ones, newest first.
pub fn runs(core: &Core) -> Vec<RunBrief> {
    let mut briefs: Vec<RunBrief> = {
        let live = lock(&core.live);
        // Ids begin with their time: the last entries are the newest.
        live.values()
            .rev()
            .take(RUNS)
            .map(|l| brief(&lock(&l.view), l.title.clone(), *lock(&l.started_ms), None))
            .collect()
    };
    briefs.extend(lock(&core.recent).iter().take(RUNS).cloned());
    briefs.sort_by(|a, b| {
        b.created_ms
            .cmp(&a.created_ms)
            .then_with(|| b.id.cmp(&a.id))
    });
    briefs.truncate(RUNS);
    briefs
}
