//! The one way out: where a connection may go, and the one place where outbound HTTP clients are made.
//!
//! Why one: what may be connected to is decided in [`egress`] and enforced here and nowhere else.
//! Redirects are never followed (a redirect could carry a key to another host), https is required off
//! loopback, names are resolved by our own resolver, loopback is never sent through a proxy, and a
//! proxy is used only for a target that the policy allows.

pub mod egress;

use std::time::Duration;

use reqwest::{Client, NoProxy, Proxy};
use url::Url;

use crate::settings::env::Env;
use crate::text::clean_line;
use egress::{Lookup, Policy, Resolver, is_loopback};

/// Largest error answer that is read, bytes.
pub const LARGEST_ERROR: usize = 64 << 10;

/// What a client is made with.
pub struct Ways<'a> {
    /// What may be connected to.
    pub policy: &'a Policy,
    /// Names to addresses.
    pub lookup: &'a Lookup,
    /// Where proxies are named.
    pub env: &'a Env,
    /// Until a connection stands.
    pub connect: Duration,
}

/// A client for one host.
///
/// # Errors
/// A sentence, when the system's certificates or a proxy's address cannot be used.
pub fn client(url: &Url, ways: &Ways<'_>) -> Result<Client, String> {
    let proxy = if is_loopback(url) {
        None
    } else {
        proxy(ways.env)?
    };
    let mut hosts = vec![url.host_str().unwrap_or_default().to_owned()];
    let mut builder = Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        // There is one retry loop, and it is not this one.
        .retry(reqwest::retry::never())
        .connect_timeout(ways.connect)
        .https_only(url.scheme() == "https")
        .pool_idle_timeout(Duration::from_secs(60))
        // A connection that died while the machine slept is found out by these.
        .tcp_keepalive(Duration::from_secs(30))
        .http2_keep_alive_interval(Duration::from_secs(20))
        .http2_keep_alive_timeout(Duration::from_secs(10))
        .user_agent(concat!("bsm/", env!("CARGO_PKG_VERSION")));
    let mut policy = ways.policy.clone();
    if let Some((proxy, host)) = proxy {
        // The operator's own proxy stands in a private network more often than not.
        policy.list(&host);
        hosts.push(host);
        builder = builder.proxy(proxy).https_only(false);
    }
    builder
        .dns_resolver(Resolver::new(policy, hosts, ways.lookup.clone()))
        .build()
        .map_err(|e| clean_line(&e.to_string(), 200))
}

/// The proxy for https, as the environment names it: `HTTPS_PROXY`, else `ALL_PROXY`, minus `NO_PROXY`.
fn proxy(env: &Env) -> Result<Option<(Proxy, String)>, String> {
    let either = |name: &str| {
        env.get(name)
            .or_else(|| env.get(&name.to_ascii_lowercase()))
    };
    let Some(address) = either("HTTPS_PROXY").or_else(|| either("ALL_PROXY")) else {
        return Ok(None);
    };
    // Its address may hold a password: no message shows it.
    let wrong = || "HTTPS_PROXY (or ALL_PROXY) is no http or https address".to_owned();
    let parsed = Url::parse(address)
        .or_else(|_| Url::parse(&format!("http://{address}")))
        .map_err(|_| wrong())?;
    if !matches!(parsed.scheme(), "http" | "https") {
        return Err(wrong());
    }
    let host = parsed.host_str().ok_or_else(wrong)?.to_owned();
    let proxy = Proxy::https(parsed).map_err(|_| wrong())?;
    let except = either("NO_PROXY").and_then(NoProxy::from_string);
    Ok(Some((proxy.no_proxy(except), host)))
}

/// The beginning of an error's body; what comes of it before the connection breaks.
pub async fn error_text(mut response: reqwest::Response) -> String {
    let mut bytes = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        let room = LARGEST_ERROR - bytes.len();
        bytes.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if bytes.len() == LARGEST_ERROR {
            break;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
