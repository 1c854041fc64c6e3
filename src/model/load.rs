//! One load of an answer: the whole chain of candidates, what is kept of it, and what each attempt tells.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};

use super::error::ModelError;
use super::provider::{Endpoint, Live};
use super::service::{Ask, AskError, CallMeters, Observed};
use super::{Answer, Request};
use crate::cache::{CacheSettings, Loading, Spec};
use crate::resilience::Reason;
use crate::resilience::bulkhead::Lane;
use crate::resilience::clock::Clock;
use crate::resilience::deadline::Deadline;
use crate::resilience::policy::{Attempt, Call, Failure, Policy, Target};
use crate::state::hex;
use crate::workspace::models::{Model, ProviderKind};

/// An answer as the cache keeps it.
pub(super) struct Held {
    pub(super) answer: Arc<Answer>,
    pub(super) fell_back: bool,
}

/// Shown as the error's class alone: a provider's own words may quote a key.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.error.class())]
pub(super) struct NotHeld {
    pub(super) error: AskError,
    /// Index of the target that said so; 0: the model that was asked for.
    pub(super) target: usize,
    /// It says little about another caller's chances: it ran in the background or out of its own time.
    pub(super) partial: bool,
}

/// The longest load of an answer, all attempts and fallbacks together.
const LONGEST: Duration = Duration::from_secs(600);

/// The response cache. A cancelled run must not go on paying for an answer that nobody reads; an answer
/// of another model is not the answer of the one that was asked; and what a model refuses for good it
/// refuses again.
pub(super) fn responses(settings: CacheSettings) -> Spec<Held, NotHeld> {
    Spec {
        name: "responses",
        settings,
        load_timeout: LONGEST,
        weigh: |held| held.answer.text.raw().len() as u64 + 256,
        abandons: true,
        keeps: |held| !held.fell_back,
        is_negative: |failed| {
            failed.target == 0 && matches!(&failed.error, AskError::Model(e) if e.is_final())
        },
    }
}

/// The call as a load makes it: in the background it is less urgent and has its own time, and with an old
/// answer at hand it asks one model only.
pub(super) fn on_behalf(call: Call, loading: Loading, now: Instant) -> Call {
    let (lane, deadline) = if loading.background {
        (Lane::Refresh, Deadline::after(now, REFRESH))
    } else {
        (call.lane, call.deadline)
    };
    Call {
        lane,
        deadline,
        stale_at_hand: loading.stale_at_hand,
        ..call
    }
}

/// A refresh's own time: nobody waits for it, but it must not hold a place for ever.
pub(super) const REFRESH: Duration = Duration::from_secs(120);
/// What a caller waits beyond its deadline for its own flight to land.
pub(super) const GRACE: Duration = Duration::from_millis(50);
/// A follower whose leader ran out of its own time asks again, this often at most.
pub(super) const ASKED_AGAIN: u32 = 2;

/// A candidate that can be asked.
#[derive(Clone)]
pub(super) struct Choice {
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) kind: ProviderKind,
    pub(super) name: String,
    pub(super) model: Model,
}

/// Counts an attempt and shows it to whoever watches, as soon as it is over.
pub(super) fn note(
    meters: &CallMeters,
    ask: &Ask,
    targets: &[Target<Choice>],
    at_ms: i64,
    attempt: &Attempt,
    now: Instant,
) {
    if attempt.sent {
        meters.sent.tick(now);
        meters
            .call
            .record(Duration::from_micros(attempt.upstream_us), now);
        if attempt.outcome != "ok" {
            meters.failed.fetch_add(1, Relaxed);
        }
    }
    if let Some(observer) = meters.observer.get() {
        let before = attempt.started_ms + (attempt.limiter_us + attempt.pool_us) / 1_000;
        observer(&Observed {
            origin: &ask.origin,
            at_ms: at_ms + i64::try_from(before).unwrap_or(0),
            model: targets.get(attempt.target).map_or("", |t| &t.what.name),
            attempt,
        });
    }
}

/// One load: the whole chain of candidates. The trace is told whatever comes of it.
pub(super) async fn load(
    policy: Arc<Policy>,
    meters: Arc<CallMeters>,
    clock: Arc<dyn Clock>,
    call: Call,
    targets: &[Target<Choice>],
    ask: &Ask,
) -> (Result<Held, NotHeld>, Vec<Attempt>) {
    let at_ms = clock.wall_ms();
    let seen = |attempt: &Attempt| note(&meters, ask, targets, at_ms, attempt, clock.now());
    let send = |choice: &Choice| {
        let request = Request {
            model: choice.name.clone(),
            system: ask.system.clone(),
            user: ask.user.clone(),
            max_output_tokens: choice.model.max_output_tokens.min(1_200),
            temperature: 0.2,
            parameter: choice.model.parameter,
        };
        let (endpoint, kind, prices, validate) = (
            Arc::clone(&choice.endpoint),
            choice.kind,
            choice.model.prices,
            ask.validate,
        );
        async move {
            let mut answer = Live::ask(endpoint, kind, request).await?;
            let tokens = answer.tokens;
            answer.cost_usd = (tokens.prompt as f64 * prices.input_per_m
                + tokens.completion as f64 * prices.output_per_m)
                / 1e6
                + prices.per_request;
            // An answer that is no verdict says nothing against its provider's health.
            let checked = validate(&answer).err();
            let used = tokens.prompt.saturating_add(tokens.completion);
            let used = u32::try_from(used).unwrap_or(u32::MAX);
            Ok::<_, ModelError>(((answer, checked), used))
        }
    };
    let outcome = policy.run_seen(call, targets, send, seen).await;
    let trace = outcome.trace;
    let not_held = |error: AskError, target: usize| NotHeld {
        partial: call.stale_at_hand
            // Out of its own time it did not ask everybody.
            || call.deadline.has_passed(clock.now())
            || matches!(&error, AskError::Rejected(r) if r.reason == Reason::DeadlineExceeded),
        error,
        target,
    };
    let last = trace.iter().rev().find(|a| a.sent).map_or(0, |a| a.target);
    let result = match outcome.result {
        Ok(((answer, checked), index)) => {
            let tokens = answer
                .tokens
                .prompt
                .saturating_add(answer.tokens.completion);
            meters.tokens.fetch_add(tokens, Relaxed);
            meters
                .cost_micro_usd
                .fetch_add((answer.cost_usd * 1e6) as u64, Relaxed);
            match checked {
                None => Ok(Held {
                    answer: Arc::new(answer),
                    fell_back: index > 0,
                }),
                Some(reason) => Err(not_held(
                    AskError::Model(ModelError::NoVerdict(reason)),
                    index,
                )),
            }
        }
        Err(Failure::Upstream(error)) => Err(not_held(AskError::Model(error), last)),
        Err(Failure::Rejected(rejection)) => Err(not_held(AskError::Rejected(rejection), last)),
        Err(Failure::NoTarget) => Err(not_held(AskError::NoCandidate(Vec::new()), 0)),
    };
    (result, trace)
}

/// Tenant, address, model, parameters and prompt.
pub(super) fn cache_key(ask: &Ask, target: &Target<Choice>) -> String {
    let choice = &target.what;
    let mut hash = Sha256::new();
    for part in [
        &ask.tenant,
        choice.endpoint.base_url.as_str(),
        &choice.name,
        &choice.model.max_output_tokens.to_string(),
        &ask.system,
        &ask.user,
    ] {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    hex(&hash.finalize())
}
