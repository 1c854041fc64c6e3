//! Keys in the environment: which ones a provider may be sent, and which values must never be shown.

use url::Url;

use super::keys::Key;
use crate::outbound::egress;
use crate::settings::Settings;
use crate::settings::env::Env;
use crate::workspace::models::{ModelTable, Provider};

/// The keys that are set and may go to this host, in the order of their variables.
pub(super) fn keys(
    name: &str,
    provider: &Provider,
    base_url: &Url,
    table: &ModelTable,
    (settings, env): (&Settings, &Env),
) -> Result<Vec<(String, Key)>, String> {
    let host = base_url.host_str().unwrap_or_default();
    let mut found: Vec<(String, Key)> = Vec::new();
    let mut unbound = None;
    for variable in &provider.key_env {
        let Some(value) = env.get(variable) else {
            continue;
        };
        if !is_bound(name, variable, base_url, table, (settings, env)) {
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

/// A key goes to a host only if the built-in table, the user's settings, or the user's own override of
/// the address pairs the two.
fn is_bound(
    name: &str,
    variable: &str,
    url: &Url,
    table: &ModelTable,
    (settings, env): (&Settings, &Env),
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
        matches!(name, "openai" | "perplexity") && base_url_is_overridden(name, variable, env);
    same || overridden
        || settings
            .key_hosts
            .get(variable)
            .is_some_and(|hosts| hosts.iter().any(|h| h == host))
}

/// The user's environment gives this provider's address, and the variable is the provider's own.
fn base_url_is_overridden(name: &str, variable: &str, env: &Env) -> bool {
    let own = ModelTable::built_in()
        .providers
        .get(name)
        .is_some_and(|p| p.key_env.iter().any(|v| v == variable));
    own && env
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
    values.extend(github.secrets(env));
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
