//! Asking for an answer: candidates, cache, and the resilience stack around the providers.
//!
//! The order, outermost first: fresh response cache → single flight → fallback over models → retry →
//! breaker, limit, pool, timeout. A flight runs in its own task: a caller that leaves harms nobody.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;

use super::provider::{ProviderContext, ProviderRuntime, ProviderStats, build};
use super::router;
use super::spend::Spend;
use crate::cache::{Cache, CacheEntryInfo, CacheStats, LoadError, Loading, Source};
use crate::model::completion_load::{
    ASKED_AGAIN, CachedAnswer, GRACE, LoadContext, LoadFailure, cache_key, load, on_behalf,
    responses,
};
use crate::model::meters::CallMeters;
use crate::model::request::{AskError, CompletionOutcome, CompletionRequest, Observer, Usage};
use crate::model::stream_fanout::{ReplayBuffer, ReplayBuffers};
use crate::resilience::breaker::TransitionObserver;
use crate::resilience::clock::{Clock, lock};
use crate::resilience::pauses::Pauses;
use crate::resilience::policy::{Call, Policy, Waits, upstream_time};
use crate::resilience::{Reason, Rejection};
use crate::settings::{Flags, Settings};
use crate::text::clean_line;
use crate::workspace::models::ModelTable;

/// The models and their providers, as they are until the next reload.
pub(super) struct Table {
    pub(super) models: Arc<ModelTable>,
    pub(super) providers: BTreeMap<String, ProviderRuntime>,
}

/// The service.
pub struct ModelService {
    clock: Arc<dyn Clock>,
    table: ArcSwap<Table>,
    settings: ArcSwap<Settings>,
    policy: Arc<Policy>,
    responses: Arc<Cache<CachedAnswer, LoadFailure>>,
    meters: Arc<CallMeters>,
    spend: Arc<Spend>,
    replays: ReplayBuffers,
    loopback_only: Arc<AtomicBool>,
    rebuilding: Mutex<()>,
    breaker_observer: std::sync::OnceLock<TransitionObserver>,
}

/// Calls under way while the process stands still are not counted against these providers.
fn allow_for(pauses: &Arc<Pauses>, providers: &BTreeMap<String, ProviderRuntime>) {
    for live in providers.values() {
        live.guards.breaker.allow_for(Arc::clone(pauses));
        if let Ok(endpoint) = &live.endpoint {
            endpoint.allow_for(Arc::clone(pauses));
        }
    }
}

impl ModelService {
    /// A service over the table's providers.
    pub fn new(models: Arc<ModelTable>, around: &ProviderContext<'_>) -> Self {
        let clock = Arc::clone(around.clock);
        let now = clock.now();
        let providers = build(&models, &BTreeMap::new(), around);
        let policy = Policy::new(Arc::clone(&clock));
        allow_for(policy.pauses(), &providers);
        Self {
            table: ArcSwap::from_pointee(Table { models, providers }),
            settings: ArcSwap::from_pointee(around.settings.clone()),
            policy: Arc::new(policy),
            responses: Cache::new(
                responses(around.settings.cache.responses),
                Arc::clone(&clock),
            ),
            meters: Arc::new(CallMeters::new(now, clock.wall_ms())),
            spend: Arc::default(),
            replays: ReplayBuffers::default(),
            loopback_only: Arc::new(AtomicBool::new(around.settings.loopback_only())),
            clock,
            rebuilding: Mutex::new(()),
            breaker_observer: std::sync::OnceLock::new(),
        }
    }

    /// Takes a new table or new settings; breakers, pools and limiters keep their state.
    pub fn rebuild(&self, models: Arc<ModelTable>, around: &ProviderContext<'_>) {
        let _one_at_a_time = lock(&self.rebuilding);
        // First of all: what waits for its place must see it before it is sent.
        let only = around.settings.loopback_only();
        self.loopback_only.store(only, Ordering::Relaxed);
        let providers = build(&models, &self.table.load().providers, around);
        allow_for(self.policy.pauses(), &providers);
        if let Some(observer) = self.breaker_observer.get() {
            for live in providers.values() {
                live.guards.breaker.observe(Arc::clone(observer));
                live.deployments.observe(observer);
            }
        }
        self.responses.reconfigure(around.settings.cache.responses);
        self.meters
            .keep_providers(|name| providers.contains_key(name));
        self.settings.store(Arc::new(around.settings.clone()));
        self.table.store(Arc::new(Table { models, providers }));
    }

    pub(super) fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    pub(super) fn settings(&self) -> Arc<Settings> {
        self.settings.load_full()
    }

    pub(super) fn table(&self) -> Arc<Table> {
        self.table.load_full()
    }

    pub(super) fn shared_policy(&self) -> Arc<Policy> {
        Arc::clone(&self.policy)
    }

    pub(super) fn shared_meters(&self) -> Arc<CallMeters> {
        Arc::clone(&self.meters)
    }

    pub(super) fn shared_loopback_only(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.loopback_only)
    }

    /// Times when this process stood still: somebody must tick every second.
    pub fn pauses(&self) -> &Pauses {
        self.policy.pauses()
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

    /// True when answers of models are counted on: a provider can be asked, or was set up and cannot.
    /// Where nothing may leave the machine nobody counts on one that is elsewhere.
    pub fn wanted(&self) -> bool {
        let nothing_leaves = self.loopback_only.load(Ordering::Relaxed);
        let counted_on =
            |l: &ProviderRuntime| l.endpoint.is_ok() || (l.configured && !nothing_leaves);
        self.table.load().providers.values().any(counted_on)
    }

    /// Every provider's section of the snapshot.
    pub fn providers(&self) -> Vec<ProviderStats> {
        let now = self.clock.now();
        self.table
            .load()
            .providers
            .iter()
            .map(|(name, live)| live.stats(name, now))
            .collect()
    }

    /// Money and tokens, summed.
    pub fn spend(&self) -> &Arc<Spend> {
        &self.spend
    }

    /// Every refused key may be tried again.
    pub fn forgive_keys(&self) {
        self.for_each(|_, live| live.keys.forgive());
    }

    /// What became known of keys since it was last asked for, a sentence each.
    pub fn key_news(&self) -> Vec<String> {
        let mut news = Vec::new();
        self.for_each(|_, live| news.extend(live.keys.take_news()));
        news
    }

    /// True when a model can be named so.
    pub fn knows(&self, model: &str) -> bool {
        self.table.load().models.models.contains_key(model)
    }

    /// The names that can be asked for, with their providers.
    pub fn models(&self) -> Vec<(String, String)> {
        self.table.load().models.public_names()
    }

    /// Calls `each` with every provider's layers.
    pub fn for_each(&self, mut each: impl FnMut(&str, &ProviderRuntime)) {
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

    /// Hands every transition of every breaker to `observer`, of providers that a later table adds too.
    pub fn observe_breakers(&self, observer: TransitionObserver) {
        let _one_at_a_time = lock(&self.rebuilding);
        let observer = self.breaker_observer.get_or_init(|| observer);
        self.for_each(|_, live| {
            live.guards.breaker.observe(Arc::clone(observer));
            live.deployments.observe(observer);
        });
    }

    /// Forgets the answers of one provider or model (`provider:NAME`, `model:NAME`); returns how many.
    pub fn clear_tag(&self, tag: &str) -> u64 {
        self.responses.invalidate_tag(tag)
    }

    /// The answers that are held, the newest first.
    pub fn cached(&self, most: usize) -> Vec<CacheEntryInfo> {
        self.responses.list(most, |held| {
            let answer = &held.answer;
            let text = clean_line(answer.text.raw(), 60);
            format!("{} of {}: {text}", answer.model, answer.provider)
        })
    }

    /// Forgets one answer; true when it was held.
    pub fn forget(&self, key: &str) -> bool {
        self.responses.invalidate(key)
    }

    /// Forgets all cached answers; returns how many.
    pub fn clear_cache(&self) -> u64 {
        self.responses.clear()
    }

    /// Asks the candidates in order until one answers.
    pub async fn ask(&self, ask: CompletionRequest) -> CompletionOutcome {
        let mut began = self.clock.now();
        let settings = self.settings.load_full();
        let (targets, skips) = {
            let table = self.table.load();
            router::route(&table.models, &table.providers, &settings, &ask, began)
        };
        let Some(first) = targets.first() else {
            if self.wanted() {
                self.meters.record_no_candidate(began);
            }
            return CompletionOutcome {
                result: Err(AskError::NoCandidate(skips.clone())),
                trace: Vec::new(),
                skips,
                used: Usage::default(),
                added: Duration::ZERO,
            };
        };
        let key = cache_key(&ask, first, &settings.search);
        let call = Call {
            deadline: ask.deadline,
            lane: ask.lane,
            retry: settings.retry,
            layers: settings.flags.layers(),
            stale_at_hand: false,
            waits: Waits::UntilDeadline,
        };
        let names = [
            format!("provider:{}", first.what.endpoint.name),
            format!("model:{}", first.what.name),
        ];
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let replay = self.replays.of(&key);
        // Who has asked hears until the answer is there, and no refresh after it.
        let _listening = ask.listener.clone().map(|l| replay.join(l));
        let mine = Arc::new(Mutex::new(None));
        let deadline = ask.deadline;
        let shared = Arc::new((targets, ask));
        let mut asked = 0;
        let result = loop {
            asked += 1;
            let tools = self.tools(&settings, &replay);
            let (shared, mine_too) = (Arc::clone(&shared), Arc::clone(&mine));
            let load = move |loading: Loading| async move {
                let call = on_behalf(call, loading, tools.clock.now());
                let loaded = load(&tools, call, &shared.0, &shared.1).await;
                // Of a refresh nobody waits for the trace.
                if !loading.background {
                    *lock(&mine_too) = Some((loaded.trace, loaded.used));
                }
                loaded.result
            };
            // A little more than the call's own clock, which ends first and says what happened.
            let left = deadline.remaining(self.clock.now()) + GRACE;
            let got = self.responses.get_tagged(&key, &names, load);
            let Ok(loaded) = tokio::time::timeout(left, got).await else {
                // Another's flight is still on its way and this caller's time is over.
                break match self.responses.held(&key) {
                    Some((held, age)) => Ok((held, Source::StaleOnError(age))),
                    None => Err(too_late()),
                };
            };
            match loaded {
                Ok(found) => break Ok(found),
                Err(LoadError::Failed(failed)) => {
                    let another = failed.partial && lock(&mine).is_none() && !replay.is_read();
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
            Some((trace, _)) => (now - began).saturating_sub(upstream_time(trace)),
            // A follower waited for somebody else's provider; that time is not ours to report.
            None if !hit => Duration::ZERO,
            None => now - began,
        };
        if ran.is_some() || hit {
            self.meters.added.record(added, now);
        }
        self.count_saved(&result);
        let (trace, used) = ran.unwrap_or_default();
        CompletionOutcome {
            result: result.map(|(held, source)| (Arc::clone(&held.answer), source)),
            trace,
            skips,
            used,
            added,
        }
    }

    /// An answer that was not paid for again.
    fn count_saved(&self, result: &Result<(Arc<CachedAnswer>, Source), AskError>) {
        let Ok((held, source)) = result else { return };
        if *source != Source::Loaded {
            let micro_usd = (held.answer.cost_usd * 1e6).round() as u64;
            let saved = &self.meters.saved_micro_usd;
            saved.fetch_add(micro_usd, Ordering::Relaxed);
        }
    }

    /// What one load works with.
    fn tools(&self, settings: &Settings, replay: &Arc<ReplayBuffer>) -> LoadContext {
        LoadContext {
            policy: Arc::clone(&self.policy),
            meters: Arc::clone(&self.meters),
            spend: Arc::clone(&self.spend),
            clock: Arc::clone(&self.clock),
            replay: Arc::clone(replay),
            budgets: settings.budgets,
            search: settings.search.clone(),
            loopback_only: Arc::clone(&self.loopback_only),
        }
    }
}

/// The caller's time is over and no answer is held.
fn too_late() -> AskError {
    AskError::Rejected(Rejection::new("deadline", Reason::DeadlineExceeded, None))
}
