//! Health in a word, and why it is not better: one judge over the snapshot's figures.

use crate::engine::protocol::snapshot::{Health, Snapshot};
use crate::resilience::breaker::BreakerState;
use crate::workspace::trust::Trust;

/// What the judge needs beside the snapshot.
pub struct Conditions {
    /// Some journal write is failing right now.
    pub journal_failing: bool,
    /// A broken edit of the settings is not in effect.
    pub settings_broken: bool,
    /// Alerts of missed targets that are not over.
    pub raised: Vec<String>,
}

/// Sets health and reasons of a snapshot; the worst reason first.
pub fn judge(snapshot: &mut Snapshot, conditions: &Conditions) {
    let mut reasons: Vec<(Health, String)> = Vec::new();
    if conditions.journal_failing {
        reasons.push((Health::Unhealthy, "the journal cannot be written".into()));
    }
    let mut degraded = |text: String| reasons.push((Health::Degraded, text));
    providers(snapshot, &mut degraded);
    let money = snapshot.money;
    if money.day_budget_usd > 0.0 && money.today_micro_usd as f64 >= money.day_budget_usd * 1e6 {
        degraded("the day's budget is used up".into());
    }
    for text in &conditions.raised {
        degraded(text.clone());
    }
    let flags = snapshot.flags;
    for (on, what) in [
        (flags.circuit_breaker, "breakers are switched off"),
        (flags.bulkhead, "pools are switched off"),
        (flags.rate_limiter, "rate limits are switched off"),
        (flags.retry, "retries are switched off"),
    ] {
        if !on {
            degraded(what.into());
        }
    }
    if snapshot.drained {
        degraded("drained: no run is accepted".into());
    }
    if conditions.settings_broken {
        degraded("the edited settings are not in effect".into());
    }
    workspace(snapshot, &mut degraded);
    reasons.sort_by_key(|(health, _)| std::cmp::Reverse(*health));
    let worst = reasons.first().map(|(health, _)| *health);
    snapshot.health = worst.unwrap_or(Health::Healthy);
    snapshot.reasons = reasons.into_iter().map(|(_, text)| text).collect();
}

fn providers(snapshot: &Snapshot, degraded: &mut impl FnMut(String)) {
    // The worst first: a header has room for one.
    for (state, word) in [
        (BreakerState::Open, "open"),
        (BreakerState::Isolated, "isolated"),
        (BreakerState::HalfOpen, "recovering"),
    ] {
        for breaker in snapshot.breakers.iter().filter(|b| b.state == state) {
            degraded(format!("{} {word}", breaker.name));
        }
    }
    for provider in &snapshot.providers {
        let keys = &provider.keys;
        if !keys.is_empty() && keys.iter().all(|k| k.refused.is_some()) {
            degraded(format!("{}: every key was refused", provider.name));
        }
    }
}

fn workspace(snapshot: &Snapshot, degraded: &mut impl FnMut(String)) {
    let workspace = &snapshot.workspace;
    if workspace.kept_last_good {
        degraded("a broken edit is not in effect".into());
    } else if workspace.errors > 0 {
        degraded(format!("{} errors in the workspace", workspace.errors));
    }
    if workspace.trust == Trust::Changed {
        degraded("the workspace changed since it was trusted".into());
    }
}
