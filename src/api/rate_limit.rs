//! So many requests a client in a window. Why a fixed window: that is what its headers can say exactly.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::resilience::clock::lock;
use crate::settings::RateLimit;

/// Clients that are remembered; when there are more, those whose window is over are forgotten, then all.
const CLIENTS: usize = 10_000;

pub(super) struct Limits {
    settings: RateLimit,
    clients: Mutex<HashMap<IpAddr, (Instant, u64)>>,
}

/// What is left to a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Left {
    pub(super) limit: u64,
    pub(super) remaining: u64,
    /// Seconds until the window begins anew.
    pub(super) reset_s: u64,
    pub(super) refused: bool,
}

impl Limits {
    pub(super) fn new(settings: RateLimit) -> Self {
        Self {
            settings,
            clients: Mutex::default(),
        }
    }

    /// Counts a request; `None`: there is no limit.
    pub(super) fn count(&self, client: IpAddr, now: Instant) -> Option<Left> {
        let limit = self.settings.max;
        if limit == 0 {
            return None;
        }
        let window = Duration::from_millis(self.settings.window_ms.max(1));
        let client = network(client);
        let mut clients = lock(&self.clients);
        if clients.len() >= CLIENTS && !clients.contains_key(&client) {
            clients.retain(|_, (began, _)| now.saturating_duration_since(*began) < window);
            if clients.len() >= CLIENTS {
                clients.clear();
            }
        }
        let (began, count) = clients.entry(client).or_insert((now, 0));
        if now.saturating_duration_since(*began) >= window {
            (*began, *count) = (now, 0);
        }
        *count = count.saturating_add(1);
        let left = window.saturating_sub(now.saturating_duration_since(*began));
        Some(Left {
            limit,
            remaining: limit.saturating_sub(*count),
            reset_s: left.as_millis().div_ceil(1_000) as u64,
            refused: *count > limit,
        })
    }
}

/// One household has a whole /64 of IPv6.
pub(super) fn network(client: IpAddr) -> IpAddr {
    match client {
        IpAddr::V6(ip) => {
            let bits = u128::from(ip) & !u128::from(u64::MAX);
            IpAddr::V6(bits.into())
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_has_its_own_window_and_many_clients_a_bound() {
        let limits = Limits::new(RateLimit {
            max: 2,
            window_ms: 1_000,
        });
        let start = Instant::now();
        let client: IpAddr = "10.0.0.1".parse().unwrap();
        let at = |ms| start + Duration::from_millis(ms);
        let first = limits.count(client, start).unwrap();
        assert_eq!(
            (first.remaining, first.reset_s, first.refused),
            (1, 1, false)
        );
        assert!(!limits.count(client, at(1)).unwrap().refused);
        assert!(limits.count(client, at(2)).unwrap().refused);
        assert!(
            !limits
                .count("10.0.0.2".parse().unwrap(), at(3))
                .unwrap()
                .refused
        );
        assert!(!limits.count(client, at(1_000)).unwrap().refused);
        let (a, b) = (
            "2001:db8::1".parse().unwrap(),
            "2001:db8::2".parse().unwrap(),
        );
        limits.count(a, start);
        limits.count(b, start);
        assert!(limits.count(a, start).unwrap().refused, "one household");
        for n in 0..20_000_u32 {
            limits.count(IpAddr::V4(n.into()), at(5));
        }
        assert!(lock(&limits.clients).len() <= CLIENTS);
    }
}
