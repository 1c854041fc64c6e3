//! Tells systemd how a service is: ready, reading its settings again, stopping, alive.
//!
//! Why by hand: it is one datagram. Source: sd_notify(3).

use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use crate::settings::env::Env;

/// Where systemd listens, if it does.
pub(super) struct Notify {
    to: Option<(UnixDatagram, SocketAddr)>,
    /// How often it wants to hear that the service is alive.
    pub(super) every: Option<Duration>,
}

impl Notify {
    pub(super) fn new(env: &Env) -> Self {
        let address = env.get("NOTIFY_SOCKET").and_then(|path| {
            let address = match path.strip_prefix('@') {
                Some(name) => unnamed(name),
                None => SocketAddr::from_pathname(path),
            };
            address.ok()
        });
        let to = address.and_then(|a| Some((UnixDatagram::unbound().ok()?, a)));
        let watchdog = env.get("WATCHDOG_USEC").and_then(|v| v.parse::<u64>().ok());
        Self {
            to,
            // Twice as often as it is looked for.
            every: watchdog.map(|us| Duration::from_micros((us / 2).max(1_000))),
        }
    }

    pub(super) fn say(&self, what: &str) {
        if let Some((socket, address)) = &self.to {
            // Who does not listen does not want to know.
            let _ = socket.send_to_addr(what.as_bytes(), address);
        }
    }
}

/// A name that is no file's.
#[cfg(target_os = "linux")]
fn unnamed(name: &str) -> std::io::Result<SocketAddr> {
    use std::os::linux::net::SocketAddrExt as _;
    SocketAddr::from_abstract_name(name)
}

#[cfg(not(target_os = "linux"))]
fn unnamed(_name: &str) -> std::io::Result<SocketAddr> {
    Err(std::io::ErrorKind::Unsupported.into())
}
