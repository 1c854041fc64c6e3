//! Makes the row of each provider from its layers and its figures.

use std::time::Instant;

use crate::engine::protocol::provider_row::{KeyState, ProviderRow};
use crate::model::meters::CallMeters;
use crate::model::provider::{ProviderRuntime, ProviderStats};
use crate::model::service::ModelService;
use crate::resilience::breaker::{BreakerState, BreakerStats};
use crate::resilience::limiter::RateStats;
use crate::text::clean_line;

/// Rows of all providers: those that somebody counts on first, then by name.
pub fn rows(service: &ModelService, now: Instant) -> Vec<ProviderRow> {
    let meters = service.meters();
    let mut rows = Vec::new();
    service.for_each(|name, live| rows.push(row(name, live, meters, now)));
    rows.sort_by_key(|row| !row.is_set_up());
    rows
}

fn row(name: &str, live: &ProviderRuntime, meters: &CallMeters, now: Instant) -> ProviderRow {
    let breaker = live.guards.breaker.stats(now);
    let pool = live.guards.pool.stats();
    let limiter = limits(live, now);
    let stats = live.stats(name, now);
    let waits = [
        live.guards.pool.oldest_wait(),
        live.guards.limiter.oldest_wait(),
    ];
    let figures = meters.figures(name, now);
    ProviderRow {
        name: clean_line(name, 40),
        key: key(&stats, live.configured),
        ready: stats.ready,
        reason: stats.reason.map(|r| clean_line(&r, 200)),
        variables: stats.missing_keys,
        down_since_ms: down_since_ms(&breaker),
        next_attempt_ms: next_attempt_ms(&breaker),
        breaker: breaker.state,
        models_refused: deployment_breakers(live, now)
            .filter(|b| !matches!(b.state, BreakerState::Closed | BreakerState::Disabled))
            .count() as u32,
        failures: breaker.failures_in_row,
        failures_limit: breaker.failures_limit,
        window_failures: breaker.window_failures,
        window_calls: breaker.window_calls,
        trials: breaker.trials,
        trials_limit: breaker.trials_limit,
        pool: clean_line(&pool.name, 40),
        in_use: pool.in_use,
        allowed: pool.allowed,
        limit: pool.limit,
        queued: pool.queued + limiter.waiting,
        oldest_ms: waits
            .into_iter()
            .flatten()
            .min()
            .map(|at| meters.wall_ms(at)),
        backoff_s: limiter.paused_s,
        figures,
    }
}

/// The breakers of a provider's deployments that have counted a failure of their own.
pub(super) fn deployment_breakers(
    live: &ProviderRuntime,
    now: Instant,
) -> impl Iterator<Item = BreakerStats> {
    let all = live.deployments.list().into_iter();
    let stats = all.map(move |deployment| deployment.breaker().stats(now));
    stats.filter(|b| b.failures > 0 || b.state == BreakerState::Isolated)
}

/// A provider's rates; quiet while one of its deployments wants quiet.
pub(super) fn limits(live: &ProviderRuntime, now: Instant) -> RateStats {
    let mut stats = live.guards.limiter.stats();
    let quiet = live.deployments.longest_quiet(now);
    if !quiet.is_zero() {
        let seconds = quiet.as_millis().div_ceil(1_000) as u64;
        stats.paused_s = Some(stats.paused_s.map_or(seconds, |s| s.max(seconds)));
    }
    stats
}

fn key(stats: &ProviderStats, configured: bool) -> KeyState {
    if !stats.missing_keys.is_empty() {
        KeyState::Missing
    } else if stats.keys.is_empty() {
        // One that is set may not go to this address: the reason says so.
        if configured && !stats.ready {
            KeyState::Present
        } else {
            KeyState::NotNeeded
        }
    } else if stats.keys.iter().all(|k| k.refused.is_some()) {
        KeyState::Refused
    } else {
        KeyState::Present
    }
}

/// The first time that it opened after it was last closed: trials that fail do not begin a new outage.
fn down_since_ms(breaker: &BreakerStats) -> Option<i64> {
    match breaker.state {
        BreakerState::Closed | BreakerState::Disabled => None,
        BreakerState::Isolated => Some(breaker.since_ms),
        BreakerState::Open | BreakerState::HalfOpen => {
            let newest_first = breaker.transitions.iter().rev();
            let outage = newest_first
                .take_while(|t| matches!(t.to, BreakerState::Open | BreakerState::HalfOpen));
            Some(outage.last().map_or(breaker.since_ms, |t| t.at_ms))
        }
    }
}

/// When the cool-down ends; on trial, when it ended.
fn next_attempt_ms(breaker: &BreakerStats) -> Option<i64> {
    match breaker.state {
        BreakerState::Open => {
            let open_for = i64::try_from(breaker.open_for_ms).unwrap_or(i64::MAX / 2);
            Some(breaker.since_ms + open_for)
        }
        BreakerState::HalfOpen => Some(breaker.since_ms),
        BreakerState::Closed | BreakerState::Isolated | BreakerState::Disabled => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resilience::breaker::{Breaker, BreakerSettings};
    use crate::resilience::clock::{Clock as _, SystemClock};
    use std::time::Duration;

    #[test]
    fn outage_begins_where_the_breaker_first_opened_and_a_failed_trial_prolongs_it() {
        let settings = BreakerSettings {
            failures: 1,
            open_jitter: 0.0,
            ..BreakerSettings::default()
        };
        let breaker = Breaker::new("openai", settings, &SystemClock);
        let start = SystemClock.now();
        let fail = |at: Instant| {
            let mut permit = breaker.admit(at).unwrap();
            permit.sending(Duration::from_secs(1), at);
            permit.failure("http_503", None, at);
        };
        assert_eq!(down_since_ms(&breaker.stats(start)), None);
        fail(start);
        let first = breaker.stats(start);
        let since = down_since_ms(&first).unwrap();
        assert_eq!(next_attempt_ms(&first), Some(since + 1_000));
        let later = start + Duration::from_secs(41);
        fail(later);
        let again = breaker.stats(later);
        assert_eq!(again.state, BreakerState::Open);
        assert!(again.since_ms >= since + 41_000);
        assert_eq!(down_since_ms(&again), Some(since));
        let trial = later + Duration::from_secs(60);
        let mut permit = breaker.admit(trial).unwrap();
        permit.sending(Duration::from_secs(1), trial);
        permit.success(trial);
        assert_eq!(down_since_ms(&breaker.stats(trial)), None, "closed again");
    }
}
