//! The one place where outbound HTTP clients are made.
//!
//! Why one: what may be connected to is decided here and nowhere else. Redirects are never followed
//! (a redirect could carry a key to another host), https is required off loopback, loopback is never
//! sent through a proxy, and in safe mode nothing but loopback is reachable.

use std::net::IpAddr;
use std::time::Duration;

use reqwest::Client;
use url::{Host, Url};

use super::error::ModelError;

/// Largest answer that is read, bytes.
pub const LARGEST_ANSWER: usize = 4 << 20;

/// True when the URL's host is this machine by its address or the name `localhost`.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => IpAddr::V4(ip).is_loopback(),
        Some(Host::Ipv6(ip)) => {
            ip.is_loopback() || ip.to_ipv4_mapped().is_some_and(|ip| ip.is_loopback())
        }
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        None => false,
    }
}

/// Checks an address against the policy.
///
/// # Errors
/// A sentence: why nothing is sent there.
pub fn allowed(url: &str, loopback_only: bool) -> Result<Url, String> {
    let parsed = Url::parse(url).map_err(|e| format!("its address cannot be read: {e}"))?;
    let local = is_loopback(&parsed);
    if loopback_only && !local {
        return Err("safe mode: nothing leaves this machine".into());
    }
    match parsed.scheme() {
        "https" => {}
        "http" if local => {}
        "http" => return Err("its address is http; off this machine only https is used".into()),
        other => {
            return Err(format!(
                "its address has scheme {}; only https is used",
                crate::text::clean_line(other, 20)
            ));
        }
    }
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err(
            "its address has a user name or password in it; name a variable under keyEnv instead"
                .into(),
        );
    }
    Ok(parsed)
}

/// A client for one provider.
///
/// # Errors
/// A sentence, when the system's certificates or the settings cannot be used.
pub fn client(url: &Url, connect: Duration) -> Result<Client, String> {
    let builder = Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(connect)
        .https_only(url.scheme() == "https")
        .pool_idle_timeout(Duration::from_secs(60))
        .user_agent(concat!("bsm/", env!("CARGO_PKG_VERSION")));
    let builder = if is_loopback(url) {
        builder.no_proxy()
    } else {
        builder
    };
    builder
        .build()
        .map_err(|e| crate::text::clean_line(&e.to_string(), 200))
}

/// Reads a body of at most [`LARGEST_ANSWER`] bytes.
///
/// # Errors
/// When it is larger, or the connection breaks.
pub async fn body(provider: &str, mut response: reqwest::Response) -> Result<Vec<u8>, ModelError> {
    let mut bytes = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if bytes.len() + chunk.len() > LARGEST_ANSWER => {
                let message = format!("more than {LARGEST_ANSWER} bytes");
                return Err(ModelError::Malformed {
                    provider: provider.to_owned(),
                    message,
                });
            }
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
            Ok(None) => return Ok(bytes),
            Err(error) => return Err(broken(provider, &error)),
        }
    }
}

/// A transport error without the URL (it may name internal hosts) and without anything secret.
pub fn broken(provider: &str, error: &reqwest::Error) -> ModelError {
    if error.is_timeout() {
        return ModelError::Timeout(Duration::ZERO);
    }
    let mut message = String::new();
    let mut source: Option<&dyn std::error::Error> = std::error::Error::source(error);
    while let Some(inner) = source {
        message = inner.to_string();
        source = inner.source();
    }
    if message.is_empty() {
        message = if error.is_connect() {
            "cannot connect".into()
        } else {
            "the connection broke".into()
        };
    }
    ModelError::Connect {
        provider: provider.to_owned(),
        message: crate::text::clean_line(&message, 160),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_or_loopback_and_in_safe_mode_only_loopback() {
        for ok in [
            "https://api.openai.com/v1",
            "http://127.0.0.1:9/v1",
            "http://[::1]:9",
            "http://localhost:11434/v1",
        ] {
            assert!(allowed(ok, false).is_ok(), "{ok}");
        }
        for bad in [
            "http://api.openai.com",
            "ftp://x",
            "file:///etc/passwd",
            "https://user:pw@api.example",
            "http://localhost.evil.example",
            "nonsense",
        ] {
            assert!(allowed(bad, false).is_err(), "{bad}");
        }
        assert!(allowed("https://api.openai.com/v1", true).is_err());
        assert!(allowed("http://[::ffff:127.0.0.1]:9", true).is_ok());
    }
}
