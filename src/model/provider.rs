//! Providers as they are right now: address, keys, layers, and why one cannot be asked.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reqwest::Client;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use url::Url;

use super::keys::{Key, KeyStats, Keys};
use super::wire::{self, Habits, Wire};
use crate::outbound;
use crate::outbound::egress::{self, Lookup};
use crate::resilience::breaker::Breaker;
use crate::resilience::bulkhead::{Bulkhead, PoolSettings};
use crate::resilience::clock::{Clock, lock};
use crate::resilience::limiter::Limiter;
use crate::resilience::policy::Guards;
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
    pub(super) limiter: Arc<Limiter>,
    pub(super) learnt: Arc<Mutex<BTreeMap<String, Habits>>>,
    pub(super) quota: Arc<Mutex<Option<Quota>>>,
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
    /// What is left of the account's quota, where it says so.
    #[serde(default)]
    pub quota: Option<Quota>,
}

/// One provider with its layers.
#[derive(Clone)]
pub struct Live {
    /// How it is asked, or why it cannot be.
    pub endpoint: Result<Arc<Endpoint>, String>,
    /// Its layers.
    pub guards: Guards,
    /// Longest time of one attempt.
    pub attempt_timeout: Duration,
    /// Its keys.
    pub keys: Arc<Keys>,
    /// Somebody has set a key for it, whether it can be asked or not.
    pub configured: bool,
    learnt: Arc<Mutex<BTreeMap<String, Habits>>>,
    quota: Arc<Mutex<Option<Quota>>>,
    host: String,
    base: String,
}

impl Live {
    /// Why it cannot be asked at this moment.
    pub fn obstacle(&self, now: Instant) -> Option<String> {
        if let Err(reason) = &self.endpoint {
            return Some(reason.clone());
        }
        if self.keys.none() || self.keys.pick(now).is_some() {
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
            quota: *lock(&self.quota),
        }
    }
}

/// Everything that decides how providers are built.
pub struct Surroundings<'a> {
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
    old: &BTreeMap<String, Live>,
    around: &Surroundings<'_>,
) -> BTreeMap<String, Live> {
    let mut all: BTreeMap<String, Live> = BTreeMap::new();
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
            Some(live) => Guards {
                pool,
                ..live.guards.clone()
            },
            None => Guards {
                breaker: Breaker::new(name, around.settings.breaker, around.clock.as_ref()),
                pool,
                limiter: Limiter::new(name, provider.limits, Arc::clone(around.clock)),
            },
        };
        guards.limiter.reconfigure(provider.limits);
        let base = base_url(name, provider, around);
        let host = Url::parse(&base)
            .ok()
            .and_then(|u| u.host_str().map(str::to_owned))
            .unwrap_or_default();
        let before = old.get(name).filter(|l| l.base == base);
        let mut live = Live {
            endpoint: Err(String::new()),
            attempt_timeout: Duration::from_millis(provider.timeouts.total_ms.max(1)),
            keys: Arc::default(),
            configured: provider.key_env.iter().any(|v| around.env.get(v).is_some()),
            learnt: before.map(|l| Arc::clone(&l.learnt)).unwrap_or_default(),
            quota: before.map(|l| Arc::clone(&l.quota)).unwrap_or_default(),
            guards,
            host,
            base,
        };
        live.endpoint = endpoint(name, provider, &mut live, before, table, around).map(Arc::new);
        all.insert(name.clone(), live);
    }
    all
}

fn base_url(name: &str, provider: &Provider, around: &Surroundings<'_>) -> String {
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
    live: &mut Live,
    before: Option<&Live>,
    table: &ModelTable,
    around: &Surroundings<'_>,
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
        let found = keys(name, provider, &base_url, table, around)?;
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
        limiter: Arc::clone(&live.guards.limiter),
        learnt: Arc::clone(&live.learnt),
        quota: Arc::clone(&live.quota),
    })
}

/// The keys that are set and may go to this host, in the order of their variables.
fn keys(
    name: &str,
    provider: &Provider,
    base_url: &Url,
    table: &ModelTable,
    around: &Surroundings<'_>,
) -> Result<Vec<(String, Key)>, String> {
    let host = base_url.host_str().unwrap_or_default();
    let mut found: Vec<(String, Key)> = Vec::new();
    let mut unbound = None;
    for variable in &provider.key_env {
        let Some(value) = around.env.get(variable) else {
            continue;
        };
        if !bound(name, variable, base_url, table, around) {
            unbound.get_or_insert(variable);
            continue;
        }
        let key = Key::new(value);
        if found.iter().all(|(_, known)| *known != key) {
            found.push((variable.clone(), key));
        }
    }
    match unbound {
        Some(variable) if found.is_empty() => Err(format!(
            "the key in {variable} is not bound to {host}; add keyHosts: {{{variable}: [{host}]}} to your own settings"
        )),
        // A server on this machine that the user points at may need no key.
        None if found.is_empty()
            && !provider.key_env.is_empty()
            && !egress::is_loopback(base_url) =>
        {
            Err(format!("no key: set {}", provider.key_env.join(" or ")))
        }
        _ => Ok(found),
    }
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

/// A key goes to a host only if the built-in table, the user's settings, or the user's own override of
/// the address pairs the two.
fn bound(
    name: &str,
    variable: &str,
    url: &Url,
    table: &ModelTable,
    around: &Surroundings<'_>,
) -> bool {
    let host = url.host_str().unwrap_or_default();
    if !table.from_workspace {
        return true; // built-in providers, or an address the user's environment gave
    }
    let built_in = ModelTable::built_in();
    let same = built_in.providers.values().any(|p| {
        p.key_env.iter().any(|v| v == variable)
            && Url::parse(&p.base_url).is_ok_and(|u| u.host_str() == Some(host))
    });
    let overridden =
        matches!(name, "openai" | "perplexity") && base_url_is_overridden(name, variable, around);
    same || overridden
        || around
            .settings
            .key_hosts
            .get(variable)
            .is_some_and(|hosts| hosts.iter().any(|h| h == host))
}

/// The user's environment gives this provider's address, and the variable is the provider's own.
fn base_url_is_overridden(name: &str, variable: &str, around: &Surroundings<'_>) -> bool {
    let own = ModelTable::built_in()
        .providers
        .get(name)
        .is_some_and(|p| p.key_env.iter().any(|v| v == variable));
    own && around
        .env
        .get(&format!("{}_BASE_URL", name.to_ascii_uppercase()))
        .is_some()
}

/// The values of every key that any provider may use: what must never be shown.
pub fn known_secrets(table: &ModelTable, settings: &Settings, env: &Env) -> Vec<String> {
    let of_providers = table
        .providers
        .values()
        .flat_map(|p| p.key_env.iter().map(String::as_str));
    let always = [
        "OPENAI_BSM_KEY",
        "OPENAI_BSU_KEY",
        "OPENAI_API_KEY",
        "PERPLEXITY_KEY",
        "ANTHROPIC_API_KEY",
        "GEMINI_API_KEY",
        "ADMIN_TOKEN",
        "GITHUB_BSU_TOKEN",
        "GITHUB_WEBHOOK_SECRET",
        "BSM_TOKEN",
    ];
    let github = &settings.github;
    let chosen = [
        settings.api.admin_token_env.as_str(),
        &github.token_env,
        &github.webhook_secret_env,
        &github.next_webhook_secret_env,
    ];
    let named = settings
        .approvers
        .iter()
        .chain(&settings.api.gateway_tokens);
    let theirs = named.map(|n| n.token_env.as_str());
    let mut values: Vec<String> = of_providers
        .chain(always)
        .chain(chosen)
        .chain(theirs)
        .filter_map(|n| env.get(n).map(|v| v.trim().to_owned()))
        .collect();
    // A header may be the key itself, with a word before it.
    let headers = table.providers.values().flat_map(|p| p.headers.values());
    for value in headers {
        values.push(value.trim().to_owned());
        values.extend(value.rsplit_once(' ').map(|(_, key)| key.to_owned()));
    }
    values.extend(proxy_passwords(env));
    values.sort();
    values.dedup();
    values
}

/// Passwords in the addresses of proxies, as they are written and decoded.
fn proxy_passwords(env: &Env) -> Vec<String> {
    let names = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "FTP_PROXY"];
    let both = names
        .into_iter()
        .flat_map(|name| [name.to_owned(), name.to_ascii_lowercase()]);
    let mut passwords = Vec::new();
    for value in both.filter_map(|name| env.get(&name).map(str::to_owned)) {
        let whole = if value.contains("://") {
            value
        } else {
            format!("http://{value}")
        };
        let Ok(address) = Url::parse(&whole) else {
            continue;
        };
        let Some(password) = address.password() else {
            continue;
        };
        passwords.push(password.to_owned());
        let decoded = format!("x={}", password.replace('+', "%2B"));
        passwords
            .extend(url::form_urlencoded::parse(decoded.as_bytes()).map(|(_, v)| v.into_owned()));
    }
    passwords
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resilience::clock::SystemClock;

    fn reasons(
        table: &ModelTable,
        env: &Env,
        settings: &Settings,
    ) -> BTreeMap<String, Option<String>> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let around = Surroundings {
            settings,
            env,
            simulator: None,
            clock: &clock,
            lookup: &egress::system_lookup(),
        };
        build(table, &BTreeMap::new(), &around)
            .into_iter()
            .map(|(n, l)| (n.clone(), l.stats(&n, clock.now()).reason))
            .collect()
    }

    #[test]
    fn a_provider_without_key_or_client_says_so() {
        let mut table = ModelTable::built_in();
        table.providers.get_mut("gemini").unwrap().kind = "teletype".into();
        let got = reasons(
            &table,
            &Env::of([
                ("OPENAI_API_KEY", "k-openai-1234"),
                ("ANTHROPIC_API_KEY", "k"),
            ]),
            &Settings::default(),
        );
        assert_eq!(got["openai"], None);
        assert!(
            got["perplexity"]
                .as_ref()
                .unwrap()
                .contains("PERPLEXITY_KEY")
        );
        assert_eq!(got["anthropic"], None);
        assert!(got["gemini"].as_ref().unwrap().contains("'teletype'"));
        let safe = Settings {
            safe_mode: true,
            ..Settings::default()
        };
        assert!(
            reasons(&table, &Env::of([("OPENAI_API_KEY", "k")]), &safe)["openai"]
                .as_ref()
                .unwrap()
                .contains("safe mode")
        );
    }

    #[test]
    fn a_workspace_never_pairs_a_key_with_a_new_host() {
        let mut table = ModelTable::built_in();
        table.from_workspace = true;
        table.providers.get_mut("openai").unwrap().base_url = "https://collector.example/v1".into();
        let env = Env::of([("OPENAI_API_KEY", "k-openai-1234")]);
        assert!(
            reasons(&table, &env, &Settings::default())["openai"]
                .as_ref()
                .unwrap()
                .contains("not bound to collector.example")
        );
        let mine = Settings {
            key_hosts: [(
                "OPENAI_API_KEY".to_owned(),
                vec!["collector.example".to_owned()],
            )]
            .into(),
            ..Settings::default()
        };
        assert_eq!(reasons(&table, &env, &mine)["openai"], None);
    }

    #[test]
    fn a_table_sets_no_header_that_says_who_asks() {
        let mut table = ModelTable::built_in();
        let openai = table.providers.get_mut("openai").unwrap();
        openai.headers.insert("x-team".into(), "reviews".into());
        let env = Env::of([("OPENAI_API_KEY", "k-openai-1234")]);
        let settings = Settings::default();
        assert_eq!(reasons(&table, &env, &settings)["openai"], None);
        for (name, value) in [
            ("Authorization", "x"),
            ("host", "x"),
            ("a b", "x"),
            ("x-a", "b\nc"),
        ] {
            let mut bad = table.clone();
            let openai = bad.providers.get_mut("openai").unwrap();
            openai.headers.insert(name.into(), value.into());
            let reason = reasons(&bad, &env, &settings)["openai"].clone();
            assert!(reason.unwrap().contains("headers"), "{name}");
        }
    }
}
