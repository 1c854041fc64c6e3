//! Providers as they are right now: address, key, layers, and why one cannot be asked.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Client;
use serde::{Deserialize, Serialize};
use url::Url;

use super::error::ModelError;
use super::{Answer, Request, chat, http};
use crate::resilience::breaker::Breaker;
use crate::resilience::bulkhead::{Bulkhead, PoolSettings};
use crate::resilience::clock::Clock;
use crate::resilience::limiter::Limiter;
use crate::resilience::policy::Guards;
use crate::settings::Settings;
use crate::settings::env::Env;
use crate::workspace::built_in;
use crate::workspace::models::{ModelTable, Provider, ProviderKind};

/// A key. Neither `Debug` nor `Display` shows it.
#[derive(Clone)]
pub struct Key(Arc<str>);

impl Key {
    /// The value, for the header alone.
    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

/// Where and how a provider is asked.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub base_url: Url,
    /// Its client.
    pub client: Client,
    /// Its key, if it needs one.
    pub key: Option<Key>,
    /// Further headers.
    pub headers: BTreeMap<String, String>,
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
    kind: ProviderKind,
    host: String,
}

impl Live {
    /// Asks once.
    pub(super) async fn ask(
        endpoint: Arc<Endpoint>,
        kind: ProviderKind,
        request: Request,
    ) -> Result<Answer, ModelError> {
        match kind {
            ProviderKind::Chat | ProviderKind::Perplexity => chat::ask(&endpoint, &request).await,
            // `build` never makes an endpoint for a kind without a client.
            ProviderKind::Anthropic => Err(ModelError::Malformed {
                provider: endpoint.name.clone(),
                message: "no client for its kind".into(),
            }),
        }
    }

    /// Its wire form.
    pub fn kind(&self) -> ProviderKind {
        self.kind
    }

    /// Its section of the snapshot.
    pub fn stats(&self, name: &str) -> ProviderStats {
        ProviderStats {
            name: name.to_owned(),
            host: crate::text::clean_line(&self.host, 80),
            ready: self.endpoint.is_ok(),
            reason: self.endpoint.as_ref().err().cloned(),
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
        let kind = if around.simulator.is_some() {
            ProviderKind::Chat
        } else {
            provider.kind
        };
        let base = base_url(name, provider, around);
        let host = Url::parse(&base)
            .ok()
            .and_then(|u| u.host_str().map(str::to_owned))
            .unwrap_or_default();
        let live = Live {
            endpoint: endpoint(name, provider, &base, table, around).map(Arc::new),
            guards,
            attempt_timeout: Duration::from_millis(provider.timeouts.total_ms.max(1)),
            kind,
            host,
        };
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
        return url.to_string();
    }
    around
        .env
        .get(override_name)
        .map_or_else(|| provider.base_url.clone(), str::to_owned)
}

fn endpoint(
    name: &str,
    provider: &Provider,
    base: &str,
    table: &ModelTable,
    around: &Surroundings<'_>,
) -> Result<Endpoint, String> {
    let base_url = http::allowed(base, around.settings.loopback_only())?;
    let connect = Duration::from_millis(provider.timeouts.connect_ms.max(1));
    if around.simulator.is_some() {
        let client = http::client(&base_url, connect)?;
        return Ok(Endpoint {
            name: name.to_owned(),
            base_url,
            client,
            key: None,
            headers: BTreeMap::new(),
        });
    }
    if provider.kind == ProviderKind::Anthropic {
        return Err("this version has no client for Anthropic's messages".into());
    }
    let set = provider
        .key_env
        .iter()
        .find_map(|v| around.env.get(v).map(|value| (v, value)));
    let key = match set {
        Some((variable, value)) if bound(name, variable, &base_url, table, around) => {
            Some(Key(Arc::from(value)))
        }
        Some((variable, _)) => {
            let host = base_url.host_str().unwrap_or_default();
            return Err(format!(
                "the key in {variable} is not bound to {host}; add keyHosts: {{{variable}: [{host}]}} to your own settings"
            ));
        }
        None if provider.key_env.is_empty() => None,
        // A server on this machine that the user points at may need no key.
        None if http::is_loopback(&base_url) => None,
        None => return Err(format!("no key: set {}", provider.key_env.join(" or "))),
    };
    let client = http::client(&base_url, connect)?;
    Ok(Endpoint {
        name: name.to_owned(),
        base_url,
        client,
        key,
        headers: provider.headers.clone(),
    })
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
    let built_in = built_in::models();
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
    let own = built_in::models()
        .providers
        .get(name)
        .is_some_and(|p| p.key_env.iter().any(|v| v == variable));
    own && around
        .env
        .get(&format!("{}_BASE_URL", name.to_ascii_uppercase()))
        .is_some()
}

/// The values of every key that any provider may use: what must never be shown.
pub fn known_secrets(table: &ModelTable, env: &Env) -> Vec<String> {
    let named = table
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
    ];
    let mut values: Vec<String> = named
        .chain(always)
        .filter_map(|n| env.get(n).map(str::to_owned))
        .collect();
    values.sort();
    values.dedup();
    values
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
        };
        build(table, &BTreeMap::new(), &around)
            .into_iter()
            .map(|(n, l)| (n.clone(), l.stats(&n).reason))
            .collect()
    }

    #[test]
    fn a_provider_without_key_or_client_says_so() {
        let table = built_in::models();
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
        assert!(got["anthropic"].as_ref().unwrap().contains("no client"));
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
        let mut table = built_in::models();
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
    fn debug_shows_no_key() {
        assert_eq!(format!("{:?}", Key(Arc::from("k-very-secret"))), "Key(…)");
    }
}
