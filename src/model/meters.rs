//! What calls took and did, counted.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::model::error::CONTEXT_LENGTH;
use crate::model::request::{Observer, Usage};
use crate::resilience::Reason;
use crate::resilience::clock::lock;
use crate::resilience::policy::Attempt;
use crate::telemetry::call_history::CallHistory;
use crate::telemetry::call_outcome::{CallOutcome, CallSample};
use crate::telemetry::latency::Latency;
use crate::telemetry::provider_meter::{ProviderFigures, ProviderMeter};
use crate::telemetry::rate::Rate;

/// What calls took and did.
pub struct CallMeters {
    /// Time inside providers, an attempt each.
    pub call: Latency,
    /// Total minus the provider's, a question each.
    pub added: Latency,
    /// Until the first piece of an answer, an answered attempt each.
    pub first_token: Latency,
    /// Attempts sent.
    pub sent: Rate,
    /// Attempts that failed.
    pub failed: AtomicU64,
    /// Tokens read and written.
    pub tokens: AtomicU64,
    /// Money spent, millionths of a dollar.
    pub cost_micro_usd: AtomicU64,
    /// What answers of the cache would have cost, millionths of a dollar.
    pub saved_micro_usd: AtomicU64,
    /// Attempts by outcome over time.
    pub history: CallHistory,
    /// Attempts at each provider.
    providers: Mutex<BTreeMap<Arc<str>, Arc<ProviderMeter>>>,
    origin: Instant,
    origin_ms: i64,
    pub(crate) observer: std::sync::OnceLock<Observer>,
}

impl CallMeters {
    /// Nothing counted yet; `wall_ms` is the wall time of `now`.
    pub fn new(now: Instant, wall_ms: i64) -> Self {
        Self {
            call: Latency::new(now),
            added: Latency::new(now),
            first_token: Latency::new(now),
            sent: Rate::new(now),
            failed: AtomicU64::new(0),
            tokens: AtomicU64::new(0),
            cost_micro_usd: AtomicU64::new(0),
            saved_micro_usd: AtomicU64::new(0),
            history: CallHistory::new(now, wall_ms),
            providers: Mutex::default(),
            origin: now,
            origin_ms: wall_ms,
            observer: std::sync::OnceLock::new(),
        }
    }

    /// The wall time of a moment, milliseconds: the start's and what the monotonic clock counted since, so that
    /// a moment's time is the same whenever it is asked for.
    pub fn wall_ms(&self, at: Instant) -> i64 {
        let since = at.saturating_duration_since(self.origin).as_millis();
        self.origin_ms + i64::try_from(since).unwrap_or(i64::MAX / 2)
    }

    /// The meter of one provider.
    fn provider(&self, name: &Arc<str>) -> Arc<ProviderMeter> {
        let mut all = lock(&self.providers);
        if let Some(meter) = all.get(name) {
            return Arc::clone(meter);
        }
        let meter = Arc::new(ProviderMeter::new(self.origin));
        all.insert(Arc::clone(name), Arc::clone(&meter));
        meter
    }

    /// One provider's figures now.
    pub fn figures(&self, name: &str, now: Instant) -> ProviderFigures {
        let meter = lock(&self.providers).get(name).map(Arc::clone);
        meter.map_or_else(ProviderFigures::default, |meter| meter.figures(now))
    }

    /// A question for which no provider could be asked.
    pub(super) fn record_no_candidate(&self, now: Instant) {
        let sample = CallSample {
            outcome: CallOutcome::Refused,
            limiter: Duration::ZERO,
            pool: Duration::ZERO,
            backoff: Duration::ZERO,
            upstream: Duration::ZERO,
            total: Duration::ZERO,
            waited: Duration::ZERO,
            tokens: 0,
            micro_usd: 0,
        };
        self.history.record(&sample, now);
    }

    /// Forgets providers that are not in the table any more.
    pub(super) fn keep_providers(&self, is_there: impl Fn(&str) -> bool) {
        lock(&self.providers).retain(|name, _| is_there(name));
    }
}

/// One call's attempts, measured as they end.
#[derive(Default)]
pub(super) struct CallProgress {
    attempts: u32,
    /// The preferred provider failed or was refused because of how it is, not because of what was asked.
    first_failed: Option<Arc<str>>,
    waited: Duration,
    upstream: Duration,
}

/// Outcomes that say nothing of a provider: another one is asked because of the question or its budget.
const OF_THE_QUESTION: [&str; 4] = [
    CONTEXT_LENGTH,
    Reason::TooLarge.code(),
    Reason::OverBudget.code(),
    Reason::AnswerBegun.code(),
];

impl CallProgress {
    /// Counts an attempt.
    pub(super) fn record(
        &mut self,
        meters: &CallMeters,
        attempt: &Attempt,
        used: Usage,
        now: Instant,
    ) {
        let micros = Duration::from_micros;
        let (limiter, pool) = (micros(attempt.limiter_us), micros(attempt.pool_us));
        let (backoff, upstream) = (micros(attempt.backoff_us), micros(attempt.upstream_us));
        self.waited += limiter + pool + backoff;
        self.upstream += upstream;
        let sample = CallSample {
            outcome: self.outcome(attempt),
            limiter,
            pool,
            backoff,
            upstream,
            total: self.waited + self.upstream,
            waited: self.waited,
            tokens: used.tokens.sum(),
            micro_usd: used.micro_usd,
        };
        self.attempts += 1;
        meters.history.record(&sample, now);
        meters.provider(&attempt.upstream).record(&sample, now);
        if attempt.target == 0 && !OF_THE_QUESTION.contains(&&*attempt.outcome) {
            self.first_failed = Some(Arc::clone(&attempt.upstream));
        }
        if sample.outcome.is_answered()
            && attempt.target > 0
            && let Some(first) = &self.first_failed
            && *first != attempt.upstream
        {
            meters.provider(first).record_fallback(&attempt.upstream);
        }
    }

    fn outcome(&self, attempt: &Attempt) -> CallOutcome {
        match &*attempt.outcome {
            "ok" if self.attempts > 0 => CallOutcome::Retried,
            "ok" => CallOutcome::Answered,
            _ if !attempt.sent => CallOutcome::Refused,
            "http_429" => CallOutcome::RateLimited,
            _ => CallOutcome::Failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(upstream: &str, target: usize, outcome: &'static str, sent: bool) -> Attempt {
        Attempt {
            upstream: Arc::from(upstream),
            target,
            outcome: outcome.into(),
            sent,
            started_ms: 0,
            backoff_us: 0,
            limiter_us: 0,
            pool_us: 2_000_000,
            upstream_us: 1_000_000,
            retry_in_ms: None,
        }
    }

    #[test]
    fn attempts_of_a_call_count_by_outcome_and_a_fallback_counts_for_whom_it_replaced() {
        let now = Instant::now();
        let meters = CallMeters::new(now, 0);
        let used = Usage::default();
        let mut call = CallProgress::default();
        call.record(&meters, &attempt("openai", 0, "http_429", true), used, now);
        call.record(
            &meters,
            &attempt("openai", 0, "breaker_open", false),
            used,
            now,
        );
        call.record(&meters, &attempt("anthropic", 1, "ok", true), used, now);
        let openai = meters.figures("openai", now);
        assert_eq!((openai.window.rate_limited, openai.window.refused), (1, 1));
        assert_eq!(
            (openai.fell_back, openai.fallback.as_deref()),
            (1, Some("anthropic"))
        );
        assert_eq!(meters.figures("anthropic", now).window.retried, 1);
        // Too large a prompt for the first is no fault of its provider.
        let mut call = CallProgress::default();
        call.record(
            &meters,
            &attempt("gemini", 0, "too_large", false),
            used,
            now,
        );
        call.record(&meters, &attempt("anthropic", 1, "ok", true), used, now);
        assert_eq!(meters.figures("gemini", now).fell_back, 0);
        let history = meters.history.stats(now + Duration::from_secs(5));
        assert_eq!((history.minute.sum(), history.minute.retried), (5, 2));
        assert_eq!(
            history.p99_ms,
            [9_000],
            "all waits and attempts of the call"
        );
    }
}
