//! Where a connection may go: asked before a request and again for every address a name resolves to.
//!
//! Why twice: a name that was allowed yesterday may resolve to the machine's own network today
//! (rebinding). The resolver here hands out only addresses that passed, and those very addresses are
//! dialled. Private, link-local and metadata addresses are for hosts that the operator has listed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use crate::settings::{Egress, Settings};
use crate::text::clean_line;

/// What may be connected to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    mode: Egress,
    listed: Vec<String>,
}

/// True when the URL's host is this machine by its address or the name `localhost`.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => IpAddr::V4(ip).is_loopback(),
        Some(Host::Ipv6(ip)) => is_own(IpAddr::V6(ip)),
        Some(Host::Domain(name)) => is_localhost(name),
        None => false,
    }
}

fn is_localhost(name: &str) -> bool {
    name.trim_end_matches('.').eq_ignore_ascii_case("localhost")
}

/// Only what the system itself keeps on this machine: a packet to an embedded 127.0.0.1 of another form
/// is routed away.
fn is_own(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}

/// An IPv4 address in IPv6 clothes, without them.
fn unmapped(ip: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = ip else { return ip };
    let nat64 = v6.segments()[..6] == [0x64, 0xff9b, 0, 0, 0, 0];
    let sixtofour = v6.segments()[0] == 0x2002;
    let o = v6.octets();
    if nat64 {
        return Ipv4Addr::new(o[12], o[13], o[14], o[15]).into();
    }
    if sixtofour {
        return Ipv4Addr::new(o[2], o[3], o[4], o[5]).into();
    }
    v6.to_ipv4_mapped().map_or(ip, IpAddr::V4)
}

/// An address of the public internet: not this machine's, not a private or shared network's, not
/// link-local (where clouds keep their metadata), not a group's.
pub fn is_public(ip: IpAddr) -> bool {
    match unmapped(ip) {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            !(ip.is_loopback()
                || ip.is_private()
                || ip.is_link_local()
                || ip.is_unspecified()
                || ip.is_broadcast()
                || ip.is_multicast()
                || a == 0
                || (a == 100 && (64..128).contains(&b))
                || (a == 192 && b == 0 && ip.octets()[2] == 0)
                || (a == 198 && (18..20).contains(&b))
                || a >= 240)
        }
        IpAddr::V6(ip) => {
            let first = ip.segments()[0];
            !(ip.is_loopback()
                || ip.is_unspecified()
                || ip.is_multicast()
                || (first & 0xfe00) == 0xfc00
                || (first & 0xffc0) == 0xfe80
                || (first & 0xffc0) == 0xfec0
                // Local NAT64, IPv4 in old clothes, Teredo: what is behind them nobody can tell.
                || ip.segments()[..3] == [0x64, 0xff9b, 1]
                || ip.segments()[..6] == [0; 6]
                || ip.segments()[..2] == [0x2001, 0]
                || ip == Ipv6Addr::UNSPECIFIED)
        }
    }
}

impl Policy {
    /// As the settings have it.
    pub fn of(settings: &Settings) -> Self {
        Self {
            mode: if settings.loopback_only() {
                Egress::DenyAll
            } else {
                settings.egress
            },
            listed: settings
                .egress_allowed_hosts
                .iter()
                .map(|h| h.trim().trim_matches(['[', ']']).to_ascii_lowercase())
                .collect(),
        }
    }

    /// Takes a further host in.
    pub(super) fn list(&mut self, host: &str) {
        self.listed
            .push(host.trim_matches(['[', ']']).to_ascii_lowercase());
    }

    fn lists(&self, host: &str) -> bool {
        let host = host
            .trim_matches(['[', ']'])
            .trim_end_matches('.')
            .to_ascii_lowercase();
        self.listed.contains(&host)
    }

    /// Checks an address before a client is made for it.
    ///
    /// # Errors
    /// A sentence: why nothing is sent there.
    pub fn allows(&self, url: &str) -> Result<Url, String> {
        let parsed = Url::parse(url).map_err(|e| format!("its address cannot be read: {e}"))?;
        let local = is_loopback(&parsed);
        if self.mode == Egress::DenyAll && !local {
            return Err("safe mode: nothing leaves this machine".into());
        }
        match parsed.scheme() {
            "https" => {}
            "http" if local => {}
            "http" => {
                return Err("its address is http; off this machine only https is used".into());
            }
            other => {
                return Err(format!(
                    "its address has scheme {}; only https is used",
                    clean_line(other, 20)
                ));
            }
        }
        if !parsed.username().is_empty() || parsed.password().is_some() {
            return Err(
                "its address has a user name or password in it; name a variable under keyEnv instead"
                    .into(),
            );
        }
        let literal = match parsed.host() {
            Some(Host::Ipv4(ip)) => Some(IpAddr::V4(ip)),
            Some(Host::Ipv6(ip)) => Some(IpAddr::V6(ip)),
            _ => None,
        };
        if let Some(ip) = literal
            && !local
        {
            self.may_dial(parsed.host_str().unwrap_or_default(), ip)?;
        }
        Ok(parsed)
    }

    /// Checks one address that `host` is about to be reached at.
    ///
    /// # Errors
    /// A sentence: why it is not dialled.
    pub fn may_dial(&self, host: &str, ip: IpAddr) -> Result<(), String> {
        if is_localhost(host) || host.parse().is_ok_and(|ip: IpAddr| is_own(ip)) {
            return if is_own(ip) {
                Ok(())
            } else {
                Err("localhost resolves to an address that is not this machine's".into())
            };
        }
        if self.mode == Egress::DenyAll {
            return Err("safe mode: nothing leaves this machine".into());
        }
        if is_public(ip) || self.lists(host) {
            return Ok(());
        }
        Err(format!(
            "{} is at {ip}, which is no public address; list the host in EGRESS_ALLOWED_HOSTS if that is right",
            clean_line(host, 80)
        ))
    }
}

/// Resolves names and hands out the addresses that the policy lets through.
#[derive(Clone)]
pub struct Resolver {
    policy: Policy,
    /// The one host that this client is for, and a proxy's.
    hosts: Vec<String>,
    lookup: Lookup,
}

/// Turns a host into addresses.
pub type Lookup = Arc<
    dyn Fn(String) -> futures_util::future::BoxFuture<'static, std::io::Result<Vec<IpAddr>>>
        + Send
        + Sync,
>;

/// The system's own.
pub fn system_lookup() -> Lookup {
    Arc::new(|host| {
        Box::pin(async move {
            let found = tokio::net::lookup_host((host.as_str(), 0)).await?;
            Ok(found.map(|a| a.ip()).collect())
        })
    })
}

impl Resolver {
    /// For the client of one provider: no other host is resolved with it, unless the policy allows all.
    pub fn new(policy: Policy, hosts: Vec<String>, lookup: Lookup) -> Self {
        Self {
            policy,
            hosts,
            lookup,
        }
    }

    /// Addresses that may be dialled for `host`.
    ///
    /// # Errors
    /// When there is none; the first reason.
    pub async fn addresses(&self, host: &str) -> Result<Vec<SocketAddr>, String> {
        let known = self.hosts.iter().any(|h| h.eq_ignore_ascii_case(host));
        if !known && self.policy.mode != Egress::AllowAll && !self.policy.lists(host) {
            return Err(format!("{} is not an allowed host", clean_line(host, 80)));
        }
        let found = (self.lookup)(host.to_owned())
            .await
            .map_err(|e| clean_line(&e.to_string(), 120))?;
        let mut refused = None;
        let mut allowed = Vec::new();
        for ip in found {
            match self.policy.may_dial(host, ip) {
                Ok(()) => allowed.push(SocketAddr::new(ip, 0)),
                Err(reason) => refused = Some(reason),
            }
        }
        if allowed.is_empty() {
            return Err(refused.unwrap_or_else(|| "the name has no address".into()));
        }
        Ok(allowed)
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let resolver = self.clone();
        Box::pin(async move {
            let addresses = resolver.addresses(name.as_str()).await?;
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(mode: Egress, listed: &[&str]) -> Policy {
        Policy::of(&Settings {
            egress: mode,
            egress_allowed_hosts: listed.iter().map(|h| (*h).to_owned()).collect(),
            ..Settings::default()
        })
    }

    #[test]
    fn only_https_or_loopback_and_in_safe_mode_only_loopback() {
        let open = policy(Egress::DenyByDefault, &[]);
        for ok in [
            "https://api.openai.com/v1",
            "http://127.0.0.1:9/v1",
            "http://[::1]:9",
            "http://localhost:11434/v1",
            "http://[::ffff:127.0.0.1]:9",
        ] {
            assert!(open.allows(ok).is_ok(), "{ok}");
        }
        for bad in [
            "http://api.openai.com",
            "ftp://x",
            "file:///etc/passwd",
            "https://user:pw@api.example",
            "http://localhost.evil.example",
            "http://[2002:7f00:1::1]/v1",
            "http://[64:ff9b::7f00:1]/v1",
            "https://[64:ff9b:1::a00:1]/v1",
            "https://[::10.0.0.1]/v1",
            "https://[2001:0:a00:1::1]/v1",
            "https://169.254.169.254/latest",
            "https://10.1.2.3/v1",
            "https://[fe80::1]/v1",
            "https://[::ffff:192.168.1.1]/v1",
            "nonsense",
        ] {
            assert!(open.allows(bad).is_err(), "{bad}");
        }
        let listed = policy(Egress::DenyByDefault, &["10.1.2.3"]);
        assert!(listed.allows("https://10.1.2.3/v1").is_ok());
        let safe = policy(Egress::DenyAll, &["api.openai.com", "10.1.2.3"]);
        assert!(safe.allows("https://api.openai.com/v1").is_err());
        assert!(safe.allows("https://10.1.2.3/v1").is_err());
        assert!(safe.allows("http://127.0.0.1:9").is_ok());
        // Routed away, whatever is embedded in them.
        for away in ["http://[2002:7f00:1::1]/v1", "http://[64:ff9b::7f00:1]/v1"] {
            assert!(safe.allows(away).is_err(), "{away}");
        }
    }

    #[test]
    fn public_is_what_nobody_has_at_home() {
        for ip in ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "64:ff9b::808:808"] {
            assert!(is_public(ip.parse().unwrap()), "{ip}");
        }
        for ip in [
            "127.0.0.1",
            "0.0.0.0",
            "10.0.0.1",
            "172.16.0.1",
            "192.168.0.1",
            "169.254.169.254",
            "100.64.0.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fc00::1",
            "fe80::1",
            "ff02::1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "2002:a00:1::1",
        ] {
            assert!(!is_public(ip.parse().unwrap()), "{ip}");
        }
    }

    fn lookup(ips: &'static [&'static str]) -> Lookup {
        Arc::new(|_| Box::pin(async { Ok(ips.iter().map(|ip| ip.parse().unwrap()).collect()) }))
    }

    // Seen failing with `may_dial` that allows every address of a known host.
    #[tokio::test]
    async fn a_name_that_moves_to_a_private_address_is_not_dialled() {
        let hosts = || vec!["api.example".to_owned()];
        let by_default = policy(Egress::DenyByDefault, &[]);
        let at = |ips| Resolver::new(by_default.clone(), hosts(), lookup(ips));
        assert!(at(&["8.8.8.8"]).addresses("api.example").await.is_ok());
        for ips in [
            &["127.0.0.1"][..],
            &["169.254.169.254"],
            &["10.0.0.7", "::1"],
            &[],
        ] {
            assert!(at(ips).addresses("api.example").await.is_err(), "{ips:?}");
        }
        // Of several the good ones remain.
        let some = at(&["10.0.0.7", "8.8.8.8"]).addresses("api.example").await;
        assert_eq!(some.unwrap(), ["8.8.8.8:0".parse().unwrap()]);
        // Another host than the client's own.
        let other = at(&["8.8.8.8"]).addresses("collector.example").await;
        assert!(other.unwrap_err().contains("not an allowed host"));
        let all = policy(Egress::AllowAll, &["intern.example"]);
        let open = Resolver::new(all.clone(), hosts(), lookup(&["8.8.8.8"]));
        assert!(open.addresses("collector.example").await.is_ok());
        let listed = Resolver::new(all, hosts(), lookup(&["10.0.0.7"]));
        assert!(listed.addresses("intern.example").await.is_ok());
        assert!(listed.addresses("api.example").await.is_err());
        let safe = Resolver::new(policy(Egress::DenyAll, &[]), hosts(), lookup(&["8.8.8.8"]));
        assert!(safe.addresses("api.example").await.is_err());
    }
}
