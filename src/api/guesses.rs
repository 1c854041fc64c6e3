//! Wrong tokens are limited, so that guessing one is slow: per client, and of all clients together.
//!
//! A client that is over its limit is refused with the right token as well; else an answer would still say which
//! token is right. When all together are over, only clients that showed the right token before are let through.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::rate_limit::network;
use crate::resilience::clock::lock;

/// Wrong tokens of one client in a window.
pub(super) const EACH: u32 = 10;
/// Wrong tokens of all clients in a window.
const TOGETHER: u32 = 100;
const WINDOW: Duration = Duration::from_secs(60);
/// Clients that are remembered; those whose window is over are forgotten first.
const CLIENTS: usize = 10_000;

/// How many wrong tokens came.
#[derive(Default)]
pub(super) struct Guesses(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    clients: HashMap<IpAddr, (Instant, u32)>,
    all: Option<(Instant, u32)>,
    /// Clients that showed a right token.
    known: BTreeSet<IpAddr>,
}

impl Guesses {
    /// A client shows a token. `Err`: it is refused, whatever the token; for how long.
    pub(super) fn judge(&self, client: IpAddr, right: bool, now: Instant) -> Result<(), Duration> {
        let client = network(client);
        let mut inner = lock(&self.0);
        let left = |began: Instant| WINDOW.saturating_sub(now.saturating_duration_since(began));
        if inner
            .clients
            .get(&client)
            .is_some_and(|(began, _)| left(*began).is_zero())
        {
            inner.clients.remove(&client);
        }
        if inner.all.is_some_and(|(began, _)| left(began).is_zero()) {
            inner.all = None;
        }
        if let Some((began, count)) = inner.clients.get(&client)
            && *count >= EACH
        {
            return Err(left(*began));
        }
        if let Some((began, count)) = inner.all
            && count >= TOGETHER
            && !inner.known.contains(&client)
        {
            return Err(left(began));
        }
        if right {
            if inner.known.len() >= CLIENTS {
                inner.known.clear();
            }
            inner.known.insert(client);
            return Ok(());
        }
        if inner.clients.len() >= CLIENTS {
            inner
                .clients
                .retain(|_, (began, _)| !left(*began).is_zero());
            if inner.clients.len() >= CLIENTS {
                // They are counted together all the same.
                inner.clients.clear();
            }
        }
        inner.clients.entry(client).or_insert((now, 0)).1 += 1;
        inner.all.get_or_insert((now, 0)).1 += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(n: u32) -> IpAddr {
        std::net::Ipv4Addr::from(0x0a00_0000 + n).into()
    }

    #[test]
    fn client_over_its_limit_is_refused_with_the_right_token_too_until_the_window_is_over() {
        let (guesses, start) = (Guesses::default(), Instant::now());
        for _ in 0..EACH {
            assert!(guesses.judge(ip(1), false, start).is_ok());
        }
        let at = |s| start + Duration::from_secs(s);
        assert_eq!(
            guesses.judge(ip(1), true, at(20)),
            Err(Duration::from_secs(40))
        );
        assert!(guesses.judge(ip(2), true, at(20)).is_ok());
        assert!(guesses.judge(ip(1), true, at(60)).is_ok());
    }

    #[test]
    fn many_clients_together_are_slow_and_known_ones_go_on() {
        let (guesses, start) = (Guesses::default(), Instant::now());
        assert!(guesses.judge(ip(1), true, start).is_ok());
        for n in 0..TOGETHER {
            assert!(guesses.judge(ip(100 + n), false, start).is_ok());
        }
        assert!(guesses.judge(ip(5_000), false, start).is_err());
        assert!(guesses.judge(ip(5_001), true, start).is_err());
        assert!(guesses.judge(ip(1), true, start).is_ok());
    }

    #[test]
    fn number_of_remembered_clients_is_bounded() {
        let (guesses, start) = (Guesses::default(), Instant::now());
        for n in 0..25_000 {
            let at = start + Duration::from_secs(61 * u64::from(n / TOGETHER));
            let _ = guesses.judge(ip(n), n % 2 == 0, at);
        }
        let inner = lock(&guesses.0);
        assert!(inner.clients.len() <= CLIENTS && inner.known.len() <= CLIENTS);
    }
}
