//! A provider's keys: which one is used, and which ones it has refused.
//!
//! Why a rest and not an end: an account gets topped up, a permission granted, and nobody wants to
//! restart for it. Why by reference: a key's value is read from the environment once, lives here, and
//! leaves only as a header marked sensitive; what is shown is the variable's name.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reqwest::header::HeaderValue;
use serde::{Deserialize, Serialize};

use crate::resilience::clock::lock;

/// A key. Neither `Debug` nor `Display` shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(Arc<str>);

impl Key {
    /// Takes a value in.
    pub fn new(value: &str) -> Self {
        // A line's end that came with it from a file is no part of it.
        Self(Arc::from(value.trim()))
    }

    /// As a header's value, marked sensitive; `None` where it has characters that no header may have.
    pub(super) fn header(&self, before: &str) -> Option<HeaderValue> {
        let mut value = HeaderValue::from_str(&format!("{before}{}", self.0)).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

/// A key's line in the snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyStats {
    /// The variable it is in.
    pub variable: String,
    /// Why it is not used, while it is not.
    pub refused: Option<String>,
    /// Minutes until it is tried again.
    pub rests_min: Option<u64>,
}

#[derive(Debug)]
struct Slot {
    variable: String,
    key: Key,
    refused: Option<(&'static str, Instant)>,
}

/// The keys of one provider, the preferred first.
#[derive(Debug, Default)]
pub struct Keys {
    slots: Mutex<Vec<Slot>>,
    news: Mutex<Vec<String>>,
}

impl Keys {
    /// Keys as they are now; what `old` knows of the same key is kept.
    pub fn new(found: Vec<(String, Key)>, old: Option<&Self>) -> Self {
        let old = old.map(|o| lock(&o.slots));
        let slots = found
            .into_iter()
            .map(|(variable, key)| Slot {
                refused: old
                    .iter()
                    .flat_map(|o| o.iter())
                    .find(|s| s.key == key)
                    .and_then(|s| s.refused),
                variable,
                key,
            })
            .collect();
        Self {
            slots: Mutex::new(slots),
            news: Mutex::default(),
        }
    }

    /// Text of the provider without any of its keys, before it is cut anywhere.
    pub(super) fn scrub(&self, text: &str) -> String {
        let slots = lock(&self.slots);
        let keys = slots.iter().map(|s| &s.key.0).filter(|k| k.len() >= 8);
        keys.fold(text.to_owned(), |text, key| {
            if text.contains(&**key) {
                text.replace(&**key, "[key]")
            } else {
                text
            }
        })
    }

    /// True where no key is configured at all.
    pub fn none(&self) -> bool {
        lock(&self.slots).is_empty()
    }

    /// The first key that rests no more.
    pub(super) fn pick(&self, now: Instant) -> Option<Key> {
        lock(&self.slots)
            .iter()
            .find(|s| s.refused.is_none_or(|(_, until)| now >= until))
            .map(|s| s.key.clone())
    }

    /// Takes a refusal in; true when another key can be used at once.
    pub(super) fn refuse(
        &self,
        key: &Key,
        provider: &str,
        why: &'static str,
        rest: Duration,
        now: Instant,
    ) -> bool {
        let mut slots = lock(&self.slots);
        if let Some(slot) = slots.iter_mut().find(|s| s.key == *key) {
            // Others were on their way with the same key: one word about it is enough.
            let known = slot.refused.is_some_and(|(_, until)| now < until);
            slot.refused = Some((why, now.checked_add(rest).unwrap_or(now)));
            if !known {
                let mut news = lock(&self.news);
                news.truncate(15);
                news.push(format!("{provider} {why}: {}", slot.variable));
            }
        }
        slots
            .iter()
            .any(|s| s.refused.is_none_or(|(_, until)| now >= until))
    }

    /// An answer with this key: whatever was said of it is over.
    pub(super) fn accepted(&self, key: &Key) {
        for slot in lock(&self.slots).iter_mut().filter(|s| s.key == *key) {
            slot.refused = None;
        }
    }

    /// Every key may be tried again.
    pub fn forgive(&self) {
        lock(&self.slots).iter_mut().for_each(|s| s.refused = None);
    }

    /// What became known since it was last asked for.
    pub fn take_news(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.news))
    }

    /// Every key's line.
    pub fn stats(&self, now: Instant) -> Vec<KeyStats> {
        lock(&self.slots)
            .iter()
            .map(|s| {
                let refused = s.refused.filter(|(_, until)| now < *until);
                KeyStats {
                    variable: s.variable.clone(),
                    refused: refused.map(|(why, _)| why.to_owned()),
                    rests_min: refused.map(|(_, until)| (until - now).as_secs().div_ceil(60)),
                }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_key_is_used_while_a_refused_one_rests() {
        let now = Instant::now();
        let (a, b) = (Key::new("k-a"), Key::new("k-b"));
        let both = || vec![("A".to_owned(), a.clone()), ("B".to_owned(), b.clone())];
        let keys = Keys::new(both(), None);
        let rest = Duration::from_secs(60);
        assert_eq!(keys.pick(now), Some(a.clone()));
        assert!(keys.refuse(&a, "openai", "refuses the key (401)", rest, now));
        assert_eq!(keys.pick(now), Some(b.clone()));
        assert!(keys.refuse(&a, "openai", "refuses the key (401)", rest, now));
        assert_eq!(keys.take_news(), ["openai refuses the key (401): A"]);
        // A new table with the same keys knows it still.
        let again = Keys::new(both(), Some(&keys));
        assert!(!again.refuse(&b, "openai", "quota", rest, now));
        assert_eq!(again.pick(now), None);
        assert_eq!(again.pick(now + rest), Some(a.clone()));
        assert_eq!(again.stats(now)[1].rests_min, Some(1));
        again.forgive();
        assert_eq!(again.pick(now), Some(a.clone()));
        again.refuse(&a, "openai", "quota", rest, now);
        again.accepted(&a);
        assert_eq!(again.pick(now), Some(a));
    }

    #[test]
    fn debug_shows_no_key() {
        let key = Key::new("k-very-secret");
        assert_eq!(format!("{key:?}"), "Key(…)");
        let header = key.header("Bearer ").unwrap();
        assert!(!format!("{header:?}").contains("secret"));
        assert!(Key::new("k\nx").header("").is_none());
        let keys = Keys::new(vec![("A".into(), key)], None);
        assert!(!format!("{keys:?}").contains("secret"));
    }
}
