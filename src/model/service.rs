//! Asking for an answer: candidates, cache, and the resilience stack around the providers.
//!
//! The order, outermost first: fresh response cache → single flight → fallback over models → retry →
//! breaker, limit, pool, timeout. A flight runs in its own task: a caller that leaves harms nobody.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use sha2::{Digest as _, Sha256};

use super::error::ModelError;
use super::provider::{Endpoint, Live, ProviderStats, Surroundings, build};
use super::{Answer, Request, estimate_tokens};
use crate::cache::{Cache, CacheSettings, CacheStats, LoadError, Loading, Source, Spec};
use crate::resilience::Rejection;
use crate::resilience::bulkhead::Lane;
use crate::resilience::clock::{Clock, lock};
use crate::resilience::deadline::Deadline;
use crate::resilience::policy::{
    Attempt, Call, Classify as _, Failure, Policy, Target, upstream_time,
};
use crate::settings::Settings;
use crate::state::hex;
use crate::telemetry::latency::Latency;
use crate::telemetry::rate::Rate;
use crate::workspace::models::{Model, ModelTable, ProviderKind};

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

/// An answer as the cache keeps it.
struct Held {
    answer: Arc<Answer>,
    trace: Vec<Attempt>,
    fell_back: bool,
}

/// Shown as the error's class alone: a provider's own words may quote a key.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.error.class())]
struct NotHeld {
    error: AskError,
    trace: Vec<Attempt>,
}

struct Table {
    models: Arc<ModelTable>,
    providers: BTreeMap<String, Live>,
}

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

/// The response cache. A cancelled run must not go on paying for an answer that nobody reads; an answer
/// of another model is not the answer of the one that was asked; and what a model refuses for good it
/// refuses again.
fn responses(settings: CacheSettings) -> Spec<Held, NotHeld> {
    Spec {
        name: "responses",
        settings,
        load_timeout: LONGEST,
        weigh: |held| held.answer.text.raw().len() as u64 + 256,
        abandons: true,
        keeps: |held| !held.fell_back,
        is_negative: |failed| matches!(&failed.error, AskError::Model(e) if e.is_final()),
    }
}

/// The call as a load makes it: in the background it is less urgent, and with an old answer at hand it
/// asks one model only.
fn on_behalf(call: Call, loading: Loading) -> Call {
    Call {
        lane: if loading.background {
            Lane::Refresh
        } else {
            call.lane
        },
        stale_at_hand: loading.stale_at_hand,
        ..call
    }
}

/// The longest load of an answer, all attempts and fallbacks together.
const LONGEST: Duration = Duration::from_secs(600);

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

    /// Forgets all cached answers; returns how many.
    pub fn clear_cache(&self) -> u64 {
        self.responses.clear()
    }

    /// Switches stampede protection.
    pub fn set_cache_protected(&self, protected: bool) {
        self.responses.set_protected(protected);
    }

    /// Asks the candidates in order until one answers.
    pub async fn ask(&self, ask: Ask) -> Asked {
        let began = self.clock.now();
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
        let (policy, meters, clock) = (
            Arc::clone(&self.policy),
            Arc::clone(&self.meters),
            Arc::clone(&self.clock),
        );
        let ran = Arc::new(AtomicBool::new(false));
        let names = [
            format!("provider:{}", first.what.endpoint.name),
            format!("model:{}", first.what.name),
        ];
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mine = Arc::clone(&ran);
        let loaded = self
            .responses
            .get_tagged(&key, &names, move |loading| {
                mine.store(true, Relaxed);
                load(
                    policy,
                    meters,
                    clock,
                    on_behalf(call, loading),
                    targets,
                    ask,
                )
            })
            .await;
        // Attempts of somebody else's flight, or of an earlier one, are not this question's.
        let mine = |trace: &[Attempt]| {
            if ran.load(Relaxed) {
                trace.to_vec()
            } else {
                Vec::new()
            }
        };
        let (result, trace) = match loaded {
            Ok((held, source)) => {
                let loaded = source == Source::Loaded;
                let trace = if loaded {
                    mine(&held.trace)
                } else {
                    Vec::new()
                };
                (Ok((Arc::clone(&held.answer), source)), trace)
            }
            Err(LoadError::Failed(failed)) => (Err(failed.error.clone()), mine(&failed.trace)),
            Err(other) => (Err(AskError::Broken(other.to_string())), Vec::new()),
        };
        let now = self.clock.now();
        let total = now - began;
        // A follower waited for somebody else's provider; that time is not ours to report.
        let shared = matches!(result, Ok((_, Source::Shared)));
        let added = if shared {
            Duration::ZERO
        } else {
            total.saturating_sub(upstream_time(&trace))
        };
        if !shared {
            self.meters.added.record(added, now);
        }
        Asked {
            result,
            trace,
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

/// A candidate that can be asked.
#[derive(Clone)]
struct Choice {
    endpoint: Arc<Endpoint>,
    kind: ProviderKind,
    name: String,
    model: Model,
}

/// One load: the whole chain of candidates.
async fn load(
    policy: Arc<Policy>,
    meters: Arc<CallMeters>,
    clock: Arc<dyn Clock>,
    call: Call,
    targets: Vec<Target<Choice>>,
    ask: Ask,
) -> Result<Held, NotHeld> {
    let outcome = policy
        .run(call, &targets, |choice: &Choice| {
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
                let used = u32::try_from(tokens.prompt + tokens.completion).unwrap_or(u32::MAX);
                Ok::<_, ModelError>(((answer, checked), used))
            }
        })
        .await;
    let now = clock.now();
    for attempt in outcome.trace.iter().filter(|a| a.sent) {
        meters.sent.tick(now);
        meters
            .call
            .record(Duration::from_micros(attempt.upstream_us), now);
        if attempt.outcome != "ok" {
            meters.failed.fetch_add(1, Relaxed);
        }
    }
    let trace = outcome.trace;
    match outcome.result {
        Ok(((answer, checked), index)) => {
            meters
                .tokens
                .fetch_add(answer.tokens.prompt + answer.tokens.completion, Relaxed);
            meters
                .cost_micro_usd
                .fetch_add((answer.cost_usd * 1e6) as u64, Relaxed);
            match checked {
                None => Ok(Held {
                    answer: Arc::new(answer),
                    trace,
                    fell_back: index > 0,
                }),
                Some(reason) => Err(NotHeld {
                    error: AskError::Model(ModelError::NoVerdict(reason)),
                    trace,
                }),
            }
        }
        Err(Failure::Upstream(error)) => Err(NotHeld {
            error: AskError::Model(error),
            trace,
        }),
        Err(Failure::Rejected(rejection)) => Err(NotHeld {
            error: AskError::Rejected(rejection),
            trace,
        }),
        Err(Failure::NoTarget) => Err(NotHeld {
            error: AskError::NoCandidate(Vec::new()),
            trace,
        }),
    }
}

/// Tenant, address, model, parameters and prompt.
fn cache_key(ask: &Ask, target: &Target<Choice>) -> String {
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
