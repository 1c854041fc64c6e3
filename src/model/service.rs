//! Asking for an answer: candidates, cache, and the resilience stack around the providers.
//!
//! The order, outermost first: fresh response cache → single flight → fallback over models → retry →
//! breaker, limit, pool, timeout. A flight runs in its own task: a caller that leaves harms nobody.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;

use super::error::ModelError;
use super::load::{
    ASKED_AGAIN, Choice, GRACE, Held, NotHeld, cache_key, load, on_behalf, responses,
};
use super::provider::{Live, ProviderStats, Surroundings, build};
use super::{Answer, estimate_tokens};
use crate::cache::{Cache, CacheStats, LoadError, Loading, Source};
use crate::resilience::bulkhead::Lane;
use crate::resilience::clock::{Clock, lock};
use crate::resilience::deadline::Deadline;
use crate::resilience::policy::{Attempt, Call, Classify as _, Policy, Target, upstream_time};
use crate::resilience::{Reason, Rejection};
use crate::settings::{Flags, Settings};
use crate::telemetry::latency::Latency;
use crate::telemetry::rate::Rate;
use crate::workspace::models::ModelTable;

/// One question.
#[derive(Debug, Clone)]
pub struct Ask {
    /// A model that is wanted before the route's.
    pub wanted: Option<String>,
    /// The task.
    pub task: String,
    /// `low`, `medium`, `high`, `critical`.
    pub complexity: String,
    /// Who it is and what it must do.
    pub system: String,
    /// What it looks at.
    pub user: String,
    /// For whom; answers are never shared between tenants.
    pub tenant: String,
    /// When all of it must be over.
    pub deadline: Deadline,
    /// How urgent.
    pub lane: Lane,
    /// For whom.
    pub origin: Origin,
    /// Says whether a complete answer is what was asked for; only such answers are cached.
    pub validate: fn(&Answer) -> Result<(), String>,
}

/// A candidate that was not asked, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skip {
    /// The model.
    pub model: String,
    /// Why.
    pub reason: String,
}

/// Why there is no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AskError {
    /// No candidate can be asked at all.
    #[error("no model can be asked: {}", reasons(.0))]
    NoCandidate(Vec<Skip>),
    /// Refused here.
    #[error("{0}")]
    Rejected(Rejection),
    /// The last provider's error.
    #[error("{0}")]
    Model(ModelError),
    /// The load itself broke.
    #[error("{0}")]
    Broken(String),
}

impl AskError {
    /// A short name for counters and lists.
    pub fn class(&self) -> String {
        match self {
            Self::NoCandidate(_) => "no_candidate".into(),
            Self::Rejected(rejection) => rejection.reason.words().into(),
            Self::Model(error) => error.class().into_owned(),
            Self::Broken(_) => "broken".into(),
        }
    }
}

fn reasons(skips: &[Skip]) -> String {
    let mut parts: Vec<String> = skips
        .iter()
        .map(|s| format!("{} ({})", s.model, s.reason))
        .collect();
    parts.truncate(4);
    parts.join(", ")
}

/// How a question ended.
pub struct Asked {
    /// The answer and where it came from.
    pub result: Result<(Arc<Answer>, Source), AskError>,
    /// Attempts and refusals; empty for a cached answer.
    pub trace: Vec<Attempt>,
    /// Candidates that were not asked.
    pub skips: Vec<Skip>,
    /// Time in it that was not the provider's.
    pub added: Duration,
}

struct Table {
    models: Arc<ModelTable>,
    providers: BTreeMap<String, Live>,
}

/// For whom a question is asked.
#[derive(Debug, Clone, Default)]
pub struct Origin {
    /// The run.
    pub run: String,
    /// The agent.
    pub agent: String,
    /// The correlation id.
    pub correlation: String,
}

/// An attempt as it becomes known, those of background refreshes too.
#[derive(Debug)]
pub struct Observed<'a> {
    /// For whom.
    pub origin: &'a Origin,
    /// When it was sent, or refused after waiting; wall time in milliseconds.
    pub at_ms: i64,
    /// The model that was asked.
    pub model: &'a str,
    /// The attempt.
    pub attempt: &'a Attempt,
}

/// Somebody who wants to see every attempt.
pub type Observer = Box<dyn Fn(&Observed<'_>) + Send + Sync>;

/// What calls took and did.
pub struct CallMeters {
    /// Time inside providers, an attempt each.
    pub call: Latency,
    /// Total minus the provider's, a question each.
    pub added: Latency,
    /// Attempts sent.
    pub sent: Rate,
    /// Attempts that failed.
    pub failed: AtomicU64,
    /// Tokens read and written.
    pub tokens: AtomicU64,
    /// Money spent, millionths of a dollar.
    pub cost_micro_usd: AtomicU64,
    pub(super) observer: std::sync::OnceLock<Observer>,
}

/// The service.
pub struct ModelService {
    clock: Arc<dyn Clock>,
    table: ArcSwap<Table>,
    settings: ArcSwap<Settings>,
    policy: Arc<Policy>,
    responses: Arc<Cache<Held, NotHeld>>,
    meters: Arc<CallMeters>,
    rebuilding: Mutex<()>,
}

impl ModelService {
    /// A service over the table's providers.
    pub fn new(models: Arc<ModelTable>, around: &Surroundings<'_>) -> Self {
        let clock = Arc::clone(around.clock);
        let now = clock.now();
        let providers = build(&models, &BTreeMap::new(), around);
        Self {
            table: ArcSwap::from_pointee(Table { models, providers }),
            settings: ArcSwap::from_pointee(around.settings.clone()),
            policy: Arc::new(Policy::new(Arc::clone(&clock))),
            responses: Cache::new(
                responses(around.settings.cache.responses),
                Arc::clone(&clock),
            ),
            meters: Arc::new(CallMeters {
                call: Latency::new(now),
                added: Latency::new(now),
                sent: Rate::new(now),
                failed: AtomicU64::new(0),
                tokens: AtomicU64::new(0),
                cost_micro_usd: AtomicU64::new(0),
                observer: std::sync::OnceLock::new(),
            }),
            clock,
            rebuilding: Mutex::new(()),
        }
    }

    /// Takes a new table or new settings; breakers, pools and limiters keep their state.
    pub fn rebuild(&self, models: Arc<ModelTable>, around: &Surroundings<'_>) {
        let _one_at_a_time = lock(&self.rebuilding);
        let providers = build(&models, &self.table.load().providers, around);
        self.responses.reconfigure(around.settings.cache.responses);
        self.settings.store(Arc::new(around.settings.clone()));
        self.table.store(Arc::new(Table { models, providers }));
    }

    /// Names of the providers that can be asked.
    pub fn ready(&self) -> Vec<String> {
        self.table
            .load()
            .providers
            .iter()
            .filter(|(_, l)| l.endpoint.is_ok())
            .map(|(n, _)| n.clone())
            .collect()
    }

    /// Every provider's section of the snapshot.
    pub fn providers(&self) -> Vec<ProviderStats> {
        self.table
            .load()
            .providers
            .iter()
            .map(|(name, live)| live.stats(name))
            .collect()
    }

    /// Calls `each` with every provider's layers.
    pub fn for_each(&self, mut each: impl FnMut(&str, &Live)) {
        for (name, live) in &self.table.load().providers {
            each(name, live);
        }
    }

    /// What calls took.
    pub fn meters(&self) -> &CallMeters {
        &self.meters
    }

    /// The stack, for its retry budget.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The response cache's section of the snapshot.
    pub fn cache_stats(&self) -> CacheStats {
        self.responses.stats()
    }

    /// Feature flags as they are now.
    pub fn set_flags(&self, flags: Flags) {
        let mut settings = (**self.settings.load()).clone();
        settings.flags = flags;
        self.settings.store(Arc::new(settings));
        self.responses
            .set_protected(flags.cache_stampede_protection);
    }

    /// Shows `observer` every attempt from now on; the first one that asks is shown them.
    pub fn observe(&self, observer: Observer) {
        // A second observer would have nothing to see: there is one engine.
        let _ = self.meters.observer.set(observer);
    }

    /// Forgets the answers of one provider or model (`provider:NAME`, `model:NAME`); returns how many.
    pub fn clear_tag(&self, tag: &str) -> u64 {
        self.responses.invalidate_tag(tag)
    }

    /// Forgets all cached answers; returns how many.
    pub fn clear_cache(&self) -> u64 {
        self.responses.clear()
    }

    /// Asks the candidates in order until one answers.
    pub async fn ask(&self, ask: Ask) -> Asked {
        let mut began = self.clock.now();
        let (targets, skips) = self.targets(&ask);
        let Some(first) = targets.first() else {
            return Asked {
                result: Err(AskError::NoCandidate(skips.clone())),
                trace: Vec::new(),
                skips,
                added: Duration::ZERO,
            };
        };
        let key = cache_key(&ask, first);
        let settings = self.settings.load();
        let call = Call {
            deadline: ask.deadline,
            lane: ask.lane,
            retry: settings.retry,
            layers: settings.flags.layers(),
            stale_at_hand: false,
        };
        let names = [
            format!("provider:{}", first.what.endpoint.name),
            format!("model:{}", first.what.name),
        ];
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mine = Arc::new(Mutex::new(None));
        let deadline = ask.deadline;
        let shared = Arc::new((targets, ask));
        let mut asked = 0;
        let result = loop {
            asked += 1;
            let (policy, meters, clock) = (
                Arc::clone(&self.policy),
                Arc::clone(&self.meters),
                Arc::clone(&self.clock),
            );
            let (shared, mine_too) = (Arc::clone(&shared), Arc::clone(&mine));
            let load = move |loading: Loading| async move {
                let call = on_behalf(call, loading, clock.now());
                let (result, trace) = load(policy, meters, clock, call, &shared.0, &shared.1).await;
                // Of a refresh nobody waits for the trace.
                if !loading.background {
                    *lock(&mine_too) = Some(trace);
                }
                result
            };
            // A little more than the call's own clock, which ends first and says what happened.
            let left = deadline.remaining(self.clock.now()) + GRACE;
            let got = self.responses.get_tagged(&key, &names, load);
            let Ok(loaded) = tokio::time::timeout(left, got).await else {
                // Another's flight is still on its way and this caller's time is over.
                break match self.responses.held(&key) {
                    Some((held, age)) => Ok((held, Source::StaleOnError(age))),
                    None => Err(AskError::Rejected(Rejection::new(
                        "deadline",
                        Reason::DeadlineExceeded,
                        None,
                    ))),
                };
            };
            match loaded {
                Ok(found) => break Ok(found),
                Err(LoadError::Failed(failed)) => {
                    let another = failed.partial && lock(&mine).is_none();
                    let now = self.clock.now();
                    if another && asked <= ASKED_AGAIN && !deadline.has_passed(now) {
                        began = now; // until here it was somebody else's provider
                        continue;
                    }
                    break Err(failed.error.clone());
                }
                Err(other) => break Err(AskError::Broken(other.to_string())),
            }
        };
        let now = self.clock.now();
        let ran = lock(&mine).take();
        let hit = matches!(result, Ok((_, Source::Hit(_) | Source::Stale(_))));
        let added = match &ran {
            Some(trace) => (now - began).saturating_sub(upstream_time(trace)),
            // A follower waited for somebody else's provider; that time is not ours to report.
            None if !hit => Duration::ZERO,
            None => now - began,
        };
        if ran.is_some() || hit {
            self.meters.added.record(added, now);
        }
        Asked {
            result: result.map(|(held, source)| (Arc::clone(&held.answer), source)),
            trace: ran.unwrap_or_default(),
            skips,
            added,
        }
    }

    fn targets(&self, ask: &Ask) -> (Vec<Target<Choice>>, Vec<Skip>) {
        let table = self.table.load();
        let settings = self.settings.load();
        let wanted = ask.wanted.as_deref().or(settings.default_model.as_deref());
        let (mut targets, mut skips) = (Vec::new(), Vec::new());
        let prompt = estimate_tokens(&ask.system).saturating_add(estimate_tokens(&ask.user));
        for name in table
            .models
            .candidates(wanted, &ask.task, &ask.complexity, settings.fallback.0)
        {
            let mut skip = |reason: String| {
                skips.push(Skip {
                    model: name.clone(),
                    reason,
                });
            };
            let Some(model) = table.models.models.get(&name) else {
                skip("not described under models".into());
                continue;
            };
            let Some(live) = table.providers.get(&model.provider) else {
                skip(format!(
                    "provider {} is not there",
                    crate::text::clean_line(&model.provider, 40)
                ));
                continue;
            };
            let endpoint = match &live.endpoint {
                Ok(endpoint) => Arc::clone(endpoint),
                Err(reason) => {
                    skip(reason.clone());
                    continue;
                }
            };
            if prompt.saturating_add(model.max_output_tokens) > model.context_tokens {
                skip(format!(
                    "the prompt of about {prompt} tokens does not fit its {}",
                    model.context_tokens
                ));
                continue;
            }
            targets.push(Target {
                guards: live.guards.clone(),
                attempt_timeout: live.attempt_timeout,
                tokens: prompt.saturating_add(model.max_output_tokens),
                what: Choice {
                    endpoint,
                    kind: live.kind(),
                    name,
                    model: model.clone(),
                },
            });
        }
        (targets, skips)
    }
}
