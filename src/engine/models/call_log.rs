//! The newest attempts at providers, so that a number can be followed to the calls behind it.
//!
//! Why in memory: the journal has every attempt with its step; this is the short way from a breaker to
//! the run that opened it.

use std::collections::VecDeque;
use std::sync::Mutex;

use crate::engine::protocol::call::CallView;
use crate::model::request::Observed;
use crate::resilience::clock::lock;

/// Attempts kept.
const KEPT: usize = 2_000;

/// The newest attempts.
#[derive(Default)]
pub struct CallLog {
    ring: Mutex<VecDeque<CallView>>,
}

impl CallLog {
    /// Takes an attempt in, and says in the log that it failed.
    pub fn add(&self, seen: &Observed<'_>) {
        let (attempt, origin) = (seen.attempt, seen.origin);
        if attempt.outcome != "ok" {
            tracing::warn!(
                run = origin.run,
                corr = origin.correlation,
                agent = origin.agent,
                upstream = &*attempt.upstream,
                outcome = &*attempt.outcome,
                "attempt failed"
            );
        }
        let waited = attempt.backoff_us + attempt.limiter_us + attempt.pool_us;
        let mut ring = lock(&self.ring);
        if ring.len() == KEPT {
            ring.pop_front();
        }
        ring.push_back(CallView {
            at_ms: seen.at_ms,
            provider: attempt.upstream.to_string(),
            model: seen.model.to_owned(),
            outcome: attempt.outcome.to_string(),
            sent: attempt.sent,
            upstream_ms: attempt.upstream_us / 1_000,
            waited_ms: waited / 1_000,
            target: attempt.target,
            run: origin.run.clone(),
            agent: origin.agent.clone(),
            correlation: origin.correlation.clone(),
            tokens: seen.used.tokens,
            micro_usd: seen.used.micro_usd,
        });
    }

    /// Those that `wanted` picks, newest first.
    pub fn newest(&self, limit: usize, wanted: impl Fn(&CallView) -> bool) -> Vec<CallView> {
        let ring = lock(&self.ring);
        let mut found: Vec<CallView> = ring
            .iter()
            .rev()
            .filter(|c| wanted(c))
            .take(limit)
            .cloned()
            .collect();
        found.sort_by_key(|c| std::cmp::Reverse(c.at_ms));
        found
    }
}
