//! Whose request it is when a proxy hands it on.
//!
//! Why so careful: a header is only a claim. It counts when the proxy that sends it is listed; from anybody
//! else it takes trust away instead of giving it, because behind it may be the whole world.

use std::net::{IpAddr, SocketAddr};

use axum::http::HeaderMap;
use ipnet::IpNet;

use crate::api::request::Peer;

/// Proxies whose word on the client's address counts.
#[derive(Debug, Clone, Default)]
pub(super) struct Trusted(Vec<IpNet>);

impl Trusted {
    /// Reads addresses and networks (`10.0.0.0/8`).
    ///
    /// # Errors
    /// The entry that is neither.
    pub(super) fn read(entries: &[String]) -> Result<Self, String> {
        let read = |entry: &String| {
            let text = entry.trim();
            let whole = || text.parse::<IpAddr>().map(IpNet::from);
            text.parse::<IpNet>().or_else(|_| whole()).map_err(|_| {
                let shown = crate::text::clean_line(text, 60);
                format!("api.trustedProxies: '{shown}' is neither an address nor a network")
            })
        };
        entries.iter().map(read).collect::<Result<_, _>>().map(Self)
    }

    fn has(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.0.iter().any(|net| net.contains(&ip))
    }

    /// Who really asks.
    pub(super) fn client(&self, peer: Peer, headers: &HeaderMap) -> Peer {
        let Peer::Tcp(at) = peer else { return peer };
        let forwarded = ["x-forwarded-for", "forwarded", "via", "x-real-ip"];
        let claims = forwarded.iter().any(|name| headers.contains_key(*name));
        if !claims {
            return peer;
        }
        if !self.has(at.ip()) {
            return Peer::Hidden(at);
        }
        // Each proxy adds whom it heard: from the end, the first that is none of ours.
        let lists: Vec<&str> = headers
            .get_all("x-forwarded-for")
            .iter()
            .filter_map(|v| v.to_str().ok())
            .collect();
        for hop in lists.iter().rev().flat_map(|list| list.rsplit(',')) {
            let hop = hop.trim();
            let ip = hop
                .parse::<IpAddr>()
                .or_else(|_| hop.parse::<SocketAddr>().map(|at| at.ip()));
            match ip {
                Ok(ip) if self.has(ip) => {}
                Ok(ip) => return Peer::Through(SocketAddr::new(ip.to_canonical(), 0)),
                Err(_) => break,
            }
        }
        Peer::Hidden(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::{HeaderName, HeaderValue};

    fn client(from: &str, headers: &[(&'static str, &'static str)]) -> Peer {
        let trusted = Trusted::read(&["10.0.0.0/8".into(), "::1".into()]).unwrap();
        let headers: HeaderMap = headers
            .iter()
            .map(|(k, v)| (HeaderName::from_static(k), HeaderValue::from_static(v)))
            .collect();
        trusted.client(
            Peer::Tcp(SocketAddr::new(from.parse().unwrap(), 7)),
            &headers,
        )
    }

    fn ip(peer: Peer) -> String {
        peer.ip().unwrap().to_string()
    }

    #[test]
    fn a_header_counts_from_a_listed_proxy_and_makes_nobody_local() {
        assert_eq!(
            client("127.0.0.1", &[]),
            Peer::Tcp("127.0.0.1:7".parse().unwrap())
        );
        for (from, header, wanted) in [
            ("10.1.1.1", "203.0.113.9", "203.0.113.9"),
            ("::1", "203.0.113.9, 10.2.2.2", "203.0.113.9"),
            // Whatever the client wrote before it does not count.
            ("10.1.1.1", "127.0.0.1, 203.0.113.9", "203.0.113.9"),
            ("10.1.1.1", "203.0.113.9:4711", "203.0.113.9"),
            ("10.1.1.1", "nonsense", "10.1.1.1"),
            ("10.1.1.1", "10.2.2.2", "10.1.1.1"),
            // Not listed: its own address, and nothing that only this machine may do.
            ("127.0.0.1", "203.0.113.9", "127.0.0.1"),
            ("192.0.2.1", "127.0.0.1", "192.0.2.1"),
            ("10.1.1.1", "127.0.0.1", "127.0.0.1"),
        ] {
            let peer = client(from, &[("x-forwarded-for", header)]);
            assert_eq!(ip(peer), wanted, "{from} {header}");
            assert!(!peer.is_local(), "{from} {header}");
        }
        assert!(!client("127.0.0.1", &[("via", "1.1 proxy")]).is_local());
        assert!(Trusted::read(&["proxy.example".into()]).is_err());
    }
}
