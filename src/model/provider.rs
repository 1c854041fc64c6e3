//! Providers as they are right now: address, keys, layers, and why one cannot be asked.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use reqwest::Client;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use url::Url;

use super::credentials;
pub use super::credentials::known_secrets;
use super::keys::{KeyStats, Keys};
use super::wire::{self, ProviderQuirks, Wire};
use crate::outbound;
use crate::outbound::egress::{self, Lookup};
use crate::resilience::breaker::Breaker;
use crate::resilience::bulkhead::{Bulkhead, PoolSettings};
use crate::resilience::clock::{Clock, lock};
use crate::resilience::deployment::Deployments;
use crate::resilience::limiter::Limiter;
use crate::resilience::pauses::Pauses;
use crate::resilience::policy::LayerSet;
use crate::settings::Settings;
use crate::settings::env::Env;
use crate::text::clean_line;
use crate::workspace::models::{ModelTable, Provider};

/// What a provider says is left of the account's quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quota {
    /// Requests.
    pub requests: Option<u64>,
    /// Tokens.
    pub tokens: Option<u64>,
}

/// Where and how a provider is asked. What it learns of its models outlives a new table.
pub struct Endpoint {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub base_url: Url,
    /// Where questions go, beneath it.
    pub(super) route: Url,
    pub(super) wire: &'static dyn Wire,
    pub(super) client: Client,
    pub(super) keys: Arc<Keys>,
    pub(super) key_rest: Duration,
    pub(super) headers: HeaderMap,
    pub(super) stream: bool,
    pub(super) first: Duration,
    pub(super) idle: Duration,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) deployments: Arc<Deployments>,
    pub(super) breaker: Arc<Breaker>,
    pub(super) learnt: Arc<Mutex<BTreeMap<String, ProviderQuirks>>>,
    pub(super) quota: Arc<Mutex<Option<Quota>>>,
    /// Times when this process stood still; of the service that asks, set once.
    pub(super) pauses: OnceLock<Arc<Pauses>>,
}

impl Endpoint {
    /// Its clocks give back the times when this process stood still.
    pub(super) fn allow_for(&self, pauses: Arc<Pauses>) {
        // Kept from before: the same service asks.
        let _ = self.pauses.set(pauses);
    }
}

/// A provider's section of the snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProviderStats {
    /// Its name.
    pub name: String,
    /// Its host.
    pub host: String,
    /// It can be asked.
    pub ready: bool,
    /// Why not.
    pub reason: Option<String>,
    /// Its keys, by the names of their variables.
    #[serde(default)]
    pub keys: Vec<KeyStats>,
    /// Variables for its key, one of which is enough, where none is set and it needs one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing_keys: Vec<String>,
    /// What is left of the account's quota, where it says so.
    #[serde(default)]
    pub quota: Option<Quota>,
}

/// One provider with its layers.
#[derive(Clone)]
pub struct ProviderRuntime {
    /// How it is asked, or why it cannot be.
    pub endpoint: Result<Arc<Endpoint>, String>,
    /// Its layers.
    pub guards: LayerSet,
    /// What is kept of each of its models.
    pub deployments: Arc<Deployments>,
    /// The pool of calls that the gateway forwards: long streams take no places from runs.
    pub gateway_pool: Arc<Bulkhead>,
    /// Longest time of one attempt.
    pub attempt_timeout: Duration,
    /// Its keys.
    pub keys: Arc<Keys>,
    /// Somebody has set a key for it, whether it can be asked or not.
    pub configured: bool,
    /// Variables for its key, where none is set and it needs one.
    missing_keys: Vec<String>,
    learnt: Arc<Mutex<BTreeMap<String, ProviderQuirks>>>,
    quota: Arc<Mutex<Option<Quota>>>,
    host: String,
    base: String,
}

impl ProviderRuntime {
    /// Its layers as they stand before one of its models.
    pub fn guards_of(&self, model: &str) -> LayerSet {
        LayerSet {
            deployment: Some(self.deployments.get(model)),
            ..self.guards.clone()
        }
    }

    /// Why it cannot be asked at this moment.
    pub fn obstacle(&self, now: Instant) -> Option<String> {
        if let Err(reason) = &self.endpoint {
            return Some(reason.clone());
        }
        if self.keys.none() || self.keys.any_is_left(now) {
            return None;
        }
        let words: Vec<String> = self
            .keys
            .stats(now)
            .into_iter()
            .map(|k| {
                let why = k.refused.unwrap_or_default();
                format!(
                    "{} ({why}, tried again in {} min)",
                    k.variable,
                    k.rests_min.unwrap_or(0)
                )
            })
            .collect();
        Some(format!("every key was refused: {}", words.join(", ")))
    }

    /// Its section of the snapshot.
    pub fn stats(&self, name: &str, now: Instant) -> ProviderStats {
        let reason = self.obstacle(now);
        ProviderStats {
            name: name.to_owned(),
            host: clean_line(&self.host, 80),
            ready: reason.is_none(),
            reason,
            keys: self.keys.stats(now),
            missing_keys: self.missing_keys.clone(),
            quota: *lock(&self.quota),
        }
    }
}

/// Everything that decides how providers are built.
pub struct ProviderContext<'a> {
    /// Settings now.
    pub settings: &'a Settings,
    /// Variables.
    pub env: &'a Env,
    /// Where the simulator listens, under `--simulate`: every provider then lives there.
    pub simulator: Option<&'a Url>,
    /// The clock.
    pub clock: &'a Arc<dyn Clock>,
    /// Names to addresses.
    pub lookup: &'a Lookup,
}

/// Builds all providers of a table. Layers of `old` that keep their name are kept, with their state.
pub fn build(
    table: &ModelTable,
    old: &BTreeMap<String, ProviderRuntime>,
    around: &ProviderContext<'_>,
) -> BTreeMap<String, ProviderRuntime> {
    let mut all: BTreeMap<String, ProviderRuntime> = BTreeMap::new();
    for (name, provider) in &table.providers {
        let pool_name = provider.pool.clone().unwrap_or_else(|| name.clone());
        let mut pool_settings = around.settings.pool(&pool_name);
        if let Some(queue) = provider.queue {
            pool_settings.queue = queue;
        }
        // Providers that name the same pool share it.
        let shared = all
            .values()
            .chain(old.values())
            .find(|l| **l.guards.pool.name() == *pool_name)
            .map(|l| Arc::clone(&l.guards.pool));
        if let (Some(pool), Some(queue)) = (&shared, provider.queue)
            && pool.settings().queue != queue
        {
            pool.reconfigure(PoolSettings {
                queue,
                ..pool.settings()
            });
        }
        let pool = shared
            .unwrap_or_else(|| Bulkhead::new(&pool_name, pool_settings, Arc::clone(around.clock)));
        let guards = match old.get(name) {
            Some(live) => LayerSet {
                pool,
                ..live.guards.clone()
            },
            None => LayerSet {
                breaker: Breaker::new(name, around.settings.breaker, around.clock.as_ref()),
                pool,
                limiter: Limiter::new(name, provider.limits, Arc::clone(around.clock)),
                deployment: None,
            },
        };
        let deployments = old.get(name).map_or_else(
            || {
                let clock = Arc::clone(around.clock);
                Arc::new(Deployments::new(name, around.settings.breaker, clock))
            },
            |live| Arc::clone(&live.deployments),
        );
        guards.limiter.reconfigure(provider.limits);
        let base = base_url(name, provider, around);
        let host = Url::parse(&base)
            .ok()
            .and_then(|u| u.host_str().map(str::to_owned))
            .unwrap_or_default();
        let before = old.get(name).filter(|l| l.base == base);
        let mut live = ProviderRuntime {
            endpoint: Err(String::new()),
            attempt_timeout: Duration::from_millis(provider.timeouts.total_ms.max(1)),
            keys: Arc::default(),
            configured: provider.key_env.iter().any(|v| around.env.get(v).is_some()),
            learnt: before.map(|l| Arc::clone(&l.learnt)).unwrap_or_default(),
            quota: before.map(|l| Arc::clone(&l.quota)).unwrap_or_default(),
            missing_keys: Vec::new(),
            deployments,
            gateway_pool: gateway_pool(name, old, around),
            guards,
            host,
            base,
        };
        live.endpoint = endpoint(name, provider, &mut live, before, table, around).map(Arc::new);
        if live.endpoint.is_err() && !live.configured {
            live.missing_keys.clone_from(&provider.key_env);
        }
        all.insert(name.clone(), live);
    }
    all
}

/// A provider's pool of forwarded calls; `pools.gateway` of the settings holds for every provider.
fn gateway_pool(
    name: &str,
    old: &BTreeMap<String, ProviderRuntime>,
    around: &ProviderContext<'_>,
) -> Arc<Bulkhead> {
    let settings = around.settings.gateway_pool();
    match old.get(name) {
        Some(live) => {
            if live.gateway_pool.settings() != settings {
                live.gateway_pool.reconfigure(settings);
            }
            Arc::clone(&live.gateway_pool)
        }
        None => Bulkhead::new(
            &format!("gateway/{name}"),
            settings,
            Arc::clone(around.clock),
        ),
    }
}

fn base_url(name: &str, provider: &Provider, around: &ProviderContext<'_>) -> String {
    let override_name = match name {
        "openai" => "OPENAI_BASE_URL",
        "perplexity" => "PERPLEXITY_BASE_URL",
        _ => "",
    };
    if let Some(url) = around.simulator {
        return format!("{}/{name}/v1", url.as_str().trim_end_matches('/'));
    }
    around
        .env
        .get(override_name)
        .map_or_else(|| provider.base_url.clone(), str::to_owned)
}

/// Makes the endpoint, and puts the keys that were found into `live`.
fn endpoint(
    name: &str,
    provider: &Provider,
    live: &mut ProviderRuntime,
    before: Option<&ProviderRuntime>,
    table: &ModelTable,
    around: &ProviderContext<'_>,
) -> Result<Endpoint, String> {
    let policy = egress::Policy::of(around.settings);
    let base_url = policy.allows(&live.base)?;
    let wire = wire::of(&provider.kind).ok_or_else(|| {
        let known: Vec<&str> = wire::KINDS.iter().map(|(kind, _)| *kind).collect();
        let shown = clean_line(&provider.kind, 40);
        format!("its kind '{shown}' is none of {}", known.join(", "))
    })?;
    let route = format!(
        "{}/{}",
        base_url.as_str().trim_end_matches('/'),
        wire.route()
    );
    let route = Url::parse(&route).map_err(|e| format!("its address: {e}"))?;
    if around.simulator.is_none() {
        let found = credentials::keys(
            name,
            provider,
            &base_url,
            table,
            (around.settings, around.env),
        )?;
        live.keys = Arc::new(Keys::new(found, before.map(|l| &*l.keys)));
    }
    let client = outbound::client(
        &base_url,
        &outbound::Ways {
            policy: &policy,
            lookup: around.lookup,
            env: around.env,
            connect: Duration::from_millis(provider.timeouts.connect_ms.max(1)),
        },
    )?;
    Ok(Endpoint {
        name: name.to_owned(),
        base_url,
        route,
        wire,
        client,
        keys: Arc::clone(&live.keys),
        key_rest: Duration::from_millis(around.settings.engine.key_rest_ms),
        headers: headers(provider)?,
        stream: provider.stream,
        first: Duration::from_millis(provider.timeouts.first_token_ms.max(1)),
        idle: Duration::from_millis(provider.timeouts.idle_ms.max(1)),
        clock: Arc::clone(around.clock),
        deployments: Arc::clone(&live.deployments),
        breaker: Arc::clone(&live.guards.breaker),
        learnt: Arc::clone(&live.learnt),
        quota: Arc::clone(&live.quota),
        pauses: OnceLock::new(),
    })
}

/// Headers that a table may not set: they are the connection's, or carry who is asking.
const OURS: &[&str] = &[
    "authorization",
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "host",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-api-key",
];

fn headers(provider: &Provider) -> Result<HeaderMap, String> {
    let mut all = HeaderMap::new();
    for (name, value) in &provider.headers {
        let shown = clean_line(name, 40);
        if OURS.iter().any(|ours| name.eq_ignore_ascii_case(ours)) {
            return Err(format!("headers: {shown} is not for the table to set"));
        }
        let wrong = || format!("headers: {shown} is no header, or its value is none");
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong())?;
        let value = HeaderValue::from_str(value).map_err(|_| wrong())?;
        all.insert(name, value);
    }
    Ok(all)
}
