//! Places that are shared out: connections and streams. One client cannot take all of them.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex};

use crate::resilience::clock::lock;

/// So many places, and so many of them for one client.
pub(super) struct Places<K> {
    all: usize,
    each: usize,
    taken: Mutex<HashMap<K, usize>>,
}

/// A place; it is free again when this is dropped.
pub(super) struct Place<K: Eq + Hash> {
    places: Arc<Places<K>>,
    client: K,
}

impl<K: Eq + Hash + Clone> Places<K> {
    pub(super) fn new(all: usize, each: usize) -> Arc<Self> {
        Arc::new(Self {
            all: all.max(1),
            each: each.max(1),
            taken: Mutex::default(),
        })
    }

    /// A place for a client; `None`: it has its share, or all are taken.
    pub(super) fn take(self: &Arc<Self>, client: K) -> Option<Place<K>> {
        let mut taken = lock(&self.taken);
        let (sum, own) = (
            taken.values().sum::<usize>(),
            taken.get(&client).copied().unwrap_or(0),
        );
        if sum >= self.all || own >= self.each {
            return None;
        }
        taken.insert(client.clone(), own + 1);
        drop(taken);
        Some(Place {
            places: Arc::clone(self),
            client,
        })
    }
}

impl<K: Eq + Hash> Drop for Place<K> {
    fn drop(&mut self) {
        let mut taken = lock(&self.places.taken);
        if let Some(own) = taken.get_mut(&self.client) {
            *own -= 1;
            if *own == 0 {
                taken.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_client_takes_its_share_and_gives_it_back() {
        let places = Places::new(3, 2);
        let first = places.take("a");
        let second = places.take("a");
        assert!(first.is_some() && second.is_some() && places.take("a").is_none());
        let third = places.take("b");
        assert!(third.is_some() && places.take("c").is_none());
        drop(first);
        let again = places.take("c");
        assert!(again.is_some() && places.take("a").is_none());
        drop((second, third, again));
        assert!(lock(&places.taken).is_empty());
    }
}
