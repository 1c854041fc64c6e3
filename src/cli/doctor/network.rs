//! The way to providers: proxy and certificates, as far as variables say it.

use std::path::Path;

use super::report::Line;
use crate::settings::env::Env;
use url::Url;

fn either<'a>(env: &'a Env, name: &str) -> Option<&'a str> {
    env.get(name)
        .or_else(|| env.get(&name.to_ascii_lowercase()))
}

/// The proxy's address may hold a password: no sentence shows it.
pub(super) fn proxy(env: &Env) -> Line {
    const NAME: &str = "proxy";
    for variable in ["HTTPS_PROXY", "ALL_PROXY"] {
        let Some(address) = either(env, variable) else {
            continue;
        };
        let full = if address.contains("://") {
            address.to_owned()
        } else {
            format!("http://{address}")
        };
        let parsed = Url::parse(&full);
        return match parsed {
            Ok(url) if !matches!(url.scheme(), "http" | "https") => Line::fail(
                NAME,
                format!("{variable} names a proxy of the kind '{}'", url.scheme()),
                "name an http or https proxy: http://HOST:PORT",
            ),
            Ok(url) if url.host_str().is_some_and(|host| !host.is_empty()) => {
                let host = url.host_str().unwrap_or_default();
                Line::pass(NAME, format!("{variable} names {host}"))
            }
            _ => Line::fail(
                NAME,
                format!("{variable} is not a valid address"),
                "write http://HOST:PORT, or unset it",
            ),
        };
    }
    if either(env, "HTTP_PROXY").is_some() {
        return Line::warn(
            NAME,
            "HTTP_PROXY is set and not used: providers are asked over https",
            "set HTTPS_PROXY if they are behind a proxy",
        );
    }
    Line::pass(NAME, "none")
}

pub(super) fn certificates(env: &Env) -> Line {
    const NAME: &str = "certificates";
    if let Some(file) = env.get("SSL_CERT_FILE") {
        let help = "name a PEM file that this user can read, or unset SSL_CERT_FILE";
        return match std::fs::read_to_string(file) {
            Ok(text) if text.contains("-----BEGIN CERTIFICATE-----") => {
                Line::pass(NAME, "SSL_CERT_FILE holds certificates")
            }
            Ok(_) => Line::fail(
                NAME,
                format!("SSL_CERT_FILE ({file}) holds no certificate"),
                help,
            ),
            Err(error) => Line::fail(
                NAME,
                format!("SSL_CERT_FILE ({file}) cannot be read: {error}"),
                help,
            ),
        };
    }
    if let Some(folder) = env.get("SSL_CERT_DIR")
        && std::fs::read_dir(Path::new(folder)).is_err()
    {
        return Line::fail(
            NAME,
            format!("SSL_CERT_DIR ({folder}) cannot be read"),
            "name a folder that this user can read, or unset SSL_CERT_DIR",
        );
    }
    Line::pass(NAME, "those of the system")
}
