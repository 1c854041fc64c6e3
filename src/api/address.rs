//! Where an engine is, and why it cannot be reached there.

use std::path::PathBuf;

use url::Url;

use super::routes::SEAM;
use crate::text::clean_line;

/// Where an engine is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// Its socket on this machine.
    Socket(PathBuf),
    /// Its address, and the admin token where there is one.
    Http {
        /// The base.
        url: Url,
        /// Sent as `x-admin-token`.
        token: Option<String>,
    },
}

impl Address {
    /// Reads `unix:PATH`, or an http or https address.
    ///
    /// # Errors
    /// A sentence.
    pub fn read(text: &str, token: Option<String>) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            return Ok(Self::Socket(PathBuf::from(path)));
        }
        let url = Url::parse(text).map_err(|e| format!("'{}': {e}", clean_line(text, 80)))?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err("want http://HOST:PORT, https://HOST or unix:PATH".into());
        }
        let local = crate::outbound::egress::is_loopback(&url);
        if url.scheme() == "http" && !local && token.is_some() {
            return Err(
                "a token is sent over https only, or to this machine (use an SSH tunnel)".into(),
            );
        }
        Ok(Self::Http { url, token })
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Socket(path) => write!(f, "unix:{}", path.display()),
            Self::Http { url, .. } => f.write_str(url.as_str().trim_end_matches('/')),
        }
    }
}

/// Why an engine cannot be reached.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nobody answers.
    #[error("no engine answers at {at}: {reason}")]
    Nobody {
        /// Where.
        at: String,
        /// What the system said.
        reason: String,
    },
    /// It answers something else.
    #[error("{at} answered {status}: {message}")]
    Refused {
        /// Where.
        at: String,
        /// The status.
        status: u16,
        /// What it said.
        message: String,
    },
    /// It is another version.
    #[error("the engine at {at} is bsm {theirs} (seam {seam}), this is bsm {} (seam {SEAM}); use the same version on both sides", env!("CARGO_PKG_VERSION"))]
    Version {
        /// Where.
        at: String,
        /// Its version.
        theirs: String,
        /// Its seam's number.
        seam: u64,
    },
}

/// Whose console this is, for the others: user and machine.
pub fn whoami() -> String {
    let user = std::env::var("USER").unwrap_or_else(|_| "somebody".into());
    let machine = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned();
    let name = clean_line(&format!("{user}@{machine}"), 40);
    name.chars().filter(char::is_ascii_graphic).collect()
}
