//! What the middleware hands to the routes with a request, and they to it with a response.

use std::net::IpAddr;
use std::net::SocketAddr;

/// Marks an error that has a shape of its own, which its readers know.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OwnShape;

/// A request's correlation id.
#[derive(Debug, Clone)]
pub(crate) struct Correlation(pub(super) String);

/// What a connection may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// Everything.
    Any,
    /// All places are taken: this one is for health and webhooks alone.
    Reserved,
}

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    /// Over TCP, from this address.
    Tcp(SocketAddr),
    /// Over TCP, handed on by a proxy: the client's address as far as it can be known.
    Through(SocketAddr),
    /// Over TCP, handed on by a proxy that is not listed: behind this address may be anybody.
    Hidden(SocketAddr),
    /// Over the socket, the user who runs the engine.
    Owner,
    /// Over the socket, somebody else.
    Stranger,
}

impl Peer {
    /// The same machine.
    pub(crate) fn is_local(self) -> bool {
        match self {
            Self::Tcp(at) => at.ip().to_canonical().is_loopback(),
            Self::Owner => true,
            Self::Through(_) | Self::Hidden(_) | Self::Stranger => false,
        }
    }

    /// The name under which its streams are counted.
    pub(crate) fn stream_client(self) -> String {
        self.ip()
            .map_or_else(|| "owner".into(), |ip| ip.to_string())
    }

    pub(crate) fn ip(self) -> Option<IpAddr> {
        match self {
            Self::Tcp(at) | Self::Through(at) | Self::Hidden(at) => Some(at.ip().to_canonical()),
            Self::Owner | Self::Stranger => None,
        }
    }
}
